use std::time::{Duration, Instant};

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Closed, Queue};
use crate::batch::Batch;
use crate::telemetry::Tally;
use crate::units::Bytes;

/// What happens to records that meet a full buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The sources wait: nothing is lost.
    #[default]
    Block,
    /// The newest records are dropped, and counted as dropped by the route. The output is then `best_effort`.
    DropNewest,
}

/// The buffer in front of an output.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BufferSettings {
    /// Most bytes of records that wait in memory.
    pub max_bytes: Bytes,
    /// What happens when the buffer is full: `block` or `drop_newest`.
    pub when_full: WhenFull,
}

impl Default for BufferSettings {
    fn default() -> Self {
        BufferSettings { max_bytes: Bytes(16 << 20), when_full: WhenFull::Block }
    }
}

/// How often a buffer that drops says so.
const REMINDER: Duration = Duration::from_secs(60);

/// A buffer in memory, bounded by bytes. Its records are lost with the process, and sent again by sources that can.
#[derive(Debug)]
pub struct MemoryBuffer {
    name: String,
    queue: Queue<Batch>,
    best_effort: bool,
    /// Counts what is dropped.
    dropped: Tally,
    /// When it last said that it drops.
    said: Mutex<Option<Instant>>,
}

impl MemoryBuffer {
    /// An empty buffer; `dropped` counts what it drops.
    pub fn new(settings: &BufferSettings, dropped: Tally) -> MemoryBuffer {
        MemoryBuffer {
            name: String::new(),
            queue: Queue::new(settings.max_bytes.0 as usize),
            best_effort: settings.when_full == WhenFull::DropNewest,
            dropped,
            said: Mutex::default(),
        }
    }

    /// The same in front of the output `name`. With `best_effort` no source waits for it: what does not fit, or is left
    /// in the end, is dropped and counted.
    pub fn in_front_of(self, name: &str, best_effort: bool) -> MemoryBuffer {
        MemoryBuffer { name: name.to_owned(), best_effort: self.best_effort || best_effort, ..self }
    }

    /// Whether no source waits for what is inside.
    pub fn is_best_effort(&self) -> bool {
        self.best_effort
    }

    /// Puts a batch in, waiting while the buffer is full.
    pub async fn push(&self, batch: Batch) -> Result<(), Closed> {
        let weight = batch.records.memory();
        if self.best_effort {
            return self.push_or_drop(batch, weight);
        }
        self.queue.push(batch, weight).await
    }

    /// Puts a batch in or drops it; either way its source need not wait for it.
    fn push_or_drop(&self, batch: Batch, weight: usize) -> Result<(), Closed> {
        let receipt = batch.receipt.detach(self.dropped.clone(), weight);
        match self.queue.try_push(Batch { receipt, ..batch }, weight) {
            Ok(Ok(())) => {}
            Ok(Err(batch)) => {
                self.complain();
                // Its receipt counts it.
                drop(batch);
            }
            // What comes after the end is dropped too, and not sent again for its sake.
            Err(Closed) => {}
        }
        Ok(())
    }

    fn complain(&self) {
        let mut said = self.said.lock();
        if said.is_none_or(|at| at.elapsed() >= REMINDER) {
            *said = Some(Instant::now());
            tracing::warn!(output = %self.name, "the buffer is full; records are dropped (`best_effort`)");
        }
    }

    /// The oldest batch; none once the buffer is closed and empty.
    pub async fn pop(&self) -> Option<Batch> {
        self.queue.pop().await
    }

    /// The oldest batch, if there is one now.
    pub fn try_pop(&self) -> Option<Batch> {
        self.queue.try_pop()
    }

    /// Refuses new batches; those inside can still be taken out.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Bytes of records inside.
    pub fn bytes(&self) -> usize {
        self.queue.weight()
    }

    /// Whether the next batch would wait, or be dropped.
    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// Whether the next batch would wait.
    pub fn holds_up(&self) -> bool {
        !self.best_effort && self.is_full()
    }
}
