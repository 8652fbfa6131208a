//! When a state may go to disk.
//!
//! What a filter remembers of a record must not outlive the record: a source that reads it again after a crash would find it
//! taken for a duplicate of itself. So a state waits until all records that were judged before it was saved are safe, each of them
//! held by the epoch in which it was judged. One epoch ends where a state is saved, and the next is let go of after it.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use flitch_core::receipt::Witness;
use parking_lot::Mutex;

use super::place::Place;

/// The state of a worker at the end of an epoch.
#[derive(Debug)]
pub struct Snapshot {
    /// The number of the workers, and which of them it is of.
    pub number: u64,
    pub worker: usize,
    pub state: Bytes,
    /// When it was saved, in ns since 1970.
    pub saved: i64,
}

/// The batches that were judged between two states. It ends when all of them are settled.
#[derive(Debug)]
pub struct Epoch {
    place: Weak<Place>,
    /// Of an earlier generation than that of its place, it says nothing any more.
    generation: u64,
    end: Mutex<Option<(Snapshot, Arc<Epoch>)>>,
}

impl Epoch {
    /// An epoch in which nothing was judged yet.
    pub fn new(place: Weak<Place>, generation: u64) -> Arc<Epoch> {
        Arc::new(Epoch { place, generation, end: Mutex::default() })
    }

    /// What it tells of states that are settled.
    pub fn place(&self) -> Weak<Place> {
        self.place.clone()
    }

    /// Ends it with a state, and begins another. It is to be let go of.
    pub fn ended(&self, snapshot: Snapshot) -> Arc<Epoch> {
        let next = Epoch::new(self.place.clone(), self.generation);
        *self.end.lock() = Some((snapshot, next.clone()));
        next
    }
}

impl Witness for Epoch {
    fn returned(&self) {
        if let Some(place) = self.place.upgrade() {
            place.forget(self.generation);
        }
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        // The next one goes after its state was taken, as it holds back a later one.
        if let Some((snapshot, _next)) = self.end.get_mut().take()
            && let Some(place) = self.place.upgrade()
        {
            place.settled(snapshot, self.generation);
        }
    }
}
