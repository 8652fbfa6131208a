//! Lines as Docker's driver `json-file` writes them:
//! `{"log":"text\n","stream":"stdout","attrs":{"tag":"x"},"time":"2020-01-31T10:00:00.1Z"}`.
//!
//! The text of the last piece of a line ends with LF, that of the others does not. Members come in this order; `stream`
//! and `attrs` may be missing. Source: moby `daemon/logger/jsonfilelog/jsonlog/jsonlogbytes.go`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::stamp::Stamps;
use super::{Entry, Stream};
use flitch_core::batch::decode;

/// Takes a line without its LF apart, or answers what is wrong with it. Text with escapes is written to `scratch`.
#[inline]
pub(super) fn entry<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
    scratch: &'a mut Vec<u8>,
) -> Result<Entry<'a>, &'static str> {
    let line = line.trim_ascii_end();
    let Some(found) = as_docker_writes(line, scratch) else { return in_any_form(line, stamps, scratch) };
    let Some(time) = stamps.parse(found.time) else { return Err("its `time` is no RFC 3339 time") };
    if !found.attrs.is_empty() && decode::check(found.attrs).is_err() {
        return Err("its `attrs` is no JSON");
    }
    let (partial, text) = match found.text {
        Text::Line(text) => (false, text),
        Text::Piece(text) => (true, text),
        Text::Unescaped(length) => ended(&scratch[..length]),
    };
    Ok(Entry { time, stream: found.stream, partial, text, attrs: found.attrs, cut: false })
}

/// Whether a text goes on in the next entry, and the text without the end of its line.
fn ended(text: &[u8]) -> (bool, &[u8]) {
    match text.strip_suffix(b"\n") {
        Some(text) => (false, text.strip_suffix(b"\r").unwrap_or(text)),
        None => (true, text),
    }
}

enum Text<'a> {
    /// A line that has no escape but the LF at its end, without that.
    Line(&'a [u8]),
    /// A piece without any.
    Piece(&'a [u8]),
    /// It is in the scratch, of this length.
    Unescaped(usize),
}

struct Found<'a> {
    text: Text<'a>,
    stream: Stream,
    attrs: &'a [u8],
    time: &'a [u8],
}

/// Finds the members where Docker puts them; none where the line is written in another way, or is wrong.
#[inline]
fn as_docker_writes<'a>(line: &'a [u8], scratch: &mut Vec<u8>) -> Option<Found<'a>> {
    let rest = line.strip_prefix(br#"{"log":""#)?;
    let end = memchr::memchr2(b'"', b'\\', rest)?;
    let (text, rest) = match &rest[end..] {
        [b'"', after @ ..] => (Text::Piece(&rest[..end]), after),
        [b'\\', b'n', b'"', after @ ..] => (Text::Line(&rest[..end]), after),
        _ => {
            let (end, length) = unescape(rest, end, scratch)?;
            (Text::Unescaped(length), &rest[end..])
        }
    };
    let (stream, rest) = if let Some(rest) = rest.strip_prefix(br#","stream":"stdout""#) {
        (Stream::Out, rest)
    } else if let Some(rest) = rest.strip_prefix(br#","stream":"stderr""#) {
        (Stream::Err, rest)
    } else {
        (Stream::Unnamed, rest)
    };
    let (attrs, rest) = match rest.strip_prefix(br#","attrs":"#) {
        Some(object) => object.split_at(object_end(object)?),
        None => (&[][..], rest),
    };
    let time = rest.strip_prefix(br#","time":""#)?.strip_suffix(br#""}"#)?;
    Some(Found { text, stream, attrs, time })
}

/// So many bytes are copied and looked at together.
const BLOCK: usize = 16;
/// After so many blocks without an escape the next one is searched for.
const BLOCKS: usize = 4;

/// What the byte after a backslash stands for; zero where an escape has more than that byte, or where it is none.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    escapes[b'n' as usize] = b'\n';
    escapes[b't' as usize] = b'\t';
    escapes[b'r' as usize] = b'\r';
    escapes[b'b' as usize] = 8;
    escapes[b'f' as usize] = 12;
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes[b'/' as usize] = b'/';
    escapes
};

/// Writes the string at the head of `rest` to the head of `scratch`: its first `plain` bytes have no escape, then one
/// comes. Answers where the text after its closing quote begins, and the length of what was written; none where it is
/// no string.
fn unescape(rest: &[u8], plain: usize, scratch: &mut Vec<u8>) -> Option<(usize, usize)> {
    // A text is nowhere longer than what it is written as, and a block may be copied past its end.
    if scratch.len() < rest.len() + BLOCK {
        scratch.resize(rest.len() + BLOCK, 0);
    }
    scratch[..plain].copy_from_slice(&rest[..plain]);
    let (mut from, mut to) = (plain, plain);
    loop {
        if rest[from] == b'"' {
            return Some((from + 1, to));
        }
        let after = *rest.get(from + 1)?;
        let byte = ESCAPES[usize::from(after)];
        if byte != 0 {
            scratch[to] = byte;
            (from, to) = (from + 2, to + 1);
        } else {
            let (character, length) = character(rest, from)?;
            to += character.encode_utf8(&mut scratch[to..]).len();
            from += length;
        }
        let copied = copy_plain(rest.get(from..)?, &mut scratch[to..])?;
        (from, to) = (from + copied, to + copied);
    }
}

/// Copies what stands before the next quote or backslash, and answers its length; none where neither comes.
#[inline]
fn copy_plain(from: &[u8], to: &mut [u8]) -> Option<usize> {
    let mut at = 0;
    for _ in 0..BLOCKS {
        let Some(block) = from.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) else { break };
        to.get_mut(at..at + BLOCK)?.copy_from_slice(block);
        match found(block) {
            0 => at += BLOCK,
            found => return Some(at + found.trailing_zeros() as usize / BITS),
        }
    }
    let next = at + memchr::memchr2(b'"', b'\\', &from[at..])?;
    to[at..next].copy_from_slice(&from[at..next]);
    Some(next)
}

/// Bits of a byte in what [`found`] answers.
#[cfg(target_arch = "x86_64")]
const BITS: usize = 1;
#[cfg(not(target_arch = "x86_64"))]
const BITS: usize = 8;

/// The quotes and backslashes of a block: the highest bit of each is set, and none below the first one's.
#[cfg(target_arch = "x86_64")]
#[inline]
fn found(block: &[u8; BLOCK]) -> u32 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: every x86_64 has SSE2, and the load reads the 16 bytes of the block, wherever they begin.
    unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast::<__m128i>());
        let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        _mm_movemask_epi8(_mm_or_si128(quotes, backslashes)) as u32
    }
}

/// The quotes and backslashes of a block: the highest bit of each is set, and none below the first one's.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn found(block: &[u8; BLOCK]) -> u128 {
    const ONES: u128 = u128::from_ne_bytes([1; BLOCK]);
    let block = u128::from_le_bytes(*block);
    // The lowest byte of which the high bit is set in this is the lowest zero.
    let zeros = |block: u128| block.wrapping_sub(ONES) & !block & (ONES << 7);
    zeros(block ^ (ONES * b'"' as u128)) | zeros(block ^ (ONES * b'\\' as u128))
}

/// The character that the escapes `\uXXXX` at `at` stand for, and the length of these; none where they are no text.
#[inline(never)]
fn character(rest: &[u8], at: usize) -> Option<(char, usize)> {
    let high = unit(rest, at)?;
    if !(0xd800..0xdc00).contains(&high) {
        return Some((char::from_u32(high)?, 6));
    }
    // The first half of a character past the sixteen bits; what has no second is no text.
    let low = unit(rest, at + 6).filter(|low| (0xdc00..0xe000).contains(low))?;
    Some((char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 12))
}

/// The value of the escape `\uXXXX` at `at`.
fn unit(rest: &[u8], at: usize) -> Option<u32> {
    let digits = rest.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

/// Where the object at the head of `text` ends, if it is one.
fn object_end(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    loop {
        match text.get(at)? {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b'"' => {
                at += 1;
                loop {
                    at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
                    if text[at] == b'"' {
                        break;
                    }
                    at += 2;
                }
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// A line whose members stand in another order or with white space between: a tool has written it anew.
#[derive(Deserialize)]
struct AnyForm<'a> {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    time: String,
    #[serde(borrow, default)]
    attrs: Option<&'a RawValue>,
}

#[cold]
fn in_any_form<'a>(
    line: &'a [u8],
    stamps: &mut Stamps,
    scratch: &'a mut Vec<u8>,
) -> Result<Entry<'a>, &'static str> {
    let form: AnyForm<'_> =
        serde_json::from_slice(line).map_err(|_| "it is no JSON object with the texts `log` and `time`")?;
    let Some(time) = stamps.parse(form.time.as_bytes()) else { return Err("its `time` is no RFC 3339 time") };
    let stream = match &*form.stream {
        "stdout" => Stream::Out,
        "stderr" => Stream::Err,
        "" => Stream::Unnamed,
        _ => return Err("its `stream` is neither stdout nor stderr"),
    };
    let attrs = form.attrs.map_or("", RawValue::get).trim();
    if !attrs.is_empty() && !attrs.starts_with('{') {
        return Err("its `attrs` is no object");
    }
    scratch.clear();
    scratch.extend_from_slice(form.log.as_bytes());
    let (partial, text) = ended(scratch);
    Ok(Entry { time, stream, partial, text, attrs: attrs.as_bytes(), cut: false })
}

#[cfg(test)]
mod tests;
