//! From lines to batches on their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::Sender as Channel;

use crate::batch::lines::Lines;
use crate::batch::utf8::InvalidUtf8;
use crate::batch::{Cut, TIMESTAMP};
use crate::buffers::Closed;
use crate::receipt::Verdict;
use crate::sources::SourceContext;
use crate::telemetry::Metric;

use super::Hint;
use super::tail::Tail;

/// What the settlements of all batches tell the source.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Batches on their way.
    pub open: AtomicUsize,
    /// A safe position has moved since this was last cleared.
    pub moved: AtomicBool,
    /// The source waits for the last settlement.
    pub stopping: AtomicBool,
}

/// Builds batches and hands them on.
pub(super) struct Sender {
    pub cx: SourceContext,
    pub lines: Lines,
    pub cut: Cut,
    pub invalid: InvalidUtf8,
    pub settled: Arc<Settled>,
    pub hints: Channel<Hint>,
    pub mended: metrics::Counter,
}

impl Sender {
    pub fn new(cx: SourceContext, message: &str, invalid: InvalidUtf8, hints: Channel<Hint>) -> Sender {
        Sender {
            lines: Lines::new(message),
            cut: cx.cut,
            invalid,
            settled: Arc::default(),
            hints,
            mended: Metric::InvalidUtf8.counter(&[("source", &cx.name)]),
            cx,
        }
    }

    /// Sends the lines that were gathered from `tail`, which end at `position` of it and came as `bytes` bytes.
    /// Blocks while the pipelines are full.
    pub fn send(&mut self, tail: &Tail, position: u64, bytes: usize) -> Result<(), Closed> {
        let constants = tail.constants.clone().timestamp(TIMESTAMP, self.cx.clock.now());
        let finished = self.lines.finish(self.invalid, &constants);
        if finished.replaced > 0 {
            self.mended.increment(finished.replaced);
        }
        let ticket = tail.mark.ticket(position);
        let (settled, hints) = (self.settled.clone(), self.hints.clone());
        settled.open.fetch_add(1, Ordering::AcqRel);
        let on_settled = move |verdict| {
            ticket.settle(verdict);
            settled.moved.store(true, Ordering::Release);
            settled.open.fetch_sub(1, Ordering::AcqRel);
            if verdict == Verdict::Again || settled.stopping.load(Ordering::Acquire) {
                // Nobody listens any more: then nobody waits.
                hints.send(Hint::Settled).ok();
            }
        };
        self.cx.intake.send_blocking(Arc::new(finished.records), bytes, tail.stream, on_settled)
    }
}
