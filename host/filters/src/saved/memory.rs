//! One worker's side of a state that is kept: when it is saved, and what the first instance is given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flitch_core::backoff::Backoff;
use flitch_core::receipt::Witness;
use flitch_core::telemetry::Metric;

use super::place::Place;
use super::{Shelf, StateSettings};
use crate::filter::Filter;
use crate::guest::Fault;

/// The longest pause after saves that failed.
const LONGEST: Duration = Duration::from_secs(3600);

/// What the instances of one filter on one worker remember.
#[derive(Debug)]
pub struct Memory {
    shelf: Arc<Shelf>,
    filter: Arc<Filter>,
    /// The filter's name, and its number where the chain has it several times.
    name: String,
    worker: usize,
    /// None before the first batch.
    place: Option<Arc<Place>>,
    /// The generation of what the instance began with.
    generation: u64,
    /// When the next save is due; none where nothing has changed.
    due: Option<Instant>,
    /// When the last save was tried.
    tried: Option<Instant>,
    /// Saves that failed, one after the other.
    failures: u32,
}

impl Memory {
    /// The memory of worker `worker` for a filter that stands in its chain for the `nth` time; none where it says nothing of what
    /// it remembers.
    pub fn of(shelf: &Arc<Shelf>, filter: &Arc<Filter>, worker: usize, nth: usize) -> Option<Memory> {
        if !filter.guest.keeps_state() {
            return None;
        }
        let name = match nth {
            0 => filter.name.to_string(),
            nth => format!("{}.{}", filter.name, nth + 1),
        };
        let (shelf, filter) = (shelf.clone(), filter.clone());
        let (place, due, tried) = (None, None, None);
        Some(Memory { shelf, filter, name, worker, place, generation: 0, due, tried, failures: 0 })
    }

    /// Whether no instance was given anything yet.
    pub fn is_new(&self) -> bool {
        self.place.is_none()
    }

    /// Whether the instance remembers records that are sent again, and is to begin anew.
    pub fn is_past(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.generation() != self.generation)
    }

    /// The states for the first instance.
    pub fn begin(&mut self) -> Vec<Bytes> {
        let place = self.place.take().unwrap_or_else(|| self.open());
        let (states, generation) = place.of(self.shelf.number, self.worker);
        (self.place, self.generation, self.due) = (Some(place), generation, None);
        states
    }

    fn open(&self) -> Arc<Place> {
        let (pipeline, filter) = (self.shelf.pipeline.clone(), &self.filter.name);
        match self.settings().keep {
            true => self.shelf.states.begin((pipeline, self.name.clone()), filter, &self.shelf, self.most()),
            false => Place::open(pipeline, filter.clone(), None, 0, self.shelf.states.wake.clone()),
        }
    }

    /// What is to have the receipts of the records that are judged now.
    pub fn witness(&self) -> Option<Arc<dyn Witness>> {
        Some(self.place.as_ref()?.epoch())
    }

    /// Says what came of the states that [`Memory::begin`] gave.
    pub fn restored(&self, done: &Result<Result<(), String>, Fault>) {
        let (result, refused) = match done {
            Ok(Ok(())) => ("restored", None),
            Ok(Err(reason)) => ("refused", Some(reason.clone())),
            Err(fault) => ("failed", Some(fault.to_string())),
        };
        self.count(Metric::FilterStateRestores, result);
        let Some(place) = &self.place else { return };
        if place.refused(self.filter.plugin().sha256(), refused.clone())
            && let Some(reason) = refused
        {
            let line = format!("it does not take the state that was kept, and begins empty: {reason}");
            self.filter.guest.environment.voice.say(tracing::Level::WARN, &line);
        }
    }

    /// Most bytes of a state.
    pub fn most(&self) -> usize {
        usize::try_from(self.settings().max_bytes.0).unwrap_or(usize::MAX)
    }

    /// The instance has seen records.
    pub fn changed(&mut self) {
        if self.due.is_some() || !self.settings().keep {
            return;
        }
        self.later();
    }

    /// Has the next save be due when the interval is over.
    fn later(&mut self) {
        let interval = self.settings().interval.0;
        let pauses = Backoff { first: interval, longest: LONGEST.max(interval) };
        let pause = pauses.after(self.failures.saturating_add(1));
        let now = Instant::now();
        self.due = Some(self.tried.map_or(now + pause, |tried| (tried + pause).max(now)));
    }

    /// When the next save is due; none where there is nothing to be saved.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The instance is gone, and there is nothing to be saved.
    pub fn lost(&mut self) {
        self.due = None;
    }

    /// Keeps what the instance remembers, or says why it cannot tell. The instance is gone then.
    pub fn saved(&mut self, saved: Result<Vec<u8>, &Fault>) {
        self.due = None;
        self.tried = Some(Instant::now());
        let Some(place) = &self.place else { return };
        match saved {
            Ok(state) => {
                self.failures = 0;
                self.count(Metric::FilterStateSaves, "saved");
                let (of, now) = ((self.shelf.number, self.worker), self.shelf.states.clock.now());
                // One that does not go to disk, as another waits for that, is saved once more.
                if !place.put(of, state.into(), now, self.generation) {
                    self.later();
                }
            }
            Err(fault) => {
                self.failures += 1;
                self.count(Metric::FilterStateSaves, "failed");
                let line = format!("what it remembers is not kept: {fault}");
                self.filter.guest.environment.voice.say(tracing::Level::WARN, &line);
            }
        }
    }

    fn settings(&self) -> &StateSettings {
        &self.filter.configured.state
    }

    fn count(&self, metric: Metric, result: &'static str) {
        metric.counter(&[("filter", &self.filter.name), ("result", result)]).increment(1);
    }
}
