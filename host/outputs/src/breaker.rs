//! When an output is tried again after a failure, and how many writes may try.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::output::WriteError;
use super::retry::RetrySettings;
use flitch_core::backoff::scattered;
use flitch_core::telemetry::health::Ailment;
use flitch_core::telemetry::{Metric, Shown};

/// How often a trouble that lasts is logged again.
const REMINDER: Duration = Duration::from_secs(60);
/// The longest pause, whatever anybody asks for: more than that is no moment any more that a clock has.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// What the writes of one output know of each other's failures.
///
/// Closed, every write goes ahead. After enough failures in a row, or at once when the destination asks for a pause or
/// denies access, it opens: one write at a time probes the destination, with growing pauses, and the others wait
/// until one gets through. They probe by turns: what fails by its own fault would else keep out all that could get through.
pub(super) struct Breaker {
    output: String,
    settings: RetrySettings,
    state: Mutex<Circuit>,
    /// For the write that probes. Those that wait get it in the order in which they came.
    probe: Semaphore,
    closed: Notify,
    open: Shown,
    ailment: Ailment,
}

#[derive(Default)]
struct Circuit {
    /// Failures in a row. Of writes that were under way together only one counts.
    failures: u32,
    last_failure: Option<Instant>,
    open: bool,
    /// When those that failed may try again, or the next probe may begin.
    resume: Option<Instant>,
    trouble: Option<Trouble>,
    /// What is refused while all else goes through.
    refused: Option<String>,
}

struct Trouble {
    since: Instant,
    kind: &'static str,
    logged: Instant,
}

/// Leave for one write. While the breaker is open there is only one, which holds what there is one of.
pub(super) struct Turn<'a> {
    _probe: Option<SemaphorePermit<'a>>,
}

impl Breaker {
    pub fn new(output: &str, settings: RetrySettings, ailment: Ailment) -> Breaker {
        let open = Metric::BreakerOpen.shown_most(&[("output", output)]);
        Breaker {
            output: output.to_owned(),
            settings,
            state: Mutex::default(),
            probe: Semaphore::new(1),
            closed: Notify::new(),
            open,
            ailment,
        }
    }

    /// Waits until the breaker is closed, or it is this write's turn to probe.
    pub async fn turn(&self) -> Turn<'_> {
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            if !self.state.lock().open {
                return Turn { _probe: None };
            }
            tokio::select! {
                () = closed => {}
                turn = self.probe() => return turn,
            }
        }
    }

    /// Waits for the turn of this write, and for the end of the pause.
    async fn probe(&self) -> Turn<'_> {
        // None only where the semaphore is closed, which nobody does.
        let probe = self.probe.acquire().await.ok();
        let resume = self.state.lock().resume;
        if let Some(resume) = resume {
            tokio::time::sleep_until(resume).await;
        }
        Turn { _probe: probe }
    }

    /// Enters a write that went through.
    pub fn success(&self) {
        let mut state = self.state.lock();
        state.failures = 0;
        state.last_failure = None;
        state.resume = None;
        if state.open {
            state.open = false;
            self.open.set(0.0);
            self.ailment.set(state.refused.clone());
            self.closed.notify_waiters();
        }
        if let Some(trouble) = state.trouble.take() {
            let seconds = trouble.since.elapsed().as_secs_f64();
            tracing::info!(output = %self.output, seconds, "writes go through again");
        }
    }

    /// Says what is refused while all else goes through; none where nothing is.
    pub fn refused(&self, what: Option<String>) {
        let mut state = self.state.lock();
        if !state.open && state.refused != what {
            self.ailment.set(what.clone());
        }
        state.refused = what;
    }

    /// Enters a write that began at `begin` and failed, and says until when it must wait by itself; none while the breaker is
    /// open, when the pause is in [`Breaker::turn`]. Writes that failed together wait until the same moment, so that the
    /// oldest goes first then too.
    pub fn failure(&self, error: &WriteError, begin: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        let now = Instant::now();
        if matches!(error, WriteError::Barred { .. }) {
            // That says nothing of any other write.
            return Some(now + jittered(self.settings.max.0));
        }
        let counts = state.last_failure.is_none_or(|last| begin > last);
        if counts {
            state.failures = state.failures.saturating_add(1);
            state.last_failure = Some(now);
        }
        let at_once = matches!(error, WriteError::Busy { .. } | WriteError::Denied { .. });
        let opens = !state.open && (at_once || state.failures >= self.settings.breaker_after);
        if opens {
            state.open = true;
            self.open.set(1.0);
        }
        if state.open {
            self.ailment.set(Some(error.to_string()));
        }
        self.log(&mut state, error);
        if counts || opens || state.resume.is_none() {
            state.resume = Some(now + self.pause(error, state.failures));
        }
        if state.open { None } else { state.resume }
    }

    /// The pause after so many failures in a row.
    pub fn pause(&self, error: &WriteError, failures: u32) -> Duration {
        let pause = match error {
            // One who says 0, or whose clock is behind, is not asked without a pause.
            WriteError::Busy { after: Some(after), .. } if *after >= self.settings.initial.0 => *after,
            WriteError::Denied { .. } => jittered(self.settings.max.0),
            _ => jittered(self.settings.pause(failures)),
        };
        pause.min(LONGEST)
    }

    fn log(&self, state: &mut Circuit, error: &WriteError) {
        let now = Instant::now();
        let kind = error.kind();
        match &mut state.trouble {
            Some(t) if t.kind == kind && now.duration_since(t.logged) < REMINDER => return,
            Some(t) => (t.kind, t.logged) = (kind, now),
            None => state.trouble = Some(Trouble { since: now, kind, logged: now }),
        }
        match error {
            WriteError::Denied { .. } => {
                tracing::error!(output = %self.output, "{error}; an operator must act; trying on slowly");
            }
            _ => tracing::warn!(output = %self.output, "{error}; trying again"),
        }
    }
}

fn jittered(pause: Duration) -> Duration {
    scattered(pause.min(LONGEST), fastrand::f64())
}

#[cfg(test)]
mod tests;
