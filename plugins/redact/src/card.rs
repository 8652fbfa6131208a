//! Numbers of payment cards.

use crate::around;
use std::borrow::Cow;
use std::ops::Range;

/// Digits that a number has (ISO/IEC 7812).
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Digits that most have.
const USUAL: usize = 16;
/// Most digits of a group, and fewest.
const GROUP: std::ops::RangeInclusive<usize> = 2..=7;

/// Finds numbers in one piece, and in groups with the same sign between them. What is found may overlap, for which of two is the
/// number nobody can tell.
pub fn find(bytes: &[u8], found: &mut impl FnMut(Range<usize>)) {
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|i| at + i) {
        let first = run(bytes, start);
        at = first.end;
        begins(bytes, first.clone(), found);
        if around::may_be_escape(bytes, start)
            && let Some(behind) = behind_escape(bytes, first.clone())
        {
            begins(bytes, behind..first.end, found);
        }
    }
}

/// Where the digits begin behind an escape that reaches into them, if there are any.
fn behind_escape(bytes: &[u8], digits: Range<usize>) -> Option<usize> {
    let before =
        bytes[..digits.start].iter().rev().take(3).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let behind = around::escape(bytes, digits.start - before, digits.end, USUAL)?;
    (digits.start < behind && behind < digits.end).then_some(behind)
}

/// Finds the number that begins with these digits.
fn begins(bytes: &[u8], first: Range<usize>, found: &mut impl FnMut(Range<usize>)) {
    if first.len() > *GROUP.end() {
        if DIGITS.contains(&first.len()) && is_number(&bytes[first.clone()]) {
            found(first);
        }
    } else if GROUP.contains(&first.len())
        && let Some(end) = groups(bytes, first.clone())
    {
        found(first.start..end);
    }
}

/// The digits that begin here.
fn run(bytes: &[u8], start: usize) -> Range<usize> {
    start..start + bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Where the longest number ends that begins with this group.
fn groups(bytes: &[u8], first: Range<usize>) -> Option<usize> {
    let separator = separator(&bytes[first.end..])?;
    let mut digits = [0; *DIGITS.end()];
    let mut count = 0;
    let mut group = first;
    let mut longest = None;
    loop {
        if !GROUP.contains(&group.len()) || count + group.len() > digits.len() {
            return longest;
        }
        digits[count..count + group.len()].copy_from_slice(&bytes[group.clone()]);
        count += group.len();
        if DIGITS.contains(&count) && is_number(&digits[..count]) {
            longest = Some(group.end);
        }
        if !bytes[group.end..].starts_with(separator) {
            return longest;
        }
        group = run(bytes, group.end + separator.len());
    }
}

/// What parts the groups: a hyphen, or a blank, also as it stands in URLs, and as texts for people have them.
const SEPARATORS: [&str; 12] = [
    " ", "-", "+", "%20", "\u{a0}", "\u{202f}", "\u{2007}", "\u{2009}", "\u{2010}", "\u{2011}", "\u{2012}",
    "\u{2013}",
];

fn separator(bytes: &[u8]) -> Option<&'static [u8]> {
    SEPARATORS.iter().map(|separator| separator.as_bytes()).find(|separator| bytes.starts_with(separator))
}

/// The digits of a number, whatever is between them.
pub fn normal(found: &str) -> Cow<'_, str> {
    if found.bytes().all(|byte| byte.is_ascii_digit()) {
        return found.into();
    }
    found.replace("%20", " ").replace(|character: char| !character.is_ascii_digit(), "").into()
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
