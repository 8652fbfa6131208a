//! Values of several kinds in one json column.
//!
//! A record means the same in whatever company it came, so a value keeps its kind where its column cannot: there it
//! stands as JSON text, and texts, numbers and booleans are told apart by that. JSON knows neither times nor bytes.
//! So a time stands as its RFC 3339 string behind one space, and bytes as a string behind two, where each byte that is
//! not UTF-8 is the lone surrogate `\udc00` plus the byte (the way of Python's `surrogateescape`, PEP 383). To whoever
//! reads JSON these are strings; whoever asks [`Scalar::of`] has the value as it came. No other text of a json column
//! begins with white space.

use std::borrow::Cow;

use super::builder::Value;
use super::decode::number::{Number, number};
use super::json::{write_escaped, write_float};
use super::time;

/// A value of a json column by its kind, or of any column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    /// Text that is UTF-8.
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Int(i64),
    Float(f64),
    Boolean(bool),
    /// ns since 1970-01-01T00:00:00Z.
    Time(i64),
    /// Null, an array, an object, a number that neither int64 nor float64 holds exactly, a string that UTF-8 cannot
    /// hold: as JSON.
    Json(&'a str),
}

/// Appends a value to a json column whose values are of several kinds.
pub(crate) fn write(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Timestamp(_) => {
            out.push(b' ');
            value.write_json(out);
        }
        Value::Bytes(bytes) => {
            out.extend_from_slice(b"  \"");
            write_bytes(bytes, out);
            out.push(b'"');
        }
        // As it stands, its mark included.
        Value::Json(text) => out.extend_from_slice(text),
        _ => value.write_json(out),
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        write_escaped(chunk.valid().as_bytes(), out);
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\udc{byte:02x}").as_bytes());
        }
    }
}

/// The bytes that stand behind two spaces; none where they do not.
pub(crate) fn bytes(text: &[u8]) -> Option<Vec<u8>> {
    unescape(text.strip_prefix(b"  ")?)
}

/// The bytes of a string that [`write`] or [`Value::write_json`] wrote, quotes included.
pub(crate) fn unescape(string: &[u8]) -> Option<Vec<u8>> {
    let mut rest = string.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut out = Vec::with_capacity(rest.len());
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = &rest[at + 1..];
        let (byte, length) = match escape {
            [b'u', b'd', b'c', high, low, ..] => (hex(*high)? << 4 | hex(*low)?, 5),
            [b'u', b'0', b'0', high, low, ..] => (hex(*high)? << 4 | hex(*low)?, 5),
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b't', ..] => (b'\t', 1),
            [b'b', ..] => (0x08, 1),
            [b'f', ..] => (0x0c, 1),
            [byte @ (b'"' | b'\\'), ..] => (*byte, 1),
            _ => return None,
        };
        out.push(byte);
        rest = &escape[length..];
    }
    out.extend_from_slice(rest);
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|d| d as u8)
}

/// The time that stands behind one space, in ns since 1970-01-01T00:00:00Z; none where none does.
pub(crate) fn time(text: &[u8]) -> Option<i64> {
    time::parse(text.strip_prefix(b" \"")?.strip_suffix(b"\"")?)
}

/// A text of a json column as JSON that anybody reads: without its mark, and bytes as text with U+FFFD for what is
/// not UTF-8.
pub(crate) fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    match text {
        [b' ', b' ', ..] => {
            let bytes = bytes(text).unwrap_or_default();
            let mut out = vec![b'"'];
            write_escaped(String::from_utf8_lossy(&bytes).as_bytes(), &mut out);
            out.push(b'"');
            Cow::Owned(out)
        }
        [b' ', rest @ ..] => Cow::Borrowed(rest),
        text => Cow::Borrowed(text),
    }
}

impl<'a> Scalar<'a> {
    /// The value that a text of a json column stands for.
    pub fn of(text: &'a str) -> Scalar<'a> {
        let whole = text.as_bytes();
        match whole {
            [b'"', inside @ .., b'"'] if !inside.contains(&b'\\') => {
                Scalar::Text(Cow::Borrowed(&text[1..text.len() - 1]))
            }
            [b'"', ..] => match serde_json::from_str::<String>(text) {
                Ok(inner) => Scalar::Text(Cow::Owned(inner)),
                Err(_) => Scalar::Json(text),
            },
            [b'-' | b'0'..=b'9', ..] => match number(whole) {
                Ok((Number::Int(value), length)) if length == whole.len() => Scalar::Int(value),
                Ok((Number::Float(value), length)) if length == whole.len() => Scalar::Float(value),
                _ => Scalar::Json(text),
            },
            b"true" => Scalar::Boolean(true),
            b"false" => Scalar::Boolean(false),
            [b' ', b' ', ..] => match bytes(whole) {
                Some(bytes) => Scalar::Bytes(Cow::Owned(bytes)),
                None => Scalar::Json(text.trim_ascii_start()),
            },
            [b' ', ..] => match time(whole) {
                Some(ns) => Scalar::Time(ns),
                None => Scalar::Json(text.trim_ascii_start()),
            },
            _ => Scalar::Json(text),
        }
    }

    /// The value of a column of any kind. A float that is no number is null, as JSON writes it.
    pub fn of_value(value: Value<'a>) -> Scalar<'a> {
        match value {
            Value::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Scalar::Text(Cow::Borrowed(text)),
                Err(_) => Scalar::Bytes(Cow::Borrowed(text)),
            },
            Value::Bytes(bytes) => Scalar::Bytes(Cow::Borrowed(bytes)),
            Value::Int(value) => Scalar::Int(value),
            Value::Float(value) if value.is_finite() => Scalar::Float(value),
            Value::Float(_) => Scalar::Json("null"),
            Value::Boolean(value) => Scalar::Boolean(value),
            Value::Timestamp(ns) => Scalar::Time(ns),
            Value::Json(text) => Scalar::of(std::str::from_utf8(text).unwrap_or("null")),
        }
    }

    /// Appends the value as it reads within a text: text and bytes as they are, all else as JSON writes it, without
    /// quotes. False for null, which is nothing.
    pub fn write_text(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Scalar::Text(text) => out.extend_from_slice(text.as_bytes()),
            Scalar::Bytes(bytes) => out.extend_from_slice(bytes),
            Scalar::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes()),
            Scalar::Float(value) => write_float(*value, out),
            Scalar::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Scalar::Time(ns) => time::Writer::default().write(*ns, out),
            Scalar::Json("null") => return false,
            Scalar::Json(text) => out.extend_from_slice(text.as_bytes()),
        }
        true
    }
}

#[cfg(test)]
mod tests;
