//! What the tests of sources share: a context whose batches come out of a buffer at the other end.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::SourceContext;
use crate::batch::Cut;
use crate::buffers::{Buffer, BufferSettings};
use crate::clock::Clock;
use crate::dead_letter::DeadLetters;
use crate::inlet::{Inlet, Intake};
use crate::receipt::Ledger;
use crate::router::{Route, Router};
use crate::telemetry::Tally;

/// The inlet of a pipeline without filters, and the buffer of `bytes` bytes in front of its output.
pub fn pipeline(bytes: u64) -> (Inlet, Buffer) {
    let buffer = Buffer::with_room(bytes);
    let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
    (Inlet::new(0, router), buffer)
}

/// A context for a source under test, the buffer where its batches arrive, and the folder of its state.
pub fn context(name: &str) -> (SourceContext, Buffer, tempfile::TempDir) {
    let (inlet, buffer) = pipeline(BufferSettings::default().max_bytes.0);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let stop = CancellationToken::new();
    let cx = SourceContext {
        name: name.into(),
        intake: Intake::new(Arc::new(Ledger::default()), vec![inlet], stop.clone()),
        cut: Cut::default(),
        state_dir: folder.path().join("state"),
        dead_letters: DeadLetters::open(&folder.path().join("dead")).expect("a writable folder"),
        clock: Clock::fake(1_700_000_000_000_000_000),
        stop,
    };
    (cx, buffer, folder)
}
