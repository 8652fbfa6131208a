//! Lines that are a record each, taken straight into the columns.

use super::super::stamp::Stamps;
use super::super::{Alone, Stream};
use super::escapes::unescape;
use super::{LOG, TIME, ended, stream};

const SECOND: i64 = 1_000_000_000;
/// More bytes than a time of RFC 3339 with nine digits of a second has.
const LONGEST_TIME: usize = 40;
/// The bytes between a text and the digits of its second's fraction, where the stream has a name.
const TAIL: usize = r#","stream":"stdout","time":"2020-01-31T10:00:00."#.len();
/// What stands after those digits.
const END: &[u8] = b"Z\"}\n";

/// What stood between the text of the last line and the digits of its second's fraction; the next line mostly has the same.
#[derive(Debug)]
pub(in super::super) struct Tail {
    bytes: [u8; TAIL],
    stream: Stream,
    /// The second's time, ns since 1970.
    second: i64,
}

/// Takes the line at the head of `chunk`, its LF included, as [`super::entry`] would, and appends its text to `text`; none
/// where it is a piece, has attributes, more text than `longest` or more bytes than `limit`, is written in another way,
/// or is wrong.
#[inline]
pub(in super::super) fn alone(
    chunk: &[u8],
    limit: usize,
    longest: usize,
    stamps: &mut Stamps,
    tail: &mut Option<Tail>,
    text: &mut Vec<u8>,
) -> Option<Alone> {
    let start = text.len();
    let rest = chunk.strip_prefix(LOG)?;
    let rest = &rest[unescape(rest, text)?..];
    let (partial, line) = ended(&text[start..]);
    if partial || line.len() > longest {
        return None;
    }
    let end = start + line.len();
    text.truncate(end);
    let same = tail.as_ref().and_then(|tail| Some((tail.stream, tail.time(rest)?)));
    let (stream, (time, length)) = match same {
        Some(same) => same,
        None => anew(rest, stamps, tail)?,
    };
    let length = chunk.len() - rest.len() + length;
    (length <= limit).then_some(Alone { time, stream, length })
}

impl Tail {
    /// The time of a line, ns since 1970, and the bytes that end it, where they are as those of the last line but for the
    /// digits of a fraction, of which Docker leaves out zeros at the end.
    #[inline]
    fn time(&self, rest: &[u8]) -> Option<(i64, usize)> {
        let (tail, rest) = rest.split_first_chunk::<TAIL>()?;
        if !is_same(tail, &self.bytes) {
            return None;
        }
        let (digits, rest) = rest.split_first_chunk()?;
        let eight = eight_digits(*digits)?;
        let (ns, digits, rest) = match rest {
            [digit @ b'0'..=b'9', rest @ ..] => (eight * 10 + i64::from(digit - b'0'), 9, rest),
            _ => (eight * 10, 8, rest),
        };
        rest.starts_with(END).then_some((self.second.checked_add(ns)?, TAIL + digits + END.len()))
    }
}

/// Compares sixteen bytes at a time: `==` would call for so many.
#[inline]
fn is_same(one: &[u8; TAIL], other: &[u8; TAIL]) -> bool {
    const LAST: usize = TAIL - 16;
    let differs = |at: usize| {
        let part =
            |bytes: &[u8; TAIL]| bytes[at..].first_chunk().map_or(0, |part| u128::from_ne_bytes(*part));
        part(one) ^ part(other)
    };
    differs(0) | differs(16) | differs(LAST) == 0
}

/// The stream, the time and the bytes of what ends a line, looked at without the last line's; and remembers it.
#[inline(never)]
fn anew(from: &[u8], stamps: &mut Stamps, tail: &mut Option<Tail>) -> Option<(Stream, (i64, usize))> {
    let (stream, rest) = stream(from);
    let rest = rest.strip_prefix(TIME)?;
    let text = &rest[..memchr::memchr(b'"', &rest[..rest.len().min(LONGEST_TIME)])?];
    let rest = rest[text.len()..].strip_prefix(b"\"}\n")?;
    let time = stamps.parse(text)?;
    if let Some(bytes) = from.first_chunk::<TAIL>()
        && stream != Stream::Unnamed
        && bytes[TAIL - 1] == b'.'
        && text.ends_with(b"Z")
        // The first second that int64 ns hold is not whole.
        && let Some(second) = time.checked_sub(time.rem_euclid(SECOND))
    {
        *tail = Some(Tail { bytes: *bytes, stream, second });
    }
    Some((stream, (time, from.len() - rest.len())))
}

/// The number that eight digits are; none where one of them is no digit.
#[inline]
fn eight_digits(digits: [u8; 8]) -> Option<i64> {
    const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0xf0; 8]);
    const SIXES: u64 = u64::from_ne_bytes([6; 8]);
    let text = u64::from_le_bytes(digits);
    if text & HIGH != ZEROS || text.wrapping_add(SIXES) & HIGH != ZEROS {
        return None;
    }
    // Neighbours are put together three times: to numbers of two, of four and of eight digits.
    let ones = text - ZEROS;
    let twos = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos * 100 + (twos >> 16)) & 0x0000_ffff_0000_ffff;
    let eight = (fours * 10_000 + (fours >> 32)) & 0xffff_ffff;
    i64::try_from(eight).ok()
}

#[cfg(test)]
mod tests;
