//! The states of one filter in one pipeline, by worker.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use crossbeam_channel::Sender;
use parking_lot::Mutex;

use super::epoch::{Epoch, Snapshot};
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
    /// Grows where records are sent again: what instances remember since the states that are settled is to be forgotten.
    generation: AtomicU64,
    /// Wakes whoever writes.
    wake: Sender<()>,
    /// What is shown of its bytes, once they are on disk.
    bytes: OnceLock<Shown>,
}

/// What is kept of one worker.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// Its last state, which is for the next instance in this process.
    last: Option<Bytes>,
    /// Its last state of which all records are safe, which is for the next process.
    settled: Option<Bytes>,
    /// Whether a state waits for records to be safe.
    waits: bool,
}

impl Kept {
    fn settled(state: Bytes) -> Kept {
        Kept { last: Some(state.clone()), settled: Some(state), waits: false }
    }

    fn forget(&mut self) {
        *self = Kept { last: self.settled.clone(), settled: self.settled.take(), waits: false };
    }
}

#[derive(Debug)]
struct Inside {
    /// The number of the workers that have it: those that began last.
    number: u64,
    workers: usize,
    /// States of workers before these, by the number that each had, until the worker that got it saves its own.
    inherited: Vec<(usize, Kept)>,
    /// What each worker has saved.
    own: Vec<Kept>,
    /// In which batches are judged now.
    epoch: Arc<Epoch>,
    unwritten: bool,
    /// Whether its workers have ended.
    ended: bool,
    /// When a state was saved last, in ns since 1970.
    saved: Option<i64>,
    /// The code that did not take what was kept, and why.
    refused: Option<(String, String)>,
}

impl Inside {
    /// All states of a kind, each with the number of its worker.
    fn all(&self, kind: impl Fn(&Kept) -> &Option<Bytes>) -> Vec<(usize, Bytes)> {
        let is_replaced =
            |before: usize| self.own.get(self.heir(before)).is_some_and(|own| kind(own).is_some());
        let inherited = self.inherited.iter().filter(|(before, _)| !is_replaced(*before));
        let own = self.own.iter().enumerate();
        let both = inherited.map(|(before, kept)| (*before, kept)).chain(own);
        let mut all: Vec<_> = both.filter_map(|(worker, kept)| Some((worker, kind(kept).clone()?))).collect();
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
    /// until another is written. `wake` wakes whoever writes. Blocks.
    pub fn open(
        pipeline: Arc<str>,
        filter: Arc<str>,
        path: Option<PathBuf>,
        most: usize,
        wake: Sender<()>,
    ) -> Arc<Place> {
        let (mut inherited, mut saved, mut refused) = (Vec::new(), None, None);
        match path.as_deref().map(|path| file::read(path, most)) {
            Some(Ok(Some(kept))) => {
                inherited =
                    kept.states.into_iter().map(|(worker, state)| (worker, Kept::settled(state))).collect();
                saved = Some(kept.saved);
            }
            Some(Err(error)) => {
                Metric::FilterStateRestores
                    .counter(&[("filter", &filter), ("result", "unreadable")])
                    .increment(1);
                let reason = format!("its file cannot be read: {error}");
                tracing::warn!(filter = &*filter, file = ?path, %error, "the state of the filter cannot be read; it begins empty");
                refused = Some((String::new(), reason));
            }
            Some(Ok(None)) | None => {}
        }
        Arc::new_cyclic(|place: &Weak<Place>| {
            let inside = Inside {
                number: 0,
                workers: 0,
                inherited,
                own: Vec::new(),
                epoch: Epoch::new(place.clone(), 0),
                unwritten: false,
                ended: false,
                saved,
                refused,
            };
            let (generation, bytes) = (AtomicU64::new(0), OnceLock::new());
            Place { pipeline, filter, path, inside: Mutex::new(inside), generation, wake, bytes }
        })
    }

    /// The `workers` workers of this number have it from now on, and those before them no more.
    pub fn begin(&self, number: u64, workers: usize) {
        let mut inside = self.inside.lock();
        if number > inside.number {
            let heir = |before: usize| before % inside.workers.max(1);
            let is_left = |kept: &Kept| kept.last.is_some() || kept.settled.is_some();
            let passed = inside.inherited.iter().map(|(before, kept)| {
                let own = inside.own.get(heir(*before)).cloned().unwrap_or_default();
                let last = kept.last.clone().filter(|_| own.last.is_none());
                (
                    *before,
                    Kept {
                        last,
                        settled: kept.settled.clone().filter(|_| own.settled.is_none()),
                        waits: false,
                    },
                )
            });
            let own = inside.own.iter().cloned().enumerate();
            let all = passed.chain(own).map(|(worker, kept)| (worker, Kept { waits: false, ..kept }));
            inside.inherited = all.filter(|(_, kept)| is_left(kept)).collect();
            (inside.number, inside.workers, inside.ended) = (number, workers, false);
            inside.own = vec![Kept::default(); workers];
        }
    }

    /// The states that a worker's first instance is given, and the generation that they are of.
    pub fn of(&self, number: u64, worker: usize) -> (Vec<Bytes>, u64) {
        let inside = self.inside.lock();
        let generation = self.generation();
        if number != inside.number {
            return (Vec::new(), generation);
        }
        if let Some(own) = inside.own.get(worker).and_then(|own| own.last.as_ref()) {
            return (vec![own.clone()], generation);
        }
        let inherited = inside.inherited.iter().filter(|(before, _)| inside.heir(*before) == worker);
        (inherited.filter_map(|(_, kept)| kept.last.clone()).collect(), generation)
    }

    /// Grows where what instances remember is to be forgotten.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What holds the batches that are judged now.
    pub fn epoch(&self) -> Arc<Epoch> {
        self.inside.lock().epoch.clone()
    }

    /// Keeps the last state of a worker, of an instance of this generation, in place of the one that it had. Whether it goes to
    /// disk as well, as soon as all records are safe that were judged before: one at a time waits for that.
    pub fn put(&self, (number, worker): (u64, usize), state: Bytes, saved: i64, generation: u64) -> bool {
        let mut inside = self.inside.lock();
        let is_past = number != inside.number || worker >= inside.workers || generation != self.generation();
        if is_past {
            return true;
        }
        let own = &mut inside.own[worker];
        own.last = Some(state.clone());
        if own.waits {
            return false;
        }
        own.waits = true;
        let next = inside.epoch.ended(Snapshot { number, worker, state, saved });
        let before = std::mem::replace(&mut inside.epoch, next);
        drop(inside);
        // Where nothing holds it any more, it settles its state.
        drop(before);
        true
    }

    /// All records that were judged before this state was saved are safe.
    pub fn settled(&self, snapshot: Snapshot, generation: u64) {
        let Snapshot { number, worker, state, saved } = snapshot;
        let mut inside = self.inside.lock();
        if number != inside.number || generation != self.generation() {
            return;
        }
        let own = &mut inside.own[worker];
        (own.settled, own.waits) = (Some(state), false);
        (inside.saved, inside.unwritten) = (Some(saved), true);
        drop(inside);
        let _ = self.wake.try_send(());
    }

    /// Records that were judged in this generation are sent again. What was learned since the states that are settled is
    /// forgotten, lest they be taken for their own duplicates.
    pub fn forget(&self, generation: u64) {
        let mut inside = self.inside.lock();
        if generation != self.generation() {
            return;
        }
        let next = generation + 1;
        self.generation.store(next, Ordering::Release);
        inside.own.iter_mut().for_each(Kept::forget);
        inside.inherited.iter_mut().for_each(|(_, kept)| kept.forget());
        let place = inside.epoch.place();
        let before = std::mem::replace(&mut inside.epoch, Epoch::new(place, next));
        drop(inside);
        drop(before);
        tracing::info!(
            filter = &*self.filter,
            pipeline = &*self.pipeline,
            "records are sent again; what the filter has learned since its last state that is settled is forgotten"
        );
    }

    /// Notes whether the code of this SHA-256 takes what was kept, or why it does not. Whether that is new.
    pub fn refused(&self, sha256: &str, reason: Option<String>) -> bool {
        let refused = reason.map(|reason| (sha256.to_owned(), reason));
        let mut inside = self.inside.lock();
        let is_new = inside.refused != refused;
        inside.refused = refused;
        is_new
    }

    /// The workers of this number have ended, if they are those that have it.
    pub fn end(&self, number: u64) {
        let mut inside = self.inside.lock();
        inside.ended |= inside.number == number;
    }

    /// Whether what is kept is on disk alone: its workers have ended, and nothing is to be written or to be waited for.
    pub fn is_over(&self) -> bool {
        let inside = self.inside.lock();
        inside.ended && !inside.unwritten && !inside.own.iter().any(|own| own.waits)
    }

    /// Writes what is not written; none where there is nothing to be done. Blocks.
    pub fn write(&self, clock: &Clock) -> Option<std::io::Result<()>> {
        let path = self.path.as_deref()?;
        let (states, saved) = {
            let mut inside = self.inside.lock();
            if !std::mem::take(&mut inside.unwritten) {
                return None;
            }
            (inside.all(|kept| &kept.settled), inside.saved.unwrap_or_else(|| clock.now()))
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
        let all = inside.all(|kept| &kept.settled);
        StateStatus {
            saved: inside.saved.map(time::to_text),
            states: all.len(),
            bytes: all.iter().map(|(_, state)| state.len() as u64).sum(),
            refused: inside.refused.as_ref().map(|(_, reason)| reason.clone()),
        }
    }
}
