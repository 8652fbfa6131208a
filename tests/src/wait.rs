//! Waiting for what another process does.
//!
//! Tests of this repository do not sleep: inside a process, code waits for the event itself or takes a
//! fake clock. Another process (a broker that elects a leader, a daemon that writes a file) offers no
//! event, so it must be polled, and this is the one place that does it: [`pause`] blocks on a channel
//! that nobody sends on, for a few milliseconds, between two looks at the condition.

use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

/// Blocks for `time`: the step of a poll. Tests call [`eventually`] instead.
pub(crate) fn pause(time: Duration) {
    let (_open, never) = mpsc::sync_channel::<()>(1);
    let _ = never.recv_timeout(time);
}

/// What a condition answers: `Some(value)` or `true` when it holds.
pub trait Answer {
    /// What [`eventually`] gives back.
    type Value;
    /// The value, if the condition holds.
    fn held(self) -> Option<Self::Value>;
}

impl Answer for bool {
    type Value = ();
    fn held(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Answer for Option<T> {
    type Value = T;
    fn held(self) -> Option<T> {
        self
    }
}

/// By how much every deadline is longer than a test says: `FLITCH_PATIENCE`, for machines that are slow or do much else.
static PATIENCE: LazyLock<u32> = LazyLock::new(|| {
    let told = std::env::var("FLITCH_PATIENCE").ok();
    told.map_or(1, |text| text.parse().expect("FLITCH_PATIENCE is a whole number"))
});

/// Polls until the condition holds, and gives its value back; `None` when `deadline`, times `FLITCH_PATIENCE`, has passed.
/// The steps grow from 2 to 50 ms.
pub fn poll<A: Answer>(deadline: Duration, mut condition: impl FnMut() -> A) -> Option<A::Value> {
    let (start, deadline) = (Instant::now(), deadline * *PATIENCE);
    let mut step = Duration::from_millis(2);
    loop {
        if let Some(value) = condition().held() {
            return Some(value);
        }
        if start.elapsed() >= deadline {
            return None;
        }
        pause(step);
        step = (step * 3 / 2).min(Duration::from_millis(50));
    }
}

/// [`poll`], where passing the deadline fails the test: the panic says what was waited for.
#[track_caller]
pub fn eventually<A: Answer>(what: &str, deadline: Duration, condition: impl FnMut() -> A) -> A::Value {
    match poll(deadline, condition) {
        Some(value) => value,
        None => panic!("waited {deadline:?} in vain for: {what}"),
    }
}
