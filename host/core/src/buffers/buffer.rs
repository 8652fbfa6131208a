//! A buffer as everybody has it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Closed;
use super::memory::Memory;
use super::store::{Stats, Store};
use crate::batch::Batch;
use crate::telemetry::{Quiet, Tally};
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

/// What waits for an output. Clones are the same buffer.
#[derive(Clone, Debug)]
pub struct Buffer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    kept: Kept,
    best_effort: bool,
    /// Counts what is dropped.
    dropped: Tally,
    /// Says that it drops.
    said: Quiet,
}

/// Where the batches are. An enum, and no `dyn`, so that no wait is a box.
#[derive(Debug)]
enum Kept {
    Memory(Memory),
}

macro_rules! kept {
    ($self:ident, $store:ident => $does:expr) => {
        match &$self.0.kept {
            Kept::Memory($store) => $does,
        }
    };
}

impl Buffer {
    /// An empty buffer in front of the output `name`. With `best_effort` no source waits for it: what does not fit, or
    /// is left in the end, is dropped, which `dropped` counts.
    pub fn open(name: &str, settings: &BufferSettings, best_effort: bool, dropped: Tally) -> Buffer {
        Buffer(Arc::new(Inner {
            name: name.to_owned(),
            kept: Kept::Memory(Memory::new(settings.max_bytes.0 as usize)),
            best_effort: best_effort || settings.when_full == WhenFull::DropNewest,
            dropped,
            said: Quiet::a_minute(),
        }))
    }

    /// A buffer of so many bytes, for tests.
    pub fn with_room(bytes: u64) -> Buffer {
        let settings = BufferSettings { max_bytes: Bytes(bytes), ..BufferSettings::default() };
        Buffer::open("out", &settings, false, Tally::noop())
    }

    /// Whether no source waits for what is inside.
    pub fn is_best_effort(&self) -> bool {
        self.0.best_effort
    }

    /// Puts a batch in, waiting while the buffer is full; one of best effort drops it then. Without records there is
    /// nothing to wait for.
    pub async fn push(&self, batch: Batch) -> Result<(), Closed> {
        let bytes = batch.records.memory();
        if self.0.best_effort {
            self.push_or_drop(batch, bytes);
            return Ok(());
        }
        kept!(self, store => store.push(batch, bytes).await)
    }

    /// Puts a batch in, unless the buffer is full, when the batch comes back; one of best effort drops it then.
    pub fn try_push(&self, batch: Batch) -> Result<Result<(), Batch>, Closed> {
        let bytes = batch.records.memory();
        if self.0.best_effort {
            self.push_or_drop(batch, bytes);
            return Ok(Ok(()));
        }
        kept!(self, store => store.try_push(batch, bytes))
    }

    /// Puts a batch in or drops it; either way its source need not wait for it.
    fn push_or_drop(&self, batch: Batch, bytes: usize) {
        let receipt = batch.receipt.detach(self.0.dropped.clone(), bytes);
        let pushed = kept!(self, store => store.try_push(Batch { receipt, ..batch }, bytes));
        match pushed {
            Ok(Ok(())) => {}
            Ok(Err(batch)) => {
                self.complain();
                // Its receipt counts it.
                drop(batch);
            }
            // What comes after the end is dropped too, and not sent again for its sake.
            Err(Closed) => {}
        }
    }

    fn complain(&self) {
        if self.0.said.may_say() {
            tracing::warn!(output = %self.0.name, "the buffer is full; records are dropped (`best_effort`)");
        }
    }

    /// The oldest batch, to be settled, or it comes again; none once the buffer is closed and empty.
    pub async fn lease(&self) -> Option<Batch> {
        kept!(self, store => store.lease().await)
    }

    /// The oldest batch, if there is one now.
    pub fn try_lease(&self) -> Option<Batch> {
        kept!(self, store => store.try_lease())
    }

    /// Refuses new batches; those inside can still be leased.
    pub fn close(&self) {
        kept!(self, store => store.close());
    }

    /// Closes it for good: what is inside is sent again by its sources, or dropped and counted where it is of best
    /// effort.
    pub fn leave(&self) {
        self.close();
        kept!(self, store => store.leave());
    }

    /// What is inside.
    pub fn stats(&self) -> Stats {
        kept!(self, store => store.stats())
    }

    /// Whether the next batch would wait, or be dropped.
    pub fn is_full(&self) -> bool {
        kept!(self, store => store.is_full())
    }

    /// Whether the next batch would wait.
    pub fn holds_up(&self) -> bool {
        !self.0.best_effort && self.is_full()
    }
}
