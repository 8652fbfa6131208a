//! What every source is given, and answers with.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use flitch_core::batch::Cut;
use flitch_core::batch::builder::Changed;
use flitch_core::batch::constants::Constants;
use flitch_core::clock::Clock;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::inlet::Intake;
use flitch_core::net::address::Endpoint;
use flitch_core::telemetry::{Health, Metric};

use super::Sample;

/// A source that is bound and ready; the future runs it until it is told to stop and its receipts are settled.
pub type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A source that binds or opens what it reads from.
pub type Starting = Pin<Box<dyn Future<Output = anyhow::Result<Running>> + Send>>;

/// Where a source listens when only a port is named.
pub(super) const ALL: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Whether what a source reads from is there and may be read; the error says what is not.
pub type Probing = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// Descriptors that a source may hold beside connections or files: listeners, a client that waits for its turn, a
/// checkpoint, a watch.
pub(super) const BESIDE: u64 = 16;

/// What the settings of each type of source answer.
pub trait SourceKind: Send + Sync {
    /// Binds or opens what the source reads from.
    ///
    /// # Errors
    /// Something that the settings name is not there or cannot be bound, or they do not [`SourceKind::check`].
    fn start(&self, cx: SourceContext) -> Starting;

    /// Whether the settings make sense together, as far as can be told without a start.
    ///
    /// # Errors
    /// What contradicts what, or is missing.
    fn check(&self) -> anyhow::Result<()>;

    /// What is odd about settings that make sense, each with its key: `include[0]`.
    fn warnings(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Keys that change nothing beside the others, each with the reason.
    fn idle(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// Asks whether what the source of this name reads from is there and may be read; none, where there is nothing to ask.
    fn probe(&self, _name: &str) -> Option<Probing> {
        None
    }

    /// The tag of records for which nothing else says one; none where it is the name of the source.
    fn tag(&self) -> Option<String> {
        None
    }

    /// Whether texts are records of it, so that it can [`SourceKind::sample`] them.
    fn reads_text(&self) -> bool {
        false
    }

    /// What it makes of `texts`: lines of a file, bodies of requests, values of messages. Records have what is `beside`
    /// them where they bring no such values of their own.
    ///
    /// # Errors
    /// The settings contradict one another, or the source reads no text.
    fn sample(&self, _texts: &[&[u8]], _beside: &Constants) -> anyhow::Result<Sample> {
        anyhow::bail!("no text is a record of this source")
    }

    /// Where it listens. A port alone is on every address of the machine.
    fn listens(&self) -> Vec<Endpoint> {
        Vec::new()
    }

    /// Files and connections that it may hold open at once.
    fn descriptors(&self) -> u64;
}

/// Most bytes of a tag that a client gives its records. It stands in every one of them, so it must be no larger than one.
pub const MOST_TAG: usize = 1024;

/// Counts what a source changed of the values that it read.
#[derive(Clone)]
pub struct ChangedValues {
    replaced: metrics::Counter,
    misnamed: metrics::Counter,
}

impl ChangedValues {
    /// The counters of the source of this name.
    pub fn new(source: &str) -> ChangedValues {
        let labels = [("source", source)];
        ChangedValues {
            replaced: Metric::InvalidUtf8.counter(&labels),
            misnamed: Metric::MisnamedValues.counter(&labels),
        }
    }

    /// Counts one batch.
    pub fn count(&self, changed: Changed) {
        if changed != Changed::default() {
            self.replaced.increment(changed.replaced);
            self.misnamed.increment(changed.misnamed);
        }
    }
}

/// What every source is given.
#[derive(Clone)]
pub struct SourceContext {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Where its batches go.
    pub intake: Intake,
    /// When it cuts a batch.
    pub cut: Cut,
    /// A folder of its own for checkpoints; made by the source when it needs it.
    pub state_dir: PathBuf,
    /// Where records go that it cannot read.
    pub dead_letters: DeadLetters,
    /// The time of day.
    pub clock: Clock,
    /// Where it tells what it cannot do now.
    pub health: Arc<Health>,
    /// Cancelled when the source must stop: take in nothing more, hand on what is there, wait for the receipts.
    pub stop: CancellationToken,
}
