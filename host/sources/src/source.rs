//! What every source is given, and answers with.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use flitch_core::batch::builder::Changed;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::{Cut, Records, StreamId};
use flitch_core::buffers::Closed;
use flitch_core::clock::Clock;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::inlet::Intake;
use flitch_core::net::address::Endpoint;
use flitch_core::receipt::Verdict;
use flitch_core::telemetry::{Health, Metric};

use super::Sample;
use super::multiline::{JoinSettings, Joiner, Waits};

/// A source that is bound and ready; the future runs it until it is told to stop and its receipts are settled.
pub type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A source that binds or opens what it reads from.
pub type Starting = Pin<Box<dyn Future<Output = anyhow::Result<Running>> + Send>>;

/// Where a source listens when only a port is named.
pub(super) use flitch_core::net::listen::ALL;

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

    /// Which of its records are joined into one.
    fn multiline(&self) -> Option<&JoinSettings> {
        None
    }

    /// Where it listens. A port alone is on every address of the machine.
    fn listens(&self) -> Vec<Endpoint> {
        Vec::new()
    }

    /// Whether it reads a file of this path, were there one.
    fn reads(&self, _path: &Path) -> bool {
        false
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
    /// Where its batches go: see [`SourceContext::send`].
    pub intake: Intake,
    /// What joins its records on their way there, if anything does.
    pub joiner: Option<Arc<Joiner>>,
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

impl SourceContext {
    /// Hands records on to the intake (see [`Intake::send`]), joined where they are lines of one record.
    ///
    /// # Errors
    /// The source is to stop, and the pipelines take nothing more in.
    pub async fn send(
        &self,
        records: Arc<Records>,
        bytes: usize,
        stream: StreamId,
        on_settled: impl FnOnce(Verdict) + Send + 'static,
    ) -> Result<(), Closed> {
        self.send_lines(records, bytes, stream, Waits::all(on_settled)).await.map(drop)
    }

    /// The same for a source that must know of records that are open: answers whether one with a line of these is.
    ///
    /// # Errors
    /// See [`SourceContext::send`].
    pub async fn send_lines(
        &self,
        records: Arc<Records>,
        bytes: usize,
        stream: StreamId,
        waits: Waits,
    ) -> Result<bool, Closed> {
        let Some(joiner) = &self.joiner else {
            if let Some(ahead) = waits.ahead {
                ahead(None)(Verdict::Safe);
            }
            return self.intake.send(records, bytes, stream, waits.all).await.map(|()| false);
        };
        joiner.send(&self.intake, records, bytes, stream, waits).await
    }

    /// Nothing more comes of a stream.
    ///
    /// # Errors
    /// See [`SourceContext::send`].
    pub async fn end(&self, stream: StreamId) -> Result<(), Closed> {
        match &self.joiner {
            Some(joiner) => joiner.end(&self.intake, stream).await,
            None => Ok(()),
        }
    }

    /// What came of a stream and has not settled comes again.
    pub fn forget(&self, stream: StreamId) {
        self.joiner.iter().for_each(|joiner| joiner.forget(stream));
    }

    /// Gives back a record that is open at the end of a stream, where it comes again as a whole: see [`Joiner::give_back`].
    pub fn give_back(&self, stream: StreamId) {
        self.joiner.iter().for_each(|joiner| joiner.give_back(stream));
    }
}

/// Starts a source, and what joins its records.
pub fn start(settings: &dyn SourceKind, mut cx: SourceContext) -> Starting {
    let Some(join) = settings.multiline() else { return settings.start(cx) };
    let joiner = match Joiner::new(&cx.name, join) {
        Ok(joiner) => Arc::new(joiner),
        Err(error) => return Box::pin(async { Err(error) }),
    };
    cx.joiner = Some(joiner.clone());
    let intake = cx.intake.clone();
    let starting = settings.start(cx);
    Box::pin(async move {
        let running = starting.await?;
        let running: Running = Box::pin(async move {
            tokio::select! {
                done = running => done,
                () = joiner.keep(&intake) => unreachable!("it joins for ever"),
            }
        });
        Ok(running)
    })
}
