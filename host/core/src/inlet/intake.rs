//! Takes the batches of a source to its pipelines, and from those before a reload to those after it.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Inlet, Pass};
use crate::batch::{Batch, Records, StreamId};
use crate::buffers::Closed;
use crate::receipt::{Ledger, Receipt, Verdict};

/// Takes the batches of one source to the pipelines that read from it, and issues their receipts.
///
/// A reload connects it to other pipelines. Batches of one stream keep their order then: those after it wait until the
/// pipelines before have let go of those before it. If that takes longer than the [`Handover`] waits, what the
/// pipelines before still have is dropped, and so is the next batch of each stream that was there, so that the source
/// sends all of it again, in order.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
    /// The source is to take in nothing more.
    stop: CancellationToken,
    /// The source is over: whoever still sends for it is left behind.
    closed: CancellationToken,
}

struct Shared {
    ledger: Arc<Ledger>,
    generation: RwLock<Arc<Generation>>,
}

/// The pipelines that read from a source between two reloads.
struct Generation {
    inlets: Vec<Inlet>,
    gate: Arc<Gate>,
    /// Rides with every batch. Who sends one holds the generation, and by that the pass, too.
    pass: Pass,
    superseded: CancellationToken,
}

/// Holds the streams back until the generation before has let go of their batches.
#[derive(Default)]
struct Gate {
    opened: CancellationToken,
    /// Set where the generation before has dropped batches.
    again: OnceLock<Again>,
}

/// The streams of which a batch may have been dropped.
struct Again {
    before: StreamId,
    /// Those that have heard of it.
    told: Mutex<HashSet<StreamId>>,
}

impl Again {
    /// Of all streams that there are.
    fn all() -> Again {
        Again { before: StreamId::next(), told: Mutex::default() }
    }
}

impl Gate {
    /// Lets the streams go on; those of `again` with what their source sends again.
    fn open(&self, again: Option<Again>) {
        if let Some(again) = again {
            self.again.get_or_init(|| again);
        }
        self.opened.cancel();
    }

    /// Whether the next batch of `stream` may go on once the gate is open: what is before it may be gone.
    fn lets_on(&self, stream: StreamId) -> bool {
        self.again.get().is_none_or(|again| stream > again.before || !again.told.lock().insert(stream))
    }

    /// The streams that have not heard yet, for the gate after this one.
    fn take_again(&self) -> Option<Again> {
        let again = self.again.get()?;
        Some(Again { before: again.before, told: Mutex::new(std::mem::take(&mut *again.told.lock())) })
    }
}

impl Generation {
    fn new(inlets: Vec<Inlet>, gate: Gate) -> Arc<Generation> {
        Arc::new(Generation {
            inlets,
            gate: Arc::new(gate),
            pass: Pass::default(),
            superseded: CancellationToken::new(),
        })
    }

    /// Hands records to every pipeline. The last one takes the receipt itself, those before it a branch.
    async fn take(&self, records: Arc<Records>, receipt: Receipt, stream: StreamId) -> Result<(), Closed> {
        if stream != StreamId::UNORDERED {
            if !self.gate.opened.is_cancelled() {
                tokio::select! {
                    () = self.gate.opened.cancelled() => {}
                    () = self.pass.left() => return Ok(()),
                }
            }
            if !self.gate.lets_on(stream) {
                return Ok(());
            }
        }
        let Some((last, others)) = self.inlets.split_last() else { return Err(Closed) };
        let rows = records.rows();
        for inlet in others {
            let batch = Batch { records: records.clone(), receipt: receipt.branch(rows), stream };
            inlet.push(batch, &self.pass).await?;
        }
        last.push(Batch { records, receipt, stream }, &self.pass).await
    }
}

impl Intake {
    /// The intake of a source whose accounts are `ledger`, and which `stop` tells to take in nothing more; every batch
    /// goes to all of `inlets`.
    pub fn new(ledger: Arc<Ledger>, inlets: Vec<Inlet>, stop: CancellationToken) -> Intake {
        let gate = Gate::default();
        gate.open(None);
        let generation = RwLock::new(Generation::new(inlets, gate));
        let shared = Arc::new(Shared { ledger, generation });
        Intake { shared, stop, closed: CancellationToken::new() }
    }

    /// The same intake for one run of the source: [`Intake::close`] ends this run alone.
    pub fn run(&self) -> Intake {
        Intake {
            shared: self.shared.clone(),
            stop: self.stop.child_token(),
            closed: self.closed.child_token(),
        }
    }

    /// Cancelled when the source is to take in nothing more.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Replaces the pipelines that read from the source, from the next batch on; none, where they are the same.
    /// The streams wait until [`Handover::open`].
    pub fn connect(&self, inlets: Vec<Inlet>) -> Option<Handover> {
        let mut current = self.shared.generation.write();
        let same = inlets.len() == current.inlets.len();
        if same && inlets.iter().zip(&current.inlets).all(|(new, old)| new.is(old)) {
            return None;
        }
        let next = Generation::new(inlets, Gate::default());
        let before = std::mem::replace(&mut *current, next.clone());
        before.superseded.cancel();
        Some(Handover {
            before: before.gate.clone(),
            leave: before.pass.leaving(),
            gone: before.pass.gone(),
            all_arrived: false,
            gate: next.gate.clone(),
        })
    }

    /// The pipelines that read from the source.
    pub fn inlets(&self) -> Vec<Inlet> {
        self.shared.generation.read().inlets.clone()
    }

    /// The accounts of the source.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.shared.ledger
    }

    /// Takes nothing more in: the source is over, and what is left of it is to stop and sends in vain.
    pub fn close(&self) {
        self.stop.cancel();
        self.closed.cancel();
    }

    /// Makes the pipelines drop what they have of this source, wherever that is before the buffers.
    pub fn leave(&self) {
        self.shared.generation.read().pass.leave();
    }

    /// Hands on records that came as `bytes` bytes, those without an origin with one of their own; waits while the pipelines are full, and through a reload.
    /// `on_settled` hears the verdict once, on any thread, and must not block; it hears [`Verdict::Again`] of records
    /// that a reload or the end of the source has left behind.
    ///
    /// # Errors
    /// The source is to stop, and the pipelines take nothing more in. A reload is no error.
    pub async fn send(
        &self,
        records: Arc<Records>,
        bytes: usize,
        stream: StreamId,
        on_settled: impl FnOnce(Verdict) + Send + 'static,
    ) -> Result<(), Closed> {
        let receipt = crate::receipt::issue(&self.shared.ledger, records.rows(), bytes, on_settled);
        if self.closed.is_cancelled() {
            return Err(Closed);
        }
        let records = Records::with_any_origins(records);
        let generation = self.shared.generation.read().clone();
        let taken = async {
            if generation.take(records, receipt, stream).await == Ok(()) {
                return Ok(());
            }
            // The records are on their way back. If the source is not to stop, others take over from these pipelines.
            tokio::select! {
                () = generation.superseded.cancelled() => Ok(()),
                () = self.stop.cancelled() => Err(Closed),
            }
        };
        tokio::select! {
            biased;
            taken = taken => taken,
            () = self.closed.cancelled() => Err(Closed),
        }
    }

    /// Whether the next batch would wait: a source that can say so to its senders does (HTTP 429).
    pub fn is_full(&self) -> bool {
        self.shared.generation.read().inlets.iter().any(Inlet::is_full)
    }
}

/// The way of a source from the pipelines before a reload to those after it. Dropping it lets the streams go on, and
/// sends back their next batches.
#[must_use = "the streams of the source wait for it"]
pub struct Handover {
    /// Of the generation before: it may be waiting for one before that.
    before: Arc<Gate>,
    leave: CancellationToken,
    gone: CancellationToken,
    all_arrived: bool,
    gate: Arc<Gate>,
}

impl Handover {
    /// Waits until the pipelines before have let go of every batch of the source; what they still have at `deadline`
    /// is left, so that the source sends it again. Answers whether they let go in time.
    pub async fn let_go(&self, deadline: Instant) -> bool {
        let let_go = async {
            self.before.opened.cancelled().await;
            self.gone.cancelled().await;
        };
        let in_time = timeout_at(deadline, let_go).await.is_ok();
        if !in_time {
            self.leave.cancel();
        }
        in_time
    }

    /// Lets the streams go on, where `all_arrived` in order, otherwise from what their source sends again.
    pub fn open(mut self, all_arrived: bool) {
        self.all_arrived = all_arrived;
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        let again = if self.all_arrived { self.before.take_again() } else { Some(Again::all()) };
        self.gate.open(again);
    }
}

#[cfg(test)]
mod tests;
