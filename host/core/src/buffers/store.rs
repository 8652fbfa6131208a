//! How the batches of a buffer are kept.

use std::fmt::Debug;
use std::future::Future;

use super::Closed;
use crate::batch::Batch;

/// What is in a buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records that wait.
    pub records: u64,
    /// Bytes of records that wait, as `max_bytes` counts them.
    pub bytes: u64,
    /// Whether the next batch would wait, or be dropped, as far as can be said without knowing it.
    pub full: bool,
    /// Whether it takes no more.
    pub closed: bool,
}

/// A way of keeping batches; what it owes is in the text of [`super`].
pub(super) trait Store: Debug + Send + Sync {
    /// Puts a batch of `bytes` bytes in, waiting while there is no room.
    fn push(&self, batch: Batch, bytes: usize) -> impl Future<Output = Result<(), Closed>> + Send;

    /// Puts a batch in, unless there is no room, when it comes back.
    fn try_push(&self, batch: Batch, bytes: usize) -> Result<Result<(), Batch>, Closed>;

    /// The oldest batch, waiting while there is none; none once the store is closed and empty.
    fn lease(&self) -> impl Future<Output = Option<Batch>> + Send;

    /// The oldest batch, if there is one now.
    fn try_lease(&self) -> Option<Batch>;

    /// Takes no more batches.
    fn close(&self);

    /// Lets go of what nobody will lease any more. What is kept beyond the process stays.
    fn leave(&self);

    /// What is inside.
    fn stats(&self) -> Stats;

    /// The same as of [`Stats`], for whoever asks often.
    fn is_full(&self) -> bool;
}
