//! IP addresses.

use memchr::memchr;
use std::net::Ipv6Addr;
use std::ops::Range;

/// Most bytes of an address of version 6.
const MAX_V6: usize = 45;

/// Finds addresses of version 4.
pub fn find_v4(bytes: &[u8], found: &mut impl FnMut(Range<usize>)) {
    let mut at = 0;
    while let Some(dot) = memchr(b'.', &bytes[at..]).map(|i| at + i) {
        at = dot + 1;
        let start = dot - bytes[..dot].iter().rev().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        let before = start.checked_sub(1).map(|before| bytes[before]);
        if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')) {
            continue;
        }
        let Some(end) = address(bytes, start) else { continue };
        let behind = bytes.get(end);
        let goes_on = behind.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            || behind == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !goes_on {
            found(start..end);
            at = end;
        }
    }
}

/// Where the four numbers end that begin here.
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
    Some(at)
}

/// Finds addresses of version 6.
pub fn find_v6(text: &str, found: &mut impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(colon) = memchr(b':', &bytes[at..]).map(|i| at + i) {
        let start =
            colon - bytes[at..colon].iter().rev().take(5).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let length = bytes[start..].iter().take_while(|byte| is_part(**byte)).count();
        at = start + length;
        let before = start.checked_sub(1).map(|before| bytes[before]);
        let behind = bytes.get(at);
        let within_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        if before.is_some_and(within_word) || behind.copied().is_some_and(within_word) || length > MAX_V6 + 1
        {
            continue;
        }
        let whole = &text[start..at];
        let is_address = |text: &&str| text.len() > 2 && text.parse::<Ipv6Addr>().is_ok();
        // What ends a sentence, or parts it from a text, ends the address as well.
        let shorter = whole.strip_suffix([':', '.']);
        if let Some(address) = [Some(whole), shorter].into_iter().flatten().find(is_address) {
            found(start..start + address.len());
        }
    }
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}
