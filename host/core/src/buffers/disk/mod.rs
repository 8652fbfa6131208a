//! Batches on disk: what is in outlives the process and the machine's crash.
//!
//! A buffer has a folder with segments of frames ([`segment`], [`frame`]), the file `settled` ([`acks`]), the file `lock`,
//! and a file for what could not be read (`*.parked`). [`log`] keeps all of them, and is all there is of the format.
//! One thread has the log ([`worker`]): it writes all batches that wait with one sync, tells their sources, reads ahead,
//! and removes segments that are settled. What is shared with those who push and lease is in [`core`](self::core) and
//! [`state`]:
//!
//! - Batches that are not written yet, [`QUEUE`] bytes of them at most. A batch is given out when it is synced, and not
//!   before.
//! - The next batches to be leased, [`WINDOW`] bytes of them at most. One that was just written goes there as it is, if
//!   nothing older waits on disk, so that an output which keeps up reads nothing back.
//! - What is leased, without its records: who has a lease may hold it for long, and let go of them. A batch that comes
//!   back is read once more, before anything that came after it is given out.
//!
//! What else waits is on disk alone. After a reload the buffer of the same folder goes on: see [`shelf`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::store::{Stats, Store};
use super::{Ack, Closed};
use crate::batch::Batch;

mod acks;
mod core;
#[cfg(test)]
mod faulty;
mod frame;
mod fs;
mod log;
pub mod offline;
mod recover;
mod segment;
mod shelf;
mod state;
mod worker;

use self::core::{Core, Taken};
pub(super) use shelf::Wanted;
pub use shelf::{BufferContext, Shelf};

/// Most bytes of batches that wait to be written.
const QUEUE: u64 = 8 << 20;
/// Most bytes of batches that are in memory to be leased next.
const WINDOW: u64 = 8 << 20;

/// What is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Files of frames.
    pub segments: u64,
    /// Their bytes, those of settled frames included.
    pub bytes: u64,
    /// When the oldest frame was stored that is not settled (ns since 1970).
    pub oldest: Option<i64>,
    /// Frames that could not be read, since the start.
    pub parked: u64,
    /// Whether the disk takes nothing.
    pub failing: bool,
}

/// The buffer of one output, on the core that it may share with the one that it takes over from.
#[derive(Debug)]
pub struct Disk {
    core: Arc<Core>,
    view: u64,
}

impl Disk {
    /// What is on disk.
    pub fn on_disk(&self) -> DiskStats {
        self.core.on_disk()
    }

    /// Whether both have one core.
    pub fn is_same(&self, other: &Disk) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }

    /// Waits until nothing of it is in this process any more, unless another goes on with it.
    pub async fn ended(&self) {
        self.core.ended(self.view).await;
    }
}

/// The folders in `folder` that have segments.
pub fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let has_segments =
        |folder: &PathBuf| recover::list(&fs::Real, folder).is_ok_and(|firsts| !firsts.is_empty());
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(has_segments).collect();
    folders.sort();
    folders
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.core.leave(self.view);
    }
}

impl Store for Disk {
    async fn push(&self, batch: Batch, bytes: usize) -> Result<(), Closed> {
        self.core.push(self.view, batch, bytes as u64).await
    }

    fn try_push(&self, batch: Batch, bytes: usize) -> Result<Result<(), Batch>, Closed> {
        self.core.try_push(self.view, batch, bytes as u64)
    }

    async fn lease(&self) -> Option<Batch> {
        loop {
            let item = self.core.item.notified();
            match self.core.take(self.view) {
                Taken::Batch(batch) => return Some(batch),
                Taken::Over => return None,
                Taken::Nothing => item.await,
            }
        }
    }

    fn try_lease(&self) -> Option<Batch> {
        match self.core.take(self.view) {
            Taken::Batch(batch) => Some(batch),
            Taken::Over | Taken::Nothing => None,
        }
    }

    fn close(&self) {
        self.core.close(self.view);
    }

    fn leave(&self) {
        self.core.leave(self.view);
    }

    fn stats(&self) -> Stats {
        self.core.stats(self.view)
    }

    fn is_full(&self) -> bool {
        self.core.is_full()
    }
}

#[cfg(test)]
mod tests;
