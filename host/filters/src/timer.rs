//! What a filter costs: the time of the processor, since others have the rest of a busy machine.

use std::time::Duration;

use crate::guest::time_of_thread;

/// Batches of at most so many rows are small: to ask twice for the processor's time takes about a microsecond, which is much of
/// what one of them costs.
const SMALL: usize = 127;
/// So one of so many of them is measured, and stands for the others.
const ONE_OF: u32 = 8;

/// Measures the processor time of this thread.
#[derive(Debug)]
pub struct Timer(Duration);

impl Timer {
    /// Begins now.
    pub fn start() -> Timer {
        Timer(time_of_thread())
    }

    /// How much it is so far.
    pub fn elapsed(&self) -> Duration {
        time_of_thread().saturating_sub(self.0)
    }
}

/// Says which batches are measured.
#[derive(Debug, Default)]
pub struct Sample {
    /// Small batches since the last one of them that was measured.
    small: u32,
}

impl Sample {
    /// For how many batches the time of one of `rows` rows stands; 0 where it need not be measured. Never the first small one,
    /// for which nothing is in the processor's caches.
    pub fn stands_for(&mut self, rows: usize) -> u32 {
        if rows > SMALL {
            return 1;
        }
        self.small += 1;
        match self.small {
            ONE_OF => std::mem::take(&mut self.small),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
