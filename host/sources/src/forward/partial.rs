//! Docker cuts lines at 16 KiB. This joins them again.
//!
//! Every piece of a long line is a record with `partial_message: "true"`, a `partial_id` that all pieces of the line
//! share, `partial_ordinal` from `"1"` on and `partial_last`. A line of exactly 16,384 bytes comes as one piece and
//! an empty last one; a line that the end of its stream cuts off has no last piece at all, and is complete when no
//! more has come for a while or the connection ends. Source: moby `daemon/logger/copier.go` and
//! `daemon/logger/fluentd/fluentd.go`, and bytes recorded from Docker 20.10.24.

use std::collections::HashMap;
use std::time::Duration;

use memchr::memmem;
use tokio::time::Instant;

use super::entries::SCAN_DEPTH;
use flitch_core::net::forward::wire::{Cursor, Limits, Token};

const ANY: Limits = Limits { bytes: usize::MAX, depth: SCAN_DEPTH };
/// Bytes that an open line counts for beside its text.
const OVERHEAD: usize = 512;
/// Lines of full length that a connection may have open at once; the oldest is ended for one more.
const LONG_LINES: usize = 16;
/// Lines of any length that it may have open at once. One connection has one container's, or those of a host.
const OPEN_LINES: usize = 1024;
/// Longest id of a line and of a container, in bytes; Docker's have 64.
const LONGEST_ID: usize = 256;

/// What stands in every piece.
const MARK: &[u8] = b"partial_message";

/// A line joined of pieces.
#[derive(Debug)]
pub struct Line {
    /// The tag of its first piece, as it came.
    pub tag: Box<[u8]>,
    /// The time of its first piece, ns.
    pub time: i64,
    /// The other fields of its first piece: MessagePack names and values one after the other.
    pub fields: Vec<u8>,
    /// How many fields these are.
    pub pairs: u32,
    /// The text.
    pub log: Vec<u8>,
    /// Whether the line goes on in the next record: it was longer than the limit, or there was no room for it.
    pub truncated: bool,
    /// Whether pieces of it have been answered before: then nobody sends it again.
    pub answered: bool,
    /// When its last piece came.
    touched: Instant,
}

impl Line {
    fn memory(&self) -> usize {
        self.log.capacity() + self.fields.capacity() + 2 * self.tag.len() + OVERHEAD
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is no piece of a line.
    No,
    /// It is a piece; lines that are complete now are in the list.
    Yes,
}

struct Piece<'a> {
    id: &'a [u8],
    container: &'a [u8],
    log: &'a [u8],
    last: bool,
}

/// The lines of one connection of which pieces are still to come.
#[derive(Debug)]
pub struct Partials {
    lines: HashMap<Box<[u8]>, Line, ahash::RandomState>,
    memory: usize,
    wait: Duration,
    longest: usize,
    mark: memmem::Finder<'static>,
}

impl Partials {
    /// Joins lines of up to `longest` bytes, and waits `wait` for each next piece.
    pub fn new(longest: usize, wait: Duration) -> Partials {
        Partials { lines: HashMap::default(), memory: 0, wait, longest, mark: memmem::Finder::new(MARK) }
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
                new_line(tag, time, fields, pairs, now)
            }
        };
        if !line.log.is_empty() && line.log.len() + piece.log.len() > self.longest {
            let mut next = new_line(tag, line.time, line.fields.clone(), line.pairs, now);
            next.answered = line.answered;
            line.truncated = true;
            complete.push(std::mem::replace(&mut line, next));
        }
        line.log.extend_from_slice(piece.log);
        line.touched = now;
        if piece.last {
            complete.push(line);
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
            complete.push(line);
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
                complete.push(line);
            }
        }
    }

    /// Takes out all lines: the connection ends.
    pub fn all(&mut self, complete: &mut Vec<Line>) {
        self.memory = 0;
        let from = complete.len();
        complete.extend(self.lines.drain().map(|(_, line)| line));
        complete[from..].sort_by_key(|line| line.touched);
    }
}

fn new_line(tag: &[u8], time: i64, fields: Vec<u8>, pairs: u32, now: Instant) -> Line {
    Line {
        tag: tag.into(),
        time,
        fields,
        pairs,
        log: Vec::new(),
        truncated: false,
        answered: false,
        touched: now,
    }
}

/// Calls `each` with every field of a map: its name, its value where that is text, and both as they came.
fn fields<'a>(
    record: &'a [u8],
    mut each: impl FnMut(Option<&'a [u8]>, Option<&'a [u8]>, &'a [u8]),
) -> Option<()> {
    let mut cursor = Cursor::new(record, 0);
    let Token::Map(pairs) = cursor.token().ok()? else { return None };
    for _ in 0..pairs {
        let start = cursor.at();
        let name = text(&mut cursor)?;
        let value = text(&mut cursor)?;
        each(name, value, &record[start..cursor.at()]);
    }
    Some(())
}

/// The next value if it is text; passes over any other.
fn text<'a>(cursor: &mut Cursor<'a>) -> Option<Option<&'a [u8]>> {
    let start = *cursor;
    match cursor.token().ok()? {
        Token::Text(text) | Token::Bytes(text) => Some(Some(text)),
        Token::Array(_) | Token::Map(_) => {
            *cursor = start;
            cursor.skip(ANY).ok()?;
            Some(None)
        }
        _ => Some(None),
    }
}

fn piece(record: &[u8]) -> Option<Piece<'_>> {
    let mut partial = false;
    let (mut id, mut container, mut log, mut last) = (None, None, None, false);
    fields(record, |name, value, _| match name {
        Some(b"partial_message") => partial = value == Some(b"true"),
        Some(b"partial_id") => id = value,
        Some(b"partial_last") => last = value == Some(b"true"),
        Some(b"container_id") => container = value,
        Some(b"log") => log = value,
        _ => {}
    })?;
    if !partial {
        return None;
    }
    let piece = Piece { id: id?, container: container.unwrap_or_default(), log: log?, last };
    (piece.id.len().max(piece.container.len()) <= LONGEST_ID).then_some(piece)
}

/// The fields of a piece that are neither its text nor about its being a piece.
fn other_fields(record: &[u8]) -> Option<(Vec<u8>, u32)> {
    let (mut kept, mut pairs) = (Vec::new(), 0);
    fields(record, |name, _, raw| match name {
        Some(b"log" | b"partial_message" | b"partial_id" | b"partial_ordinal" | b"partial_last") => {}
        _ => {
            kept.extend_from_slice(raw);
            pairs += 1;
        }
    })?;
    Some((kept, pairs))
}

#[cfg(test)]
mod tests;
