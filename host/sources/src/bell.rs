//! What wakes the thread of a source that has one.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// Why the thread is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// There may be something to read.
    News,
    /// Records came back, or the last ones have settled.
    Settled,
    /// A file has its first safe position.
    First,
    /// The pipelines may have room for the batch that waits.
    Room,
    /// Take in nothing more.
    Stop,
}

/// The hints since somebody last listened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub news: bool,
    pub settled: bool,
    pub first: bool,
    pub room: bool,
    pub stop: bool,
}

/// Carries hints to the thread. Each is kept once, however often it comes, so that nothing piles up while the thread
/// is busy.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    told: Mutex<Told>,
    rung: Condvar,
}

impl Bell {
    /// Wakes the thread.
    pub fn ring(&self, hint: Hint) {
        let mut told = self.told.lock();
        match hint {
            Hint::News => told.news = true,
            Hint::Settled => told.settled = true,
            Hint::First => told.first = true,
            Hint::Room => told.room = true,
            Hint::Stop => told.stop = true,
        }
        self.rung.notify_one();
    }

    /// What was told; does not wait.
    pub fn take(&self) -> Told {
        std::mem::take(&mut *self.told.lock())
    }

    /// Waits until something is told.
    pub fn wait(&self) -> Told {
        let mut told = self.told.lock();
        self.rung.wait_while(&mut told, |told| *told == Told::default());
        std::mem::take(&mut *told)
    }

    /// Waits until something is told, or until `at`.
    pub fn wait_until(&self, at: Instant) -> Told {
        let mut told = self.told.lock();
        self.rung.wait_while_until(&mut told, |told| *told == Told::default(), at);
        std::mem::take(&mut *told)
    }

    /// Tells [`Hint::Stop`] when what this answers is dropped: a task that is ended may not have come to hear why.
    pub fn stop_at_end(self: &Arc<Bell>) -> impl Drop + Send + use<> {
        AtEnd(self.clone())
    }

    /// Tells [`Hint::Room`] when it is woken.
    pub fn waker(self: &Arc<Bell>) -> Waker {
        Waker::from(Arc::new(Room(self.clone())))
    }
}

struct AtEnd(Arc<Bell>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        self.0.ring(Hint::Stop);
    }
}

struct Room(Arc<Bell>);

impl Wake for Room {
    fn wake(self: Arc<Self>) {
        self.0.ring(Hint::Room);
    }
}

#[cfg(test)]
mod tests;
