//! E-mail addresses.

use memchr::memchr2_iter;
use std::ops::Range;

/// Most bytes before the sign, and in each label behind it.
const MAX_PART: usize = 64;

/// Finds addresses: `name@host.example`, the sign perhaps written `%40`.
pub fn find(text: &str, found: &mut impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    for at in memchr2_iter(b'@', b'%', bytes) {
        let behind = match &bytes[at..] {
            [b'@', ..] => at + 1,
            [b'%', b'4', b'0', ..] => at + 3,
            _ => continue,
        };
        let start =
            at - bytes[..at].iter().rev().take(MAX_PART + 1).take_while(|byte| is_local(**byte)).count();
        // A dot, or half an escape, before the name is no part of it.
        let start =
            start + bytes[start..at].iter().take_while(|byte| matches!(byte, b'.' | b'-' | b'%')).count();
        let Some(end) = domain(bytes, behind) else { continue };
        // What is cut within a character, since it is longer than names are, is none.
        if start < at && at - start <= MAX_PART && text.is_char_boundary(start) && text.is_char_boundary(end)
        {
            found(start..end);
        }
    }
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(byte, b'.' | b'_' | b'+' | b'-' | b'\'' | b'~' | b'#' | b'$' | b'!' | b'*' | b'%')
}

/// Where the domain ends that begins here: labels with dots between, the last one of two letters or more.
fn domain(bytes: &[u8], start: usize) -> Option<usize> {
    let mut label = start;
    let mut end = None;
    loop {
        let rest = &bytes[label..];
        let length = rest.iter().take(MAX_PART).take_while(|byte| is_label(**byte)).count();
        let trimmed = length - rest[..length].iter().rev().take_while(|byte| **byte == b'-').count();
        if trimmed == 0 || rest[0] == b'-' {
            return end;
        }
        let is_top = trimmed >= 2
            && rest[..trimmed].iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80)
            || rest[..trimmed].starts_with(b"xn--");
        if label > start && is_top {
            end = Some(label + trimmed);
        }
        if trimmed < length || rest.get(length) != Some(&b'.') {
            return end;
        }
        label += length + 1;
    }
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80
}
