//! Pieces of JSON text.

use super::decode::number::{Number, number};

/// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 pass as they are.
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

#[cfg(not(target_arch = "x86_64"))]
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
pub(super) fn write_escape(byte: u8, out: &mut Vec<u8>) {
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

/// Appends a float as a JSON number that reads back as the same float64; `null` where it is no number.
pub fn write_float(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Of the members of an object that have one name, leaves the last. The object's own names are written by
/// [`write_string`], without white space before or after them.
pub(super) fn keep_last_members(object: &mut Vec<u8>) {
    let members = members(object);
    let mut last =
        std::collections::HashMap::with_capacity_and_hasher(members.len(), ahash::RandomState::new());
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
pub(super) fn write_with_plain_numbers(text: &[u8], out: &mut Vec<u8>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_members_with_one_name_the_last_stays_in_its_place() {
        for (object, expected) in [
            (
                r#"{"a":1,"b":{"a":2,"a":3},"c":[1,{"x":","}]}"#,
                r#"{"a":1,"b":{"a":2,"a":3},"c":[1,{"x":","}]}"#,
            ),
            (r#"{"a":1,"b\"":2,"a":{"a":[]}}"#, r#"{"b\"":2,"a":{"a":[]}}"#),
            (r#"{"a":"}","a":"\\"}"#, r#"{"a":"\\"}"#),
            ("{}", "{}"),
        ] {
            let mut text = object.as_bytes().to_vec();
            keep_last_members(&mut text);
            assert_eq!(String::from_utf8_lossy(&text), expected);
        }
    }

    #[test]
    fn numbers_have_one_form_wherever_they_stand() {
        let mut out = Vec::new();
        write_with_plain_numbers(
            br#"[1e-07, 1.50,-0,12,1E2,"1e-07\"1e-07",{"5e0":100000000000000000000000.5}]"#,
            &mut out,
        );
        let expected = r#"[1e-7, 1.5,-0.0,12,100.0,"1e-07\"1e-07",{"5e0":100000000000000000000000.5}]"#;
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn the_first_byte_that_needs_an_escape_is_found_at_each_place_and_length() {
        for length in 0..70 {
            for fill in [b' ', b'a', 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'] {
                let text = vec![fill; length];
                assert_eq!(plain_prefix(&text), length);
                for place in 0..length {
                    for special in (0..0x20).chain([b'"', b'\\']) {
                        let mut text = text.clone();
                        text[place] = special;
                        assert_eq!(plain_prefix(&text), place, "{special} at {place} of {length}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_escaped_string_reads_back() {
        let text: String = (0..300).filter_map(char::from_u32).collect();
        let mut out = Vec::new();
        write_string(text.as_bytes(), &mut out);
        assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
    }
}
