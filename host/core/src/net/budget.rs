//! Bytes that may be held at a time for those who are outside, and what each of them holds.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that many share.
#[derive(Clone, Debug)]
pub struct Budget {
    room: Arc<Semaphore>,
    /// Permits of `room` when nobody holds any.
    permits: usize,
    /// Bytes that one permit stands for.
    unit: usize,
}

impl Budget {
    /// A budget of `bytes` bytes, which are given out in pieces of `unit` bytes; of one piece at least.
    pub fn new(bytes: usize, unit: usize) -> Budget {
        let permits = (bytes / unit).clamp(1, Semaphore::MAX_PERMITS);
        Budget { room: Arc::new(Semaphore::new(permits)), permits, unit }
    }

    /// A share of it that holds nothing yet.
    pub fn share(&self) -> Share {
        Share { budget: self.clone(), held: None }
    }

    /// All of its bytes.
    pub fn bytes(&self) -> usize {
        self.permits * self.unit
    }

    /// Bytes that nobody holds.
    pub fn free(&self) -> usize {
        self.room.available_permits() * self.unit
    }

    /// Permits for `bytes` bytes, or for all there are.
    fn permits(&self, bytes: usize) -> usize {
        bytes.div_ceil(self.unit).min(self.permits)
    }
}

/// What one holds of a [`Budget`], which has it back when this is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    held: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// The budget that it is of.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.held_permits() * self.budget.unit
    }

    /// Takes `bytes` bytes more, or as many as the whole budget has, if they are free. Answers whether they were.
    #[must_use]
    pub fn try_take(&mut self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let Ok(more) = u32::try_from(self.budget.permits(bytes)) else { return false };
        let taken = self.budget.room.clone().try_acquire_many_owned(more);
        taken.map(|permits| self.add(permits)).is_ok()
    }

    /// Waits until `bytes` bytes more are free, or as many as the whole budget has, and takes them.
    pub async fn take(&mut self, bytes: usize) {
        let more = u32::try_from(self.budget.permits(bytes)).unwrap_or(u32::MAX);
        if let Ok(permits) = self.budget.room.clone().acquire_many_owned(more).await {
            self.add(permits);
        }
    }

    /// Gives back what is not needed for `bytes` bytes.
    pub fn shrink(&mut self, bytes: usize) {
        let needed = bytes.div_ceil(self.budget.unit);
        let spare = self.held_permits().saturating_sub(needed);
        match &mut self.held {
            Some(_) if needed == 0 => self.held = None,
            Some(permits) => drop(permits.split(spare)),
            None => {}
        }
    }

    fn held_permits(&self) -> usize {
        self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.held {
            Some(permits) => permits.merge(more),
            None => self.held = Some(more),
        }
    }
}

#[cfg(test)]
mod tests;
