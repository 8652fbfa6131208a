//! Puts the generation before of a filter back, and runs again through it what the later one rejected.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Ends, Shared, Workers};
use crate::filter::Filter;
use crate::probation::held::Held;
use crate::{Program, swap};
use flitch_core::inlet::{Done, Inlet, Pass};
use flitch_core::tasks;
use flitch_core::telemetry::Metric;
use flitch_core::telemetry::health::{Health, Part};

/// A filter that was put back.
#[derive(Clone, Debug)]
pub struct RolledBack {
    /// The generation that had to go.
    pub from: Arc<Filter>,
    /// The one that is in force again.
    pub to: Arc<Filter>,
    /// Why.
    pub reason: String,
}

/// The generations of the filters of a pipeline. What is asked of them may wait for the dead letters, as workers do.
pub struct Generations {
    shared: Arc<Shared>,
    workers: usize,
}

impl Workers {
    /// The generations of the filters.
    pub fn generations(&self) -> Generations {
        Generations { shared: self.shared.clone(), workers: self.count() }
    }
}

impl Generations {
    /// Puts the generation before of the filter of this name back, because somebody wants it. Instances of it are made for
    /// all workers where there are none. Blocks. Answers whether there is one.
    pub fn roll_back(&self, name: &str, reason: &str) -> bool {
        let program = self.shared.program.load_full();
        let Some(filter) = program.filter(name) else { return false };
        let Some(probation) = filter.past.probation() else { return false };
        if !probation.is_open() {
            probation.old.fill(self.workers);
        }
        self.shared.roll_back(filter, reason)
    }

    /// Puts filters back that are worse than their probations allow, which workers do themselves while batches come.
    /// Answers all that were put back since the last time. Blocks.
    pub fn look(&self) -> Vec<RolledBack> {
        self.shared.bury();
        for filter in self.shared.program.load_full().filters() {
            if let Some(why) = filter.past.look(&filter.name) {
                self.shared.roll_back(filter, &why);
            }
        }
        std::mem::take(&mut *self.shared.rolled_back.lock())
    }

    /// Whether a filter of this name runs that is of the same code and settings as `other`.
    pub fn runs(&self, other: &Filter) -> bool {
        let same = |own: &Arc<Filter>| {
            own.plugin().sha256() == other.plugin().sha256() && own.configured == other.configured
        };
        self.shared.program.load().filter(&other.name).is_some_and(same)
    }
}

impl Shared {
    pub(super) fn new(
        pipeline: &str,
        inlet: Inlet,
        program: Arc<Program>,
        health: &Arc<Health>,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            pipeline: pipeline.to_owned(),
            inlet,
            program: program.into(),
            health: health.clone(),
            ends: Ends::default(),
            rolled_back: Mutex::default(),
            gone: Mutex::default(),
            again: Mutex::default(),
        })
    }

    /// Gives back the memory of what workers need no more.
    pub(super) fn bury(&self) {
        let gone = std::mem::take(&mut *self.gone.lock());
        drop(gone);
    }

    /// Puts the filter before `filter` in its place. Answers whether there is one.
    pub(super) fn roll_back(self: &Arc<Self>, filter: &Arc<Filter>, reason: &str) -> bool {
        let Some(probation) = filter.past.probation() else { return false };
        let program = loop {
            let now = self.program.load_full();
            // Another worker was faster, or another generation is there already.
            let Some(next) = now.with(filter, &probation.old) else { return false };
            let next = Arc::new(next);
            if Arc::ptr_eq(&self.program.compare_and_swap(&now, next.clone()), &now) {
                break next;
            }
        };
        // Where pipelines share it, the first one tells.
        let Some(held) = probation.fail() else { return true };
        probation.old.past.spurn(filter);
        swap::back(filter, &probation.old, reason);
        let (from, to) = (filter.clone(), probation.old.clone());
        self.rolled_back.lock().push(RolledBack { from, to, reason: reason.to_owned() });
        self.run_again(held, program, &probation.old);
        true
    }

    /// Runs records through the filter `old` of `program`, and through those behind it, on a thread of their own: an
    /// instance more of each for as long.
    fn run_again(self: &Arc<Self>, held: Held, program: Arc<Program>, old: &Arc<Filter>) {
        let (records, over) = held.count();
        if over > 0 {
            let filter = &*old.name;
            tracing::warn!(
                filter,
                over,
                "more was rejected than is held to be run again: these stay dead letters"
            );
        }
        let place = program.filters().iter().position(|filter| Arc::ptr_eq(filter, old));
        let Some(first) = place.filter(|_| records > 0) else { return };
        Metric::FilterRecordsRunAgain.counter(&[("filter", &old.name)]).increment(records as u64);
        tracing::info!(filter = &*old.name, records, "what the later generation rejected is run again");
        let (shared, name) = (self.clone(), format!("{}-again", self.pipeline));
        let part = Part::new(&self.health, "worker", &name);
        let work = move || {
            let mut chain = program.chain();
            for batch in held.batches() {
                let hand_on = |batch| shared.inlet.hand_on(&part, Done { batch, pass: Pass::default() });
                hand_on(chain.apply_in_pieces(first, batch, &mut |piece| hand_on(piece)));
            }
        };
        let mut again = self.again.lock();
        again.retain(|thread| !thread.is_finished());
        match tasks::joined_thread(name, work) {
            Ok(thread) => again.push(thread),
            Err(error) => {
                tracing::error!(%error, "no thread can be had to run records again: they stay dead letters")
            }
        }
    }
}

#[cfg(test)]
mod tests;
