//! The place in a JSON text (RFC 8259) up to which it is read.
//!
//! It is written by hand because no crate's reader gives both the text of a value as it stood (a number that float64
//! would change, a lone surrogate) and the values of the others in one pass without a tree, and tells where a record
//! ends that is broken, so that the next one is read all the same.

use super::{DecodeError, MAX_NESTING};
use crate::batch::builder::Builder;
use crate::batch::json::{BadEscape, pass_escape, plain_prefix, read_escape, write_with_plain_numbers};
use crate::batch::lossless;
use crate::batch::number::{Number, number};

#[derive(Clone)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether `{"$bytes":"<base64>"}` is bytes.
    lossless: bool,
    /// Whether a value that was passed over has a number that is perhaps not in its one form.
    odd: bool,
}

/// A string between its quotes.
enum Text<'a> {
    /// As it stands.
    Plain(&'a [u8]),
    /// Without its escapes, in the scratch; `lone` if there was a surrogate without its other half (then as WTF-8).
    Unescaped { lone: bool },
}

const NO_RECORD: &str = "a record is a JSON object; expected `{`";

type Read<T> = Result<T, DecodeError>;

impl<'a> Cursor<'a> {
    pub fn new(text: &'a [u8], lossless: bool) -> Cursor<'a> {
        Cursor { text, at: 0, lossless, odd: false }
    }

    /// Whether a number that was passed over is perhaps not in its one form.
    pub fn has_odd_numbers(&self) -> bool {
        self.odd
    }

    /// Passes over a byte order mark.
    pub fn skip_mark(&mut self) {
        if self.text.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
    }

    #[cold]
    fn error<T>(&self, what: &'static str) -> Read<T> {
        let what = if self.at >= self.text.len() { "the text ends too early" } else { what };
        Err(DecodeError { at: self.at, what })
    }

    /// The next byte that is no white space; 0 at the end, which is no byte of JSON.
    #[inline]
    fn peek(&mut self) -> u8 {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(&byte) => return byte,
                None => return 0,
            }
        }
    }

    /// Whether only white space is left.
    pub fn is_at_end(&mut self) -> bool {
        self.peek();
        self.at >= self.text.len()
    }

    pub fn end(&mut self) -> Read<()> {
        if self.is_at_end() { Ok(()) } else { self.error("more text after the value") }
    }

    /// Passes over `byte` if it comes next.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub fn expect(&mut self, byte: u8, what: &'static str) -> Read<()> {
        if self.take(byte) { Ok(()) } else { self.error(what) }
    }

    /// Reads an object as the members of the record that is begun.
    pub fn record(&mut self, builder: &mut Builder) -> Read<()> {
        if !self.take(b'{') {
            return self.error(NO_RECORD);
        }
        let mut scratch = builder.take_scratch();
        let read = self.members(builder, &mut scratch, 1);
        builder.give_scratch(scratch);
        read
    }

    /// Passes over a record.
    pub fn skip_record(&mut self) -> Read<()> {
        match self.peek() {
            b'{' => self.skip_value(0),
            _ => self.error(NO_RECORD),
        }
    }

    /// Reads members up to the brace that closes their object.
    fn members(&mut self, builder: &mut Builder, scratch: &mut Vec<u8>, depth: usize) -> Read<()> {
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.expect(b'"', "expected a name in quotes")?;
            if self.lossless && self.text[self.at..].starts_with(b"$$") {
                match self.string(scratch)? {
                    Text::Plain(name) => builder.key(lossless::unmarked(name)),
                    Text::Unescaped { .. } => builder.key(scratch),
                };
            } else if let Some(length) = builder.guessed_key(&self.text[self.at..]) {
                self.at += length + 1;
            } else {
                match self.string(scratch)? {
                    Text::Plain(name) => builder.key(name),
                    Text::Unescaped { .. } => builder.key(scratch),
                };
            }
            self.expect(b':', "expected `:`")?;
            self.value(builder, scratch, depth)?;
            if self.take(b',') {
                continue;
            }
            return self.expect(b'}', "expected `,` or `}`");
        }
    }

    fn value(&mut self, builder: &mut Builder, scratch: &mut Vec<u8>, depth: usize) -> Read<()> {
        let byte = self.peek();
        let start = self.at;
        match byte {
            b'"' => {
                self.at += 1;
                match self.string(scratch)? {
                    Text::Plain(text) => builder.text(text),
                    Text::Unescaped { lone: false } => builder.text(scratch),
                    Text::Unescaped { lone: true } => builder.json_bytes(&self.text[start..self.at]),
                }
            }
            b'-' | b'0'..=b'9' => match self.number()? {
                Number::Int(value) => builder.int(value),
                Number::Float(value) => builder.float(value),
                Number::Other => builder.json_bytes(&self.text[start..self.at]),
            },
            b'{' if self.lossless && self.bytes(builder) => {}
            b'{' if builder.takes_members() => {
                self.at += 1;
                builder.begin_object();
                self.members(builder, scratch, depth + 1)?;
                builder.end_object();
            }
            b't' => {
                self.word(b"true")?;
                builder.boolean(true);
            }
            b'f' => {
                self.word(b"false")?;
                builder.boolean(false);
            }
            b'n' => {
                self.word(b"null")?;
                builder.null();
            }
            _ => {
                self.odd = false;
                self.skip_value(depth)?;
                let text = &self.text[start..self.at];
                if self.lossless {
                    let mut original = Vec::with_capacity(text.len());
                    lossless::write_original(text, &mut original, lossless::write_bytes);
                    builder.json_bytes(&original);
                } else if self.odd {
                    scratch.clear();
                    write_with_plain_numbers(text, scratch);
                    builder.json_bytes(scratch);
                } else {
                    builder.json_bytes(text);
                }
            }
        }
        Ok(())
    }

    /// Takes `{"$bytes":"<base64>"}`, if just that comes next.
    fn bytes(&mut self, builder: &mut Builder) -> bool {
        let Some((bytes, length)) = lossless::read_bytes(&self.text[self.at..]) else { return false };
        builder.bytes_value(&bytes);
        self.at += length;
        true
    }

    fn word(&mut self, word: &[u8]) -> Read<()> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        let rest = &self.text[self.at..];
        self.at += rest.iter().zip(word).take_while(|(a, b)| a == b).count();
        self.error("expected a value")
    }

    fn number(&mut self) -> Read<Number> {
        match number(&self.text[self.at..]) {
            Ok((number, length)) => {
                self.at += length;
                Ok(number)
            }
            Err(length) => {
                self.at += length;
                self.error("expected a digit")
            }
        }
    }

    /// Reads a string whose first quote is passed already.
    #[inline]
    fn string(&mut self, scratch: &mut Vec<u8>) -> Read<Text<'a>> {
        let start = self.at;
        self.at += plain_prefix(&self.text[start..]);
        match self.text.get(self.at) {
            Some(b'"') => {
                self.at += 1;
                Ok(Text::Plain(&self.text[start..self.at - 1]))
            }
            Some(b'\\') => {
                self.at = start;
                self.escaped(scratch)
            }
            _ => self.error("a control character in a string"),
        }
    }

    fn escaped(&mut self, scratch: &mut Vec<u8>) -> Read<Text<'a>> {
        scratch.clear();
        let mut lone = false;
        loop {
            let plain = plain_prefix(&self.text[self.at..]);
            scratch.extend_from_slice(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text::Unescaped { lone });
                }
                Some(b'\\') => {}
                _ => return self.error("a control character in a string"),
            }
            self.at += 1;
            lone |= self.escape(|rest| read_escape(rest, scratch))?;
        }
    }

    /// Reads an escape whose backslash is passed.
    #[inline]
    fn escape<T>(&mut self, read: impl FnOnce(&mut &[u8]) -> Result<T, BadEscape>) -> Read<T> {
        let mut rest = &self.text[self.at..];
        let done = read(&mut rest);
        self.at = self.text.len() - rest.len();
        done.or_else(|wrong| match wrong {
            BadEscape::Unknown => self.error("no such escape"),
            BadEscape::Digits => self.error("expected four hexadecimal digits"),
        })
    }

    /// Passes over one value, of any kind, inside `depth` objects and arrays.
    pub fn skip_value(&mut self, depth: usize) -> Read<()> {
        match self.peek() {
            b'"' => {
                self.at += 1;
                self.skip_string()
            }
            b'-' | b'0'..=b'9' => {
                self.odd |= matches!(self.number()?, Number::Float(_));
                Ok(())
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'{' | b'[' if depth >= MAX_NESTING => {
                self.error("more than 128 objects and arrays inside one another")
            }
            b'{' => {
                self.at += 1;
                if self.take(b'}') {
                    return Ok(());
                }
                loop {
                    self.expect(b'"', "expected a name in quotes")?;
                    self.skip_string()?;
                    self.expect(b':', "expected `:`")?;
                    self.skip_value(depth + 1)?;
                    if !self.take(b',') {
                        return self.expect(b'}', "expected `,` or `}`");
                    }
                }
            }
            b'[' => {
                self.at += 1;
                if self.take(b']') {
                    return Ok(());
                }
                loop {
                    self.skip_value(depth + 1)?;
                    if !self.take(b',') {
                        return self.expect(b']', "expected `,` or `]`");
                    }
                }
            }
            _ => self.error("expected a value"),
        }
    }

    fn skip_string(&mut self) -> Read<()> {
        loop {
            self.at += plain_prefix(&self.text[self.at..]);
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(pass_escape)?;
                }
                _ => return self.error("a control character in a string"),
            }
        }
    }
}
