//! The last batches that a filter was given: what the next generation of it is tried on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::Array;
use parking_lot::Mutex;

use flitch_core::batch::Records;

/// Batches that are kept.
const MOST: usize = 8;
/// What they may take together, buffers that they share with other batches or among each other counted each time.
const MOST_BYTES: usize = 4 << 20;
/// Once there are [`MOST`], one is kept in so long, so that they tell of more than a moment.
const EVERY: Duration = Duration::from_millis(250);

/// The last batches that a filter was given.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    batches: VecDeque<(Arc<Records>, usize)>,
    bytes: usize,
    last: Option<Instant>,
}

impl Recent {
    /// Keeps a batch, or not. Never waits, and copies nothing.
    pub fn see(&self, records: &Records) {
        let Some(mut kept) = self.0.try_lock() else { return };
        let now = Instant::now();
        if kept.batches.len() == MOST && kept.last.is_some_and(|last| now < last + EVERY) {
            return;
        }
        kept.last = Some(now);
        let bytes = held(records);
        if bytes > MOST_BYTES {
            return;
        }
        while kept.batches.len() == MOST || kept.bytes + bytes > MOST_BYTES {
            let Some((_, oldest)) = kept.batches.pop_front() else { break };
            kept.bytes -= oldest;
        }
        // Not the batch itself, which may come to hold what outputs make of it.
        kept.batches.push_back((Arc::new(records.slice(0, records.rows())), bytes));
        kept.bytes += bytes;
    }

    /// The batches, the oldest first.
    pub fn batches(&self) -> Vec<Arc<Records>> {
        self.0.lock().batches.iter().map(|(records, _)| records.clone()).collect()
    }
}

/// What records keep in memory, whole buffers counted: a part of one holds all of it.
fn held(records: &Records) -> usize {
    let columns = records.columns().columns().iter().map(|array| array.get_array_memory_size());
    columns.sum::<usize>() + records.origins().map_or(0, |origins| origins.memory())
}

#[cfg(test)]
mod tests;
