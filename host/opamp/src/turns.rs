//! Which of two connections is tried next: the one that a server offered, and that has worked, or that of the machine's own
//! file, where the other one is lost.

use std::time::Duration;

use tokio::time::Instant;

use flitch_core::backoff::scattered;

/// Heartbeats of the machine's own file after which an offered connection is lost, and the longest time.
const LOST: u32 = 10;
const LONGEST_LOST: Duration = Duration::from_secs(3600);
/// Least attempts before that: a machine that slept has not tried.
const ATTEMPTS: u32 = 3;
/// How many times that passes before the offered one is tried again while the machine's own is there; it doubles with each
/// attempt, up to the longest.
const AGAIN: u32 = 3;
const LONGEST_AGAIN: Duration = Duration::from_secs(6 * 3600);

/// A connection to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The one that a server offered.
    Offered,
    /// That of the machine's own file.
    Own,
}

/// Which connection is tried next, where there is one that a server offered.
#[derive(Debug)]
pub struct Turns {
    lost_after: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The offered one counts; since when it was not reached, and how often it was tried since.
    Here { since: Option<Instant>, attempts: u32 },
    /// It is lost. The two take turns until one of them is reached; where that is the machine's own, the other one is tried
    /// again after a time.
    Lost { turn: Turn, wait: Duration },
}

impl Turns {
    /// The turns of a machine with this heartbeat: the offered one counts.
    pub fn new(heartbeat: Duration) -> Turns {
        let lost_after = heartbeat.saturating_mul(LOST).min(LONGEST_LOST);
        Turns { lost_after, state: State::Here { since: None, attempts: 0 } }
    }

    /// The connection to try.
    pub fn turn(&self) -> Turn {
        match self.state {
            State::Here { .. } => Turn::Offered,
            State::Lost { turn, .. } => turn,
        }
    }

    /// Whether the offered one is lost.
    pub fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost { .. })
    }

    /// How long a connection that begins now may last, where another one is to be tried then. `luck` is from 0 to 1, and no two
    /// agents have the same.
    pub fn lasts(&self, luck: f64) -> Option<Duration> {
        match self.state {
            State::Lost { turn: Turn::Own, wait } => Some(scattered(wait, luck)),
            _ => None,
        }
    }

    /// A connection that began at `began` is over; it was reached or not, and may have `lasted` for as long as it was to. Answers
    /// whether the offered one is lost from now on.
    pub fn over(&mut self, began: Instant, now: Instant, is_reached: bool, lasted: bool) -> bool {
        match (&mut self.state, is_reached) {
            (State::Here { since, attempts }, true) => (*since, *attempts) = (Some(now), 0),
            (State::Here { since, attempts }, false) => {
                *attempts += 1;
                let since = *since.get_or_insert(began);
                if *attempts >= ATTEMPTS && now.duration_since(since) >= self.lost_after {
                    let wait = self.lost_after * AGAIN;
                    self.state = State::Lost { turn: Turn::Own, wait };
                    return true;
                }
            }
            (State::Lost { turn: Turn::Offered, .. }, true) => {
                self.state = State::Here { since: Some(now), attempts: 0 };
            }
            (State::Lost { turn: turn @ Turn::Offered, .. }, false) => *turn = Turn::Own,
            (State::Lost { turn: turn @ Turn::Own, wait }, _) => {
                *turn = Turn::Offered;
                if lasted {
                    *wait = (*wait * 2).min(LONGEST_AGAIN.max(self.lost_after));
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
