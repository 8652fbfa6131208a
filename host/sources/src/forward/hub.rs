//! What the connections of one source share, and the one way by which their batches leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::ForwardSettings;
use super::acks::{Chunks, Share};
use super::gather::{Dead, Gather, Ready};
use super::partial::{Faults, Partials};
use super::pool::Pool;
use super::tags::Tags;
use crate::multiline::Waits;
use crate::{ChangedValues, SourceContext};
use flitch_core::batch::origin::Root;
use flitch_core::batch::{Records, StreamId};
use flitch_core::buffers::Closed;
use flitch_core::dead_letter;
use flitch_core::receipt::{self, Verdict};
use flitch_core::telemetry::{Metric, Tally};
use flitch_core::units::Bytes;

/// Bytes that one permit for records on their way stands for.
const PERMIT: usize = 1024;
/// How long after it came back a batch is sent again that no client sends again.
const RESEND_PAUSE: Duration = Duration::from_millis(500);
/// Time between two warnings of the same connection-breaking kind.
const WARN_PAUSE: Duration = Duration::from_secs(10);

/// What the connections of a source share.
pub struct Hub {
    pub cx: SourceContext,
    pub settings: ForwardSettings,
    pub chunks: Arc<Chunks>,
    /// Memory for messages that have come in part.
    pub pool: Arc<Pool>,
    /// Room for what all connections have on their way.
    in_flight: Arc<Semaphore>,
    pub connections: metrics::Gauge,
    pub acks: metrics::Counter,
    pub duplicates: metrics::Counter,
    pub broken: metrics::Counter,
    refused: metrics::Counter,
    changed: ChangedValues,
    /// Pieces of lines that did not come, and that came once more.
    odd_pieces: [metrics::Counter; 2],
    dead_lettered: Tally,
    resend: mpsc::Sender<Resend>,
    /// What its chunks are of.
    pub root: Root,
    /// Set when the pipelines take nothing more.
    closed: AtomicBool,
    warned: Mutex<Option<Instant>>,
}

/// Keeps the source from ending: one rides with every connection, and with everything that is not settled.
pub type Alive = mpsc::Sender<std::convert::Infallible>;

/// A batch on its way, and who waits for it.
struct Sent {
    hub: Arc<Hub>,
    shares: Arc<Mutex<Vec<Share>>>,
    /// The records, where no client sends them again.
    kept: Option<(Arc<Records>, usize, StreamId)>,
    _room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    _alive: Alive,
}

/// A batch that came back and that no client sends again.
pub struct Resend {
    sent: Sent,
    /// When it is sent again.
    at: Instant,
}

impl Sent {
    fn settle(self, verdict: Verdict) {
        if verdict == Verdict::Again && self.kept.is_some() && !self.hub.closed.load(Ordering::Acquire) {
            let (resend, at) = (self.hub.resend.clone(), Instant::now() + RESEND_PAUSE);
            // It never is full: whatever is in it has its room, and there is a place for each of it. Where nobody listens
            // any more the shares fall, and the clients that wait hear it.
            let _ = resend.try_send(Resend { sent: self, at });
            return;
        }
        settle(&self.shares, verdict);
    }
}

fn settle(shares: &Mutex<Vec<Share>>, verdict: Verdict) {
    let shares = std::mem::take(&mut *shares.lock());
    shares.into_iter().for_each(|share| share.settle(verdict));
}

fn permits(most: Bytes) -> usize {
    (most.0 as usize / PERMIT).clamp(1, Semaphore::MAX_PERMITS / 2)
}

impl Hub {
    /// The hub of a source, and what [`Hub::run_resends`] waits for.
    pub fn new(settings: ForwardSettings, cx: SourceContext) -> (Arc<Hub>, mpsc::Receiver<Resend>) {
        let labels = [("source", &*cx.name)];
        let (resend, resends) = mpsc::channel(permits(settings.max_buffered));
        let hub = Hub {
            chunks: Chunks::new(settings.chunk_memory),
            pool: Pool::new(settings.max_buffered.0 as usize),
            in_flight: Arc::new(Semaphore::new(permits(settings.max_buffered))),
            connections: Metric::ForwardConnections.gauge(&labels),
            acks: Metric::ForwardAcks.counter(&labels),
            duplicates: Metric::ForwardDuplicates.counter(&labels),
            broken: Metric::ForwardBroken.counter(&labels),
            refused: Metric::ForwardRefused.counter(&labels),
            changed: ChangedValues::new(&cx.name),
            odd_pieces: ["missing", "twice"]
                .map(|fault| Metric::ForwardOddPieces.counter(&[("source", &*cx.name), ("fault", fault)])),
            dead_lettered: Tally::dead_lettered("source", &cx.name),
            resend,
            root: Root::of("forward", &[cx.name.as_bytes()]),
            closed: AtomicBool::new(false),
            warned: Mutex::new(None),
            settings,
            cx,
        };
        (Arc::new(hub), resends)
    }

    /// The tags that records get.
    pub fn tags(&self) -> Tags {
        Tags {
            instead: self.settings.tag.as_deref().map(Arc::from),
            prefix: self.settings.tag_prefix.as_deref().map(Arc::from),
        }
    }

    /// An empty batch for a connection.
    pub fn gather(&self) -> Gather {
        let metadata = self.settings.metadata_field.as_deref().map(Arc::from);
        Gather::new(self.cx.cut, self.settings.invalid_utf8, self.tags()).keep_metadata(metadata)
    }

    /// Where a connection joins lines; none where that is not wanted.
    pub fn partials(&self) -> Option<Partials> {
        let settings = &self.settings;
        settings.join_partial.then(|| Partials::new(settings.partial_max.0 as usize, settings.partial_wait.0))
    }

    /// Room for what a connection may have on its way.
    pub fn room(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(permits(self.settings.max_in_flight)))
    }

    /// Warns of a client's fault, but not of each one while many come.
    pub fn warn(&self, peer: &str, reason: &str) {
        let now = Instant::now();
        let mut warned = self.warned.lock();
        let source = &*self.cx.name;
        if warned.is_none_or(|last| now - last >= WARN_PAUSE) {
            *warned = Some(now);
            drop(warned);
            tracing::warn!(source, peer, "{reason}");
        } else {
            tracing::debug!(source, peer, "{reason}");
        }
    }

    /// Counts pieces of lines that were missing or came twice, and warns of them.
    pub fn tell(&self, peer: &str, faults: Faults) {
        let Faults { missing, twice } = faults;
        for (counter, pieces) in self.odd_pieces.iter().zip([missing, twice]) {
            if pieces > 0 {
                counter.increment(pieces);
            }
        }
        if missing > 0 {
            self.warn(peer, "pieces of lines are missing; what there is of the lines is marked as truncated");
        }
        if twice > 0 {
            self.warn(peer, "pieces of lines came once more");
        }
    }

    /// Counts a client that is sent away before it may send, and warns of it.
    pub fn refuse(&self, peer: &str, reason: &str) {
        self.refused.increment(1);
        self.warn(peer, reason);
    }

    /// Hands a batch on; waits while the pipelines are full, or the connection or all together have too much on their
    /// way. `is_single` is one of a client that sends event by event.
    pub async fn send(
        self: &Arc<Self>,
        ready: Ready,
        is_single: bool,
        stream: StreamId,
        room: &Arc<Semaphore>,
        alive: &Alive,
    ) -> Result<(), Closed> {
        let Ready { records, bytes, shares, kept, dead, changed } = ready;
        self.changed.count(changed);
        if !dead.is_empty() {
            self.bury(dead, shares.iter().map(Share::branch).collect()).await;
        }
        if records.rows() == 0 {
            shares.into_iter().for_each(|share| share.settle(Verdict::Safe));
            return Ok(());
        }
        // What the columns take may be far more than the bytes that came, where each record has names of its own.
        let needed = bytes.max(records.memory()).div_ceil(PERMIT).max(1);
        let needs = |most: Bytes| needed.min(permits(most)) as u32;
        let own = room.clone().acquire_many_owned(needs(self.settings.max_in_flight)).await;
        let all = self.in_flight.clone().acquire_many_owned(needs(self.settings.max_buffered)).await;
        let room = (own.map_err(|_| Closed)?, all.map_err(|_| Closed)?);
        // Its sender may wait for the answer to each line before it sends the next, without which the record does not end.
        let answers_open = is_single && self.cx.joiner.is_some() && shares.len() == 1 && records.rows() == 1;
        let kept = (kept || answers_open).then(|| (records.clone(), bytes, stream));
        let shares = Arc::new(Mutex::new(shares));
        let sent =
            Sent { hub: self.clone(), shares: shares.clone(), kept, _room: room, _alive: alive.clone() };
        let waits = Waits::all(move |verdict| sent.settle(verdict));
        let is_open = self.cx.send_lines(records, bytes, stream, waits).await?;
        if is_open && answers_open {
            settle(&shares, Verdict::Safe);
        }
        Ok(())
    }

    /// Puts what is no record among the dead letters, and waits until it is there; the chunks it came in are not safe
    /// before that.
    async fn bury(&self, dead: Vec<Dead>, shares: Vec<Share>) {
        let bytes = dead.iter().map(|d| d.bytes.len()).sum();
        let settle = move |verdict| shares.into_iter().for_each(|share: Share| share.settle(verdict));
        let count = dead.iter().map(|d| d.entries).sum();
        let receipt = receipt::issue(self.cx.intake.ledger(), count, bytes, settle);
        let (letters, source, dead) = (self.cx.dead_letters.clone(), self.cx.name.clone(), Arc::new(dead));
        let write = move || letters.raw("source", &source, dead.iter().map(|d| (&*d.reason, &*d.bytes)));
        let SourceContext { dead_letters, name, stop, .. } = &self.cx;
        if dead_letter::until_written(dead_letters, name, stop, write).await {
            self.dead_lettered.add(count, bytes);
            receipt.dead_lettered();
        }
    }

    /// Sends batches again that came back and that no client sends again, until the source ends.
    pub async fn run_resends(self: Arc<Self>, mut resends: mpsc::Receiver<Resend>) {
        while let Some(Resend { sent, at }) = resends.recv().await {
            let Some((records, bytes, stream)) = sent.kept.clone() else { continue };
            // What came back together has one pause, and not one after the other: there may be thousands.
            tokio::time::sleep_until(at).await;
            self.warn("-", "records came back unsettled and are sent again");
            if self.cx.send(records, bytes, stream, move |verdict| sent.settle(verdict)).await.is_err() {
                self.closed.store(true, Ordering::Release);
            }
        }
    }
}
