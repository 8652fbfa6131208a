//! What becomes of the records that end at a filter.

use std::sync::Arc;

use super::{Outcome, Rejected, Step};
use crate::settings::OnError;
use flitch_core::batch::Records;
use flitch_core::dead_letter::Cause;
use flitch_core::receipt::Receipt;

impl Step {
    /// The reasons with who gives them. Rows that share a reason go on sharing it.
    pub(super) fn causes(&self, rejected: &[(u32, Arc<str>)]) -> Vec<Cause> {
        let mut last: Option<(&Arc<str>, Arc<str>)> = None;
        let mut causes = Vec::with_capacity(rejected.len());
        for (row, reason) in rejected {
            let whole = match &last {
                Some((same, whole)) if Arc::ptr_eq(same, reason) => whole.clone(),
                _ => format!("filter {}, plugin {}: {reason}", self.filter.name, self.filter.label()).into(),
            };
            causes.push(Cause { row: *row, reason: Arc::clone(&whole) });
            last = Some((reason, whole));
        }
        causes
    }

    /// Settles the records that end here.
    pub(super) fn settle(&mut self, records: &Records, outcome: &mut Outcome, receipt: &mut Receipt) {
        let filter = &self.filter;
        let share = |rows: usize| records.memory() * rows / records.rows().max(1);
        if outcome.grown > 0 {
            receipt.grow(outcome.grown);
        }
        if outcome.dropped > 0 {
            receipt.split(outcome.dropped).dropped();
            filter.metrics.dropped.add(outcome.dropped, share(outcome.dropped));
        }
        let rejected = std::mem::take(&mut outcome.rejected);
        let mut dead = std::mem::take(&mut outcome.unjudged);
        if rejected.is_empty() && dead.is_empty() {
            return;
        }
        filter.metrics.rejected(rejected.len() + dead.len());
        if let Some((_, reason)) = dead.first() {
            let line = format!("{} records go to the dead letters unjudged: {reason}", dead.len());
            filter.voice.say(tracing::Level::WARN, &line);
        }
        match filter.on_error {
            OnError::Pass => {}
            OnError::Drop if rejected.is_empty() => {}
            OnError::Drop => {
                receipt.split(rejected.len()).dropped();
                filter.metrics.dropped.add(rejected.len(), share(rejected.len()));
            }
            OnError::DeadLetter => {
                dead.extend(rejected);
                dead.sort_by_key(|(row, _)| *row);
            }
        }
        if !dead.is_empty() {
            let causes = self.causes(&dead);
            self.bury(records, causes, receipt.split(dead.len()), share(dead.len()));
        }
    }

    /// Puts rows among the dead letters, and waits until they are there. Where that is given up, the receipt says so to
    /// the source.
    fn bury(&mut self, records: &Records, causes: Vec<Cause>, receipt: Receipt, bytes: usize) {
        let filter = &self.filter;
        let Some(dead_letters) = &filter.dead_letters else {
            let text = records.ndjson();
            self.rejected.extend(causes.into_iter().map(|cause| Rejected {
                filter: filter.name.clone(),
                record: text.row(cause.row as usize).to_vec(),
                reason: cause.reason,
            }));
            return receipt.dead_lettered();
        };
        let put = || dead_letters.records("filter", &filter.name, records, &causes);
        if dead_letters.until_written(&filter.name, put) {
            receipt.dead_lettered();
            filter.metrics.dead_lettered.add(causes.len(), bytes);
        }
    }
}
