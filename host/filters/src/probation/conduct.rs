//! How a filter does: what it could not survive, what it rejected, how long it took.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::settings::ProbationSettings;
use crate::judgement::Judgement;

/// Sizes of batches by the most rows: what a record costs is compared among batches of one size alone, since a call costs
/// what it costs however few rows it has.
const SIZES: [usize; 5] = [1, 15, 127, 511, usize::MAX];
/// Records lost, and records rejected, that are nobody's doing.
const FEW_LOST: u64 = 3;
const FEW_REJECTED: u64 = 9;
/// Records that a filter must have seen before others are measured against it.
const KNOWN: u64 = 100;
/// How much longer a filter may take for a record, whatever it took before: nobody feels it.
const LITTLE: Duration = Duration::from_micros(2);
/// How long a filter must have run before its time is measured.
const LONG: Duration = Duration::from_millis(200);

/// What a filter has done, over all workers.
#[derive(Debug, Default)]
pub struct Conduct {
    rows: AtomicU64,
    lost: AtomicU64,
    rejected: AtomicU64,
    /// Rows and nanoseconds, by the size of the batch.
    times: [(AtomicU64, AtomicU64); SIZES.len()],
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Records that it judged.
    pub rows: u64,
    lost: u64,
    rejected: u64,
    times: [(u64, u64); SIZES.len()],
}

impl Reading {
    /// Records that it judged, those of them that were lost to its faults, and those that it rejected.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.rows, self.lost, self.rejected)
    }
}

impl Conduct {
    /// Adds a batch of `rows` rows. Over it the filter took `time`, where that tells of the filter: not where an instance was
    /// made, or lost. The time stands for that of so many batches.
    pub fn add(&self, rows: usize, judgement: &Judgement, time: Option<Duration>, stands_for: u32) {
        let lost = judgement.condemned.len() + judgement.unjudged.len();
        let rejected = judgement.rejected.len().saturating_sub(judgement.condemned.len());
        self.rows.fetch_add(rows as u64, Relaxed);
        if lost + rejected > 0 {
            self.lost.fetch_add(lost as u64, Relaxed);
            self.rejected.fetch_add(rejected as u64, Relaxed);
        }
        let Some(time) = time.filter(|_| judgement.faults.is_empty()) else { return };
        let size = SIZES.iter().position(|most| rows <= *most).unwrap_or(SIZES.len() - 1);
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.times[size].0.fetch_add(rows as u64 * u64::from(stands_for), Relaxed);
        self.times[size].1.fetch_add(time.saturating_mul(stands_for.into()), Relaxed);
    }

    /// What it has done so far.
    pub fn read(&self) -> Reading {
        let read = |count: &AtomicU64| count.load(Relaxed);
        Reading {
            rows: read(&self.rows),
            lost: read(&self.lost),
            rejected: read(&self.rejected),
            times: std::array::from_fn(|size| (read(&self.times[size].0), read(&self.times[size].1))),
        }
    }
}

impl Reading {
    /// What is worse than `bounds` allow beside the one `before`, for people.
    pub fn worse(&self, before: &Reading, bounds: &ProbationSettings) -> Option<String> {
        let too_many = |count: u64, few: u64, before_count: u64, bound: f64| {
            let allowed = part(before_count, before.rows) + bound;
            (count > few && part(count, self.rows) > allowed).then(|| {
                let percent = |part: f64| format!("{:.1} %", part * 100.0);
                let (now, before) =
                    (percent(part(count, self.rows)), percent(part(before_count, before.rows)));
                format!(
                    "{count} of {} records ({now}; {before} before, up to {} allowed)",
                    self.rows,
                    percent(allowed)
                )
            })
        };
        if let Some(lost) = too_many(self.lost, FEW_LOST, before.lost, bounds.faults) {
            return Some(format!("it could not survive {lost}"));
        }
        if before.rows < KNOWN {
            return None;
        }
        if let Some(rejected) = too_many(self.rejected, FEW_REJECTED, before.rejected, bounds.rejected) {
            return Some(format!("it rejected {rejected}"));
        }
        let (times, bound) = (self.times_as_long(before)?, bounds.time);
        (times > bound)
            .then(|| format!("it took {times:.1} times as long for a record, and {bound} are allowed"))
    }

    /// How many times as long it took for its records as the one before would have taken for as many in batches of such
    /// sizes; none where that is not known.
    fn times_as_long(&self, before: &Reading) -> Option<f64> {
        let (mut spent, mut expected, mut records) = (0.0, 0.0, 0.0);
        for ((rows, nanos), (rows_before, nanos_before)) in self.times.iter().zip(&before.times) {
            if *rows_before >= KNOWN && *nanos_before > 0 {
                spent += *nanos as f64;
                records += *rows as f64;
                expected += *rows as f64 * *nanos_before as f64 / *rows_before as f64;
            }
        }
        let is_felt = spent - expected > records * LITTLE.as_nanos() as f64;
        (spent >= LONG.as_nanos() as f64 && expected > 0.0 && is_felt).then(|| spent / expected)
    }
}

fn part(count: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

#[cfg(test)]
mod tests;
