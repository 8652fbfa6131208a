//! What an output builds on disk before it writes it: objects of many batches, for stores that take few big things and
//! nothing behind their end. There is one way for all of them; an output says only what it wants built ([`Plan`]) and
//! writes what is [`Object`]. The records are with their sources until then: what a crash leaves here is worth nothing, but
//! where the plan says that it is stored.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::batch::Records;
use flitch_core::batch::encode::Encoder;
use flitch_core::batch::template::{Rendered, Template};
use flitch_core::receipt::{Ledger, Receipt, restore};

use self::journal::Journal;
use crate::Ledgers;

mod content;
mod cut;
mod disk;
mod growing;
mod journal;
mod keep;
mod open;
mod press;
mod recover;
mod table;
mod trace;
mod yard;

pub(super) use cut::cut;
pub use keep::{Kept, Letters};
pub(crate) use press::Press;
pub use table::TablePlan;
pub(super) use yard::{Sealed, Yard};

/// How objects are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As they are.
    None,
    /// gzip, in members one behind the other; the name ends in `.gz`.
    Gzip,
    /// Zstandard, level 1, in frames one behind the other; the name ends in `.zst`.
    #[default]
    Zstd,
    /// Snappy, for `format: parquet` alone.
    Snappy,
}

impl Compression {
    /// What a name ends in.
    pub fn extension(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
            Compression::Snappy => ".snappy",
        }
    }
}

/// When a source hears that a record is safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ObjectAck")]
pub enum Ack {
    /// When its object is at the store.
    #[default]
    Delivered,
    /// When it is synced below `data_dir`.
    Stored,
}

/// What an output wants built. An object is closed by whichever of its limits it reaches first.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The name of the output, for logs and metrics.
    pub output: Arc<str>,
    /// Where it is built; of nobody else.
    pub folder: PathBuf,
    /// Where an object of a record goes and how its name begins, a template for paths with one more byte at its end, so
    /// that a folder is not a name that is empty.
    pub key: Template,
    /// Where objects go in another way than by `key`.
    pub places: Option<Arc<dyn Places>>,
    /// Whether the records of an object can become dead letters.
    pub keeps: bool,
    /// Longest name.
    pub longest: usize,
    /// Longest part of a name, between two slashes.
    pub part: usize,
    /// Whether a name has behind the key what tells objects apart: by what is in them, and where that comes from.
    pub has_id: bool,
    /// How records are written.
    pub encoder: Encoder,
    /// How objects are compressed.
    pub compression: Compression,
    /// None: objects are text. A table is compressed within.
    pub table: Option<TablePlan>,
    /// What names end in.
    pub extension: String,
    /// Bytes of its records as text or as values, before they are compressed.
    pub bytes: u64,
    /// Time since its first record came.
    pub age: Duration,
    /// Time since its last record came.
    pub idle: Duration,
    /// Most objects that are open at once. For one more the one is closed to which nothing came for the longest time.
    pub open: usize,
    /// Most bytes of all that is not written yet. Where more comes the largest is closed, and no batch is taken until
    /// there is room.
    pub held: u64,
    /// Whether objects outlast the process, and their records are settled when they are synced.
    pub stored: bool,
    /// The accounts of their sources.
    pub ledgers: Ledgers,
}

/// Finds where the objects of records go, for outputs to whom no template alone says it.
pub trait Places: std::fmt::Debug + Send + Sync {
    /// The key of each row, as that of a [`Plan`], with one more byte at its end.
    fn keys(&self, records: &Records) -> Rendered;

    /// Why a row has no key.
    fn keyless(&self) -> Arc<str>;

    /// Most bytes of text, and the longest age, of an object with this key.
    fn limits(&self, key: &[u8]) -> (u64, Duration);
}

/// An object that is whole. Its file is removed with it.
#[derive(Debug)]
pub struct Object {
    /// Its name: of the same records, in the same order, always the same, and of no others.
    pub name: String,
    /// How much of that is the key.
    key: usize,
    /// How many records.
    pub rows: u64,
    /// Bytes of its records as text or as values, before they were compressed.
    pub text: u64,
    /// Its bytes.
    pub path: PathBuf,
    /// How many.
    pub length: u64,
    /// How far a write came that broke off.
    pub progress: Mutex<Progress>,
    /// What is kept of its records, if they can become dead letters.
    pub kept: Option<Kept>,
    /// For one that outlasts the process: whose it is.
    outlasting: Option<Outlasting>,
    _held: Held,
}

/// What is known of an object whose records are settled already.
#[derive(Debug)]
struct Outlasting {
    rows: Vec<(Arc<Ledger>, u64)>,
    has_arrived: AtomicBool,
    _journal: Arc<Mutex<Journal>>,
}

impl Object {
    /// How its name begins: the same for all that goes to one place.
    pub fn key(&self) -> &str {
        &self.name[..self.key]
    }

    /// It is at its destination: records that were settled before are delivered now.
    pub fn arrived(&self) {
        self.ended(Receipt::delivered);
    }

    /// Its records are dead letters, those too that were settled before.
    pub fn buried(&self) {
        self.ended(Receipt::dead_lettered);
    }

    fn ended(&self, settle: impl Fn(Receipt)) {
        let Some(Outlasting { rows, has_arrived, .. }) = &self.outlasting else { return };
        has_arrived.store(true, Ordering::Release);
        for (ledger, rows) in rows {
            settle(restore(ledger, *rows as usize, |_| {}));
        }
    }
}

/// How far a write in parts came.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The store's name for the write.
    pub upload: Option<String>,
    /// The store's names for the parts that it has.
    pub parts: Vec<String>,
    /// By what the destination is asked what became of it.
    pub ticket: Option<String>,
}

impl Drop for Object {
    fn drop(&mut self) {
        if self.outlasting.as_ref().is_some_and(|out| !out.has_arrived.load(Ordering::Acquire)) {
            return;
        }
        // One that stays is removed at the next start.
        let _ = std::fs::remove_file(&self.path);
        if let Some(kept) = &self.kept {
            kept.remove();
        }
    }
}

/// Bytes that count for as long as this lives.
#[derive(Debug)]
struct Held {
    all: Arc<AtomicU64>,
    own: u64,
}

impl Held {
    fn new(all: &Arc<AtomicU64>) -> Held {
        Held { all: all.clone(), own: 0 }
    }

    fn set(&mut self, bytes: u64) {
        self.all.fetch_add(bytes, Ordering::AcqRel);
        self.all.fetch_sub(self.own, Ordering::AcqRel);
        self.own = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::AcqRel);
    }
}

/// What the names of this process begin with: two generations of an output build in one folder.
static SESSION: LazyLock<String> = LazyLock::new(|| format!("{:016x}", fastrand::u64(..)));

/// See [`SESSION`].
pub(super) fn session() -> &'static str {
    &SESSION
}

/// A new name in `folder` that nobody has.
pub(super) fn own_name(folder: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    folder.join(format!("{}-{}", *SESSION, NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Whether objects are stored for an output that keeps what it has below `folder`.
pub fn has_stored(folder: &Path) -> bool {
    let below = std::fs::read_dir(folder.join("staging")).into_iter().flatten().flatten();
    let is_one = |own: PathBuf| {
        own.join(journal::NAME).exists() && std::fs::read_dir(own).is_ok_and(|files| files.count() > 1)
    };
    below.map(|entry| entry.path()).any(is_one)
}

/// What is left in `folder` of processes that have ended.
///
/// # Errors
/// The system's; that there is no such folder is none.
pub(super) fn leftovers(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut left = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(SESSION.as_str()) {
            left.push(entry.path());
        }
    }
    Ok(left)
}

#[cfg(test)]
pub(crate) use table::tests::read_table;

#[cfg(test)]
pub(crate) mod tests;
