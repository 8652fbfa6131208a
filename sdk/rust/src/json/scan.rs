//! A scanner over one JSON text.

use crate::copy::same;
use crate::{Error, Result, err};
use flitch_model::MAX_NESTING;
use flitch_model::json::{self, BadEscape};
use flitch_model::number::{self, Number};

/// The start of a value.
pub(super) enum Token<'a> {
    Object,
    Array,
    String(Text<'a>),
    /// By its type, and as it stands.
    Number(Number, &'a str),
    Boolean(bool),
    Null,
}

impl Token<'_> {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String(_) => "a string",
            Self::Number(..) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Null => "null",
        }
    }
}

/// A string between its quotes.
pub(super) struct Text<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// The text, where it has no escape.
    pub(super) fn plain(&self) -> Option<&'a str> {
        (!self.escaped).then_some(self.raw)
    }

    /// Writes the text without its escapes into `scratch`: UTF-8, or WTF-8 where a surrogate lacks its other half.
    pub(super) fn unescape(&self, scratch: &mut Vec<u8>) -> Result<()> {
        scratch.clear();
        json::unescape(self.raw.as_bytes(), scratch)
            .map(drop)
            .map_err(|(wrong, place)| bad_escape(wrong, self.raw.get(place..).unwrap_or_default()))
    }

    /// Whether all escapes are right.
    fn check(&self) -> Result<()> {
        let mut rest = self.raw.as_bytes();
        while let Some(at) = memchr::memchr(b'\\', rest) {
            rest = &rest[at + 1..];
            let place = self.raw.len() - rest.len();
            json::pass_escape(&mut rest).map_err(|wrong| bad_escape(wrong, &self.raw[place..]))?;
        }
        Ok(())
    }
}

fn bad_escape(wrong: BadEscape, rest: &str) -> Error {
    match (wrong, rest.chars().next()) {
        (BadEscape::Unknown, Some(other)) => err!("\\{other} is no escape of JSON"),
        (BadEscape::Unknown, None) => err!("a string ends in a backslash"),
        (BadEscape::Digits, _) => err!("\\u without four hexadecimal digits"),
    }
}

/// Reads values off a text. Positions are byte offsets.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What was read since a position.
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    pub(super) fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// How far the text was read.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// Whether the object whose brace has been read ends right there; passes over that.
    pub(super) fn is_closed(&mut self) -> bool {
        let is_closed = self.text.as_bytes().get(self.at) == Some(&b'}');
        self.at += usize::from(is_closed);
        is_closed
    }

    fn skip_space(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Where the next value starts.
    pub(super) fn value_start(&mut self) -> usize {
        self.skip_space();
        self.at
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T> {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => Err(err!("{found:?} at byte {} where {wanted} should be", self.at)),
            None => Err(err!("the text ends at byte {} where {wanted} should be", self.at)),
        }
    }

    /// The next value, or its opening bracket.
    pub(super) fn token(&mut self) -> Result<Token<'a>> {
        let Some(byte) = self.skip_space() else {
            return self.unexpected("a value");
        };
        match byte {
            b'{' => {
                self.at += 1;
                Ok(Token::Object)
            }
            b'[' => {
                self.at += 1;
                Ok(Token::Array)
            }
            b'"' => self.string().map(Token::String),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Token::Boolean(true)),
            b'f' => self.word("false", Token::Boolean(false)),
            b'n' => self.word("null", Token::Null),
            _ => self.unexpected("a value"),
        }
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(token);
        }
        self.unexpected(word)
    }

    /// The next value, if it is a string without an escape, right behind the colon or one space; else nothing is passed over.
    #[inline]
    pub(super) fn plain_string(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let start = match bytes.get(self.at..)? {
            [b'"', ..] => self.at + 1,
            [b' ', b'"', ..] => self.at + 2,
            _ => return None,
        };
        let end = start + json::plain_prefix(&bytes[start..]);
        (bytes.get(end) == Some(&b'"')).then(|| {
            self.at = end + 1;
            &self.text[start..end]
        })
    }

    fn string(&mut self) -> Result<Text<'a>> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            at += json::plain_prefix(&bytes[at..]);
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(b'"'), _) => break,
                // What is escaped ends no string; whether it may be is looked at when it is read.
                (Some(b'\\'), Some(b' '..)) => {
                    escaped = true;
                    at += 2;
                }
                (Some(b'\\'), None) | (None, _) => {
                    self.at = bytes.len();
                    return self.unexpected("the end of a string");
                }
                (Some(byte), _) => {
                    self.at = at + usize::from(*byte == b'\\');
                    return self.unexpected("an escaped control character");
                }
            }
        }
        self.at = at + 1;
        Ok(Text { raw: &self.text[start..at], escaped })
    }

    fn number(&mut self) -> Result<Token<'a>> {
        let start = self.at;
        match number::number(&self.text.as_bytes()[start..]) {
            Ok((number, length)) => {
                self.at += length;
                Ok(Token::Number(number, self.since(start)))
            }
            Err(length) => {
                self.at += length;
                let is_digit = self.text.as_bytes().get(self.at).is_some_and(u8::is_ascii_digit);
                self.unexpected(if is_digit { "no digit after a leading zero" } else { "a digit" })
            }
        }
    }

    /// Passes over the name of the next member and its colon, if it is `name`, in which nothing would have to be escaped, and
    /// nothing but a space stands around: so do programs write it that write all of their texts alike.
    #[inline]
    pub(super) fn expect(&mut self, first: bool, name: &[u8]) -> Option<Text<'a>> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        if !first {
            let is_spaced = match bytes.get(at..at + 2)? {
                [b',', b' '] => 1,
                [b',', _] => 0,
                _ => return None,
            };
            at += 1 + is_spaced;
        }
        let end = at + 1 + name.len();
        let [quote, found @ .., closing, colon] = bytes.get(at..end + 2)? else { return None };
        if (*quote, *closing, *colon) != (b'"', b'"', b':') || !same(found, name) {
            return None;
        }
        self.at = end + 2;
        Some(Text { raw: &self.text[at + 1..end], escaped: false })
    }

    /// The name of the next member of an object whose brace has been read, or none behind the
    /// last one.
    pub(super) fn member(&mut self, first: &mut bool) -> Result<Option<Text<'a>>> {
        let mut next = self.skip_space();
        if next == Some(b'}') {
            self.at += 1;
            return Ok(None);
        }
        if !std::mem::replace(first, false) {
            if next != Some(b',') {
                return self.unexpected("a comma or the end of an object");
            }
            self.at += 1;
            next = self.skip_space();
        }
        if next != Some(b'"') {
            return self.unexpected("the name of a member");
        }
        let key = self.string()?;
        if self.skip_space() != Some(b':') {
            return self.unexpected("a colon");
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// The text of the next value, which stands inside of `depth` objects.
    pub(super) fn raw_value(&mut self, depth: usize) -> Result<&'a str> {
        let start = self.value_start();
        self.skip_value(depth)?;
        Ok(&self.text[start..self.at])
    }

    fn skip_value(&mut self, depth: usize) -> Result<()> {
        match self.token()? {
            Token::Object | Token::Array if depth >= MAX_NESTING => {
                Err(err!("nested deeper than {MAX_NESTING}"))
            }
            Token::Object => {
                let mut first = true;
                while let Some(key) = self.member(&mut first)? {
                    key.check()?;
                    self.skip_value(depth + 1)?;
                }
                Ok(())
            }
            Token::Array => self.skip_items(depth),
            Token::String(string) => string.check(),
            Token::Number(..) | Token::Boolean(_) | Token::Null => Ok(()),
        }
    }

    fn skip_items(&mut self, depth: usize) -> Result<()> {
        if self.skip_space() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_value(depth + 1)?;
            match self.skip_space() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.unexpected("a comma or the end of an array"),
            }
        }
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.skip_space() {
            None => Ok(()),
            Some(_) => self.unexpected("the end"),
        }
    }
}
