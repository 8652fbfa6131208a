//! The pieces that Docker sends.

use crate::forward::entries::SCAN_DEPTH;
use flitch_core::net::forward::wire::{Cursor, Limits, Token};

const ANY: Limits = Limits { bytes: usize::MAX, depth: SCAN_DEPTH };
/// Longest id of a line and of a container, in bytes; Docker's have 64.
const LONGEST_ID: usize = 256;

/// A piece of a line.
pub(super) struct Piece<'a> {
    pub id: &'a [u8],
    pub container: &'a [u8],
    pub log: &'a [u8],
    pub last: bool,
    /// Which one of its line it is; none where it does not say so.
    pub ordinal: Option<u64>,
}

/// Calls `each` with every field of a map: its name, its value where that is text, and both as they came.
fn fields<'a>(
    record: &'a [u8],
    mut each: impl FnMut(Option<&'a [u8]>, Option<&'a [u8]>, &'a [u8]),
) -> Option<()> {
    let mut cursor = Cursor::new(record, 0);
    let Token::Map(pairs) = cursor.token().ok()? else { return None };
    for _ in 0..pairs {
        let start = cursor.at();
        let name = text(&mut cursor)?;
        let value = text(&mut cursor)?;
        each(name, value, &record[start..cursor.at()]);
    }
    Some(())
}

/// The next value if it is text; passes over any other.
fn text<'a>(cursor: &mut Cursor<'a>) -> Option<Option<&'a [u8]>> {
    let start = *cursor;
    match cursor.token().ok()? {
        Token::Text(text) | Token::Bytes(text) => Some(Some(text)),
        Token::Array(_) | Token::Map(_) => {
            *cursor = start;
            cursor.skip(ANY).ok()?;
            Some(None)
        }
        _ => Some(None),
    }
}

/// The piece that a record is; none where it is none.
pub(super) fn piece(record: &[u8]) -> Option<Piece<'_>> {
    let mut partial = false;
    let (mut id, mut container, mut log, mut last, mut ordinal) = (None, None, None, false, None);
    fields(record, |name, value, _| match name {
        Some(b"partial_message") => partial = value == Some(b"true"),
        Some(b"partial_id") => id = value,
        Some(b"partial_ordinal") => ordinal = value.and_then(number),
        Some(b"partial_last") => last = value == Some(b"true"),
        Some(b"container_id") => container = value,
        Some(b"log") => log = value,
        _ => {}
    })?;
    if !partial {
        return None;
    }
    let piece = Piece { id: id?, container: container.unwrap_or_default(), log: log?, last, ordinal };
    (piece.id.len().max(piece.container.len()) <= LONGEST_ID).then_some(piece)
}

fn number(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok()?.parse().ok().filter(|number| *number < u64::MAX)
}

/// The fields of a piece that are neither its text nor about its being a piece.
pub(super) fn other_fields(record: &[u8]) -> Option<(Vec<u8>, u32)> {
    let (mut kept, mut pairs) = (Vec::new(), 0);
    fields(record, |name, _, raw| match name {
        Some(b"log" | b"partial_message" | b"partial_id" | b"partial_ordinal" | b"partial_last") => {}
        _ => {
            kept.extend_from_slice(raw);
            pairs += 1;
        }
    })?;
    Some((kept, pairs))
}
