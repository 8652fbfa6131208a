//! Memory for what has come and is not on its way yet, shared by all connections of a source: messages of which only a
//! part is there, entries that are being expanded, open lines, batches that are gathered.
//!
//! A connection has [`SMALL`] bytes of its own. What it needs beyond them it takes from the pool, and is read no further
//! while the pool has no room. Connections that wait hold parts of messages, so they could all wait for each other; one
//! at a time may therefore go on without room until its message is complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Bytes that every connection may hold without asking.
pub const SMALL: usize = 64 << 10;
/// Bytes that one permit stands for.
const PERMIT: usize = 1024;

/// The memory that connections share.
#[derive(Debug)]
pub struct Pool {
    room: Arc<Semaphore>,
    /// Permits of `room` when nobody holds any.
    permits: usize,
    /// The right to go on without room.
    exempt: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Pool {
    /// A pool of `bytes` bytes.
    pub fn new(bytes: usize) -> Arc<Pool> {
        let permits = (bytes / PERMIT).clamp(1, Semaphore::MAX_PERMITS / 2);
        let (room, exempt) = (Arc::new(Semaphore::new(permits)), Arc::new(Semaphore::new(1)));
        Arc::new(Pool { room, permits, exempt, waiting: AtomicUsize::new(0) })
    }

    /// What a new connection holds.
    pub fn hold(self: &Arc<Self>) -> Hold {
        Hold { pool: self.clone(), permits: None, exempt: None }
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
    permits: Option<OwnedSemaphorePermit>,
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
            None => SMALL + self.taken() * PERMIT,
        }
    }

    /// Whether the connection holds memory of the pool.
    pub fn is_large(&self) -> bool {
        self.permits.is_some() || self.exempt.is_some()
    }

    /// Takes what `bytes` bytes need, if the pool has it. Answers whether the connection may hold so many now.
    pub fn reach(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes() {
            return true;
        }
        let more = (bytes - self.bytes()).div_ceil(PERMIT).min(self.pool.permits) as u32;
        match self.pool.room.clone().try_acquire_many_owned(more) {
            Ok(permits) => self.add(permits),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {}
        }
        bytes <= self.bytes()
    }

    /// Waits until the connection may hold about `step` bytes more.
    pub async fn grow(&mut self, step: usize) {
        self.pool.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.pool.waiting);
        let more = step.div_ceil(PERMIT).clamp(1, self.pool.permits) as u32;
        let permits = tokio::select! {
            biased;
            permits = self.pool.room.clone().acquire_many_owned(more) => permits.ok(),
            exempt = self.pool.exempt.clone().acquire_owned() => {
                self.exempt = exempt.ok();
                None
            }
        };
        drop(_waiting);
        if let Some(permits) = permits {
            self.add(permits);
        }
    }

    /// Gives back what is not needed for `bytes` bytes.
    pub fn shrink(&mut self, bytes: usize) {
        self.exempt = None;
        let needed = bytes.saturating_sub(SMALL).div_ceil(PERMIT);
        let spare = self.taken().saturating_sub(needed);
        match &mut self.permits {
            Some(_) if needed == 0 => self.permits = None,
            Some(permits) => drop(permits.split(spare)),
            None => {}
        }
    }

    fn taken(&self) -> usize {
        self.permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.permits {
            Some(permits) => permits.merge(more),
            None => self.permits = Some(more),
        }
    }
}

#[cfg(test)]
mod connections;
#[cfg(test)]
mod tests;
