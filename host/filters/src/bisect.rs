//! The search for the record that a plugin cannot survive.
//!
//! The batch is cut into [`WAYS`] parts, and each is tried on a new instance where the one before broke, until a record
//! that fails stands alone. It is rejected; all others go on, in order. One such record among 1,000 costs about four
//! instances.
//!
//! A record is judged alone and with the whole time that a batch may have. The parts before that get a share of the
//! time, since one that runs out of it is only cut again; and a record that runs out of its share alone waits until all
//! others are through. So a record that spins costs about two and a half times the deadline, and costs its neighbours
//! nothing. The search as a whole may last [`PATIENCE`] deadlines, and no less than [`LEAST`], so that a batch in which
//! every record spins cannot hold a worker for long. What is left then was judged by nobody: it goes to the dead
//! letters whatever `on_error` says, and the reason says so.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::guest::{Fault, FaultKind};

/// Into how many parts a batch is cut.
const WAYS: usize = 8;
/// How many deadlines the search may last.
const PATIENCE: u32 = 10;
/// How long the search may last where a deadline is short.
const LEAST: Duration = Duration::from_secs(3);
/// The least time that a part of a batch is given.
const SHORTEST: Duration = Duration::from_millis(50);

/// What is done with the rows of a batch while those that fail are searched.
pub trait Search {
    /// Tries these rows, for at most `time`. After a fault none of them is judged.
    fn attempt(&mut self, rows: Range<usize>, time: Duration) -> Result<(), Fault>;

    /// This row alone brings the fault about.
    fn condemn(&mut self, row: usize, fault: &Fault);

    /// These rows are judged by nobody.
    fn give_up(&mut self, rows: Range<usize>, reason: &str);

    /// Whether so much has come of the rows so far that it goes on before there is more.
    fn is_full(&self) -> bool;
}

/// Finds the rows that cause `fault` when all `all` are handed over, for which the plugin has the time `limit`, and
/// runs the others. Answers how many of the rows, from the first on, it came to: all, where the search was never full.
pub fn isolate(all: usize, limit: Duration, fault: Fault, search: &mut dyn Search) -> usize {
    let patience = limit.saturating_mul(PATIENCE).max(LEAST);
    let mut spent = Duration::ZERO;
    let mut fault = fault;
    let mut left = Vec::new();
    let mut suspects = VecDeque::new();
    if all == 1 && fault.kind != FaultKind::Start {
        search.condemn(0, &fault);
        return all;
    }
    cut(&mut left, 0, all);
    loop {
        let is_full = search.is_full();
        // Nothing of what comes behind a suspect goes on before it.
        let is_suspect = (is_full || left.is_empty()) && !suspects.is_empty();
        let next = if is_suspect {
            suspects.pop_front().map(|row| (row, 1))
        } else if is_full {
            return left.last().map_or(all, |(from, _)| *from);
        } else {
            left.pop()
        };
        let Some((from, rows)) = next else { return all };
        let unjudged = match fault.kind {
            FaultKind::Start => Some(fault.to_string()),
            _ if spent > patience => Some(format!(
                "the search for the records that fail ({fault}) took longer than {patience:?}; this one was not judged"
            )),
            _ => None,
        };
        if let Some(reason) = unjudged {
            search.give_up(from..from + rows, &reason);
            continue;
        }
        let time = match is_suspect {
            true => limit,
            false => (limit.saturating_mul(rows as u32) / all as u32).max(SHORTEST).min(limit),
        };
        let began = Instant::now();
        let tried = search.attempt(from..from + rows, time);
        // What others take of the clock meanwhile is not the batch's: the process may be stopped, the machine be busy.
        spent += began.elapsed().min(time * 2);
        let Err(next) = tried else { continue };
        match next.kind {
            FaultKind::Start => left.push((from, rows)),
            _ if rows > 1 => cut(&mut left, from, rows),
            FaultKind::Deadline if time < limit => suspects.push_back(from),
            _ => search.condemn(from, &next),
        }
        fault = next;
    }
}

/// Puts the parts of a part on the stack, so that the first comes off first.
fn cut(left: &mut Vec<(usize, usize)>, from: usize, rows: usize) {
    let ways = WAYS.min(rows);
    for way in (0..ways).rev() {
        let (start, end) = (rows * way / ways, rows * (way + 1) / ways);
        left.push((from + start, end - start));
    }
}
