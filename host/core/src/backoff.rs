//! How long to wait until something is tried again.

use std::time::Duration;

/// Pauses after failures in a row: each is twice as long as the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after this many failures in a row; after none, that after the first.
    pub fn after(&self, failures: u32) -> Duration {
        self.first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(self.longest)
    }
}

/// Between half of a pause and all of it, so that those who failed in one moment do not come back in one. `luck` is from 0
/// to 1, and nobody else's.
pub fn scattered(pause: Duration, luck: f64) -> Duration {
    pause.mul_f64(0.5 + luck / 2.0)
}

/// An interval, a tenth shorter or longer, so that those who began in one moment do not stay together. `luck` as in
/// [`scattered`].
pub fn about(interval: Duration, luck: f64) -> Duration {
    interval.mul_f64(0.9 + luck / 5.0)
}

/// How long to wait until a server is asked the next time that is asked `every` so often, where it failed to answer so many
/// times in a row: from a second on, and never longer than it would be waited for without a failure. `luck` as in
/// [`scattered`].
pub fn next_question(every: Duration, failures: u32, luck: f64) -> Duration {
    let again = Backoff { first: Duration::from_secs(1), longest: every };
    match failures {
        0 => about(every, luck),
        _ => scattered(again.after(failures), luck),
    }
}

#[cfg(test)]
mod tests;
