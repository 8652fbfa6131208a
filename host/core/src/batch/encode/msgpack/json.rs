//! JSON texts, which are whole and valid, to MessagePack.

use super::{Unfit, end_long, end_map, put_float, put_int, put_text};
use crate::batch::json::unescape;
use crate::batch::number::{Number, number};
use crate::batch::path::surrogate;

const DEEP: Unfit = Unfit("more than 64 objects and arrays lie inside one another in it");
const BROKEN: Unfit = Unfit("a value in it is no JSON");

/// A place in a JSON text.
pub(super) struct Reader<'t, 's> {
    text: &'t [u8],
    at: usize,
    scratch: &'s mut Vec<u8>,
}

impl<'t, 's> Reader<'t, 's> {
    pub fn new(text: &'t [u8], scratch: &'s mut Vec<u8>) -> Reader<'t, 's> {
        Reader { text, at: 0, scratch }
    }

    /// Appends the whole text, in which `depth` objects and arrays may lie inside each other.
    pub fn whole(mut self, depth: usize, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.value(depth, out)
    }

    /// Appends the members of the object that the text is, and answers how many; none where it is something else.
    pub fn members(mut self, depth: usize, out: &mut Vec<u8>) -> Result<u32, Unfit> {
        match self.take(b'{') {
            true => self.pairs(depth, out),
            false => Ok(0),
        }
    }

    /// The next byte that is no white space; 0 at the end.
    fn peek(&mut self) -> u8 {
        while let Some(&byte) = self.text.get(self.at) {
            if !byte.is_ascii_whitespace() {
                return byte;
            }
            self.at += 1;
        }
        0
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match self.peek() {
            b'"' => return self.string(out),
            b'{' => {
                self.at += 1;
                let head = out.len();
                out.push(0);
                let count = self.pairs(depth.checked_sub(1).ok_or(DEEP)?, out)?;
                end_map(head, count, out);
            }
            b'[' => {
                self.at += 1;
                let inner = depth.checked_sub(1).ok_or(DEEP)?;
                let head = out.len();
                out.push(0);
                let mut count = 0;
                while !self.take(b']') {
                    if count > 0 && !self.take(b',') {
                        return Err(BROKEN);
                    }
                    self.value(inner, out)?;
                    count += 1;
                }
                match count {
                    0..=15 => out[head] = 0x90 | count as u8,
                    _ => end_long(head, 0xdc, count, out),
                }
            }
            b't' => self.word(b"true", 0xc3, out)?,
            b'f' => self.word(b"false", 0xc2, out)?,
            b'n' => self.word(b"null", 0xc0, out)?,
            _ => return self.number(out),
        }
        Ok(())
    }

    /// Members up to the brace that closes their object.
    fn pairs(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<u32, Unfit> {
        let mut count = 0;
        while !self.take(b'}') {
            if count > 0 && !self.take(b',') {
                return Err(BROKEN);
            }
            self.peek();
            self.string(out)?;
            if !self.take(b':') {
                return Err(BROKEN);
            }
            self.value(depth, out)?;
            count += 1;
        }
        Ok(count)
    }

    fn word(&mut self, word: &[u8], marker: u8, out: &mut Vec<u8>) -> Result<(), Unfit> {
        if !self.text[self.at..].starts_with(word) {
            return Err(BROKEN);
        }
        self.at += word.len();
        out.push(marker);
        Ok(())
    }

    fn string(&mut self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let text = self.text.get(self.at..).and_then(|rest| rest.strip_prefix(b"\"")).ok_or(BROKEN)?;
        let (mut length, mut plain) = (0, true);
        loop {
            length += memchr::memchr2(b'"', b'\\', text.get(length..).ok_or(BROKEN)?).ok_or(BROKEN)?;
            if text[length] == b'"' {
                break;
            }
            plain = false;
            length += 2;
        }
        self.at += length + 2;
        let inside = &text[..length];
        if plain {
            put_text(inside, out);
            return Ok(());
        }
        self.scratch.clear();
        match unescape(inside, self.scratch).map_err(|_| BROKEN)? {
            false => put_text(self.scratch, out),
            true => put_text(&without_surrogates(self.scratch), out),
        }
        Ok(())
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let rest = &self.text[self.at..];
        let (read, length) = number(rest).map_err(|_| BROKEN)?;
        let digits = &rest[..length];
        self.at += length;
        match read {
            Number::Int(n) => put_int(n, out),
            Number::Float(x) => put_float(x, out),
            Number::Other => match std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok())
            {
                Some(n) => {
                    out.push(0xcf);
                    out.extend_from_slice(&n.to_be_bytes());
                }
                None => put_text(digits, out),
            },
        }
        Ok(())
    }
}

/// WTF-8 with U+FFFD for each lone surrogate.
#[cold]
fn without_surrogates(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match surrogate(&text[at..]) {
            Some(_) => {
                out.extend_from_slice("\u{fffd}".as_bytes());
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}
