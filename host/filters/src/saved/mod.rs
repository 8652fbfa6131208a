//! What filters remember, kept beyond their instances: `wit/state.wit`.
//!
//! Each worker of a pipeline has an instance of a filter, and each instance a state of its own; they are kept side by side
//! ([`Place`]), by the number of the worker. A worker hands the state of its old instance to its new one when it takes
//! another generation ([`Memory`]). Now and then, and when a pipeline ends, they are written to a file in `data_dir`
//! ([`file`]), one for each filter of a pipeline, as soon as all records are safe that were judged before ([`epoch`]).
//!
//! Where records are sent again, what was learned since is forgotten: a filter that remembers a record must not take it for a
//! duplicate of itself when it comes once more.
//!
//! A state is a help, not a promise: one that is refused, damaged or too large leaves its filter empty, and the log, the
//! metrics and the status say so.

mod epoch;
mod file;
mod memory;
mod place;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use serde::Serialize;

pub use memory::Memory;
pub use settings::StateSettings;

use flitch_core::clock::Clock;
use flitch_core::private;
use flitch_core::tasks;
use flitch_core::telemetry::health::{Ailment, Health, Part};
use place::Place;

/// The folder in `data_dir`.
pub const FOLDER: &str = "state";
/// How long the writer waits for other workers, whose states go to the same file.
const GATHER: Duration = Duration::from_millis(500);
/// How long it waits before it tries again what could not be written.
const AGAIN: Duration = Duration::from_secs(10);

/// A filter of a pipeline: the pipeline's name, and the filter's own with its number where it stands there several times.
type Key = (Arc<str>, String);

/// The states of all filters.
pub struct States {
    /// None: nothing outlives the process.
    folder: Option<PathBuf>,
    clock: Clock,
    places: Mutex<BTreeMap<Key, Arc<Place>>>,
    /// The number of the workers that began last.
    began: AtomicU64,
    /// Held while files are written; whether one could not be the last time.
    writing: Mutex<bool>,
    ailment: Ailment,
    /// Wakes the writer.
    wake: Sender<()>,
}

/// What is kept of a filter in one pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StateStatus {
    /// When a state was saved last; RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
    /// States that are kept, one for each worker that has saved one.
    pub states: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Why the code that runs now did not take what was kept, so that it began empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl States {
    /// Keeps states in `folder`, which is made where it is missing. `health` hears when they cannot be written.
    ///
    /// # Errors
    /// The folder cannot be made, or the thread that writes cannot be started.
    pub fn open(folder: &Path, clock: Clock, health: &Arc<Health>) -> std::io::Result<Arc<States>> {
        private::folder(folder)?;
        let (wake, woken) = crossbeam_channel::bounded(1);
        let states = Arc::new(States::new(Some(folder.to_owned()), clock, health, wake));
        let writer = Part::new(health, "state", "filters");
        let weak = Arc::downgrade(&states);
        tasks::kept_thread(writer, crossbeam_channel::never(), move || write_when(&woken, &weak))?;
        Ok(states)
    }

    /// The files in `folder` of filters that are not `in_use`, which is asked with the pipeline and the filter.
    pub fn left(folder: &Path, in_use: impl Fn(&str, &str) -> bool) -> Vec<PathBuf> {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_left =
            |path: &PathBuf| file::owner(path).is_some_and(|(pipeline, filter)| !in_use(&pipeline, &filter));
        let mut left: Vec<PathBuf> = files.filter(is_left).collect();
        left.sort();
        left
    }

    /// Keeps states for as long as the process runs.
    pub fn in_memory() -> Arc<States> {
        Arc::new(States::new(None, Clock::system(), &Arc::default(), crossbeam_channel::bounded(1).0))
    }

    fn new(folder: Option<PathBuf>, clock: Clock, health: &Arc<Health>, wake: Sender<()>) -> States {
        let ailment = Ailment::of(health, "state", "filters");
        let (places, began, writing) = (Mutex::default(), AtomicU64::new(0), Mutex::default());
        States { folder, clock, places, began, writing, ailment, wake }
    }

    /// Where the `workers` workers of a pipeline keep the states of their filters.
    pub fn shelf(self: &Arc<Self>, pipeline: &str, workers: usize) -> Arc<Shelf> {
        let number = self.began.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::new(Shelf { states: self.clone(), pipeline: pipeline.into(), number, workers: workers.max(1) })
    }

    /// What is kept of a filter, by pipeline.
    pub fn of(&self, filter: &str) -> BTreeMap<Arc<str>, StateStatus> {
        let places = self.places.lock();
        let own = places.iter().filter(|(_, place)| &*place.filter == filter);
        own.map(|((pipeline, _), place)| (pipeline.clone(), place.status())).collect()
    }

    /// Writes what is not written yet. Blocks. Answers whether nothing is left that could not be.
    pub fn flush(&self) -> bool {
        let mut fails = self.writing.lock();
        let places: Vec<Arc<Place>> = self.places.lock().values().cloned().collect();
        let written: Vec<_> = places.iter().filter_map(|place| place.write(&self.clock)).collect();
        if let Some(failed) = written.iter().find_map(|written| written.as_ref().err()) {
            self.ailment.set(Some(format!("the states of filters cannot be written: {failed}")));
            if !std::mem::replace(&mut *fails, true) {
                tracing::warn!(error = %failed, "the states of filters cannot be written; what they learn would be gone after a restart; tried again until they can");
            }
        } else if !written.is_empty() {
            self.ailment.set(None);
            if std::mem::take(&mut *fails) {
                tracing::info!("the states of filters are written again");
            }
        }
        self.places.lock().retain(|_, place| !place.is_over());
        !*fails
    }

    /// The place of a filter, of which the workers of this number and count have begun.
    fn begin(&self, key: Key, filter: &Arc<str>, shelf: &Shelf, most: usize) -> Arc<Place> {
        let mut places = self.places.lock();
        let place = places.entry(key).or_insert_with_key(|(pipeline, name)| {
            let path = self.folder.as_ref().map(|folder| folder.join(format!("{pipeline}.{name}")));
            Place::open(pipeline.clone(), filter.clone(), path, most, self.wake.clone())
        });
        place.begin(shelf.number, shelf.workers);
        place.clone()
    }
}

impl std::fmt::Debug for States {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("States").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Writes what is saved until there is nothing that could be. What could not be written is tried again, whether more comes or not.
fn write_when(woken: &Receiver<()>, states: &Weak<States>) {
    let mut is_written = true;
    loop {
        let pause = if is_written { crossbeam_channel::never() } else { crossbeam_channel::after(AGAIN) };
        crossbeam_channel::select! {
            recv(woken) -> word => if word.is_err() { return },
            recv(pause) -> _ => {}
        }
        let _ = crossbeam_channel::after(GATHER).recv();
        let Some(states) = states.upgrade() else { return };
        is_written = states.flush();
    }
}

/// Where the workers of a pipeline keep the states of their filters. When all of them have ended, and all records that they judged
/// are safe, what they kept is on disk alone.
#[derive(Debug)]
pub struct Shelf {
    states: Arc<States>,
    pipeline: Arc<str>,
    /// Those that began later have a greater one.
    number: u64,
    workers: usize,
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if self.states.folder.is_none() {
            return;
        }
        let places = self.states.places.lock();
        places
            .iter()
            .filter(|((pipeline, _), _)| *pipeline == self.pipeline)
            .for_each(|(_, place)| place.end(self.number));
        drop(places);
        self.states.flush();
    }
}

#[cfg(test)]
mod tests;
