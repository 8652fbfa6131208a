//! A line, and in which order its pieces stand in it.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::OVERHEAD;
use super::piece::Piece;

/// Bytes that a piece counts for beside its text while it waits for those before it.
const WAITING: usize = 128;

/// What was wrong with pieces of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Pieces that did not come.
    pub missing: u64,
    /// Pieces that came once more.
    pub twice: u64,
}

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
    /// Whether the line goes on in another record: it was longer than the limit, there was no room for it, or a piece of it
    /// is missing.
    pub truncated: bool,
    /// Whether pieces of it have been answered before: then nobody sends it again.
    pub answered: bool,
    /// When its last piece came.
    pub(super) touched: Instant,
    order: Order,
}

/// Which pieces of a line have come.
#[derive(Debug, Default)]
struct Order {
    /// The ordinal of the piece that comes next in the text; none before the first one.
    next: Option<u64>,
    /// Where the one before it begins in the text.
    before: usize,
    /// The ordinal of the last piece, once that has come.
    last: Option<u64>,
    /// Pieces that came ahead of others.
    ahead: BTreeMap<u64, Vec<u8>>,
    /// Bytes of them.
    bytes: usize,
    /// A piece is missing in what went on.
    is_torn: bool,
}

impl Line {
    /// A line of which no piece has come.
    pub(super) fn new(tag: &[u8], time: i64, fields: Vec<u8>, pairs: u32, now: Instant) -> Line {
        Line {
            tag: tag.into(),
            time,
            fields,
            pairs,
            log: Vec::new(),
            truncated: false,
            answered: false,
            touched: now,
            order: Order::default(),
        }
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        let ahead = self.order.bytes + self.order.ahead.len() * WAITING;
        self.log.capacity() + self.fields.capacity() + 2 * self.tag.len() + ahead + OVERHEAD
    }

    /// Takes a piece in. Answers whether it was the last that was missing. What goes on before the line is complete, since it
    /// is longer than `longest`, is put into `out`.
    pub(super) fn put(
        &mut self,
        piece: &Piece<'_>,
        longest: usize,
        out: &mut Vec<Line>,
        faults: &mut Faults,
    ) -> bool {
        let Some(ordinal) = piece.ordinal else {
            self.append(piece.log, longest, out);
            return piece.last;
        };
        // Docker counts from 1.
        let next = *self.order.next.get_or_insert(ordinal.min(1));
        if ordinal < next || self.order.ahead.contains_key(&ordinal) {
            faults.twice += 1;
            if !self.has(ordinal, piece.log) {
                // It is another text, and nobody knows where it belongs.
                out.push(Line { log: piece.log.to_vec(), truncated: true, ..self.next_part() });
            }
            return false;
        }
        if piece.last {
            self.order.last = Some(ordinal);
        }
        if ordinal == next {
            self.append(piece.log, longest, out);
            self.order.next = Some(next + 1);
            self.take_those_ahead(longest, out);
        } else {
            self.order.bytes += piece.log.len();
            self.order.ahead.insert(ordinal, piece.log.to_vec());
            while self.order.bytes > longest {
                self.tear(longest, out, faults);
            }
        }
        self.order.last.zip(self.order.next).is_some_and(|(last, next)| next > last)
    }

    /// Ends the line, whose further pieces are not waited for.
    pub(super) fn end(mut self, longest: usize, out: &mut Vec<Line>, faults: &mut Faults) {
        while !self.order.ahead.is_empty() {
            self.tear(longest, out, faults);
        }
        if !(self.order.is_torn && self.log.is_empty()) {
            self.truncated |= self.order.is_torn;
            out.push(self);
        }
    }

    /// Whether the piece of this ordinal, which has come, has this text. Of those that are in the text of the line already only
    /// the last is known: it is the one that a client sends again.
    fn has(&self, ordinal: u64, log: &[u8]) -> bool {
        match self.order.ahead.get(&ordinal) {
            Some(ahead) => ahead == log,
            None => self.order.next == Some(ordinal + 1) && self.log.get(self.order.before..) == Some(log),
        }
    }

    /// Gives up the pieces that are missing before the first that has come ahead of them: what stands before them goes on.
    fn tear(&mut self, longest: usize, out: &mut Vec<Line>, faults: &mut Faults) {
        let (Some(next), Some((&first, _))) = (self.order.next, self.order.ahead.first_key_value()) else {
            return;
        };
        // Ordinals are what a client says.
        faults.missing = faults.missing.saturating_add(first - next);
        self.order.is_torn = true;
        if !self.log.is_empty() {
            self.part(out);
        }
        self.order.next = Some(first);
        self.take_those_ahead(longest, out);
    }

    fn take_those_ahead(&mut self, longest: usize, out: &mut Vec<Line>) {
        while let Some(next) = self.order.next
            && let Some(log) = self.order.ahead.remove(&next)
        {
            self.order.bytes -= log.len();
            self.append(&log, longest, out);
            self.order.next = Some(next + 1);
        }
    }

    fn append(&mut self, log: &[u8], longest: usize, out: &mut Vec<Line>) {
        if !self.log.is_empty() && self.log.len() + log.len() > longest {
            self.part(out);
        }
        self.order.before = self.log.len();
        self.log.extend_from_slice(log);
    }

    /// Lets what there is go on as a record; the line goes on in the next one.
    fn part(&mut self, out: &mut Vec<Line>) {
        let log = std::mem::take(&mut self.log);
        out.push(Line { log, truncated: true, ..self.next_part() });
    }

    /// A line with all but the text of this one.
    fn next_part(&self) -> Line {
        let mut part = Line::new(&self.tag, self.time, self.fields.clone(), self.pairs, self.touched);
        part.answered = self.answered;
        part
    }
}
