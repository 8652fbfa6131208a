//! Numbers of payment cards.

use std::ops::Range;

/// Digits that a number has (ISO/IEC 7812).
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Most digits of a group, and fewest.
const GROUP: std::ops::RangeInclusive<usize> = 2..=7;

/// Finds numbers in one piece, and in groups with the same sign between them.
pub fn find(bytes: &[u8], found: &mut impl FnMut(Range<usize>)) {
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|i| at + i) {
        let first = run(bytes, start);
        at = first.end;
        if first.len() > *GROUP.end() {
            if DIGITS.contains(&first.len()) && is_number(&bytes[first.clone()]) {
                found(first);
            }
            continue;
        }
        if GROUP.contains(&first.len())
            && let Some(end) = groups(bytes, first)
        {
            found(start..end);
            at = end;
        }
    }
}

/// The digits that begin here.
fn run(bytes: &[u8], start: usize) -> Range<usize> {
    start..start + bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Where the longest number ends that begins with this group.
fn groups(bytes: &[u8], first: Range<usize>) -> Option<usize> {
    let separator = *bytes.get(first.end).filter(|byte| matches!(byte, b' ' | b'-'))?;
    let mut digits: Vec<u8> = bytes[first.clone()].to_vec();
    let mut end = first.end;
    let mut longest = None;
    while bytes.get(end) == Some(&separator) {
        let group = run(bytes, end + 1);
        if !GROUP.contains(&group.len()) || digits.len() + group.len() > *DIGITS.end() {
            break;
        }
        digits.extend_from_slice(&bytes[group.clone()]);
        end = group.end;
        if DIGITS.contains(&digits.len()) && is_number(&digits) {
            longest = Some(end);
        }
    }
    longest
}

/// Whether the digits begin as a card does, and have the check digit of Luhn's.
fn is_number(digits: &[u8]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let digit = |(place, byte): (usize, &u8)| {
        let digit = u32::from(byte - b'0');
        if place % 2 == 1 { doubled(digit) } else { digit }
    };
    let sum: u32 = digits.iter().rev().enumerate().map(digit).sum();
    matches!(digits[0], b'2'..=b'6') && sum.is_multiple_of(10)
}
