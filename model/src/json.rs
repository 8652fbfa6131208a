//! Pieces of JSON text (RFC 8259).

mod read;

use crate::number::{Number, number, write_float};
use crate::path::{push_name, write_json_name};
pub use read::read;

/// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 pass as they are.
#[inline]
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
}

/// Appends what stands between the quotes of a JSON string.
#[inline]
pub fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let plain = plain_prefix(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(&byte) = rest.get(plain) else { return };
        write_escape(byte, out);
        rest = &rest[plain + 1..];
    }
}

/// Appends the name of a member, which is UTF-8, or WTF-8 where it holds lone surrogates, and its colon.
pub fn write_name(name: &[u8], out: &mut Vec<u8>) {
    if std::str::from_utf8(name).is_ok() {
        write_string(name, out);
    } else {
        let mut escaped = String::new();
        push_name(&mut escaped, name, true);
        write_json_name(&escaped, out);
    }
    out.push(b':');
}

/// How many bytes at the head of `text` can stand in a JSON string as they are: no quote, no backslash, no control
/// character (RFC 8259, section 7).
#[inline]
pub fn plain_prefix(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(block) = text.get(at..at + 16) {
        match special_in_block(block.try_into().unwrap_or(&[0; 16])) {
            16 => at += 16,
            place => return at + place,
        }
    }
    if let Some(half) = text.get(at..at + 8) {
        match special_in_word(u64::from_le_bytes(half.try_into().unwrap_or_default())) {
            8 => at += 8,
            place => return at + place,
        }
    }
    text[at..].iter().position(|b| needs_escape(*b)).map_or(text.len(), |place| at + place)
}

/// Whether a byte cannot stand in a JSON string as it is.
#[inline]
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn special_in_block(block: &[u8; 16]) -> usize {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: SSE2 is part of x86_64, and `block` has the 16 bytes that are loaded.
    let mask = unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        let limit = _mm_set1_epi8(0x1f);
        let control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, limit), limit);
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, backslash)))
    };
    ((mask as u32) | 1 << 16).trailing_zeros() as usize
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
fn special_in_block(block: &[u8; 16]) -> usize {
    use std::arch::wasm32::{i8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, v128_load, v128_or};
    // SAFETY: `block` has the 16 bytes that are loaded; the load needs no alignment.
    let bytes = unsafe { v128_load(block.as_ptr().cast()) };
    let control = u8x16_lt(bytes, u8x16_splat(0x20));
    let quote = u8x16_eq(bytes, u8x16_splat(b'"'));
    let backslash = u8x16_eq(bytes, u8x16_splat(b'\\'));
    let mask = i8x16_bitmask(v128_or(control, v128_or(quote, backslash)));
    (u32::from(mask) | 1 << 16).trailing_zeros() as usize
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
#[inline]
fn special_in_block(block: &[u8; 16]) -> usize {
    let word = u128::from_le_bytes(*block);
    match special_in_word(word as u64) {
        8 => 8 + special_in_word((word >> 64) as u64),
        place => place,
    }
}

/// Where the first byte that needs an escape stands among the eight of a word, the lowest first; 8 if none does.
#[inline]
fn special_in_word(word: u64) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 0x80;
    // The trick that finds a zero byte sets no bit below the first true one, which is all that is asked for.
    let zero = |w: u64| w.wrapping_sub(ONES) & !w & HIGH;
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    let found = control | zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
    (found.trailing_zeros() / 8) as usize
}

/// Appends the escape of one byte that needs one.
pub fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Of the members of an object that have one name, leaves the last. The object's own names are written by
/// [`write_string`], without white space before or after them.
pub fn keep_last_members(object: &mut Vec<u8>) {
    let members = members(object);
    let mut last = std::collections::HashMap::with_capacity(members.len());
    for (place, member) in members.iter().enumerate() {
        last.insert(&object[member.start..member.colon], place);
    }
    if last.len() == members.len() {
        return;
    }
    let mut kept = Vec::with_capacity(object.len());
    for (place, member) in members.iter().enumerate() {
        if last[&object[member.start..member.colon]] == place {
            kept.push(if kept.is_empty() { b'{' } else { b',' });
            kept.extend_from_slice(&object[member.start..member.end]);
        }
    }
    kept.push(b'}');
    *object = kept;
}

/// Where a member of an object stands.
struct Member {
    start: usize,
    colon: usize,
    end: usize,
}

/// The members of an object that is JSON, of which none is named in another form than the others.
fn members(object: &[u8]) -> Vec<Member> {
    let mut members = Vec::new();
    let (mut start, mut colon, mut depth, mut at) = (1, None, 0, 0);
    while let Some(found) =
        object[at..].iter().position(|b| matches!(b, b'"' | b'{' | b'}' | b'[' | b']' | b':' | b','))
    {
        at += found;
        match object[at] {
            b'"' => at += string_length(&object[at..]) - 1,
            b'{' | b'[' => depth += 1,
            b':' if depth == 1 && colon.is_none() => colon = Some(at),
            byte @ (b',' | b'}' | b']') => {
                if depth == 1
                    && let Some(colon) = colon.take()
                {
                    members.push(Member { start, colon, end: at });
                    start = at + 1;
                }
                depth -= i32::from(byte != b',');
            }
            _ => {}
        }
        at += 1;
    }
    members
}

/// How many bytes the string at the head of a JSON text takes, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// A JSON text with each number in its one form: the text that the value has in a column of its own.
pub fn write_with_plain_numbers(text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(found) = text[at..].iter().position(|b| matches!(b, b'"' | b'-' | b'0'..=b'9')) {
        out.extend_from_slice(&text[at..at + found]);
        at += found;
        if text[at] == b'"' {
            let length = string_length(&text[at..]);
            out.extend_from_slice(&text[at..at + length]);
            at += length;
            continue;
        }
        match number(&text[at..]) {
            Ok((Number::Float(value), length)) => {
                write_float(value, out);
                at += length;
            }
            Ok((_, length)) | Err(length) => {
                let length = length.max(1);
                out.extend_from_slice(&text[at..at + length]);
                at += length;
            }
        }
    }
    out.extend_from_slice(&text[at..]);
}

/// A valid JSON text without the white space between its tokens.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for c in text.chars() {
        if inside {
            (inside, escaped) = (escaped || c != '"', c == '\\' && !escaped);
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            inside = c == '"';
        }
        out.push(c);
    }
    out
}

/// A string as a JSON text.
pub fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(text.as_bytes(), &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends what stands between the quotes of a JSON string without its escapes. Answers whether a surrogate without its
/// other half is in it, which UTF-8 cannot hold: then it is WTF-8.
///
/// # Errors
/// What is wrong with an escape, and where it begins behind its backslash.
pub fn unescape(inside: &[u8], out: &mut Vec<u8>) -> Result<bool, (BadEscape, usize)> {
    let (mut rest, mut lone) = (inside, false);
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let place = inside.len() - rest.len();
        lone |= read_escape(&mut rest, out).map_err(|wrong| (wrong, place))?;
    }
    out.extend_from_slice(rest);
    Ok(lone)
}

/// Reads the escape whose backslash is passed, and appends what it stands for. Answers whether that is a lone surrogate,
/// which is written as WTF-8 has it. After an error `rest` begins where the escape is wrong.
///
/// # Errors
/// What is wrong with the escape.
#[inline]
pub fn read_escape(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, BadEscape> {
    let (&escape, after) = rest.split_first().ok_or(BadEscape::Unknown)?;
    out.push(match escape {
        b'"' | b'\\' | b'/' => escape,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'f' => 0x0c,
        b'u' => {
            *rest = after;
            return unicode(rest, out);
        }
        _ => return Err(BadEscape::Unknown),
    });
    *rest = after;
    Ok(false)
}

/// Passes over the escape whose backslash is passed. After an error `rest` begins where the escape is wrong.
///
/// # Errors
/// What is wrong with the escape.
#[inline]
pub fn pass_escape(rest: &mut &[u8]) -> Result<(), BadEscape> {
    match rest.split_first() {
        Some((b'"' | b'\\' | b'/' | b'n' | b'r' | b't' | b'b' | b'f', after)) => *rest = after,
        Some((b'u', after)) => {
            *rest = after;
            four_digits(rest)?;
        }
        _ => return Err(BadEscape::Unknown),
    }
    Ok(())
}

/// What is wrong with an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadEscape {
    /// JSON has no such escape.
    Unknown,
    /// Behind `\u` there are not four hexadecimal digits.
    Digits,
}

/// Reads the digits of `\u`, and of the other half of a surrogate pair. Answers whether it is a lone surrogate.
fn unicode(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, BadEscape> {
    let mut code = four_digits(rest)?;
    if (0xd800..0xdc00).contains(&code)
        && let [b'\\', b'u', after @ ..] = *rest
    {
        let mut after = after;
        let low = match four_digits(&mut after) {
            Ok(low) => low,
            Err(wrong) => {
                *rest = after;
                return Err(wrong);
            }
        };
        if (0xdc00..0xe000).contains(&low) {
            code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
            *rest = after;
        }
    }
    match char::from_u32(code) {
        Some(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        None => {
            let middle = 0x80 | (code >> 6 & 0x3f) as u8;
            out.extend_from_slice(&[0xed, middle, 0x80 | (code & 0x3f) as u8]);
            return Ok(true);
        }
    }
    Ok(false)
}

fn four_digits(rest: &mut &[u8]) -> Result<u32, BadEscape> {
    let mut code = 0;
    for _ in 0..4 {
        match rest.split_first().and_then(|(digit, after)| Some(((*digit as char).to_digit(16)?, after))) {
            Some((digit, after)) => (code, *rest) = (code << 4 | digit, after),
            None => return Err(BadEscape::Digits),
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests;
