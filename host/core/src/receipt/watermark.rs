//! Positions of a source that settle in any order, as the one up to which all is safe.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Verdict;

/// Turns settlements that come in any order into the highest position of a stream that is safe.
///
/// A source takes one [`Ticket`] for every batch of a stream, in the order of the stream, and settles it with the
/// batch's verdict. [`Watermark::safe`] is the position of the last batch up to which all are safe. From a verdict
/// of [`Verdict::Again`] on the position stands still and [`Watermark::failed`] says so, until the source goes
/// back to the safe position, calls [`Watermark::restart`] and sends again.
///
/// What it holds grows with the batches that are not settled, each of which stands in a bounded queue or buffer, and not
/// with those that are safe behind one that is stuck: of neighbours that are safe the last alone is remembered.
#[derive(Debug)]
pub struct Watermark<P> {
    state: Arc<Mutex<Tickets<P>>>,
}

#[derive(Debug)]
struct Tickets<P> {
    /// Tickets of earlier epochs settle into the void: their records are sent again under new ones.
    epoch: u64,
    /// The number of the next ticket.
    next: u64,
    /// By number. One that is safe stands for all tickets between the one before it here and itself.
    open: BTreeMap<u64, (P, Option<Verdict>)>,
    safe: Option<P>,
    failed: bool,
}

impl<P> Clone for Watermark<P> {
    fn clone(&self) -> Self {
        Watermark { state: self.state.clone() }
    }
}

impl<P> Default for Watermark<P> {
    fn default() -> Self {
        let state = Tickets { epoch: 0, next: 0, open: BTreeMap::new(), safe: None, failed: false };
        Watermark { state: Arc::new(Mutex::new(state)) }
    }
}

impl<P: Clone> Watermark<P> {
    /// A watermark that stands at `safe` (none: at the beginning of the stream).
    pub fn new(safe: Option<P>) -> Self {
        let mark = Watermark::default();
        mark.state.lock().safe = safe;
        mark
    }

    /// A ticket for the next batch of the stream; `position` is safe once the batch and all before it are.
    pub fn ticket(&self, position: P) -> Ticket<P> {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.open.insert(number, (position, None));
        Ticket { mark: self.clone(), epoch: state.epoch, number }
    }

    /// The highest safe position.
    pub fn safe(&self) -> Option<P> {
        self.state.lock().safe.clone()
    }

    /// Whether a batch must be sent again, so that the position stands still.
    pub fn failed(&self) -> bool {
        self.state.lock().failed
    }

    /// How much is remembered above the safe position: batches that are not settled, and runs of those that are safe and
    /// wait for one below them. 0 means that all are safe.
    pub fn open(&self) -> usize {
        self.state.lock().open.len()
    }

    /// Whether the position may move by what is on its way: the batch above it is not settled yet.
    pub fn may_move(&self) -> bool {
        self.state.lock().open.first_key_value().is_some_and(|(_, (_, verdict))| verdict.is_none())
    }

    /// Forgets all open tickets; the source sends again from [`Watermark::safe`], which is answered.
    pub fn restart(&self) -> Option<P> {
        let mut state = self.state.lock();
        state.epoch += 1;
        state.next = 0;
        state.open.clear();
        state.failed = false;
        state.safe.clone()
    }

    fn settle(&self, epoch: u64, number: u64, verdict: Verdict) {
        let mut state = self.state.lock();
        if epoch != state.epoch {
            return;
        }
        state.failed |= verdict == Verdict::Again;
        let Some((_, settled)) = state.open.get_mut(&number) else { return };
        *settled = Some(verdict);
        if verdict != Verdict::Safe {
            return;
        }
        let is_safe = |(number, (_, verdict)): (&u64, &(P, Option<Verdict>))| {
            (*verdict == Some(Verdict::Safe)).then_some(*number)
        };
        if let Some(before) = state.open.range(..number).next_back().and_then(is_safe) {
            state.open.remove(&before);
        }
        if state.open.range(number + 1..).next().and_then(is_safe).is_some() {
            state.open.remove(&number);
        }
        if let Some(first) = state.open.first_key_value().and_then(is_safe) {
            state.safe = state.open.remove(&first).map(|(position, _)| position);
        }
    }
}

/// The place of one batch in a [`Watermark`].
#[derive(Debug)]
#[must_use = "a ticket that is never settled holds the watermark for ever"]
pub struct Ticket<P> {
    mark: Watermark<P>,
    epoch: u64,
    number: u64,
}

impl<P: Clone> Ticket<P> {
    /// Stands for a position that lies further than the one it was taken for, and not past that of the next ticket.
    pub fn stand_at(&self, position: P) {
        let mut state = self.mark.state.lock();
        if self.epoch == state.epoch
            && let Some((at, _)) = state.open.get_mut(&self.number)
        {
            *at = position;
        }
    }

    /// Enters the verdict of the batch.
    pub fn settle(self, verdict: Verdict) {
        self.mark.settle(self.epoch, self.number, verdict);
    }
}
