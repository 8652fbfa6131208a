//! Finding and replacing, in one text.

use crate::{card, email, ip};
use hmac::{Hmac, Mac};
use regex::Regex;
use sha2::Sha256;
use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::ops::Range;

/// What the filter knows to find by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Email,
    Card,
    Ipv4,
    Ipv6,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Ipv4 | Self::Ipv6 => "ip",
        }
    }

    /// What was found, as it is however it is written: the same has the same hash.
    fn normal(self, found: &str) -> Cow<'_, str> {
        match self {
            Self::Email => email::normal(found),
            Self::Card => card::normal(found),
            Self::Ipv4 => found.into(),
            Self::Ipv6 => {
                let address = found.replace("%3A", ":").replace("%3a", ":").parse::<Ipv6Addr>();
                address.map_or(found.into(), |address| address.to_string().into())
            }
        }
    }
}

/// What stands in the place of a match.
#[derive(Debug, Clone)]
pub enum Replace {
    Label,
    Mask { keep_last: usize },
    Hash(Box<Hmac<Sha256>>),
    Nothing,
}

impl Replace {
    /// Hashes with this key.
    pub fn hash(key: &[u8]) -> Self {
        // A key of any length is one.
        let hmac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        Self::Hash(Box::new(hmac))
    }

    fn write(&self, name: &str, kind: Option<Kind>, found: &str, out: &mut String) {
        match self {
            Self::Label => out.extend(["[", name, "]"]),
            Self::Mask { keep_last } => {
                let count = found.chars().count();
                let masked = count - (*keep_last).min(count / 2);
                out.extend(std::iter::repeat_n('*', masked));
                out.extend(found.chars().skip(masked));
            }
            Self::Hash(hmac) => {
                let mut hmac = hmac.clone();
                hmac.update(kind.map_or(found.into(), |kind| kind.normal(found)).as_bytes());
                for byte in &hmac.finalize().into_bytes()[..16] {
                    out.extend(
                        [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[digit as usize])),
                    );
                }
            }
            Self::Nothing => {}
        }
    }
}

/// What is looked for, and what stands in its place.
#[derive(Debug)]
pub struct Finder {
    kinds: Vec<Kind>,
    patterns: Vec<(String, Regex)>,
    replace: Replace,
    /// Matches of the text at hand, each with the number of what it was found by.
    found: Vec<(Range<usize>, usize)>,
    counts: Vec<u64>,
    /// A place for the groups of an address of version 6.
    groups: Vec<Range<usize>>,
}

impl Finder {
    /// What looks for these.
    pub fn new(kinds: Vec<Kind>, patterns: Vec<(String, Regex)>, replace: Replace) -> Self {
        let counts = vec![0; kinds.len() + patterns.len()];
        Self { kinds, patterns, replace, found: Vec::new(), counts, groups: Vec::new() }
    }

    fn name(&self, number: usize) -> &str {
        match self.kinds.get(number) {
            Some(kind) => kind.name(),
            None => &self.patterns[number - self.kinds.len()].0,
        }
    }

    /// How often each was found since the last call.
    pub fn take_counts(&mut self) -> Vec<(String, u64)> {
        let counts = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let counts = counts.map(|(number, count)| (self.name(number).to_owned(), *count)).collect();
        self.counts.fill(0);
        counts
    }

    /// A text without what was found in it, or none where nothing was.
    pub fn redact(&mut self, text: &str) -> Option<String> {
        self.find(text);
        if self.found.is_empty() {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (range, number) in &self.found {
            out.push_str(&text[at..range.start]);
            let kind = self.kinds.get(*number).copied();
            self.replace.write(self.name(*number), kind, &text[range.clone()], &mut out);
            at = range.end;
        }
        out.push_str(&text[at..]);
        Some(out)
    }

    /// The same of a number that is whole, as which some writers have any number: `4.111111111111111E15`.
    pub fn redact_float(&mut self, number: f64) -> Option<String> {
        let is_whole = number.fract() == 0.0 && number.abs() < i64::MAX as f64;
        is_whole.then(|| (number as i64).to_string()).and_then(|digits| self.redact(&digits))
    }

    /// The same of bytes, of which those are looked at that are UTF-8.
    pub fn redact_bytes(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut has_found = false;
        for chunk in bytes.utf8_chunks() {
            match self.redact(chunk.valid()) {
                Some(text) => {
                    has_found = true;
                    out.extend_from_slice(text.as_bytes());
                }
                None => out.extend_from_slice(chunk.valid().as_bytes()),
            }
            out.extend_from_slice(chunk.invalid());
        }
        has_found.then_some(out)
    }

    /// Finds all there is in a text, in order; what overlaps is one.
    fn find(&mut self, text: &str) {
        let found = &mut self.found;
        found.clear();
        for (number, kind) in self.kinds.iter().enumerate() {
            let mut push = |range| found.push((range, number));
            match kind {
                Kind::Email => email::find(text, &mut push),
                Kind::Card => card::find(text.as_bytes(), &mut push),
                Kind::Ipv4 => ip::find_v4(text.as_bytes(), &mut push),
                Kind::Ipv6 => ip::find_v6(text, &mut self.groups, &mut push),
            }
        }
        for (number, (_, pattern)) in self.patterns.iter().enumerate() {
            let matches = pattern.find_iter(text).filter(|found| !found.is_empty());
            found.extend(matches.map(|found| (found.range(), self.kinds.len() + number)));
        }
        found.sort_unstable_by_key(|(range, number)| (range.start, *number));
        found.dedup_by(|(next, _), (before, _)| {
            let overlap = next.start < before.end;
            if overlap {
                before.end = before.end.max(next.end);
            }
            overlap
        });
        found.iter().for_each(|(_, number)| self.counts[*number] += 1);
    }
}

#[cfg(test)]
mod tests;
