//! How many batches are on their way, for a source that ends when there are none.

use super::atomic::{AtomicUsize, Ordering};

/// The bit of [`Settled::state`] that says that the source waits for the last settlement.
const STOPPING: usize = 1;
/// What one batch adds to [`Settled::state`].
const BATCH: usize = 2;

/// The batches that are on their way.
///
/// Their number and the wish to hear of the last one stand in one atomic, whose changes have one order
/// whatever the processor does: either the source sees that nothing is open when it says that it waits, or the last
/// settlement sees that it waits.
#[derive(Debug)]
pub(super) struct Settled {
    state: AtomicUsize,
}

impl Settled {
    /// Nothing is on its way.
    pub fn new() -> Settled {
        Settled { state: AtomicUsize::new(0) }
    }

    /// A batch goes on its way.
    pub fn open(&self) {
        self.state.fetch_add(BATCH, Ordering::AcqRel);
    }

    /// A batch has settled. Answers whether it was the last one, and the source waits for it.
    #[must_use = "a source that waits sleeps until it is told"]
    pub fn settle(&self) -> bool {
        self.state.fetch_sub(BATCH, Ordering::AcqRel) == BATCH | STOPPING
    }

    /// The source waits for the last settlement from now on. Answers whether there is none to wait for.
    pub fn stop(&self) -> bool {
        self.state.fetch_or(STOPPING, Ordering::AcqRel) < BATCH
    }
}
