use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Closed, Queue};
use crate::batch::Batch;
use crate::config::units::Bytes;
use crate::telemetry::Tally;

/// What happens to records that meet a full buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The sources wait: nothing is lost.
    #[default]
    Block,
    /// The newest records are dropped, and counted as dropped by the route.
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

/// A buffer in memory, bounded by bytes. Its records are lost with the process, and sent again by sources that can.
#[derive(Debug)]
pub struct MemoryBuffer {
    queue: Queue<Batch>,
    when_full: WhenFull,
    /// Counts what [`WhenFull::DropNewest`] drops.
    dropped: Tally,
}

impl MemoryBuffer {
    /// An empty buffer; `dropped` counts what `drop_newest` drops.
    pub fn new(settings: &BufferSettings, dropped: Tally) -> MemoryBuffer {
        MemoryBuffer {
            queue: Queue::new(settings.max_bytes.0 as usize),
            when_full: settings.when_full,
            dropped,
        }
    }

    /// Puts a batch in, blocking the thread while the buffer is full.
    pub fn push_blocking(&self, batch: Batch) -> Result<(), Closed> {
        let weight = batch.records.memory();
        match self.when_full {
            WhenFull::Block => self.queue.push_blocking(batch, weight),
            WhenFull::DropNewest => self.push_or_drop(batch, weight),
        }
    }

    /// Puts a batch in, waiting while the buffer is full.
    pub async fn push(&self, batch: Batch) -> Result<(), Closed> {
        let weight = batch.records.memory();
        match self.when_full {
            WhenFull::Block => self.queue.push(batch, weight).await,
            WhenFull::DropNewest => self.push_or_drop(batch, weight),
        }
    }

    fn push_or_drop(&self, batch: Batch, weight: usize) -> Result<(), Closed> {
        if let Err(batch) = self.queue.try_push(batch, weight)? {
            self.dropped.add(batch.records.rows(), weight);
            batch.receipt.dropped();
        }
        Ok(())
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
}
