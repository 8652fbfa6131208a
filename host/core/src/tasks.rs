//! Tasks and threads: none of them ends unseen, and a lint keeps all other code from starting any.
//!
//! What runs for as long as a part of flitch does is started again when it fails: by `app/supervise.rs` where it is a part
//! of the configuration, by [`kept_thread`] and [`kept_work`] where it serves one. What somebody waits for is [`joined`].

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use tokio::task::JoinHandle;

use crate::telemetry::health::{LONGEST, Part, panicked, pause};

/// Runs a task for whose end somebody waits.
#[must_use = "who drops the handle does not hear of a panic"]
#[expect(clippy::disallowed_methods, reason = "the handle is for whoever waits")]
pub fn joined<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}

/// Runs a thread for whose end somebody waits.
#[expect(clippy::disallowed_methods, reason = "the handle is for whoever waits")]
pub fn joined_thread<T: Send + 'static>(
    name: impl Into<String>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name(name.into()).spawn(work)
}

/// Serves one client. A panic is logged and counted as all are, and costs that client its connection.
#[expect(clippy::disallowed_methods, reason = "it ends with its client, who may come again")]
pub fn client(serving: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(serving);
}

/// Runs `work` on a thread until it returns, and again, after pauses that grow, where it panics. Given up while it
/// pauses when the other end of `needed` is gone.
pub fn kept_thread(
    part: Part,
    needed: Receiver<Infallible>,
    work: impl FnMut() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    let rest = move |pause| matches!(needed.recv_timeout(pause), Err(RecvTimeoutError::Timeout));
    joined_thread(part.to_string(), move || keep(&part, rest, work))
}

/// Calls `work` until it returns; after each panic for as long as `rest` answers that it is wanted.
fn keep(part: &Part, mut rest: impl FnMut(Duration) -> bool, mut work: impl FnMut()) {
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let Err(panic) = catch_unwind(AssertUnwindSafe(&mut work)) else { return };
        failures = if began.elapsed() >= LONGEST { 1 } else { failures + 1 };
        let pause = pause(failures);
        part.down(&panicked(panic), pause);
        if !rest(pause) {
            return;
        }
        part.up();
    }
}

/// Runs `work`, which may block, once after `delay`, and again, after pauses that grow, where it panics.
#[expect(clippy::disallowed_methods, reason = "nothing in it can panic but what it catches")]
pub fn kept_work(part: Arc<Part>, delay: Duration, work: impl Fn() + Send + Sync + 'static) {
    let work = Arc::new(work);
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        let mut failures = 0;
        loop {
            let work = work.clone();
            let Err(error) = tokio::task::spawn_blocking(move || work()).await else { break };
            // Else the runtime ends.
            let Ok(panic) = error.try_into_panic() else { return };
            failures += 1;
            let pause = pause(failures);
            part.down(&panicked(panic), pause);
            tokio::time::sleep(pause).await;
        }
        part.up();
    });
}

#[cfg(test)]
mod tests;
