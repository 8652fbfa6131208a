//! Values of several kinds in one json column, and the form that its texts have.
//!
//! A record means the same in whatever company it came, so a value keeps its kind where its column cannot: there it
//! stands as JSON text, and texts, numbers and booleans are told apart by that. JSON knows neither times nor bytes.
//! So a time stands as its RFC 3339 string behind one space, and bytes as a string behind two, where each byte that is
//! not UTF-8 is the lone surrogate `\udc00` plus the byte (the way of Python's `surrogateescape`, PEP 383). To whoever
//! reads JSON these are strings; whoever asks [`Scalar::of`](crate::value::Scalar::of) has the value as it came. No
//! other text of a json column begins with white space.

use std::borrow::Cow;

use crate::json::{one_line, write_escaped, write_with_plain_numbers};
use crate::time;
use crate::value::Value;

/// Appends a value to a json column whose values are of several kinds.
pub fn write(value: Value<'_>, out: &mut Vec<u8>) {
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
pub fn bytes(text: &[u8]) -> Option<Vec<u8>> {
    unescape(text.strip_prefix(b"  ")?)
}

/// The bytes of a string that [`write`] or [`Value::write_json`] wrote, quotes included.
pub fn unescape(string: &[u8]) -> Option<Vec<u8>> {
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
pub fn time(text: &[u8]) -> Option<i64> {
    time::parse(text.strip_prefix(b" \"")?.strip_suffix(b"\"")?)
}

/// A text of a json column as JSON that anybody reads: without its mark, and bytes as text with U+FFFD for what is
/// not UTF-8.
pub fn plain(text: &[u8]) -> Cow<'_, [u8]> {
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

/// A valid JSON text in the form that json columns have: on one line, with no white space around it but for the mark of a
/// kind, and each number in its one form.
pub fn canonical(text: &str) -> Cow<'_, str> {
    let text = if needs_one_line(text) { Cow::Owned(one_line(text)) } else { Cow::Borrowed(text) };
    let mut out = Vec::with_capacity(text.len());
    write_with_plain_numbers(text.as_bytes(), &mut out);
    match String::from_utf8(out) {
        Ok(out) if *out != *text => Cow::Owned(out),
        _ => text,
    }
}

/// Whether a JSON text spans lines, has white space behind it, or before it such as marks no kind.
pub fn needs_one_line(text: &str) -> bool {
    let marked = || time(text.as_bytes()).is_some() || bytes(text.as_bytes()).is_some();
    memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_some()
        || text.ends_with(|c: char| c.is_ascii_whitespace())
        || text.starts_with(|c: char| c.is_ascii_whitespace()) && !marked()
}

#[cfg(test)]
mod tests;
