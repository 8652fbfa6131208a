//! Stage 1: sources. A source owns its position (file offset, forward chunk, HTTP request) and moves it only when the
//! receipt of a batch settles. Awaiting the [`Intake`] is the only backpressure there is.

pub mod file;
pub mod forward;
pub mod generator;
pub mod http;
pub mod settings;

#[cfg(test)]
pub mod testing;

pub use settings::SourceSettings;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::batch::{Batch, Cut, Records, StreamId};
use crate::buffers::Closed;
use crate::clock::Clock;
use crate::dead_letter::DeadLetters;
use crate::filters::Inlet;
use crate::receipt::{Ledger, Verdict};

/// A source that is bound and ready; the future runs it until it is told to stop and its receipts are settled.
pub type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

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
    /// Cancelled when the source must stop: take in nothing more, hand on what is there, wait for the receipts.
    pub stop: CancellationToken,
}

/// Takes the batches of one source to the pipelines that read from it, and issues their receipts.
#[derive(Clone)]
pub struct Intake {
    ledger: Arc<Ledger>,
    inlets: Arc<arc_swap::ArcSwap<Vec<Inlet>>>,
}

impl Intake {
    /// The intake of a source whose accounts are `ledger`; every batch goes to all of `inlets`.
    pub fn new(ledger: Arc<Ledger>, inlets: Vec<Inlet>) -> Intake {
        Intake { ledger, inlets: Arc::new(arc_swap::ArcSwap::from_pointee(inlets)) }
    }

    /// Replaces the pipelines that read from the source, from the next batch on.
    pub fn connect(&self, inlets: Vec<Inlet>) {
        self.inlets.store(Arc::new(inlets));
    }

    /// The pipelines that read from the source.
    pub fn inlets(&self) -> Vec<Inlet> {
        self.inlets.load().to_vec()
    }

    /// The accounts of the source.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Hands on records that came as `bytes` bytes; waits while the pipelines are full. `on_settled` hears the
    /// verdict once, on any thread, and must not block; it hears [`Verdict::Again`] where the pipelines are closed.
    pub async fn send(
        &self,
        records: Arc<Records>,
        bytes: usize,
        stream: StreamId,
        on_settled: impl FnOnce(Verdict) + Send + 'static,
    ) -> Result<(), Closed> {
        for (inlet, batch) in self.shares(records, bytes, stream, on_settled) {
            inlet.push(batch).await?;
        }
        Ok(())
    }

    /// [`Intake::send`] for threads: blocks while the pipelines are full.
    pub fn send_blocking(
        &self,
        records: Arc<Records>,
        bytes: usize,
        stream: StreamId,
        on_settled: impl FnOnce(Verdict) + Send + 'static,
    ) -> Result<(), Closed> {
        for (inlet, batch) in self.shares(records, bytes, stream, on_settled) {
            inlet.push_blocking(batch)?;
        }
        Ok(())
    }

    /// Whether the next batch would wait: a source that can say so to its senders does (HTTP 429).
    pub fn is_full(&self) -> bool {
        self.inlets.load().iter().any(Inlet::is_full)
    }

    /// What each pipeline gets. The last one takes the receipt itself, those before it a branch; shares that are not
    /// taken out are left unsettled.
    fn shares(
        &self,
        records: Arc<Records>,
        bytes: usize,
        stream: StreamId,
        on_settled: impl FnOnce(Verdict) + Send + 'static,
    ) -> impl Iterator<Item = (Inlet, Batch)> {
        let rows = records.rows();
        let mut whole = Some(crate::receipt::issue(&self.ledger, rows, bytes, on_settled));
        let inlets = self.inlets.load_full();
        (0..inlets.len()).map_while(move |place| {
            let is_last = place + 1 == inlets.len();
            let receipt = if is_last { whole.take() } else { whole.as_ref().map(|whole| whole.branch(rows)) };
            Some((inlets[place].clone(), Batch { records: records.clone(), receipt: receipt?, stream }))
        })
    }
}
