//! Memory for what has come and is not on its way yet, shared by all connections of a source: messages of which only a
//! part is there, entries that are being expanded, open lines, batches that are gathered.
//!
//! A connection has [`SMALL`] bytes of its own. What it needs beyond them it takes from the pool, and is read no further
//! while the pool has no room. Connections that wait hold parts of messages, so they could all wait for each other; one
//! at a time may therefore go on without room until its message is complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use flitch_core::net::budget::{Budget, Share};

/// Bytes that every connection may hold without asking.
pub const SMALL: usize = 64 << 10;
/// Bytes that one permit stands for.
const PERMIT: usize = 1024;

/// The memory that connections share.
#[derive(Debug)]
pub struct Pool {
    room: Budget,
    /// The right to go on without room.
    exempt: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Pool {
    /// A pool of `bytes` bytes.
    pub fn new(bytes: usize) -> Arc<Pool> {
        let (room, exempt) = (Budget::new(bytes, PERMIT), Arc::new(Semaphore::new(1)));
        Arc::new(Pool { room, exempt, waiting: AtomicUsize::new(0) })
    }

    /// What a new connection holds.
    pub fn hold(self: &Arc<Self>) -> Hold {
        Hold { pool: self.clone(), share: self.room.share(), exempt: None }
    }

    /// Whether a connection waits for room.
    pub fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// What one connection may hold.
#[derive(Debug)]
pub struct Hold {
    pool: Arc<Pool>,
    share: Share,
    exempt: Option<OwnedSemaphorePermit>,
}

/// Counts a connection that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hold {
    /// Bytes that the connection may hold.
    pub fn bytes(&self) -> usize {
        match &self.exempt {
            Some(_) => usize::MAX,
            None => SMALL + self.share.bytes(),
        }
    }

    /// Whether the connection holds memory of the pool.
    pub fn is_large(&self) -> bool {
        self.share.bytes() > 0 || self.exempt.is_some()
    }

    /// Takes what `bytes` bytes need, if the pool has it. Answers whether the connection may hold so many now.
    pub fn reach(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes() {
            return true;
        }
        // Whether that is enough is seen below: the pool may be smaller than what is wanted.
        let _ = self.share.try_take(bytes - self.bytes());
        bytes <= self.bytes()
    }

    /// Waits until the connection may hold about `step` bytes more.
    pub async fn grow(&mut self, step: usize) {
        self.pool.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.pool.waiting);
        tokio::select! {
            biased;
            () = self.share.take(step.max(1)) => {}
            exempt = self.pool.exempt.clone().acquire_owned() => self.exempt = exempt.ok(),
        }
    }

    /// Gives back what is not needed for `bytes` bytes.
    pub fn shrink(&mut self, bytes: usize) {
        self.exempt = None;
        self.share.shrink(bytes.saturating_sub(SMALL));
    }
}

#[cfg(test)]
mod connections;
#[cfg(test)]
mod tests;
