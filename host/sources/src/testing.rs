//! What the tests of sources share: a context whose batches come out of a buffer at the other end.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::SourceContext;
use flitch_core::batch::Cut;
use flitch_core::buffers::{Buffer, BufferSettings};
use flitch_core::clock::Clock;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::inlet::Intake;
use flitch_core::receipt::Ledger;
use flitch_core::testing::pipeline;

/// A context for a source under test, whose state is in a folder, and the buffer where its batches arrive.
pub fn context_in(folder: &Path, name: &str) -> (SourceContext, Buffer) {
    let (inlet, buffer) = pipeline(BufferSettings::default().most_bytes());
    let stop = CancellationToken::new();
    let cx = SourceContext {
        name: name.into(),
        intake: Intake::new(Arc::new(Ledger::default()), vec![inlet], stop.clone()),
        joiner: None,
        cut: Cut::default(),
        state_dir: folder.join("state"),
        dead_letters: DeadLetters::open(&folder.join("dead")).expect("a writable folder"),
        clock: Clock::fake(1_700_000_000_000_000_000),
        health: Arc::default(),
        stop,
    };
    (cx, buffer)
}

/// The same in a folder of its own.
#[cfg(any(test, feature = "fuzzing"))]
pub fn context(name: &str) -> (SourceContext, Buffer, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cx, buffer) = context_in(folder.path(), name);
    (cx, buffer, folder)
}
