//! The thread of a source that has one: how it is started, told to stop, and waited for.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::bell::{Bell, Hint};
use flitch_core::tasks;

/// Does `work` on a thread of this name, and waits for its end; when `stop` is cancelled `bell` tells the thread. What `work` is
/// given says whether the thread is left to itself, as nobody waits for it any more: another one may have the files and the
/// positions of the source then.
///
/// # Errors
/// The system gives no thread, or `work` has failed, or panicked.
pub(crate) async fn run(
    name: String,
    stop: CancellationToken,
    bell: Arc<Bell>,
    work: impl FnOnce(&dyn Fn() -> bool) -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()> {
    let (ended, end) = oneshot::channel();
    // One that is left, as its time is over, may be ended before it hears that it is to stop.
    let _told_at_the_end = bell.stop_at_end();
    let on_thread = move || {
        let done = work(&|| ended.is_closed());
        // Nobody waits for it when the runtime is gone already.
        ended.send(done).ok();
    };
    // A panic of it is the end of the channel.
    tasks::joined_thread(&name, on_thread).with_context(|| format!("cannot start the thread {name}"))?;
    let stopped = async {
        stop.cancelled().await;
        bell.ring(Hint::Stop);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        end = end => end.with_context(|| format!("the thread {name} ended by a panic"))?,
        () = stopped => unreachable!("it waits for ever"),
    }
}

#[cfg(test)]
mod tests;
