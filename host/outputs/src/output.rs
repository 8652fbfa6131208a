//! What every output is given and asked, and how it answers.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use flitch_core::batch::Encoded;
use flitch_core::batch::encode::{Encoder, Format, Framing};
use flitch_core::batch::template::Template;
use flitch_core::clock::Clock;
use flitch_core::receipt::Ledger;
use flitch_core::telemetry::Health;

use super::gather::Wants;
use super::parcel::Parcel;
use super::staging::{Object, Plan};

type Find = dyn Fn(&str) -> Arc<Ledger> + Send + Sync;

/// Finds the accounts of a source by its name, for records that outlast the process in which they came.
#[derive(Clone)]
pub struct Ledgers(pub Arc<Find>);

impl Ledgers {
    /// Accounts that nobody reads.
    pub fn apart() -> Ledgers {
        Ledgers(Arc::new(|source| Arc::new(Ledger::of(source))))
    }

    pub(super) fn of(&self, source: &str) -> Arc<Ledger> {
        (self.0)(source)
    }
}

impl std::fmt::Debug for Ledgers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ledgers")
    }
}

/// What every output is given.
#[derive(Clone, Debug)]
pub struct OutputContext {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// How it writes records.
    pub encoder: Encoder,
    /// A folder of its own for what it keeps on disk; made by the output when it needs it.
    pub state_dir: PathBuf,
    /// The time of day.
    pub clock: Clock,
    /// Where it tells that something beside its writes has failed.
    pub health: Arc<Health>,
    /// The accounts of sources.
    pub ledgers: Ledgers,
}

/// What the settings of each type of output answer.
pub trait OutputKind: Send + Sync {
    /// Whether the settings make sense together. Files that they name are read; nothing is connected to.
    ///
    /// # Errors
    /// As of [`OutputKind::open`].
    fn check(&self, cx: &OutputContext) -> anyhow::Result<()> {
        self.open(cx).map(drop)
    }

    /// Opens the output. No connection and no file is made yet.
    ///
    /// # Errors
    /// The text names the key that is wrong.
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>>;

    /// How it keeps records apart.
    fn framing(&self) -> Framing {
        Framing::Lines
    }

    /// The formats of `encoding` that it can write; none where it has a form of its own for records.
    fn formats(&self) -> &'static [Format] {
        &[Format::Ndjson, Format::Text, Format::Raw, Format::Csv]
    }

    /// The paths of the files that it writes, where it writes files for others to read.
    fn writes(&self) -> Option<&Template> {
        None
    }

    /// Files and connections that it may hold open at once.
    fn descriptors(&self) -> u64;

    /// Whether it builds objects on disk, and so keeps no records that it could give up.
    fn builds(&self) -> bool {
        false
    }

    /// Keys that change nothing beside the others, each with the reason.
    fn idle(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}

/// A future that an output answers with.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, WriteError>> + Send + 'a>>;

/// Writes parcels to one destination.
pub trait Output: Send + Sync + 'static {
    /// Writes all rows. `Ok` means that every row not named in the answer is safe at the destination.
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written>;

    /// What is to be gathered before it is written. None: each batch is a parcel by itself, and costs nothing more.
    fn wants(&self) -> Option<Wants> {
        None
    }

    /// What is to be built on disk, to be written by [`Output::send`] and never by [`Output::write`]. None: nothing.
    fn builds(&self) -> Option<Plan> {
        None
    }

    /// Called once before the first object: puts in order what a process before this one has left at the destination.
    fn begin(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Writes an object that was built. [`Fate::Safe`] means that it is at the destination as a whole, once, whoever wrote it.
    fn send<'a>(&'a self, object: &'a Object) -> Answer<'a, Fate> {
        let reason = format!("this output builds nothing: {}", object.name);
        Box::pin(std::future::ready(Err(WriteError::Denied { reason })))
    }

    /// Asks what became of an object, when its fate was to be known [`Fate::Later`].
    fn fate<'a>(&'a self, object: &'a Object) -> Answer<'a, Fate> {
        let reason = format!("this output knows at once what becomes of an object: {}", object.name);
        Box::pin(std::future::ready(Err(WriteError::Denied { reason })))
    }

    /// How many writes may be under way at once. With more than one, batches may arrive out of order.
    fn concurrency(&self) -> usize {
        1
    }

    /// Whether what it says of rows that are to be written again, beside others that are decided, is said of those rows alone:
    /// they are tried by themselves then, and others go on. Nothing may depend on the order of its writes.
    fn tells_apart(&self) -> bool {
        false
    }

    /// Tries the destination without writing records: name resolution, connection, credentials, existence.
    fn probe(&self) -> Answer<'_, ()>;

    /// Called once after the last write: flush, close files, leave.
    fn close(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What became of a write that went through.
#[derive(Debug, Default)]
pub struct Written {
    /// Bytes that were written, as encoded.
    pub bytes: u64,
    /// Rows that the destination will never take, in ascending order: they go to the dead letters.
    pub refused: Vec<Refusal>,
    /// Rows to write again, in ascending order, and why; the others are safe.
    pub again: Option<(Vec<u32>, WriteError)>,
}

/// What becomes of an object that was sent.
#[derive(Debug)]
pub enum Fate {
    /// All its records are safe at the destination.
    Safe,
    /// The destination has it and has not decided: it is to be asked again after this time.
    Later(Duration),
    /// The destination will never take it, nor a part of it, for something that all its records share by their key: they go
    /// to the dead letters.
    Refused(String),
    /// The destination will never take some of its records, and does not say which, or has taken some of them: it is cut in
    /// parts until those that it refuses stand alone.
    Poisoned(String),
    /// It did not arrive: it is to be sent again.
    Again(WriteError),
}

/// A row that the destination will never take.
#[derive(Debug)]
pub struct Refusal {
    /// The row's number in the parcel.
    pub row: u32,
    /// Why, for the dead letter; rows may share it.
    pub reason: Arc<str>,
}

impl Refusal {
    /// The refusals of rows that share a reason.
    pub fn all(rows: &[u32], reason: impl FnOnce() -> String) -> Vec<Refusal> {
        if rows.is_empty() {
            return Vec::new();
        }
        let reason: Arc<str> = reason().into();
        rows.iter().map(|&row| Refusal { row, reason: reason.clone() }).collect()
    }
}

impl Written {
    /// Refuses what has no text.
    pub(crate) fn of(encoded: &Encoded) -> Written {
        let refusal = |(row, reason): &(u32, Arc<str>)| Refusal { row: *row, reason: reason.clone() };
        Written { refused: encoded.refused.iter().map(refusal).collect(), ..Written::default() }
    }
}

/// Why a batch was not written, by what the caller can do next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The destination asks for a pause: wait, then write the same again.
    #[error("the destination is busy: {reason}")]
    Busy {
        /// How long it asked to wait.
        after: Option<Duration>,
        /// What it said.
        reason: String,
    },
    /// No answer, or none that tells: write the same again, some of it may be there already.
    #[error("the destination cannot be reached: {reason}")]
    Unreachable {
        /// What failed.
        reason: String,
    },
    /// Credentials or rights are missing: an operator must act; writing the same again may help after that.
    #[error("the destination denies access: {reason}")]
    Denied {
        /// What it said.
        reason: String,
    },
    /// What was to be written may not be written to where it goes, be it that alone or all: an operator must act. Objects with
    /// another key are tried meanwhile.
    #[error("the destination refuses it: {reason}")]
    Barred {
        /// What it said.
        reason: String,
        /// Whether that is for good, once others are taken.
        is_final: bool,
    },
    /// The batch as a whole will never be taken: halve it until the bad records stand alone.
    #[error("the destination refuses the batch: {reason}")]
    Poison {
        /// What it said.
        reason: String,
    },
}

impl WriteError {
    /// Its kind, as the metrics name it.
    pub fn kind(&self) -> &'static str {
        match self {
            WriteError::Busy { .. } => "busy",
            WriteError::Unreachable { .. } => "unreachable",
            WriteError::Denied { .. } | WriteError::Barred { .. } => "denied",
            WriteError::Poison { .. } => "poison",
        }
    }

    /// How long the destination asked to wait.
    pub fn after(&self) -> Option<Duration> {
        match self {
            WriteError::Busy { after, .. } => *after,
            _ => None,
        }
    }
}
