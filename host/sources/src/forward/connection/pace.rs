//! How fast a message comes.
//!
//! A client may be silent as long as it likes between two messages: Docker's connections are, while their containers
//! say nothing. Within a message it may not, for what has come of it is held.

use std::time::Duration;

/// How long a message may take however short it is.
const GRACE: Duration = Duration::from_secs(30);
/// Bytes per second that have to come of a longer one.
const LEAST: u64 = 512;
/// The same while others wait for the memory that it takes.
const LEAST_WHEN_SHORT: u64 = 64 << 10;
/// How often a message that takes memory is looked at, since others may have begun to wait for it.
const LOOK: Duration = Duration::from_secs(5);

/// What has come of a message, and how long its client was waited for.
#[derive(Debug, Default)]
pub struct Pace {
    came: u64,
    waited: Duration,
}

impl Pace {
    /// So many bytes have come after the client was waited for so long.
    pub fn came(&mut self, bytes: usize, waited: Duration) {
        if self.came > 0 {
            self.waited += waited;
        }
        self.came += bytes as u64;
    }

    /// So many bytes of a message are there, and no whole message; `is_another` where one before it was taken.
    pub fn holds(&mut self, bytes: usize, is_another: bool) {
        if bytes == 0 || is_another {
            *self = Pace { came: bytes as u64, waited: Duration::ZERO };
        }
    }

    /// How long the client may be silent before it is to be looked at; none between two messages. `is_large` where the
    /// message takes memory that others may need.
    pub fn patience(&self, is_large: bool) -> Option<Duration> {
        if self.came == 0 {
            return None;
        }
        let left = self.limit(LEAST).saturating_sub(self.waited);
        Some(if is_large { left.min(LOOK) } else { left })
    }

    /// Why the client is waited for no longer, where it is too slow.
    pub fn is_too_slow(&self, is_short: bool) -> Option<&'static str> {
        if self.came == 0 {
            None
        } else if is_short && self.waited >= self.limit(LEAST_WHEN_SHORT) {
            Some("a large message came slowly, and others need its memory (`max_buffered`)")
        } else if self.waited >= self.limit(LEAST) {
            Some("it stopped, or nearly so, in the middle of a message")
        } else {
            None
        }
    }

    fn limit(&self, least: u64) -> Duration {
        GRACE + Duration::from_millis(self.came * 1000 / least)
    }
}

#[cfg(test)]
mod tests;
