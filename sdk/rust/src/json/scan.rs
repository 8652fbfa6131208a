//! A scanner over one JSON text.

use crate::{Result, err, path};
use memchr::memchr2;
use std::borrow::Cow;

/// Most objects and arrays inside one another, the text's own included: as many as the host takes.
const MAX_NESTING: usize = 128;

/// The start of a value.
pub(super) enum Token<'a> {
    Object,
    Array,
    String(Text<'a>),
    Number(&'a str),
    Boolean(bool),
    Null,
}

impl Token<'_> {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String(_) => "a string",
            Self::Number(_) => "a number",
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
    /// The text, unescaped into `scratch` if need be.
    pub(super) fn text<'s>(&self, scratch: &'s mut String) -> Result<Cow<'s, str>>
    where
        'a: 's,
    {
        if !self.escaped {
            return Ok(Cow::Borrowed(self.raw));
        }
        scratch.clear();
        unescape(self.raw, scratch)?;
        Ok(Cow::Borrowed(scratch))
    }

    /// The text, where it has no escape.
    pub(super) fn plain(&self) -> Option<&'a str> {
        (!self.escaped).then_some(self.raw)
    }

    /// The text as a name of a path: dots and backslashes escaped, a lone surrogate as `\ud800`.
    pub(super) fn path(&self, scratch: &mut String) -> Result<String> {
        let mut path = String::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some((before, lone, after)) = next_lone(rest) {
            path::push_name(&mut path, &Text { raw: before, escaped: true }.text(scratch)?);
            path.push_str(&lone.to_ascii_lowercase());
            rest = after;
        }
        let last = Text { raw: rest, escaped: self.escaped };
        path::push_name(&mut path, &last.text(scratch)?);
        Ok(path)
    }

    /// Whether a surrogate stands in it without its other half, which UTF-8 cannot hold.
    pub(super) fn is_lone(&self) -> bool {
        self.escaped && next_lone(self.raw).is_some()
    }

    /// The string with its quotes, as it stands.
    pub(super) fn quoted(&self) -> String {
        format!("\"{}\"", self.raw)
    }
}

/// What stands before the first lone surrogate of a string, its escape (`\ud800`), and what stands behind it.
fn next_lone(raw: &str) -> Option<(&str, &str, &str)> {
    let bytes = raw.as_bytes();
    let unit = |at: usize| {
        let digits = raw.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', bytes.get(at..)?) {
        at += found;
        match unit(at) {
            Some(0xd800..0xdc00) if matches!(unit(at + 6), Some(0xdc00..0xe000)) => at += 12,
            Some(0xd800..0xe000) => return Some((&raw[..at], &raw[at..at + 6], &raw[at + 6..])),
            _ => at += 2,
        }
    }
    None
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

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// What was read since a position.
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    pub(super) fn seek(&mut self, at: usize) {
        self.at = at;
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
            b'-' | b'0'..=b'9' => self.number().map(Token::Number),
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

    fn string(&mut self) -> Result<Text<'a>> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            let Some(found) = memchr2(b'"', b'\\', &bytes[at..]) else {
                self.at = bytes.len();
                return self.unexpected("the end of a string");
            };
            at += found;
            if bytes[at] == b'"' {
                break;
            }
            escaped = true;
            at += 2;
            if at > bytes.len() {
                self.at = bytes.len();
                return self.unexpected("the end of a string");
            }
        }
        if let Some(control) = bytes[start..at].iter().position(|byte| *byte < 0x20) {
            self.at = start + control;
            return self.unexpected("an escaped control character");
        }
        self.at = at + 1;
        Ok(Text { raw: &self.text[start..at], escaped })
    }

    fn digits(&mut self) -> Result<usize> {
        let bytes = &self.text.as_bytes()[self.at..];
        let len = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return self.unexpected("a digit");
        }
        self.at += len;
        Ok(len)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.at;
        if self.digits()? > 1 && self.text.as_bytes()[first] == b'0' {
            self.at = first + 1;
            return self.unexpected("no digit after a leading zero");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
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
            Token::Number(_) | Token::Boolean(_) | Token::Null => Ok(()),
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

    /// How many members the object that starts here has.
    pub(super) fn count_members(&mut self, depth: usize) -> Result<usize> {
        self.token()?;
        let (mut first, mut members) = (true, 0);
        while self.member(&mut first)?.is_some() {
            members += 1;
            self.skip_value(depth + 1)?;
        }
        Ok(members)
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.skip_space() {
            None => Ok(()),
            Some(_) => self.unexpected("the end"),
        }
    }
}

impl Text<'_> {
    /// Whether all escapes are right.
    fn check(&self) -> Result<()> {
        if self.escaped { unescape(self.raw, &mut String::new()) } else { Ok(()) }
    }
}

fn unescape(raw: &str, into: &mut String) -> Result<()> {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        into.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut chars = rest.chars();
        let escape = chars.next();
        rest = chars.as_str();
        into.push(match escape {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => unicode(&mut rest)?,
            Some(other) => return Err(err!("\\{other} is no escape of JSON")),
            None => return Err(err!("a string ends in a backslash")),
        });
    }
    into.push_str(rest);
    Ok(())
}

/// The character of `\uXXXX`, whose first six bytes, or all but the first two, are `rest`. A
/// surrogate that stands alone becomes U+FFFD, for text cannot hold it.
fn unicode(rest: &mut &str) -> Result<char> {
    let high = hex(rest)?;
    if let Some(c) = char::from_u32(high) {
        return Ok(c);
    }
    if (0xd800..0xdc00).contains(&high)
        && let Some(mut after) = rest.strip_prefix("\\u")
        && let low @ 0xdc00..0xe000 = hex(&mut after)?
    {
        *rest = after;
        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    Ok(char::REPLACEMENT_CHARACTER)
}

fn hex(rest: &mut &str) -> Result<u32> {
    let digits = rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let code = code.ok_or_else(|| err!("\\u without four hexadecimal digits"))?;
    *rest = &rest[4..];
    Ok(code)
}
