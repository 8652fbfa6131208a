//! Docker cuts lines at 16 KiB. This joins them again.
//!
//! Every piece of a long line is a record with `partial_message: "true"`, a `partial_id` that all pieces of the line
//! share, `partial_ordinal` from `"1"` on and `partial_last`. A line of exactly 16,384 bytes comes as one piece and
//! an empty last one; a line that the end of its stream cuts off has no last piece at all, and is complete when no
//! more has come for a while or the connection ends. Pieces are joined in the order of their ordinals, whatever the order in which
//! they come; where one is missing, what stands before it and behind it are records of their own, all marked. Source: moby `daemon/logger/copier.go` and
//! `daemon/logger/fluentd/fluentd.go`, and bytes recorded from Docker 20.10.24.

use std::collections::HashMap;
use std::time::Duration;

use memchr::memmem;
use tokio::time::Instant;

mod line;
mod piece;

pub use line::{Faults, Line};
use piece::{other_fields, piece};

/// Bytes that an open line counts for beside its text.
const OVERHEAD: usize = 512;
/// Lines of full length that a connection may have open at once; the oldest is ended for one more.
const LONG_LINES: usize = 16;
/// Lines of any length that it may have open at once. One connection has one container's, or those of a host.
const OPEN_LINES: usize = 1024;

/// What stands in every piece.
const MARK: &[u8] = b"partial_message";

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is no piece of a line.
    No,
    /// It is a piece; lines that are complete now are in the list.
    Yes,
}

/// The lines of one connection of which pieces are still to come.
#[derive(Debug)]
pub struct Partials {
    lines: HashMap<Box<[u8]>, Line, ahash::RandomState>,
    memory: usize,
    wait: Duration,
    longest: usize,
    faults: Faults,
    mark: memmem::Finder<'static>,
}

impl Partials {
    /// Joins lines of up to `longest` bytes, and waits `wait` for each next piece.
    pub fn new(longest: usize, wait: Duration) -> Partials {
        let mark = memmem::Finder::new(MARK);
        Partials { lines: HashMap::default(), memory: 0, wait, longest, faults: Faults::default(), mark }
    }

    /// Whether there may be pieces among these bytes; a quick look that spares most bytes the slow one.
    pub fn may_stand_in(&self, bytes: &[u8]) -> bool {
        self.mark.find(bytes).is_some()
    }

    /// Takes the record in if it is a piece of a line, and puts the lines that are complete by it into `complete`.
    /// `record` is a map as it came, of an event with this tag and time (ns).
    pub fn take(
        &mut self,
        tag: &[u8],
        time: i64,
        record: &[u8],
        now: Instant,
        complete: &mut Vec<Line>,
    ) -> Taken {
        let Some(piece) = piece(record) else { return Taken::No };
        let key: Box<[u8]> =
            [&(tag.len() as u32).to_be_bytes(), tag, piece.container, b"\0", piece.id].concat().into();
        let mut line = match self.lines.remove(&key) {
            Some(line) => {
                self.memory -= line.memory();
                line
            }
            None => {
                let Some((fields, pairs)) = other_fields(record) else { return Taken::No };
                Line::new(tag, time, fields, pairs, now)
            }
        };
        line.touched = now;
        if line.put(&piece, self.longest, complete, &mut self.faults) {
            line.end(self.longest, complete, &mut self.faults);
            return Taken::Yes;
        }
        line.answered = true;
        self.memory += line.memory();
        self.lines.insert(key, line);
        while self.memory > LONG_LINES * self.longest.max(OVERHEAD) || self.lines.len() > OPEN_LINES {
            self.end_oldest(complete);
        }
        Taken::Yes
    }

    /// Bytes of memory that the open lines take.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Takes out the line for whose next piece it has waited longest, since there is no room for it.
    pub fn end_oldest(&mut self, complete: &mut Vec<Line>) {
        let oldest = self.lines.iter().min_by_key(|(_, line)| line.touched).map(|(key, _)| key.clone());
        if let Some(mut line) = oldest.and_then(|key| self.lines.remove(&key)) {
            self.memory -= line.memory();
            line.truncated = true;
            line.end(self.longest, complete, &mut self.faults);
        }
    }

    /// When the first open line is complete for want of a next piece.
    pub fn deadline(&self) -> Option<Instant> {
        self.lines.values().map(|line| line.touched + self.wait).min()
    }

    /// Takes out the lines that have waited long enough.
    pub fn overdue(&mut self, now: Instant, complete: &mut Vec<Line>) {
        let before = now.checked_sub(self.wait);
        let keys: Vec<_> = self
            .lines
            .iter()
            .filter(|(_, line)| before.is_some_and(|before| line.touched <= before))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            if let Some(line) = self.lines.remove(&key) {
                self.memory -= line.memory();
                line.end(self.longest, complete, &mut self.faults);
            }
        }
    }

    /// Takes out all lines: the connection ends.
    pub fn all(&mut self, complete: &mut Vec<Line>) {
        self.memory = 0;
        let mut lines: Vec<Line> = self.lines.drain().map(|(_, line)| line).collect();
        lines.sort_by_key(|line| line.touched);
        lines.into_iter().for_each(|line| line.end(self.longest, complete, &mut self.faults));
    }

    /// What was wrong with pieces since this was last asked.
    pub fn take_faults(&mut self) -> Faults {
        std::mem::take(&mut self.faults)
    }
}

#[cfg(test)]
mod tests;
