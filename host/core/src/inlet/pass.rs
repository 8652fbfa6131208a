//! Tells when a pipeline has let go of a batch, and makes it let go.

use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFuture};

/// Rides with a batch for as long as a pipeline has it, from the moment when it waits to be taken in until it is in the
/// buffers of its outputs. So whoever replaces a pipeline hears when it has let go of everything, and can make it let go.
#[derive(Clone)]
pub struct Pass(Arc<Inner>);

struct Inner {
    left: CancellationToken,
    gone: DropGuard,
}

impl Default for Pass {
    fn default() -> Self {
        Pass(Arc::new(Inner { left: CancellationToken::new(), gone: CancellationToken::new().drop_guard() }))
    }
}

impl Pass {
    /// Makes pipelines drop the batches that have this pass, wherever they are: their sources send them again.
    pub fn leave(&self) {
        self.0.left.cancel();
    }

    /// Cancelled by [`Pass::leave`].
    pub fn leaving(&self) -> CancellationToken {
        self.0.left.clone()
    }

    /// Whether its batches are to be dropped.
    pub fn is_left(&self) -> bool {
        self.0.left.is_cancelled()
    }

    /// Waits until its batches are to be dropped.
    pub fn left(&self) -> WaitForCancellationFuture<'_> {
        self.0.left.cancelled()
    }

    /// Cancelled when the last copy of this pass is dropped.
    pub fn gone(&self) -> CancellationToken {
        self.0.gone.token().clone()
    }
}
