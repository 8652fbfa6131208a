use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Verdict;

/// Turns settlements that come in any order into the highest position of a stream that is safe.
///
/// A source takes one [`Ticket`] for every batch of a stream, in the order of the stream, and settles it with the
/// batch's verdict. [`Watermark::safe`] is the position of the last batch up to which all are safe. From a verdict
/// of [`Verdict::Again`] on the position stands still and [`Watermark::failed`] says so, until the source goes
/// back to the safe position, calls [`Watermark::restart`] and sends again.
#[derive(Debug)]
pub struct Watermark<P> {
    state: Arc<Mutex<State<P>>>,
}

#[derive(Debug)]
struct State<P> {
    /// Tickets of earlier epochs settle into the void: their records are sent again under new ones.
    epoch: u64,
    first: u64,
    open: VecDeque<(P, Option<Verdict>)>,
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
        let state = State { epoch: 0, first: 0, open: VecDeque::new(), safe: None, failed: false };
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
        let number = state.first + state.open.len() as u64;
        state.open.push_back((position, None));
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

    /// How many batches above the safe position are not settled or wait for one below them.
    pub fn open(&self) -> usize {
        self.state.lock().open.len()
    }

    /// Forgets all open tickets; the source sends again from [`Watermark::safe`], which is answered.
    pub fn restart(&self) -> Option<P> {
        let mut state = self.state.lock();
        state.epoch += 1;
        state.first = 0;
        state.open.clear();
        state.failed = false;
        state.safe.clone()
    }

    fn settle(&self, epoch: u64, number: u64, verdict: Verdict) {
        let mut state = self.state.lock();
        if epoch != state.epoch || number < state.first {
            return;
        }
        let place = (number - state.first) as usize;
        state.open[place].1 = Some(verdict);
        state.failed |= verdict == Verdict::Again;
        while let Some((_, Some(Verdict::Safe))) = state.open.front() {
            let (position, _) = state.open.pop_front().expect("the front was just seen");
            state.safe = Some(position);
            state.first += 1;
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
    /// Enters the verdict of the batch.
    pub fn settle(self, verdict: Verdict) {
        self.mark.settle(self.epoch, self.number, verdict);
    }
}
