//! Tasks and threads: none of them ends unseen, and a lint keeps all other code from starting any.
//!
//! What runs for as long as a part of flitch does is started again when it fails: by `app/supervise.rs` where it is a part
//! of the configuration, by [`kept_thread`] and [`kept_work`] where it serves one. What somebody waits for is [`joined`].

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{io, thread};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::task::JoinHandle;

use crate::net::descriptors;
use crate::telemetry::Quiet;
use crate::telemetry::health::{LONGEST, Part, panicked, pause};

/// The system gives no thread.
#[derive(Debug, thiserror::Error)]
#[error(
    "the system gives no more threads (`pids.max` of the cgroup, `TasksMax=` of systemd and `ulimit -u` bound them)"
)]
pub struct NoThread(#[source] pub io::Error);

/// Descriptors that a runtime opens when it is made, and a few more.
const OF_A_RUNTIME: usize = 8;
/// For how long the runtime surely has a thread after it was done with work that blocks: it keeps one for 10 s.
const KEPT: Duration = Duration::from_secs(5);

/// When the runtime was last done with work that blocks.
static DONE: Mutex<Option<Instant>> = Mutex::new(None);

/// Work that blocks, and was not done to its end.
#[derive(Debug, thiserror::Error)]
pub enum Undone {
    /// It was not begun.
    #[error(transparent)]
    NoThread(#[from] NoThread),
    /// It panicked.
    #[error("{0}")]
    Panicked(String),
}

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

/// Does `work` on a thread of its own and waits for it: what blocks on futures cannot be done inside of a runtime. The answer
/// of the inner `Err` is a panic.
///
/// # Errors
/// The system gives no thread.
pub fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Result<thread::Result<T>, NoThread> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, work).map_err(NoThread)?;
        Ok(thread.join())
    })
}

/// Sees that the system gives so many threads at once, for a library that panics where it does not.
///
/// # Errors
/// It does not.
pub fn are_to_be_had(threads: usize) -> Result<(), NoThread> {
    let (hold, held) = crossbeam_channel::bounded::<Infallible>(0);
    thread::scope(|scope| {
        let _released = hold;
        for _ in 0..threads {
            let held = held.clone();
            thread::Builder::new().spawn_scoped(scope, move || held.recv().err()).map_err(NoThread)?;
        }
        Ok(())
    })
}

/// Does work that blocks where it holds up no task beside it. The runtime itself panics where it has no thread for it.
///
/// # Errors
/// The system gives no thread, or the work panicked.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Undone> {
    has_thread()?;
    handed_over(work).await
}

/// The same for work that waits for nothing but disks and processors, and needs no runtime: where the system gives no thread it is
/// done at once, and tasks beside it wait.
///
/// # Errors
/// The work panicked.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Undone> {
    match has_thread() {
        Ok(()) => handed_over(work).await,
        Err(error) => here(&error, work),
    }
}

fn here<T>(no_thread: &NoThread, work: impl FnOnce() -> T) -> Result<T, Undone> {
    static SAID: OnceLock<Quiet> = OnceLock::new();
    if SAID.get_or_init(Quiet::a_minute).may_say() {
        tracing::warn!(error = %no_thread, "work that blocks is done all the same; what is beside it waits");
    }
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Undone::Panicked(panicked(panic)))
}

/// Does work that takes long; while another thread takes over the tasks of this one, where there is one.
#[expect(clippy::disallowed_methods, reason = "it is asked for a thread")]
pub fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread if has_thread().is_ok() => {
            let _done = NotesEnd;
            tokio::task::block_in_place(work)
        }
        _ => work(),
    }
}

#[expect(clippy::disallowed_methods, reason = "it was asked for a thread")]
async fn handed_over<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Undone> {
    let work = move || {
        let _done = NotesEnd;
        work()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => Err(Undone::Panicked(panicked(panic))),
            // The runtime ends.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Whether the runtime has a thread for work that blocks, or can have one.
fn has_thread() -> Result<(), NoThread> {
    let is_kept = DONE.lock().is_some_and(|done| done.elapsed() < KEPT);
    if is_kept { Ok(()) } else { are_to_be_had(1) }
}

/// Notes that the runtime is done with work that blocks.
struct NotesEnd;

impl Drop for NotesEnd {
    fn drop(&mut self) {
        *DONE.lock() = Some(Instant::now());
    }
}

/// A runtime with so many workers, as many as there are cores where none is named. To make one where the system gives too few
/// threads or descriptors is a panic, or no end.
///
/// # Errors
/// The system gives too few threads, or descriptors.
pub fn runtime(workers: Option<usize>) -> anyhow::Result<Runtime> {
    let workers = workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    // One more is for what blocks.
    are_to_be_had(workers + 1)?;
    descriptors::are_to_be_had(OF_A_RUNTIME)?;
    Ok(Builder::new_multi_thread().worker_threads(workers).enable_all().thread_name("flitch").build()?)
}

/// A runtime on the thread that asks.
///
/// # Errors
/// The system gives too few descriptors.
pub fn runtime_here() -> io::Result<Runtime> {
    descriptors::are_to_be_had(OF_A_RUNTIME).map_err(io::Error::other)?;
    Builder::new_current_thread().enable_all().build()
}

/// What a library made that has a thread, where that thread `answers`. `notify` says nothing where it cannot start its own, and
/// panics then at whatever else is asked of it, and at its end.
///
/// # Errors
/// It cannot be made, or the system gives it no thread.
pub fn with_thread<T, A>(
    make: impl FnOnce() -> anyhow::Result<T>,
    answers: impl FnOnce(&mut T) -> anyhow::Result<A>,
) -> anyhow::Result<T> {
    are_to_be_had(1)?;
    let mut made = make()?;
    match answers(&mut made) {
        Ok(_) => Ok(made),
        Err(error) => {
            // Another took the last thread in between. What it holds is not much, and its end would be a panic.
            std::mem::forget(made);
            Err(error)
        }
    }
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
            let Err(failed) = blocking(move || work()).await else { break };
            failures += 1;
            let pause = pause(failures);
            part.down(&failed.to_string(), pause);
            tokio::time::sleep(pause).await;
        }
        part.up();
    });
}

#[cfg(test)]
mod tests;
