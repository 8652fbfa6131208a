//! Waiting until dead letters can be written: for room, for a disk that works.

use std::io;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio_util::sync::CancellationToken;

use super::{DeadLetters, Stall};
use crate::backoff::Backoff;
use crate::tasks;

const PAUSES: Backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(5) };

/// What threads wait on between two tries.
#[derive(Debug, Default)]
pub(super) struct Patience {
    given_up: Mutex<bool>,
    wake: Condvar,
}

impl Patience {
    pub fn try_again(&self) {
        self.wake.notify_all();
    }
}

impl DeadLetters {
    /// Repeats `write`, which puts letters here, until they are on disk; blocks the thread. Answers whether they are:
    /// not after [`DeadLetters::give_up`], nor where nobody wants them any more, as `is_over` tells. That they cannot be written
    /// is told under the name `component`.
    pub fn until_written(
        &self,
        component: &str,
        write: impl Fn() -> io::Result<()>,
        is_over: impl Fn() -> bool,
    ) -> bool {
        let mut failures = 0;
        let mut stall: Option<Stall> = None;
        loop {
            let Err(error) = write() else { return true };
            failures += 1;
            stall.get_or_insert_with(|| self.stalled(component, &error));
            let mut given_up = self.patience.given_up.lock();
            if !*given_up && !is_over() {
                self.patience.wake.wait_for(&mut given_up, PAUSES.after(failures));
            }
            if *given_up || is_over() {
                return false;
            }
        }
    }

    /// Nobody waits from now on: what cannot be written at once is sent again by its source after the next start.
    pub fn give_up(&self) {
        *self.patience.given_up.lock() = true;
        self.patience.wake.notify_all();
    }

    /// Says that letters of `component` cannot be written, and are tried again while the answer lives.
    pub fn stalled(&self, component: &str, error: &dyn std::fmt::Display) -> Stall {
        self.telling.stalled(component, error)
    }
}

/// [`DeadLetters::until_written`] for tasks, until `stop` is cancelled. `write` runs where it may block.
pub async fn until_written(
    letters: &DeadLetters,
    component: &str,
    stop: &CancellationToken,
    write: impl Fn() -> io::Result<()> + Clone + Send + 'static,
) -> bool {
    let mut failures = 0;
    let mut stall: Option<Stall> = None;
    loop {
        match tasks::aside(write.clone()).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                stall.get_or_insert_with(|| letters.stalled(component, &error));
            }
            Err(panic) => {
                stall.get_or_insert_with(|| letters.stalled(component, &panic));
            }
        }
        failures += 1;
        tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(PAUSES.after(failures)) => {}
        }
    }
}
