//! The search for the record that a plugin cannot survive.
//!
//! The batch is halved, and each half is tried on a new instance, until a record that fails stands alone. It is
//! rejected; all others go on, in order. One such record among n costs about log2(n) instances.
//!
//! A record is judged alone and with the whole time that a batch may have. The halves before that get a share of the
//! time, since a half that runs out of it is only halved again. So a record that spins costs about three times the
//! deadline. The search as a whole may last [`PATIENCE`] deadlines, and no less than [`LEAST`], so that a batch in which
//! every record spins cannot hold a worker for long: what is left then is rejected together, and the reason says so.

use std::time::{Duration, Instant};

use super::instance::{Fault, FaultKind};
use super::step::{Outcome, Step};
use crate::batch::Records;

/// How many deadlines the search may last.
const PATIENCE: u32 = 10;
/// How long the search may last where a deadline is short.
const LEAST: Duration = Duration::from_secs(3);
/// The least time that a part of a batch is given.
const SHORTEST: Duration = Duration::from_millis(50);

impl Step {
    /// Finds the records that cause `fault` when `records` are handed over, rejects them, and runs the others.
    pub(super) fn isolate(&mut self, records: &Records, fault: Fault, outcome: &mut Outcome) {
        let limit = self.filter.limits.time.0;
        let patience = limit.saturating_mul(PATIENCE).max(LEAST);
        let (all, began) = (records.rows(), Instant::now());
        let mut fault = fault;
        let mut left = Vec::new();
        halve(&mut left, 0, all);
        if all == 1 || fault.kind == FaultKind::Start {
            return self.reject_all(records, 0, &fault.to_string(), outcome);
        }
        while let Some((from, rows)) = left.pop() {
            let part = records.slice(from, rows);
            if fault.kind == FaultKind::Start {
                self.reject_all(&part, from, &fault.to_string(), outcome);
                continue;
            }
            if began.elapsed() > patience {
                let reason = format!(
                    "the search for the record that fails ({fault}) took longer than {patience:?}; \
                     what was left of the batch is rejected together"
                );
                self.reject_all(&part, from, &reason, outcome);
                continue;
            }
            let time = match rows {
                1 => limit,
                _ => (limit * rows as u32 / all as u32).max(SHORTEST.min(limit)),
            };
            if let Err(next) = self.attempt(&part, from, time, outcome) {
                if rows == 1 && next.kind != FaultKind::Start {
                    self.reject_all(&part, from, &next.to_string(), outcome);
                } else if next.kind == FaultKind::Start {
                    left.push((from, rows));
                } else {
                    halve(&mut left, from, rows);
                }
                fault = next;
            }
        }
    }
}

/// Puts the two halves of a part on the stack, so that the first comes off first.
fn halve(left: &mut Vec<(usize, usize)>, from: usize, rows: usize) {
    let half = rows / 2;
    left.push((from + half, rows - half));
    left.push((from, half));
}
