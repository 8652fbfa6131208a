//! The states of one filter in one pipeline, by worker.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{StateStatus, file};
use flitch_core::batch::time;
use flitch_core::clock::Clock;
use flitch_core::telemetry::{Metric, Shown};

/// The states of one filter in one pipeline.
#[derive(Debug)]
pub struct Place {
    pipeline: Arc<str>,
    /// The filter's name in the configuration.
    pub filter: Arc<str>,
    path: Option<PathBuf>,
    inside: Mutex<Inside>,
    /// What is shown of its bytes, once they are on disk.
    bytes: OnceLock<Shown>,
}

#[derive(Debug, Default)]
struct Inside {
    /// The number of the workers that have it: those that began last.
    number: u64,
    workers: usize,
    /// States of workers before these, by the number that each had, until the worker that got it saves its own.
    inherited: Vec<(usize, Bytes)>,
    /// What each worker has saved.
    own: Vec<Option<Bytes>>,
    unwritten: bool,
    /// When a state was saved last, in ns since 1970.
    saved: Option<i64>,
    /// The code that did not take what was kept, and why.
    refused: Option<(String, String)>,
}

impl Inside {
    /// All states, each with the number of its worker.
    fn all(&self) -> Vec<(usize, Bytes)> {
        let own = self.own.iter().enumerate().filter_map(|(worker, state)| Some((worker, state.clone()?)));
        let mut all: Vec<_> = self.inherited.iter().cloned().chain(own).collect();
        all.sort_by_key(|(worker, _)| *worker);
        all
    }

    /// The worker that a state of an earlier one is for.
    fn heir(&self, before: usize) -> usize {
        before % self.workers.max(1)
    }
}

impl Place {
    /// What is kept in a file, of which each state has `most` bytes at most. One that cannot be used is told of, and stays
    /// until another is written. Blocks.
    pub fn open(pipeline: Arc<str>, filter: Arc<str>, path: Option<PathBuf>, most: usize) -> Place {
        let mut inside = Inside::default();
        match path.as_deref().map(|path| file::read(path, most)) {
            Some(Ok(Some(kept))) => (inside.inherited, inside.saved) = (kept.states, Some(kept.saved)),
            Some(Err(error)) => {
                Metric::FilterStateRestores
                    .counter(&[("filter", &filter), ("result", "unreadable")])
                    .increment(1);
                let reason = format!("its file cannot be read: {error}");
                tracing::warn!(filter = &*filter, file = ?path, %error, "the state of the filter cannot be read; it begins empty");
                inside.refused = Some((String::new(), reason));
            }
            Some(Ok(None)) | None => {}
        }
        Place { pipeline, filter, path, inside: Mutex::new(inside), bytes: OnceLock::new() }
    }

    /// The `workers` workers of this number have it from now on, and those before them no more.
    pub fn begin(&self, number: u64, workers: usize) {
        let mut inside = self.inside.lock();
        if number > inside.number {
            let all = inside.all();
            *inside = Inside {
                number,
                workers,
                inherited: all,
                own: vec![None; workers],
                ..std::mem::take(&mut *inside)
            };
        }
    }

    /// The states that a worker's first instance is given.
    pub fn of(&self, number: u64, worker: usize) -> Vec<Bytes> {
        let inside = self.inside.lock();
        if number != inside.number {
            return Vec::new();
        }
        if let Some(own) = inside.own.get(worker).and_then(Option::as_ref) {
            return vec![own.clone()];
        }
        let inherited = inside.inherited.iter().filter(|(before, _)| inside.heir(*before) == worker);
        inherited.map(|(_, state)| state.clone()).collect()
    }

    /// Keeps the state of a worker in place of the one that it had.
    pub fn put(&self, number: u64, worker: usize, state: Bytes, now: i64) {
        let mut inside = self.inside.lock();
        let workers = inside.workers;
        if number != inside.number || worker >= workers {
            return;
        }
        inside.inherited.retain(|(before, _)| before % workers.max(1) != worker);
        inside.own[worker] = Some(state);
        (inside.saved, inside.unwritten) = (Some(now), true);
    }

    /// Notes whether the code of this SHA-256 takes what was kept, or why it does not. Whether that is new.
    pub fn refused(&self, sha256: &str, reason: Option<String>) -> bool {
        let refused = reason.map(|reason| (sha256.to_owned(), reason));
        let mut inside = self.inside.lock();
        let is_new = inside.refused != refused;
        inside.refused = refused;
        is_new
    }

    /// Whether the workers of this number have it.
    pub fn is_of(&self, number: u64) -> bool {
        self.inside.lock().number == number
    }

    /// Whether something was saved and is not on disk.
    pub fn is_unwritten(&self) -> bool {
        self.inside.lock().unwritten
    }

    /// Writes what is not written; none where there is nothing to be done. Blocks.
    pub fn write(&self, clock: &Clock) -> Option<std::io::Result<()>> {
        let path = self.path.as_deref()?;
        let (states, saved) = {
            let mut inside = self.inside.lock();
            if !std::mem::take(&mut inside.unwritten) {
                return None;
            }
            (inside.all(), inside.saved.unwrap_or_else(|| clock.now()))
        };
        let written = file::write(path, &self.pipeline, &self.filter, saved, &states);
        match &written {
            Ok(()) => {
                let bytes: usize = states.iter().map(|(_, state)| state.len()).sum();
                let shown = || Metric::FilterStateBytes.shown(&[("filter", &*self.filter)]);
                self.bytes.get_or_init(shown).set(bytes as f64);
            }
            Err(_) => {
                self.inside.lock().unwritten = true;
                let labels = [("filter", &*self.filter), ("result", "unwritten")];
                Metric::FilterStateSaves.counter(&labels).increment(1);
            }
        }
        Some(written)
    }

    /// What is kept.
    pub fn status(&self) -> StateStatus {
        let inside = self.inside.lock();
        let all = inside.all();
        StateStatus {
            saved: inside.saved.map(time::to_text),
            states: all.len(),
            bytes: all.iter().map(|(_, state)| state.len() as u64).sum(),
            refused: inside.refused.as_ref().map(|(_, reason)| reason.clone()),
        }
    }
}
