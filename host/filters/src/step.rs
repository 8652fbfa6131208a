//! One filter of a chain on one worker: its judgement of a batch, made good.

use std::sync::Arc;
use std::time::Instant;

use super::filter::Filter;
use super::guest::Instance;
use super::judge::Judge;
use super::judgement::Judgement;
use super::probation::{Holding, PutBack};
use super::record;
use super::saved::Memory;
use super::settle::{Rejected, settle};
use super::timer::{Sample, Timer};
use flitch_core::batch::{Records, merge};
use flitch_core::receipt::Receipt;

/// One filter of a chain, with this worker's instance.
#[derive(Debug)]
pub struct Step {
    judge: Judge,
    rejected: Vec<Rejected>,
    sample: Sample,
    /// How many records are handed over at once: fewer, where more came of a batch than may be held, so that the next ones are not
    /// tried in vain.
    pace: usize,
}

/// What goes on of a batch.
#[derive(Debug)]
pub struct Passed {
    /// The records that go on.
    pub records: Arc<Records>,
    /// Those that the filter has not judged yet, which come behind them.
    pub left: Option<(Arc<Records>, Receipt)>,
}

impl Step {
    /// A step that begins with `instance`, or makes one when the first batch comes.
    pub fn new(filter: Arc<Filter>, instance: Option<Instance>) -> Step {
        let judge = Judge::new(filter, instance);
        Step { judge, rejected: Vec::new(), sample: Sample::default(), pace: usize::MAX }
    }

    /// The filter.
    pub fn filter(&self) -> &Arc<Filter> {
        self.judge.filter()
    }

    /// The same, whose first instance begins with what `memory` has, if there is one.
    pub fn with(self, memory: Option<Memory>) -> Step {
        Step { judge: self.judge.with(memory), ..self }
    }

    /// When what the instance remembers is to be saved.
    pub fn due(&self) -> Option<Instant> {
        self.judge.due()
    }

    /// Saves what the instance remembers, where it has seen records since the last time.
    pub fn save(&mut self) {
        self.judge.save();
    }

    /// The instance, if there is one now.
    pub fn instance(&self) -> Option<&Instance> {
        self.judge.instance()
    }

    /// What the filter says becomes of `records`; nothing is done about it.
    pub fn judge(&mut self, records: &Records) -> Judgement {
        self.judge.judge(records)
    }

    /// Runs the filter over records for which `receipt` answers, or over the first of them, where what comes of all is more
    /// than may be held.
    ///
    /// # Errors
    /// The filter was put back meanwhile, and something is to be settled: nothing was.
    pub fn run(&mut self, records: &Arc<Records>, receipt: &mut Receipt) -> Result<Passed, PutBack> {
        let is_ready = self.judge.instance().is_some();
        let shadow = self.judge.filter().shadow.clone().filter(|shadow| shadow.takes());
        let handed = match records.rows() > self.pace {
            true => Arc::new(records.slice(0, self.pace)),
            false => records.clone(),
        };
        let stands_for = self.sample.stands_for(handed.rows());
        let timer = (stands_for > 0 || shadow.is_some()).then(Timer::start);
        let (mut judgement, judged) = self.judge.judge_some(&handed);
        self.pace = match judged < handed.rows() {
            true => judged.max(1),
            false => self.pace.saturating_add(1 + self.pace / 4),
        };
        let cost = timer.map(|timer| timer.elapsed());
        if let Some(witness) = self.judge.witness() {
            receipt.witnessed(witness);
        }
        let filter = self.judge.filter();
        let part = match records.rows() - judged {
            0 => records.clone(),
            _ => Arc::new(records.slice(0, judged)),
        };
        filter.past.conduct.add(part.rows(), &judgement, cost.filter(|_| is_ready), stands_for);
        if let (Some(shadow), Some(cost)) = (shadow, cost) {
            shadow.offer(&part, &judgement, cost);
        }
        filter.recent.see(&part);
        let probation = match judgement.rejected.is_empty() && judgement.unjudged.is_empty() {
            true => None,
            false => filter.past.probation(),
        };
        let mut holding = match &probation {
            Some(probation) => probation.hold()?,
            None => None,
        };
        let left = match records.rows() - judged {
            0 => None,
            rows => Some((Arc::new(records.slice(judged, rows)), receipt.split(rows))),
        };
        record::note(filter, &part, &judgement);
        let held = holding.as_mut().map(Holding::held);
        self.rejected.append(&mut settle(filter, &part, &mut judgement, receipt, held));
        drop(holding);
        let out = match judgement.parts.len() {
            1 => Ok(judgement.parts.swap_remove(0).records),
            _ => {
                let parts: Vec<Records> = judgement.parts.into_iter().map(|part| part.records).collect();
                merge::concat(&parts).map_err(|e| e.to_string())
            }
        };
        match out {
            Ok(out) => Ok(Passed { records: Arc::new(out), left }),
            // Columns of a batch that fit one by one do not fit together: none of them may be lost.
            Err(error) => {
                tracing::error!(
                    filter = &*filter.name,
                    error,
                    "a batch cannot be joined; its records are sent again"
                );
                drop(receipt.split(receipt.records() as usize));
                Ok(Passed { records: Arc::new(records.slice(0, 0)), left })
            }
        }
    }

    /// What was rejected since the last call, where there are no dead letters.
    pub fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }
}
