//! What the tests of all crates share.

use std::sync::Arc;

use crate::buffers::Buffer;
use crate::inlet::Inlet;
use crate::router::{Route, Router};
use crate::telemetry::Tally;

/// The inlet of a pipeline without filters, and the buffer of `bytes` bytes in front of its output.
pub fn pipeline(bytes: u64) -> (Inlet, Buffer) {
    let buffer = Buffer::with_room(bytes);
    let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
    (Inlet::new(0, router), buffer)
}
