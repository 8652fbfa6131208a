//! Makes a judgement good: counts it, and settles the records that end at the filter.

use std::sync::Arc;

use super::filter::Filter;
use super::judgement::Judgement;
use super::probation::held::Held;
use super::settings::OnError;
use flitch_core::batch::Records;
use flitch_core::dead_letter::Cause;
use flitch_core::receipt::Receipt;

/// A record that a filter rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The filter's name in the configuration.
    pub filter: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// The record as it came to the filter: a JSON object and a newline.
    pub record: Vec<u8>,
    /// Whether the plugin did not say so, but failed over it: by a trap, a limit, a bad answer.
    pub is_fault: bool,
}

/// Settles the records that end at `filter`, which judged `records` so. The rejected ones come back where it has no
/// dead letters. Where it is on probation they are `held` beside that.
pub fn settle(
    filter: &Filter,
    records: &Records,
    judgement: &mut Judgement,
    receipt: &mut Receipt,
    held: Option<&mut Held>,
) -> Vec<Rejected> {
    let mut held = held;
    let share = |rows: usize| records.memory() * rows / records.rows().max(1);
    let metrics = &filter.metrics;
    metrics.records_in.add(judgement.handed.rows, judgement.handed.bytes);
    metrics.records_out.add(judgement.answered.rows, judgement.answered.bytes);
    judgement.faults.iter().for_each(|kind| metrics.trapped(kind.name()));
    if judgement.grown > 0 {
        receipt.grow(judgement.grown);
    }
    if judgement.dropped > 0 {
        receipt.split(judgement.dropped).dropped();
        metrics.dropped.add(judgement.dropped, share(judgement.dropped));
    }
    let rejected = std::mem::take(&mut judgement.rejected);
    let mut dead = std::mem::take(&mut judgement.unjudged);
    let mut failed = judgement.condemned.clone();
    failed.extend(dead.iter().map(|(row, _)| *row));
    if rejected.is_empty() && dead.is_empty() {
        return Vec::new();
    }
    metrics.rejected(rejected.len() + dead.len());
    if let Some((_, reason)) = dead.first() {
        let line = format!("{} records go to the dead letters unjudged: {reason}", dead.len());
        filter.guest.environment.voice.say(tracing::Level::WARN, &line);
    }
    match filter.configured.on_error {
        OnError::Pass => {}
        OnError::Drop if rejected.is_empty() => {}
        OnError::Drop => {
            if let Some(held) = &mut held
                && let Some(picked) = held.room_for(records, rejected.iter().map(|(row, _)| *row))
            {
                held.hold(picked, receipt);
            }
            metrics.lost(rejected.len(), &rejected[0].1);
            receipt.split(rejected.len()).dropped();
            metrics.dropped.add(rejected.len(), share(rejected.len()));
        }
        OnError::DeadLetter => {
            dead.extend(rejected);
            dead.sort_by_key(|(row, _)| *row);
        }
    }
    if dead.is_empty() {
        return Vec::new();
    }
    let share = (receipt.split(dead.len()), share(dead.len()));
    bury(filter, records, (filter.causes(&dead), &failed), share, held)
}

/// Puts rows among the dead letters, and waits until they are there. Where that is given up, the receipt says so to
/// the source. Over the rows that `failed` names the plugin did.
fn bury(
    filter: &Filter,
    records: &Records,
    (causes, failed): (Vec<Cause>, &[u32]),
    (receipt, bytes): (Receipt, usize),
    held: Option<&mut Held>,
) -> Vec<Rejected> {
    let Some(dead_letters) = &filter.dead_letters else {
        let text = records.ndjson();
        let rejected = causes.into_iter().map(|cause| Rejected {
            filter: filter.name.clone(),
            record: text.row(cause.row as usize).to_vec(),
            is_fault: failed.contains(&cause.row),
            reason: cause.reason,
        });
        let rejected = rejected.collect();
        receipt.dead_lettered();
        return rejected;
    };
    let picked = held.and_then(|held| {
        let picked = held.room_for(records, causes.iter().map(|cause| cause.row))?;
        Some((held, picked))
    });
    let put = |held: Option<&Held>| {
        let letters = held.map(|held| held.letters(dead_letters)).transpose()?;
        letters.as_ref().unwrap_or(dead_letters).records("filter", &filter.name, records, &causes)
    };
    let apart = picked.as_ref().map(|(held, _)| &**held);
    // A filter that is to go waits for no room: its records are sent again, and judged by the one before it.
    let is_to_go = || filter.past.probation().is_some_and(|probation| probation.is_called_off());
    if dead_letters.until_written(&filter.name, || put(apart), is_to_go) {
        if let Some((held, picked)) = picked {
            held.hold(picked, &receipt);
        }
        receipt.dead_lettered();
        filter.metrics.dead_lettered.add(causes.len(), bytes);
    }
    Vec::new()
}
