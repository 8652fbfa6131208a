//! E-mail addresses.

use crate::around::{self, is_latin};
use memchr::memchr2_iter;
use std::borrow::Cow;
use std::ops::Range;

/// Most bytes before the sign.
const MAX_NAME: usize = 254;
/// Most bytes of a label behind it: 63 characters of any script.
const MAX_LABEL: usize = 252;

/// Finds addresses: `name@host.example`, the sign perhaps written `%40`.
pub fn find(text: &str, found: &mut impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    for at in memchr2_iter(b'@', b'%', bytes) {
        let behind = match &bytes[at..] {
            [b'@', ..] => at + 1,
            [b'%', b'4', b'0', ..] => at + 3,
            _ => continue,
        };
        if let Some((end, is_foreign)) = domain(text, behind)
            && let Some(start) = name(text, at, is_foreign)
        {
            found(start..end);
        }
    }
}

/// What an address is for all who write it: without escapes, in small letters.
pub fn normal(found: &str) -> Cow<'_, str> {
    if !found.contains('%') && !found.chars().any(char::is_uppercase) {
        return found.into();
    }
    let mut bytes = Vec::with_capacity(found.len());
    let mut at = 0;
    while let Some(byte) = found.as_bytes().get(at) {
        let escaped = escaped(&found.as_bytes()[at..]);
        bytes.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&bytes).to_lowercase().into()
}

/// The byte of the escape that begins here.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*high)? * 16 + digit(*low)?) as u8)
}

/// Where the escape begins that ends here, be it one of a URL within a URL, and its byte.
fn escape_before(bytes: &[u8], at: usize) -> Option<(usize, u8)> {
    match &bytes[..at] {
        [before @ .., b'%', b'2', b'5', high, low] => Some((before.len(), escaped(&[b'%', *high, *low])?)),
        [before @ .., b'%', high, low] => Some((before.len(), escaped(&[b'%', *high, *low])?)),
        _ => None,
    }
}

/// Where the name begins that ends here: at a letter or a digit. One in Latin script begins where another one ends, as it may
/// stand in a sentence without blanks, unless the host is in another one too.
fn name(text: &str, end: usize, is_foreign: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut start = None;
    let mut at = end;
    let mut is_latin_name = None;
    while let Some(&byte) = bytes[..at].last() {
        let mut from = at - 1;
        if byte.is_ascii_hexdigit()
            && let Some((begin, byte)) = escape_before(bytes, at)
        {
            from = begin;
            if byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 {
                start = Some(from);
            } else if !is_sign(byte) {
                break;
            }
        } else if byte.is_ascii_alphanumeric() {
            if !*is_latin_name.get_or_insert(true) && byte.is_ascii_alphabetic() && !is_foreign {
                break;
            }
            start = Some(from);
        } else if byte == b'_' {
            start = Some(from);
        } else if byte >= 0x80 {
            let Some(character) = text[..at].chars().next_back() else { break };
            from = at - character.len_utf8();
            if character.is_alphanumeric() {
                let is_latin = is_latin(character);
                if *is_latin_name.get_or_insert(is_latin) && !is_latin && !is_foreign {
                    break;
                }
                start = Some(from);
            } else if !is_mark(character) {
                break;
            }
        } else if !is_sign(byte) {
            break;
        }
        if end - from > MAX_NAME {
            break;
        }
        at = from;
    }
    start.map(|start| behind_escape(bytes, start, end))
}

/// Where the name begins if the first letters of what was found are those of an escape.
fn behind_escape(bytes: &[u8], start: usize, end: usize) -> usize {
    let hex =
        |from: usize| bytes[from..end].iter().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let behind = match (&bytes[..start], &bytes[start..end]) {
        ([.., b'\\'], [b'u', ..]) if hex(start + 1) == 4 => start + 5,
        ([.., b'\\'], [b'x', ..]) if hex(start + 1) >= 2 => start + 3,
        ([.., b'\\'], [b'n' | b'r' | b't', ..]) => start + 1,
        _ => {
            let numbers = bytes[start..end].iter().take(16).take_while(|byte| byte.is_ascii_digit()).count();
            let is_colour = bytes[start..end].get(numbers) == Some(&b'm');
            if is_colour && around::ends_before(bytes, start + numbers + 1) {
                start + numbers + 1
            } else {
                start
            }
        }
    };
    if behind == start {
        return start;
    }
    // A name of nothing but that is one.
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'%' | 0x80..);
    bytes[behind..end].iter().position(is_letter).map_or(start, |signs| behind + signs)
}

/// Signs within a name.
fn is_sign(byte: u8) -> bool {
    matches!(byte, b'.' | b'+' | b'-' | b'\'' | b'~' | b'#' | b'$' | b'!' | b'*' | b'%')
}

/// Marks that stand on a letter, of any script.
fn is_accent(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}')
}

/// These, and those of scripts that write vowels so.
fn is_mark(character: char) -> bool {
    is_accent(character)
        || matches!(character, '\u{900}'..='\u{963}' | '\u{966}'..='\u{e4e}' | '\u{3099}' | '\u{309a}')
}

/// Where the domain ends that begins here, and whether it has other letters than Latin ones: labels with dots between, the last
/// one of two letters or more.
fn domain(text: &str, start: usize) -> Option<(usize, bool)> {
    let bytes = text.as_bytes();
    let mut label = start;
    let mut found = None;
    let mut is_foreign = false;
    loop {
        let is_plain = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-';
        let plain = bytes[label..].iter().take(MAX_LABEL).take_while(is_plain).count();
        let mut end = label + plain;
        let mut letters = bytes[label..end].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (mut only_letters, mut only_latin) = (letters == plain, true);
        // Mostly there is nothing behind it.
        let others = if bytes.get(end).is_some_and(|byte| *byte >= 0x80) { &text[end..] } else { "" };
        for character in others.chars() {
            let is_letter = character.is_alphabetic() || !character.is_ascii() && is_mark(character);
            if !(is_letter || character.is_alphanumeric() || character == '-') || end - label >= MAX_LABEL {
                break;
            }
            let foreign = is_letter && !is_latin(character) && !is_accent(character);
            // What goes on in another script without a blank is no part of it.
            if foreign && only_latin && label > start && letters >= 2 && letters == end - label {
                return Some((end, is_foreign));
            }
            is_foreign |= foreign;
            only_latin &= !foreign;
            only_letters &= is_letter;
            end += character.len_utf8();
            if only_letters {
                letters = end - label;
            }
        }
        let trimmed = bytes[label..end].iter().rev().take_while(|byte| **byte == b'-').count();
        let whole = end - trimmed;
        if whole == label || bytes[label] == b'-' {
            return found;
        }
        if label > start {
            if bytes[label..whole].starts_with(b"xn--") {
                found = Some((whole, is_foreign));
            } else if letters >= 2 {
                found = Some((label + letters, is_foreign));
            }
        }
        if trimmed > 0 || bytes.get(end) != Some(&b'.') {
            return found;
        }
        label = end + 1;
    }
}
