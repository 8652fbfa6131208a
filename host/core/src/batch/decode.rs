//! NDJSON to columns.
//!
//! A cursor goes over the text once and tells the [`Builder`] what it sees: no tree, and a copy of a string only where
//! it has escapes. UTF-8 is checked when the batch is finished, a column at a time.
//!
//! What no column type holds exactly is kept as the text that stood there, a json value: arrays, objects past the
//! builder's depth and width, numbers that int64 or float64 would change, and strings with a lone surrogate, which
//! UTF-8 cannot hold. `-0` is the float -0.0. Of two members with one name the last stays.

use super::Cut;
use super::builder::Builder;
use cursor::Cursor;

mod cursor;
mod objects;

pub use flitch_model::MAX_NESTING;
pub use objects::Objects;

/// Why a text is no JSON, or not the JSON that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct DecodeError {
    /// Where in the text, in bytes from its start.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl DecodeError {
    /// The line of `text`, counted from 1, in which the error lies.
    pub fn line(&self, text: &[u8]) -> usize {
        1 + memchr::memchr_iter(b'\n', &text[..self.at.min(text.len())]).count()
    }
}

/// Adds the object that is `line` as a record. White space around it is fine, anything else is not.
///
/// A line that is wrong adds nothing.
pub fn decode_line(builder: &mut Builder, line: &[u8]) -> Result<(), DecodeError> {
    one(builder, line, false)
}

/// The same, but a value `{"$bytes":"<base64>"}` is the bytes, and a name `$$bytes` the `$bytes`, that
/// [`super::encode::ndjson_lossless`] wrote so.
pub fn decode_lossless_line(builder: &mut Builder, line: &[u8]) -> Result<(), DecodeError> {
    one(builder, line, true)
}

/// Reads the object that is `text` into the record that `builder` has begun. A member takes the place of what the record
/// has under its name. The caller ends the record, or cancels it after an error.
pub fn decode_members(builder: &mut Builder, text: &[u8]) -> Result<(), DecodeError> {
    members(builder, text, false)
}

fn members(builder: &mut Builder, text: &[u8], lossless: bool) -> Result<(), DecodeError> {
    let mut cursor = Cursor::new(text, lossless);
    cursor.skip_mark();
    cursor.record(builder).and_then(|()| cursor.end())
}

fn one(builder: &mut Builder, line: &[u8], lossless: bool) -> Result<(), DecodeError> {
    builder.begin_record();
    let read = members(builder, line, lossless);
    match read {
        Ok(()) => builder.end_record(),
        Err(_) => builder.cancel_record(),
    }
    read
}

/// Adds the whole lines at the head of `chunk` as records, until the batch is full. Answers how many bytes they were,
/// ends included. Lines with nothing but white space are passed over.
///
/// A line that is wrong adds nothing and goes to `wrong`, without its end, with the reason. It may add a record of its
/// own in that line's place.
pub fn decode_lines(
    builder: &mut Builder,
    chunk: &[u8],
    cut: &Cut,
    mut wrong: impl FnMut(&mut Builder, &[u8], DecodeError),
) -> usize {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', chunk) {
        if builder.full(cut) {
            break;
        }
        let line = &chunk[start..end];
        start = end + 1;
        if let Err(error) = decode_line(builder, line)
            && !line.trim_ascii().is_empty()
        {
            wrong(builder, line.strip_suffix(b"\r").unwrap_or(line), error);
        }
    }
    start
}

/// Checks that `text` is one JSON value, no deeper than [`MAX_NESTING`]. Answers whether each number in it surely has
/// its one form.
pub fn check(text: &[u8]) -> Result<bool, DecodeError> {
    check_below(text, 0)
}

/// The same for a value that stands inside `depth` objects.
pub fn check_below(text: &[u8], depth: usize) -> Result<bool, DecodeError> {
    let mut cursor = Cursor::new(text, false);
    cursor.skip_value(depth)?;
    cursor.end()?;
    Ok(!cursor.has_odd_numbers())
}

#[cfg(test)]
mod tests;
