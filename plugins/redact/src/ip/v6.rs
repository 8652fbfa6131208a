//! Addresses of version 6: groups of hexadecimal digits behind colons, as many of them as there are.

use super::address;
use crate::around::{self, is_latin};
use memchr::memchr2_iter;
use std::ops::Range;

/// Most digits of a group.
const GROUP: usize = 4;
/// Groups of an address that leaves out none.
const GROUPS: usize = 8;

/// Most groups that are looked at together. Of a longer row those of one address are looked at twice.
const TOGETHER: usize = 64;

/// Finds addresses of version 6, their colons perhaps written `%3A`. `groups` is a place for some.
pub fn find(text: &str, groups: &mut Vec<Range<usize>>, found: &mut impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(first) =
        memchr2_iter(b':', b'%', &bytes[at..]).map(|i| at + i).find(|i| colon(bytes, *i) > 0)
    {
        groups.clear();
        let mut leaves_out = false;
        at = first - bytes[at..first].iter().rev().take_while(|byte| byte.is_ascii_hexdigit()).count();
        loop {
            let group = at..at + digits(bytes, at);
            at = group.end + colon(bytes, group.end);
            let is_last = at == group.end;
            leaves_out |= !groups.is_empty() && group.is_empty() && !is_last;
            groups.push(group);
            if is_last {
                break;
            }
            if groups.len() == TOGETHER {
                at = groups[TOGETHER - GROUPS].start;
                break;
            }
        }
        // No time, address of a card in a network, or word with a colon. The last group may be an address of version 4.
        if leaves_out || groups.len() + 1 >= GROUPS {
            Row::new(text, groups).find(found);
        }
    }
}

fn digits(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count()
}

/// How long the colon is that stands here.
fn colon(bytes: &[u8], at: usize) -> usize {
    match &bytes[at..] {
        [b':', ..] => 1,
        [b'%', b'3', b'A' | b'a', ..] => 3,
        _ => 0,
    }
}

/// Groups with colons between them. What has too many digits, or is a part of a word, is none of an address.
struct Row<'a> {
    bytes: &'a [u8],
    groups: &'a [Range<usize>],
    /// The groups that are no parts of words.
    from: usize,
    to: usize,
    /// Whether the last group is an address of version 4.
    has_v4: bool,
    /// Whether there is an underscore before it, and behind it.
    in_name: (bool, bool),
}

impl<'a> Row<'a> {
    fn new(text: &'a str, groups: &'a mut [Range<usize>]) -> Self {
        let bytes = text.as_bytes();
        let (start, end) = (groups[0].start, groups[groups.len() - 1].end);
        let (mut from, mut to) = (0, groups.len());
        let before = text[..start].chars().next_back();
        let first = &mut groups[0];
        if let Some(end) = around::escape(bytes, first.start, first.end, GROUP) {
            first.start = end;
        } else if before == Some('\\') && first.len() == GROUP + 1 && matches!(bytes[start], b'b' | b'f') {
            first.start += 1;
        } else if before.is_some_and(is_latin) && !around::ends_before(bytes, start)
            || matches!(&bytes[..start], [.., digit, b'.'] if digit.is_ascii_digit())
        {
            from = 1;
        }
        let behind = text[end..].chars().next();
        let last = &mut groups[to - 1];
        let mut has_v4 = false;
        if behind == Some('.')
            && let Some(end) = address(bytes, last.start)
        {
            last.end = end;
            has_v4 = true;
        } else if behind.is_some_and(is_latin) {
            to -= 1;
        }
        let in_name = (before == Some('_'), behind == Some('_'));
        Self { bytes, groups, from, to, has_v4, in_name }
    }

    fn find(&self, found: &mut impl FnMut(Range<usize>)) {
        let mut start = self.from;
        while start < self.to {
            let length = self.groups[start..self.to].iter().take_while(|group| self.is_group(group)).count();
            self.find_between(start..start + length, found);
            start += length + 1;
        }
    }

    fn is_group(&self, group: &Range<usize>) -> bool {
        group.len() <= GROUP || self.has_v4 && group.end == self.groups[self.groups.len() - 1].end
    }

    /// Finds an address in these groups, each of which may be one of an address.
    fn find_between(&self, part: Range<usize>, found: &mut impl FnMut(Range<usize>)) {
        let groups = &self.groups[part.clone()];
        let leading = groups.iter().take_while(|group| group.is_empty()).count();
        let trailing = groups.iter().rev().take_while(|group| group.is_empty()).count();
        if leading == groups.len() {
            return;
        }
        // One colon at an end parts the address from what stands there, and two are a part of it.
        let spare = |colons: usize| if colons == 1 { 1 } else { colons.saturating_sub(2) };
        let body = &groups[spare(leading)..groups.len() - spare(trailing)];
        let inner = &groups[leading..groups.len() - trailing];
        let is_pair = |pair: &&[Range<usize>]| !pair[0].is_empty() && !pair[1].is_empty();
        let has_single = inner.windows(2).any(|pair| is_pair(&pair));
        let left_out = inner.iter().filter(|group| group.is_empty()).count()
            + usize::from(leading > 1)
            + usize::from(trailing > 1);
        let range = body[0].start..body[body.len() - 1].end;
        if left_out == 0 {
            let counted = inner.len() + usize::from(self.has_v4 && part.end == self.groups.len());
            match counted {
                0..GROUPS => {}
                GROUPS => found(range),
                _ => self.find_in_many(inner, found),
            }
            return;
        }
        // Names of a programming language have two colons between all of them, and `x:0:0::/` has an empty field.
        let is_code = left_out > 1
            || self.in_name.0 && leading == 0
            || self.in_name.1 && self.bytes[inner[inner.len() - 1].start].is_ascii_alphabetic()
            || leading == 1 && part.start > 0
            || trailing == 1 && part.end < self.groups.len();
        let is_fields = trailing > 1 && part.start > 0;
        let is_name = trailing > 1 && self.in_name.0 && !has_single;
        let begins = begins(&self.bytes[inner[0].clone()]);
        if !is_name && (begins || !is_fields && (has_single || !is_code)) {
            found(range);
        }
    }

    /// Finds addresses among more groups than one has: those that begin as addresses do, or else all of it. The same number of
    /// digits everywhere is a hash.
    fn find_in_many(&self, groups: &[Range<usize>], found: &mut impl FnMut(Range<usize>)) {
        let is_even = |length: usize| groups.iter().all(|group| group.len() == length);
        let begins = |at: usize| groups.get(at).is_some_and(|group| begins(&self.bytes[group.clone()]));
        let are_two = groups.len() == 2 * GROUPS && begins(0) && begins(GROUPS);
        if is_even(2) || groups.len() > GROUPS + 1 && is_even(groups[0].len()) && !are_two {
            return;
        }
        let is_zero = |group: &Range<usize>| self.bytes[group.clone()].iter().all(|digit| *digit == b'0');
        // The first group that is in none yet.
        let mut next = 0;
        for (start, eight) in groups.windows(GROUPS).enumerate() {
            let begins_with_zeros = || is_zero(&eight[0]) && is_zero(&eight[1]);
            if begins(start) || start >= next && begins_with_zeros() {
                found(eight[0].start..eight[GROUPS - 1].end);
                next = start + GROUPS;
            }
        }
        if next == 0 {
            found(groups[0].start..groups[groups.len() - 1].end);
        }
    }
}

/// Whether addresses in use begin with this group: those of the world, of a site, and of a link.
fn begins(group: &[u8]) -> bool {
    if group.len() != GROUP {
        return false;
    }
    let value =
        group.iter().fold(0, |value, digit| value << 4 | char::from(*digit).to_digit(16).unwrap_or(0));
    matches!(value, 0x2000..=0x3fff | 0xfc00..=0xfdff | 0xfe80..=0xfebf)
}
