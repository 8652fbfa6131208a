//! A piece of a file, of which records are taken from its beginning on.

use super::super::charset::{Coding, Places};
use super::super::container::At;
use super::super::sender::Sender;
use super::super::tail::Tail;
use super::{Blank, Searched, Turn};

/// A piece of a file as UTF-8.
pub(super) struct Piece<'a> {
    text: &'a [u8],
    /// Where the text stands in the piece as it is in the file.
    places: Places<'a>,
    /// Where the piece stands in the file, and where its end.
    begin: u64,
    end: u64,
    /// Nothing more comes of the file: what is unfinished is taken as if its end was there.
    last: bool,
    turn: Turn,
    /// How much of the text is taken.
    pub taken: usize,
}

impl<'a> Piece<'a> {
    /// The piece `raw` of `tail`, which is `text` as UTF-8.
    pub fn new(tail: &Tail, raw: &'a [u8], text: &'a [u8], last: bool, turn: Turn) -> Piece<'a> {
        let (begin, end) = (tail.offset, tail.offset + raw.len() as u64);
        Piece { text, places: Places::new(turn.coding, raw), begin, end, last, turn, taken: 0 }
    }

    /// What is not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.text[self.taken..]
    }

    /// How many bytes of the piece in the file are taken.
    pub fn place(&mut self) -> usize {
        self.places.of(self.text, self.taken)
    }

    /// Takes the records that are next, until their batch is full or something stands there that is none.
    pub fn append(&mut self, tail: &mut Tail, out: &mut Sender) {
        let known = out.gather.offsets.rows();
        let at = At { base: self.begin + self.taken as u64, now: self.turn.now, streams: &mut tail.streams };
        self.taken += out.gather.append(self.rest(), &out.cut, self.last, at);
        if !self.turn.coding.is_utf8() {
            out.gather.offsets.translate(known, |at| self.in_file(at));
        }
    }

    /// Passes over the NULs that are next. Answers whether there were any, and something comes behind them.
    pub fn pass_nuls(&mut self, tail: &mut Tail, out: &Sender) -> bool {
        let nuls = Coding::UTF_8.nuls(self.rest());
        if nuls > 0 {
            out.count_nuls(tail, nuls * self.turn.coding.unit());
            self.taken += nuls;
        }
        nuls > 0 && !self.rest().is_empty()
    }

    /// Takes the first part of the line that is next, where that is longer than the limit; where its end is not here, it is
    /// searched from the next turn on. Answers whether there is room for more behind it.
    pub fn cut_long(&mut self, tail: &mut Tail, out: &mut Sender) -> bool {
        let (rest, limit) = (self.rest(), out.gather.limit);
        if rest.len() <= limit {
            return false;
        }
        match memchr::memchr(b'\n', rest) {
            Some(end) if rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]).len() > limit => {
                let mut base = self.begin + self.taken as u64;
                if !self.turn.coding.is_utf8() {
                    base = self.in_file(base);
                }
                let at = At { base, now: self.turn.now, streams: &mut tail.streams };
                out.gather.push_cut(&rest[..end], at);
                self.taken += end + 1;
                !out.gather.full(&out.cut)
            }
            // A carriage return may be the first half of the line's end.
            None if rest.len() > limit + 1 => {
                tail.searched = Some(Searched { to: self.end, written: self.end });
                tail.blank = Blank::Unknown;
                false
            }
            _ => false,
        }
    }

    /// Where in the file a place is, counted from the piece's in the file on, that is `at` in the text.
    fn in_file(&mut self, at: u64) -> u64 {
        self.begin + self.places.of(self.text, (at - self.begin) as usize) as u64
    }
}
