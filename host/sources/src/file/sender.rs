//! From lines to batches on their way.

use std::sync::Arc;

use crate::{ChangedValues, SourceContext};
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Cut, TIMESTAMP};
use flitch_core::buffers::Closed;
use flitch_core::dead_letter::Stall;
use flitch_core::receipt::{self, Verdict};
use flitch_core::telemetry::{Metric, Tally};

use super::container::Position;
use super::gather::{Bad, Gather};
use super::settled::Settled;
use super::tail::Tail;
use crate::bell::{Bell, Hint};
use crate::push::Push;

/// Builds batches and hands them on.
pub(super) struct Sender {
    pub cx: SourceContext,
    pub gather: Gather,
    pub cut: Cut,
    invalid: InvalidUtf8,
    pub settled: Arc<Settled>,
    bell: Arc<Bell>,
    push: Push,
    changed: ChangedValues,
    nuls: metrics::Counter,
    dead: Tally,
    /// Dead letters cannot be written.
    stall: Option<Stall>,
}

impl Sender {
    /// Sends what `gather` gathers.
    pub fn new(cx: SourceContext, gather: Gather, invalid: InvalidUtf8, bell: Arc<Bell>) -> Sender {
        Sender {
            gather,
            cut: cx.cut,
            invalid,
            settled: Arc::new(Settled::new()),
            push: Push::new(&bell),
            bell,
            changed: ChangedValues::new(&cx.name),
            nuls: Metric::FileNulBytes.counter(&[("source", &cx.name)]),
            dead: Tally::dead_lettered("source", &cx.name),
            stall: None,
            cx,
        }
    }

    /// What was taken of `tail` and is neither sent nor begun is no record: it is safe.
    pub fn pass(&self, tail: &Tail) {
        tail.mark.ticket(tail.position()).settle(Verdict::Safe);
    }

    /// Counts `bytes` bytes of NULs that are no part of the line behind them.
    pub fn count_nuls(&self, tail: &mut Tail, bytes: usize) {
        self.nuls.increment(bytes as u64);
        if !std::mem::replace(&mut tail.told_nuls, true) {
            tracing::warn!(
                source = %self.cx.name, path = %tail.path.display(), bytes,
                "NULs before a line are skipped; they are what a writer leaves that does not append when its file is cut"
            );
        }
    }

    /// Sends the records that were gathered from `tail` since it was at `begin`, and which came as `bytes` bytes. Where
    /// the pipelines are full they wait here: nothing may be sent before [`Sender::is_blocked`] says no.
    pub fn send(&mut self, tail: &Tail, begin: Position, bytes: usize) -> Result<(), Closed> {
        let constants = tail.constants.clone().unwrap_or_default().timestamp(TIMESTAMP, self.cx.clock.now());
        // Text that was decoded holds the bytes of the file nowhere but where it is whole.
        let decoded = tail.coding.is_some_and(|coding| !coding.is_utf8());
        let invalid = if decoded { InvalidUtf8::Replace } else { self.invalid };
        let (finished, bad) = self.gather.finish(invalid, &constants, tail.root);
        self.changed.count(finished.changed());
        let bad_bytes = bad.iter().map(|bad| bad.line.len()).sum();
        let rows = finished.records.rows();
        // The dead letters come first: the position that the records take with them lies behind the bad lines too.
        if !bad.is_empty() {
            let position = if rows > 0 { begin } else { tail.position() };
            if !self.bury(tail, position, &bad, bad_bytes) {
                return Ok(());
            }
        }
        if rows > 0 {
            let on_settled = self.on_settled(tail, tail.position());
            let records = Arc::new(finished.records);
            let bytes = bytes.saturating_sub(bad_bytes);
            let (intake, stream) = (self.cx.intake.clone(), tail.stream);
            self.push.begin(async move { intake.send(records, bytes, stream, on_settled).await })?;
        }
        Ok(())
    }

    /// Whether a batch waits for room.
    pub fn is_blocked(&self) -> bool {
        self.push.is_blocked()
    }

    /// Tries again to hand on the batch that waits. The bell rings when there may be room for it.
    pub fn push_on(&mut self) -> Result<(), Closed> {
        self.push.go_on()
    }

    /// Puts lines that are no records among the dead letters. Answers whether they are there; where not, they count as
    /// come back, and are read again.
    fn bury(&mut self, tail: &Tail, position: Position, bad: &[Bad], bytes: usize) -> bool {
        let receipt =
            receipt::issue(self.cx.intake.ledger(), bad.len(), bytes, self.on_settled(tail, position));
        let name = &self.cx.name;
        let path = tail.path.display();
        let reasons: Vec<String> = bad.iter().map(|bad| format!("{path}: {}", bad.reason)).collect();
        let letters = reasons.iter().zip(bad).map(|(reason, bad)| (&**reason, &*bad.line));
        if let Err(error) = self.cx.dead_letters.raw("source", name, letters) {
            self.stall.get_or_insert_with(|| self.cx.dead_letters.stalled(name, &error));
            return false;
        }
        self.stall = None;
        self.dead.add(bad.len(), bytes);
        receipt.dead_lettered();
        true
    }

    /// What settles the next batch of `tail`, which ends at `position`.
    fn on_settled(&self, tail: &Tail, position: Position) -> impl FnOnce(Verdict) + Send + 'static {
        let ticket = tail.mark.ticket(position);
        let (settled, bell, is_fresh) = (self.settled.clone(), self.bell.clone(), tail.is_fresh);
        settled.open();
        move |verdict| {
            ticket.settle(verdict);
            let is_awaited = settled.settle();
            if is_awaited || verdict == Verdict::Again {
                bell.ring(Hint::Settled);
            } else if is_fresh {
                bell.ring(Hint::First);
            }
        }
    }
}
