//! Saying a thing again only when some time has passed.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A line of the log that is written once in a time, however often there is cause.
#[derive(Debug)]
pub struct Quiet {
    every: Duration,
    said: Mutex<Option<Instant>>,
}

impl Quiet {
    /// One that is written once in `every`.
    pub fn every(every: Duration) -> Quiet {
        Quiet { every, said: Mutex::new(None) }
    }

    /// One that is written once a minute.
    pub fn a_minute() -> Quiet {
        Quiet::every(Duration::from_secs(60))
    }

    /// Whether it is to be written now; then it is taken for written.
    pub fn may_say(&self) -> bool {
        let (mut said, now) = (self.said.lock(), Instant::now());
        let may = said.is_none_or(|before| now.duration_since(before) >= self.every);
        if may {
            *said = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests;
