//! Work that blocks.

use flitch_core::tasks;

/// Does work that blocks where it holds up nobody: who waits for it can be asked to end meanwhile. Where the system gives no
/// thread for it, which ends the process where the runtime is left to find out, it is done at once.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if let Err(error) = tasks::are_to_be_had(1) {
        tracing::warn!(%error, "signals and commands wait until the one before them is done");
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends.
            Err(_) => std::future::pending().await,
        },
    }
}
