//! When a call of a plugin is over: by the processor's time that it had, not by the clock.
//!
//! By the clock alone it would be the machine's business what becomes of a record: one that is judged while others have
//! the processor, while a quota of a container is used up or while the process is stopped would run out of a time that
//! it never had.
//!
//! To ask for the processor's time takes a call of the system, which is much beside a small batch. So nobody asks in the
//! first [`FREE`]th of the time. Who is still at work then is measured from there on.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Which part of its time a call has before it is measured.
const FREE: u32 = 8;
/// By how much the clock may be ahead, in times that the call may last: so that one that waits for what the host does
/// without the processor comes to an end.
const PATIENCE: u32 = 10;
/// What is left of a time when it is as good as over.
const LITTLE: Duration = Duration::from_millis(1);

/// How long one call may last. It is asked on the thread that works for the call.
#[derive(Clone, Debug)]
pub struct Deadline {
    began: Instant,
    time: Duration,
    round: Cell<Round>,
}

#[derive(Clone, Copy, Debug)]
struct Round {
    /// When to look at it again. It is not over before.
    until: Instant,
    /// How much was granted until then, since the call began.
    granted: Duration,
    /// The processor's time of the thread when it was measured first.
    measured: Option<Duration>,
    /// How long the guest asked to sleep. That is its own doing.
    slept: Duration,
}

impl Deadline {
    /// A call that begins now and may last `time`.
    pub fn of(time: Duration) -> Deadline {
        Deadline::from(Instant::now(), time)
    }

    fn from(began: Instant, time: Duration) -> Deadline {
        let free = time / FREE;
        let round = Round { until: began + free, granted: free, measured: None, slept: Duration::ZERO };
        Deadline { began, time, round: Cell::new(round) }
    }

    /// When the call began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// How long it is not over for sure from its beginning on.
    pub fn free(&self) -> Duration {
        self.time / FREE
    }

    /// How long it is not over for sure from now on.
    pub fn sure(&self) -> Duration {
        self.round.get().until.saturating_duration_since(Instant::now())
    }

    /// Whether the time is up.
    pub fn is_over(&self) -> bool {
        let now = Instant::now();
        now >= self.round.get().until && self.is_over_at(now, time_of_thread())
    }

    /// How long the guest sleeps that asks to sleep for `wish`. Who wants more than is left wakes up when it is over.
    pub fn sleep(&self, wish: Duration) -> Duration {
        self.sleep_at(wish, Instant::now())
    }

    fn sleep_at(&self, wish: Duration, now: Instant) -> Duration {
        let mut round = self.round.get();
        let end = round.until.max(self.began + self.time);
        let left = end.saturating_duration_since(now);
        // What is woken before it wished to be must not go on.
        let counted = if wish > left { Duration::MAX } else { wish };
        round.slept = round.slept.saturating_add(counted);
        self.round.set(round);
        wish.min(left + LITTLE)
    }

    /// Whether it is over at `now`, when the thread had `own` of the processor's time.
    fn is_over_at(&self, now: Instant, own: Duration) -> bool {
        let mut round = self.round.get();
        if now < round.until {
            return false;
        }
        let since = *round.measured.get_or_insert(own);
        let used = own.saturating_sub(since).saturating_add(round.slept);
        let owed = (self.time - self.free()).saturating_sub(used);
        let most = self.time.saturating_mul(PATIENCE).saturating_sub(round.granted);
        let owed = if owed <= LITTLE { Duration::ZERO } else { owed.min(most) };
        let more = owed.max((self.began + self.time).saturating_duration_since(now));
        if !more.is_zero() {
            round.until = now + more;
            round.granted = round.granted.saturating_add(more);
        }
        self.round.set(round);
        more.is_zero()
    }
}

/// The processor's time that this thread has had.
pub fn time_of_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests;
