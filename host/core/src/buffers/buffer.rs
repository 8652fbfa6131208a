//! A buffer as everybody has it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Closed;
use super::course::{Course, Progress};
use super::disk::{BufferContext, Disk, DiskStats, Wanted};
use super::memory::Memory;
use super::rush::{Rush, Rushed};
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

/// Where a buffer keeps records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BufferKind {
    /// In memory: what waits is sent again by its sources after the next start, if they can.
    #[default]
    Memory,
    /// On disk: what waits goes on after the next start.
    Disk,
}

/// When records are safe for their source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// When they are on disk, synced.
    #[default]
    Stored,
    /// When the output has taken them, or they are among the dead letters.
    Delivered,
}

/// The buffer in front of an output.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BufferSettings {
    /// Where records wait: in `memory` (the default), or on `disk`, where they outlive the process and the crash of the
    /// machine.
    #[serde(rename = "type")]
    pub kind: BufferKind,
    /// Most bytes of records that wait. In memory 16 MiB if it is not set; on disk 1 GiB, and the files may take a few
    /// segments of up to 72 MiB more, in which some records are delivered and others are not.
    pub max_bytes: Option<Bytes>,
    /// What happens when the buffer is full: `block` or `drop_newest`.
    pub when_full: WhenFull,
    /// When records are safe for their source, so that it moves its position or answers its client: `delivered`, when the
    /// output has taken them, or `stored`, when they are on disk and synced. Not set, it is `stored` for `type: disk`; a
    /// buffer in memory knows `delivered` alone.
    pub ack: Option<Ack>,
    /// The folder of a buffer on disk; not set, `buffers/<name of the output>` below `data_dir`.
    pub path: Option<PathBuf>,
}

impl BufferSettings {
    /// `max_bytes`, or what it is where it is not set.
    pub fn most_bytes(&self) -> u64 {
        let unset = match self.kind {
            BufferKind::Memory => 16 << 20,
            BufferKind::Disk => 1 << 30,
        };
        self.max_bytes.map_or(unset, |most| most.0)
    }

    /// The folder of the buffer of the output `name`, if it has one, where those of all outputs are below `folder`.
    pub fn folder(&self, name: &str, folder: &Path) -> Option<PathBuf> {
        let own = || self.path.clone().unwrap_or_else(|| folder.join(name));
        (self.kind == BufferKind::Disk).then(own)
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
    rush: Arc<Rush>,
    course: Course,
}

/// Where the batches are. An enum, and no `dyn`, so that no wait is a box.
#[derive(Debug)]
enum Kept {
    Memory(Memory),
    Disk(Disk),
}

macro_rules! kept {
    ($self:ident, $store:ident => $does:expr) => {
        match &$self.0.kept {
            Kept::Memory($store) => $does,
            Kept::Disk($store) => $does,
        }
    };
}

impl Buffer {
    /// The buffer in front of the output `name`. With `best_effort` no source waits for it: what does not fit, or is left
    /// in the end, is dropped, which `dropped` counts; what is on disk stays there. May block while it reads the disk.
    ///
    /// # Errors
    /// The folder of a buffer on disk cannot be used.
    pub fn open(
        name: &str,
        settings: &BufferSettings,
        best_effort: bool,
        dropped: Tally,
        cx: &BufferContext,
    ) -> anyhow::Result<Buffer> {
        let most = settings.most_bytes();
        let kept = match settings.folder(name, &cx.folder) {
            None => return Ok(Buffer::in_memory(name, settings, best_effort, dropped)),
            Some(folder) => {
                let wanted = Wanted::real(folder, most, settings.ack.unwrap_or_default());
                Kept::Disk(cx.shelf.open(name, &wanted, cx)?)
            }
        };
        Ok(Buffer::of(name, kept, settings, best_effort, dropped))
    }

    /// [`Buffer::open`] for one in memory, empty; of the settings it takes those that such a buffer has.
    pub fn in_memory(name: &str, settings: &BufferSettings, best_effort: bool, dropped: Tally) -> Buffer {
        let kept = Kept::Memory(Memory::new(settings.most_bytes() as usize));
        Buffer::of(name, kept, settings, best_effort, dropped)
    }

    /// A buffer on a disk that tests bring.
    #[cfg(test)]
    pub(super) fn on_disk_of(
        disk: Disk,
        settings: &BufferSettings,
        best_effort: bool,
        dropped: Tally,
    ) -> Buffer {
        Buffer::of("out", Kept::Disk(disk), settings, best_effort, dropped)
    }

    fn of(name: &str, kept: Kept, settings: &BufferSettings, best_effort: bool, dropped: Tally) -> Buffer {
        Buffer(Arc::new(Inner {
            name: name.to_owned(),
            kept,
            best_effort: best_effort || settings.when_full == WhenFull::DropNewest,
            dropped,
            said: Quiet::a_minute(),
            rush: Arc::default(),
            course: Course::default(),
        }))
    }

    /// A buffer of so many bytes, for tests.
    pub fn with_room(bytes: u64) -> Buffer {
        let settings = BufferSettings { max_bytes: Some(Bytes(bytes)), ..BufferSettings::default() };
        Buffer::in_memory("out", &settings, false, Tally::noop())
    }

    /// Whether no source waits for what is inside.
    pub fn is_best_effort(&self) -> bool {
        self.0.best_effort
    }

    /// Whether what is inside goes on after the next start, though nobody sends it again.
    pub fn keeps(&self) -> bool {
        matches!(self.0.kept, Kept::Disk(_))
    }

    /// Whether `other` takes over what waits in it.
    pub fn goes_on_as(&self, other: &Buffer) -> bool {
        match (&self.0.kept, &other.0.kept) {
            (Kept::Disk(one), Kept::Disk(other)) => one.is_same(other),
            _ => false,
        }
    }

    /// What is on disk; none where it is in memory.
    pub fn on_disk(&self) -> Option<DiskStats> {
        match &self.0.kept {
            Kept::Memory(_) => None,
            Kept::Disk(disk) => Some(disk.on_disk()),
        }
    }

    /// Waits until all that is to be kept is on disk, after [`Buffer::leave`].
    pub async fn ended(&self) {
        if let Kept::Disk(disk) = &self.0.kept {
            disk.ended().await;
        }
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

    /// Whoever empties it is to wait for nothing more to come, for as long as the answer lives: a source waits for the end
    /// of what it has sent.
    pub fn rush(&self) -> Rushed {
        self.0.rush.begin()
    }

    /// Whether it is so now.
    pub fn is_rushed(&self) -> bool {
        self.0.rush.is_on()
    }

    /// Whoever empties it tells whether it gathers records that are written later, and whether it writes now.
    pub fn emptied_by(&self, gathers: bool, writes: bool) {
        self.0.course.is(gathers, writes);
    }

    /// Whoever empties it tells that a write has come to its end.
    pub fn turned(&self) {
        self.0.course.turned();
    }

    /// How far that one is.
    pub fn progress(&self) -> Progress {
        self.0.course.progress()
    }

    /// Refuses new batches; those inside can still be leased.
    pub fn close(&self) {
        kept!(self, store => store.close());
    }

    /// Closes it for good: what is inside is sent again by its sources, or dropped and counted where it is of best
    /// effort, or stays on disk.
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
