use std::sync::Arc;

use crate::batch::Batch;

/// A chain of filters that is compiled, checked and configured: what a worker makes its [`Chain`] from.
#[derive(Debug, Default)]
pub struct Program {}

impl Program {
    /// Whether batches go through unchanged, so that no worker is needed.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Instances of all filters, for one worker.
    pub fn chain(self: &Arc<Self>) -> Chain {
        Chain {}
    }
}

/// One worker's instances of a chain's filters.
#[derive(Debug)]
pub struct Chain {}

impl Chain {
    /// Runs all filters over a batch. What they drop or reject is settled; what comes back goes on.
    pub fn apply(&mut self, batch: Batch) -> Batch {
        batch
    }
}
