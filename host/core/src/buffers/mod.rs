//! Stage 5: buffers. One in front of each output, so that an output that is slow or down holds up no other one
//! before its buffer is full.
//!
//! Everybody has a [`Buffer`]; where its batches are kept, in memory or elsewhere, is its own affair. What it promises
//! is checked by `contract`, for every way of keeping them:
//!
//! - Batches come out in the order in which they went in.
//! - It holds no more bytes than `max_bytes`, or one batch that is larger than that by itself. What does not fit waits,
//!   and is given room in the order of asking; or it is dropped and counted, where the buffer is of best effort.
//! - A batch that comes out is a lease, and the lease is its receipt. It ends when every record of it is settled. A
//!   share of it that is dropped unsettled (a panic, a stop, a bug) makes the batch come again: from the buffer itself,
//!   before all that came after it, where the buffer keeps batches beyond the process; else from its source, to which
//!   the receipt says so. Whoever delivers holds parts of batches, joins and splits them, and need not know which.
//! - Closed, it takes no more, gives out what it holds, and ends then. Who waits for room or for a batch hears of it.
//! - A push or a lease that is given up while it waits has put nothing in and taken nothing out.

mod buffer;
#[cfg(test)]
mod contract;
mod course;
mod disk;
mod memory;
mod queue;
mod rush;
mod store;
mod sync;

pub use buffer::{Ack, Buffer, BufferKind, BufferSettings, WhenFull};
pub use course::Progress;
pub use disk::{BufferContext, DiskStats, Shelf, offline};
pub use queue::{Closed, Late, Queue};
pub use rush::Rushed;
pub use store::Stats;

/// The folder of the buffers on disk below `data_dir`.
pub const FOLDER: &str = "buffers";

/// The folders in `folder` that hold records on disk.
pub fn folders(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    disk::folders(folder)
}
