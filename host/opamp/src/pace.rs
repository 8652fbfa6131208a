//! How soon an agent comes again: thousands of them hear of the end of a server in one moment.

use std::time::Duration;

use tokio::time::Instant;

use flitch_core::backoff::Backoff;

const PAUSES: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(300) };
/// A connection that lasted for this long begins with the first pause again.
const LASTING: Duration = Duration::from_secs(60);

/// The pauses between attempts to reach a server.
#[derive(Debug, Default)]
pub struct Reconnect {
    failures: u32,
}

impl Reconnect {
    /// How long to wait after a connection that lasted for `lasted`. `luck` is from 0 to 1, and no two agents have the same.
    /// Where the server asked for a pause it has at least that, and a half of it more for the luckless.
    pub fn pause(&mut self, lasted: Duration, asked: Option<Duration>, luck: f64) -> Duration {
        self.failures = if lasted >= LASTING { 1 } else { self.failures.saturating_add(1) };
        let grown = PAUSES.after(self.failures);
        match asked {
            Some(asked) => asked.max(grown.mul_f64(luck)) + asked.mul_f64(luck / 2.0),
            // All of the time and not a half of it: the first attempts after an end come to a server that has to hold all.
            None => PAUSES.first / 10 + grown.mul_f64(luck),
        }
    }
}

/// When something that a server can ask for may be done again: one that asks for it with each answer would have agent and
/// server spin.
#[derive(Debug)]
pub struct Allowance {
    at_once: u32,
    every: Duration,
    left: u32,
    since: Instant,
}

impl Allowance {
    /// So many may follow each other at once, and each of them takes a time to be allowed again. None was taken yet.
    pub fn new(at_once: u32, every: Duration, now: Instant) -> Allowance {
        Allowance { at_once, every, left: at_once, since: now }
    }

    /// From when on one may be taken.
    pub fn due(&self, now: Instant) -> Instant {
        if self.left > 0 { now } else { self.since + self.every }
    }

    /// Takes the leave for one, where there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let earned = now.duration_since(self.since).as_secs() / self.every.as_secs().max(1);
        if earned > 0 {
            self.left = self.at_once.min(self.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)));
            self.since = now;
        }
        let may = self.left > 0;
        if may {
            if self.left == self.at_once {
                self.since = now;
            }
            self.left -= 1;
        }
        may
    }
}

#[cfg(test)]
mod tests;
