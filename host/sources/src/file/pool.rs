//! The descriptors that all file sources of the process hold together.
//!
//! The system allows the process so many, and outputs, checkpoints and listeners need some of them whatever is followed.
//! So files get a share. While there is room a source may hold as many as it likes; where there is none each is sure of an
//! equal part, and those that hold more give it back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use flitch_core::net::descriptors;

/// Descriptors that are left to all else, where the system allows twice as many; half of them where it does not.
const RESERVE: usize = 256;

/// What is open in all sources that share.
#[derive(Debug)]
pub(super) struct Pool {
    most: usize,
    held: AtomicUsize,
    sources: AtomicUsize,
    /// A source that holds no more than its part has found no room.
    is_wanted: AtomicBool,
}

impl Pool {
    /// That of the process.
    pub fn of_process() -> Arc<Pool> {
        static POOL: LazyLock<Arc<Pool>> = LazyLock::new(|| {
            let most = descriptors::most().map(|most| usize::try_from(most).unwrap_or(usize::MAX));
            Pool::new(most.map_or(usize::MAX, share))
        });
        POOL.clone()
    }

    /// One of `most` descriptors.
    pub fn new(most: usize) -> Arc<Pool> {
        Arc::new(Pool {
            most: most.max(1),
            held: AtomicUsize::new(0),
            sources: AtomicUsize::new(0),
            is_wanted: AtomicBool::new(false),
        })
    }

    /// The part of a source, which holds none yet.
    pub fn join(self: &Arc<Self>) -> Part {
        self.sources.fetch_add(1, Ordering::Relaxed);
        Part { pool: self.clone(), held: 0 }
    }
}

/// How many of `most` descriptors files may have.
fn share(most: usize) -> usize {
    most.saturating_sub(RESERVE).max(most / 2)
}

/// What one source holds.
#[derive(Debug)]
pub(super) struct Part {
    pool: Arc<Pool>,
    held: usize,
}

impl Part {
    /// Enters how many it holds now.
    pub fn set(&mut self, held: usize) {
        self.pool.held.fetch_add(held, Ordering::Relaxed);
        self.pool.held.fetch_sub(std::mem::replace(&mut self.held, held), Ordering::Relaxed);
    }

    /// Whether all are in use.
    pub fn is_full(&self) -> bool {
        self.pool.held.load(Ordering::Relaxed) >= self.pool.most
    }

    /// One more is wanted, and all are in use.
    pub fn want(&self) {
        if !self.is_large() {
            self.pool.is_wanted.store(true, Ordering::Relaxed);
        }
    }

    /// Whether another source wants what this one holds above its part.
    pub fn is_owed(&self) -> bool {
        self.is_large() && self.pool.is_wanted.swap(false, Ordering::Relaxed)
    }

    /// Whether it holds more than an equal part of them.
    pub fn is_large(&self) -> bool {
        self.held > self.pool.most / self.pool.sources.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.set(0);
        self.pool.sources.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
