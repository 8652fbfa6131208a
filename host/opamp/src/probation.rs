//! The probation of a configuration: for a time it is measured against what was before, and has to go where it is worse.
//!
//! Nothing that happens once counts: a server that throttles for a moment, or a source that is started twice, is no fault of
//! a configuration. What counts has been so at several looks, one a second.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::app::Vitals;
use flitch_core::buffers::Progress;

/// Between two looks.
pub const LOOK: Duration = Duration::from_secs(1);
/// Looks at which a part must have been unable to do its work.
const AILING: u32 = 5;
/// Looks at which a buffer must have been full, or nothing arrived while records wait.
const STUCK: u32 = 10;
/// Looks at which the memory must have been too much.
const LARGE: u32 = 3;
/// Records rejected that are nobody's doing, and how many more of a hundred may be than before.
const FEW_REJECTED: u64 = 20;
const MORE_REJECTED: f64 = 0.05;
/// Memory that a configuration may take beside twice of what was before.
const MEMORY: u64 = 256 << 20;
/// For how long it is remembered how things were.
const REMEMBERED: usize = 60;

/// How things were lately: what a new configuration is measured against.
#[derive(Debug, Default)]
pub struct Lately(VecDeque<Vitals>);

impl Lately {
    /// One more look.
    pub fn note(&mut self, vitals: Vitals) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(vitals);
    }
}

/// A configuration that is measured.
#[derive(Debug)]
pub struct Probation {
    until: Instant,
    before: Vitals,
    /// The part of records that was rejected before, and whether any arrived at all.
    rejected: f64,
    arrived: bool,
    /// What has been seen, and at how many looks.
    seen: BTreeMap<String, u32>,
    /// Records that had arrived at the last look, and how far outputs were.
    done: u64,
    outputs: BTreeMap<String, Progress>,
}

/// What a look comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is too early to tell.
    Open,
    /// It has stood.
    Stood,
    /// It has to go, and why.
    Worse(String),
}

impl Probation {
    /// A configuration that came into force when all was as `before`, and is measured for the time `for`.
    pub fn new(now: Instant, length: Duration, lately: &Lately) -> Probation {
        let before = lately.0.back().cloned().unwrap_or_default();
        let first = lately.0.front().unwrap_or(&before);
        let (done, rejected) = (
            before.done - first.done.min(before.done),
            before.rejected - first.rejected.min(before.rejected),
        );
        Probation {
            until: now + length,
            rejected: part(rejected, done),
            arrived: done > 0,
            seen: BTreeMap::new(),
            done: before.done,
            outputs: before.outputs.clone(),
            before,
        }
    }

    /// Looks at how things are now.
    pub fn look(&mut self, now: Instant, vitals: &Vitals) -> Verdict {
        let mut suspects = false;
        let mut sees = |what: String, limit: u32, is_so: bool| {
            if !is_so {
                return false;
            }
            suspects = true;
            let seen = self.seen.entry(what).or_default();
            *seen += 1;
            *seen >= limit
        };
        for (part, reason) in &vitals.ailing {
            if sees(format!("ailing {part}"), AILING, !self.before.ailing.contains_key(part)) {
                return Verdict::Worse(format!("{part}: {reason}"));
            }
        }
        for output in &vitals.full {
            if sees(format!("full {output}"), STUCK, !self.before.full.contains(output)) {
                return Verdict::Worse(format!("the buffer of the output {output} stays full"));
            }
        }
        let large = self.before.memory.saturating_mul(2).saturating_add(MEMORY);
        if sees("memory".to_owned(), LARGE, vitals.memory > large) {
            let mib = |bytes: u64| bytes >> 20;
            let (now, before) = (mib(vitals.memory), mib(self.before.memory));
            return Verdict::Worse(format!(
                "it takes {now} MiB of memory, and {before} MiB were taken before"
            ));
        }
        let stands = vitals.done == self.done && vitals.waiting > 0 && self.arrived && self.hangs(vitals);
        if !stands {
            self.seen.remove("still");
        }
        let mut sees_still = || {
            let seen = self.seen.entry("still".to_owned()).or_default();
            *seen += 1;
            *seen >= STUCK
        };
        if stands {
            suspects = true;
            if sees_still() {
                return Verdict::Worse(format!("{} records wait, and none arrives any more", vitals.waiting));
            }
        }
        self.done = vitals.done;
        self.outputs.clone_from(&vitals.outputs);
        let done = vitals.done.saturating_sub(self.before.done);
        let rejected = vitals.rejected.saturating_sub(self.before.rejected);
        if rejected > FEW_REJECTED && part(rejected, done) > self.rejected + MORE_REJECTED {
            let percent = |part: f64| format!("{:.1} %", part * 100.0);
            let (now, before) = (percent(part(rejected, done)), percent(self.rejected));
            let of = done + rejected;
            return Verdict::Worse(format!(
                "{rejected} of {of} records were rejected ({now}; {before} before)"
            ));
        }
        // What is under suspicion when the time is over is looked at until it has gone or is sure.
        if now >= self.until && !suspects { Verdict::Stood } else { Verdict::Open }
    }

    /// Whether what waits hangs, as far as outputs tell: one of them is at a write that does not end, or none has anything to do
    /// with it. Records that are gathered for an object, which is written when it is large or old enough, do not hang.
    fn hangs(&self, vitals: &Vitals) -> bool {
        let has_turned = |(name, now): &(&String, &Progress)| {
            self.outputs.get(*name).is_none_or(|before| before.turns != now.turns)
        };
        let mut outputs = vitals.outputs.iter();
        let is_at_one_write = outputs.clone().any(|output| output.1.writes && !has_turned(&output));
        is_at_one_write || !outputs.any(|output| output.1.gathers || has_turned(&output))
    }
}

fn part(rejected: u64, done: u64) -> f64 {
    match rejected + done {
        0 => 0.0,
        all => rejected as f64 / all as f64,
    }
}

#[cfg(test)]
mod tests;
