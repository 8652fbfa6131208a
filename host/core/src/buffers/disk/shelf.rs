//! The buffers on disk that are open in this process, by their folders.
//!
//! A reload that changes an output makes its new buffer while the old one goes on. Both are then views of one core: the
//! new one takes over what waits when the old one is closed. From the first batch on that is pushed into the new one, the
//! old one gives out nothing: it may go to another place. A reload that is refused lets go of the new one, and the old
//! one goes on.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use anyhow::{Context, bail};
use parking_lot::Mutex;

use super::core::Core;
use super::fs::{Fs, Real};
use super::log::Log;
use super::worker::{PAUSES, Telling, Worker};
use super::{Ack, Disk};
use crate::backoff::Backoff;
use crate::blocking::block_on;
use crate::clock::Clock;
use crate::dead_letter::DeadLetters;
use crate::receipt::Ledger;
use crate::tasks::kept_thread;
use crate::telemetry::{Health, Part};

/// The accounts of a source, by its name.
pub type Ledgers = Arc<dyn Fn(&str) -> Arc<Ledger> + Send + Sync>;

/// The open buffers. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Mutex<HashMap<PathBuf, Weak<Core>>>>);

/// What buffers on disk need of what is around them.
#[derive(Clone)]
pub struct BufferContext {
    /// The folder in which each has one of its own, by the name of its output.
    pub folder: PathBuf,
    /// Those that are open.
    pub shelf: Shelf,
    /// The accounts of the sources of what is given out.
    pub ledgers: Ledgers,
    /// Where records go whose frame is broken.
    pub dead_letters: Option<DeadLetters>,
    /// Where they tell that a disk fails.
    pub health: Arc<Health>,
    /// The time of day.
    pub clock: Clock,
}

impl std::fmt::Debug for BufferContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BufferContext").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// How one buffer is opened.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub fs: Arc<dyn Fs>,
    pub folder: PathBuf,
    pub max_bytes: u64,
    pub ack: Ack,
    pub pauses: Backoff,
}

impl Wanted {
    /// A buffer on the machine's disks.
    pub fn real(folder: PathBuf, max_bytes: u64, ack: Ack) -> Wanted {
        Wanted { fs: Arc::new(Real), folder, max_bytes, ack, pauses: PAUSES }
    }
}

impl Shelf {
    /// Opens the buffer of a folder for the output `name`, or takes over the one that is open. Blocks.
    ///
    /// # Errors
    /// The disk's; another process has the folder; a newer flitch wrote it.
    pub fn open(&self, name: &str, wanted: &Wanted, cx: &BufferContext) -> anyhow::Result<Disk> {
        let mut open = self.0.lock();
        let known = open.get(&wanted.folder).and_then(Weak::upgrade);
        if let Some(core) = known {
            if let Some(view) = core.open(wanted.max_bytes, wanted.ack) {
                return Ok(Disk { core, view });
            }
            block_on(core.done.cancelled());
        }
        open.retain(|_, core| core.strong_count() > 0);
        let core = start(name, wanted, cx)?;
        let view = core.open(wanted.max_bytes, wanted.ack).context("its thread has ended")?;
        open.insert(wanted.folder.clone(), Arc::downgrade(&core));
        Ok(Disk { core, view })
    }
}

fn start(name: &str, wanted: &Wanted, cx: &BufferContext) -> anyhow::Result<Arc<Core>> {
    let folder = &wanted.folder;
    let (log, opened) = match Log::open(wanted.fs.clone(), folder) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => bail!(
            "another process has the folder of the buffer, {}: give each of them a `path` of its own",
            folder.display()
        ),
        Err(error) => {
            return Err(error).with_context(|| folder.display().to_string());
        }
    };
    tell(name, folder, &opened.waiting, opened.torn);
    let core = Arc::new(Core::new(opened.waiting.bytes, opened.waiting.records));
    core.state.lock().has_unread = log.has_unread();
    let telling = Telling {
        name: name.into(),
        ledgers: cx.ledgers.clone(),
        dead_letters: cx.dead_letters.clone(),
        clock: cx.clock.clone(),
        part: Part::new(&cx.health, "disk", name),
    };
    let mut worker = Worker::new(log, core.clone(), telling, wanted.pauses);
    if let Some(parked) = opened.parked {
        worker.park(parked);
    }
    // It ends with the buffer, and not before.
    let (keep, needed) = crossbeam_channel::bounded(0);
    let part = Part::new(&cx.health, "buffer", name);
    let work = move || {
        let _ = &keep;
        worker.run();
    };
    kept_thread(part, needed, work).context("cannot start the thread of a buffer")?;
    Ok(core)
}

fn tell(name: &str, folder: &Path, waiting: &super::recover::Waiting, torn: u64) {
    if torn > 0 {
        tracing::warn!(
            output = name,
            ?folder,
            bytes = torn,
            "cut off a frame that was not written to its end"
        );
    }
    if waiting.frames > 0 {
        let (records, bytes) = (waiting.records, waiting.bytes);
        tracing::info!(
            output = name,
            ?folder,
            records,
            bytes,
            "records of an earlier run wait in the buffer"
        );
    }
}
