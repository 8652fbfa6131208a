//! IP addresses.

mod v6;

use crate::around;
use memchr::memchr;
use std::ops::Range;
pub use v6::find as find_v6;

/// Most bytes before a dot that are looked at: three digits, and those of an escape.
const MAX_BEFORE: usize = 12;

/// Finds addresses of version 4.
pub fn find_v4(bytes: &[u8], found: &mut impl FnMut(Range<usize>)) {
    let mut at = 0;
    while let Some(dot) = memchr(b'.', &bytes[at..]).map(|i| at + i) {
        at = dot + 1;
        let before = |is_part: fn(&u8) -> bool| {
            dot - bytes[..dot].iter().rev().take(MAX_BEFORE).take_while(|byte| is_part(byte)).count()
        };
        let digits = before(u8::is_ascii_digit);
        if digits == dot {
            continue;
        }
        let escape = around::may_be_escape(bytes, digits)
            .then(|| around::escape(bytes, before(u8::is_ascii_hexdigit), dot, 3))
            .flatten();
        let start = escape.filter(|end| *end < dot).unwrap_or(0).max(digits);
        if (escape == Some(start) || begins(bytes, start))
            && let Some(end) = address(bytes, start)
        {
            found(start..end);
            at = end;
        }
    }
}

/// Whether an address may begin here: not within a word, and not within a longer row of numbers.
fn begins(bytes: &[u8], start: usize) -> bool {
    match &bytes[..start] {
        [.., before, b'.'] => !before.is_ascii_digit(),
        [.., before] if before.is_ascii_alphanumeric() => around::ends_before(bytes, start),
        _ => true,
    }
}

/// Where the four numbers end that begin here, if neither a word nor a further number goes on there.
fn address(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    for number in 0..4 {
        if number > 0 {
            at += usize::from(bytes.get(at) == Some(&b'.'));
        }
        let length = bytes[at..].iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        let value = bytes[at..at + length].iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
        if !(1..=3).contains(&length) || value > 255 || (number > 0 && bytes[at - 1] != b'.') {
            return None;
        }
        at += length;
    }
    let goes_on = match &bytes[at..] {
        [b'.', behind, ..] => behind.is_ascii_digit(),
        [behind, ..] => behind.is_ascii_alphanumeric(),
        [] => false,
    };
    (!goes_on).then_some(at)
}
