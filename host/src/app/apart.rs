//! Work that blocks.

use flitch_core::tasks;

/// Does work that blocks where it holds up nobody: who waits for it can be asked to end meanwhile.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tasks::aside(work).await {
        Ok(done) => done,
        Err(undone) => std::panic::resume_unwind(Box::new(undone.to_string())),
    }
}
