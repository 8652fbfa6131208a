//! Starts parts again that end though nobody asked them to.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use flitch_core::telemetry::health::{LONGEST, Part, panicked, pause};
use flitch_sources::Running;
pub(super) use flitch_sources::Starting;

/// [`supervise`]s a part on a task of its own.
#[expect(clippy::disallowed_methods, reason = "this is what sees how other tasks end")]
pub(super) fn keep(
    part: Part,
    stop: CancellationToken,
    first: anyhow::Result<Running>,
    start: impl FnMut() -> Starting + Send + 'static,
) -> JoinHandle<anyhow::Result<()>> {
    tokio::spawn(supervise(part, stop, first, start))
}

/// Runs a part that has been started, and starts it again with `start` when it fails, after pauses that grow. Ends when
/// the part ends without an error, which it does only when it is asked to, or when it has failed and `stop` is cancelled.
///
/// # Errors
/// The part failed while it was to stop.
pub(super) async fn supervise(
    part: Part,
    stop: CancellationToken,
    first: anyhow::Result<Running>,
    mut start: impl FnMut() -> Starting + Send,
) -> anyhow::Result<()> {
    let mut next = first;
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let failed = match next {
            Ok(running) => {
                part.up();
                match caught(running).await {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if stop.is_cancelled() {
            return Err(failed);
        }
        failures = if began.elapsed() >= LONGEST { 1 } else { failures + 1 };
        let pause = pause(failures);
        part.down(&format!("{failed:#}"), pause);
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return Ok(());
        }
        next = caught(start()).await;
    }
}

/// Makes a panic of a future an error.
async fn caught<T>(mut future: Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send>>) -> anyhow::Result<T> {
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        polled.unwrap_or_else(|panic| Err(anyhow::Error::msg(panicked(panic))).into())
    })
    .await
}

#[cfg(test)]
mod tests;
