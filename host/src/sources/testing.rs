//! What the tests of sources share: a context whose batches come out of a buffer at the other end.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Intake, SourceContext};
use crate::batch::Cut;
use crate::buffers::{BufferSettings, MemoryBuffer};
use crate::clock::Clock;
use crate::dead_letter::DeadLetters;
use crate::filters::{Program, Workers};
use crate::receipt::Ledger;
use crate::router::{Route, Router};
use crate::telemetry::Tally;

/// A context for a source under test, the buffer where its batches arrive, and the folder of its state.
pub fn context(name: &str) -> (SourceContext, Arc<MemoryBuffer>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let buffer = Arc::new(MemoryBuffer::new(&BufferSettings::default(), Tally::noop()));
    let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
    let workers =
        Workers::start("test", Arc::new(Program::default()), 0, router).expect("no threads are needed");
    let cx = SourceContext {
        name: name.into(),
        intake: Intake::new(Arc::new(Ledger::default()), vec![workers.inlet().clone()]),
        cut: Cut::default(),
        state_dir: folder.path().join("state"),
        dead_letters: DeadLetters::open(&folder.path().join("dead")).expect("a writable folder"),
        clock: Clock::fake(1_700_000_000_000_000_000),
        stop: CancellationToken::new(),
    };
    (cx, buffer, folder)
}
