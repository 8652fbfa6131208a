//! The records of a file that are begun and not ended, one for each stream at most.
//!
//! Their bytes are kept, since what comes between their pieces is sent before they are. So a position of a file is one
//! for each stream: where the record begins that is open there, or where reading goes on. A restart reads from the first
//! of them, and passes over what each stream has sent already.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::entries::Entries;
use super::{Entry, OPEN_BYTES, OPEN_LINES, Rules, Stream};
use crate::multiline::Begun;

const STREAMS: [Stream; 3] = [Stream::Out, Stream::Err, Stream::Unnamed];
/// The places of a position: one for each stream, and one for the lines that are of none.
pub(in super::super) const PARTS: usize = STREAMS.len() + 1;
/// A slot keeps room for so many bytes when its record has gone.
const KEPT: usize = 4 << 10;

/// A position of a file. All of them are the same where records do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Position {
    /// What stands before is safe.
    pub offset: u64,
    /// What each stream has before its own place is safe, and at last the lines that are of none; none of these places
    /// lies before the offset.
    pub streams: [u64; PARTS],
}

impl Position {
    /// The position at which no record is open.
    pub fn at(offset: u64) -> Position {
        Position { offset, streams: [offset; PARTS] }
    }
}

/// What one file has open.
#[derive(Debug)]
pub(in super::super) struct Streams {
    slots: [Slot; 3],
    /// Where each stream goes on after a restart.
    resume: [u64; PARTS],
    held: Held,
}

#[derive(Debug, Default)]
struct Slot {
    open: Option<Open>,
    /// The record so far; empty where none is open.
    text: Vec<u8>,
    attrs: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    /// Where its first entry begins in the file, and its time.
    start: u64,
    time: i64,
    /// The same of its last line, and where that begins in the text.
    line: (u64, i64, usize),
    lines: usize,
    /// How far it has come, without a line that is not whole yet; none before its first line is.
    begun: Option<Begun>,
    /// The last line goes on.
    unfinished: bool,
    truncated: bool,
    /// When its last entry was read.
    touched: Instant,
}

impl Streams {
    /// What is open when reading goes on at `position`: nothing.
    pub fn at(position: Position) -> Streams {
        Streams { slots: Default::default(), resume: position.streams, held: Held::default() }
    }

    /// The position when the file was taken up to `offset`.
    pub fn position(&self, offset: u64) -> Position {
        let mut streams = self.resume.map(|resume| offset.max(resume));
        for (place, slot) in streams.iter_mut().zip(&self.slots) {
            if let Some(open) = slot.open {
                *place = open.start;
            }
        }
        Position { offset: streams.into_iter().min().unwrap_or(offset), streams }
    }

    /// Where the first open record begins.
    pub fn first_open(&self) -> Option<u64> {
        self.slots.iter().filter_map(|slot| slot.open).map(|open| open.start).min()
    }

    /// Whether a line goes on.
    pub fn is_unfinished(&self) -> bool {
        self.slots.iter().any(|slot| slot.open.is_some_and(|open| open.unfinished))
    }

    /// Whether a line at `start` of the file, which is of no stream, is safe already.
    pub(super) fn has_passed(&self, start: u64) -> bool {
        start < self.resume[STREAMS.len()]
    }

    /// Whether no line is open, and none that begins at `start` or later was taken before.
    pub(super) fn are_closed_from(&self, start: u64) -> bool {
        self.slots.iter().all(|slot| slot.open.is_none()) && self.resume.iter().all(|resume| start >= *resume)
    }

    /// Takes an entry that begins at `start` of the file, and puts what is complete by it into `out`.
    #[inline]
    pub(super) fn take(
        &mut self,
        entry: &Entry<'_>,
        start: u64,
        rules: &Rules,
        out: &mut Entries,
        now: Instant,
    ) {
        let number = entry.stream as usize;
        if start < self.resume[number] {
            return;
        }
        let is_alone = self.slots[number].open.is_none() && !entry.partial && rules.groups.is_none();
        if is_alone {
            out.push(start, entry.time, entry.stream, entry.text, entry.attrs);
            if entry.cut {
                out.mark_truncated();
            }
            return;
        }
        self.join(entry, start, rules, out, now);
    }

    #[inline(never)]
    fn join(&mut self, entry: &Entry<'_>, start: u64, rules: &Rules, out: &mut Entries, now: Instant) {
        let stream = entry.stream;
        let slot = &mut self.slots[stream as usize];
        let has_room = self.held.has_room(rules, entry.text.len());
        let fits = |text: usize| text + entry.text.len() <= rules.longest && has_room;
        match slot.open {
            // The line goes on in the next record, and what stands before it is a record without it.
            Some(open) if open.unfinished && !fits(slot.text.len()) => {
                if open.lines > 1 {
                    slot.end_before_line(stream, out);
                }
                if !fits(slot.text.len()) {
                    slot.end(stream, true, out);
                }
            }
            Some(open) if !open.unfinished && !fits(slot.text.len() + 1) => slot.end(stream, false, out),
            _ => {}
        }
        match &mut slot.open {
            None if !has_room => {
                out.push(start, entry.time, stream, entry.text, entry.attrs);
                if entry.partial || entry.cut {
                    out.mark_truncated();
                }
            }
            None => slot.begin(entry, start, now),
            Some(open) if !open.unfinished => {
                slot.text.push(b'\n');
                open.line = (start, entry.time, slot.text.len());
                open.lines += 1;
            }
            Some(_) => {}
        }
        if let Some(open) = &mut slot.open {
            open.touched = now;
            open.unfinished = entry.partial;
            let line = open.line.2;
            slot.text.extend_from_slice(entry.text);
            if !entry.partial
                && let Some(groups) = &rules.groups
            {
                let line = &slot.text[line..];
                let goes_on = open.begun.as_mut().map(|begun| groups.goes_on(begun, line));
                if goes_on != Some(true) {
                    let begun = groups.begin(line);
                    if goes_on.is_some() {
                        slot.end_before_line(stream, out);
                    }
                    slot.open.iter_mut().for_each(|open| open.begun = Some(begun));
                }
            }
            if let Some(open) = &mut slot.open {
                open.truncated |= entry.cut;
            }
            if !entry.partial && rules.groups.is_none() {
                slot.end(stream, false, out);
            }
        }
        self.count(rules);
    }

    /// Counts what is held.
    fn count(&mut self, rules: &Rules) {
        let bytes = self.slots.iter().map(|slot| slot.text.len() + slot.attrs.len()).sum();
        self.held.set(rules, bytes);
    }

    /// Ends the records that have waited long enough for what is missing, or `all` of them, those that began first
    /// before the others.
    pub(super) fn end(&mut self, all: bool, rules: &Rules, out: &mut Entries, now: Instant) {
        let is_due = |open: Open| {
            let wait = if open.unfinished { rules.piece_wait } else { rules.group_wait };
            all || now >= open.touched + wait
        };
        loop {
            let due = STREAMS.into_iter().filter_map(|stream| {
                let open = self.slots[stream as usize].open.filter(|open| is_due(*open))?;
                Some((open.start, stream))
            });
            let Some((_, stream)) = due.min_by_key(|(start, _)| *start) else { break };
            self.slots[stream as usize].end(stream, false, out);
        }
        self.count(rules);
    }
}

impl Slot {
    /// Begins a record with the line that `entry` begins.
    fn begin(&mut self, entry: &Entry<'_>, start: u64, now: Instant) {
        self.attrs.extend_from_slice(entry.attrs);
        self.open = Some(Open {
            start,
            time: entry.time,
            line: (start, entry.time, 0),
            lines: 1,
            begun: None,
            unfinished: true,
            truncated: false,
            touched: now,
        });
    }

    /// Ends the record; it is `cut` where its line goes on in another.
    fn end(&mut self, stream: Stream, cut: bool, out: &mut Entries) {
        let Some(open) = self.open.take() else { return };
        out.push(open.start, open.time, stream, &self.text, &self.attrs);
        if open.truncated || cut {
            out.mark_truncated();
        }
        self.text.clear();
        self.text.shrink_to(KEPT);
        self.attrs.clear();
    }

    /// Ends the record before its last line, which begins the next.
    fn end_before_line(&mut self, stream: Stream, out: &mut Entries) {
        let Some(open) = &mut self.open else { return };
        let (start, time, line) = open.line;
        out.push(open.start, open.time, stream, &self.text[..line - 1], &self.attrs);
        if open.truncated {
            out.mark_truncated();
        }
        self.text.drain(..line);
        *open =
            Open { start, time, line: (start, time, 0), lines: 1, begun: None, truncated: false, ..*open };
    }
}

/// How many bytes a file's open records have; part of what all of the source's have.
#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    all: Option<Arc<Total>>,
}

/// Bytes of all open records of a source.
#[derive(Debug, Default)]
pub(super) struct Total {
    bytes: AtomicUsize,
    /// It was said that there is no room for more.
    told: AtomicBool,
}

impl Held {
    fn has_room(&self, rules: &Rules, more: usize) -> bool {
        let most = OPEN_BYTES.max(OPEN_LINES * rules.longest);
        let has_room = rules.total.bytes.load(Ordering::Relaxed) + more <= most;
        if !has_room && !rules.total.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                bytes = most,
                "records of containers that wait for their next line are ended and marked as truncated: \
                 all files together hold no more"
            );
        }
        has_room
    }

    fn set(&mut self, rules: &Rules, bytes: usize) {
        if bytes == self.bytes {
            return;
        }
        let all = self.all.get_or_insert_with(|| rules.total.clone());
        all.bytes.fetch_add(bytes, Ordering::Relaxed);
        all.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(all) = &self.all {
            all.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
