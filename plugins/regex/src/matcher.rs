//! A pattern, and the two ways in which a text is matched against it.

use crate::direct::{Direct, Found};
use flitch_sdk::parse::{NOWHERE, Span};
use regex::bytes::{CaptureLocations, Regex};

/// A pattern, compiled.
#[derive(Debug)]
pub struct Matcher {
    direct: Option<Direct>,
    /// Over bytes, so that the presets can do without Unicode classes; groups that do not begin
    /// and end at characters are refused row by row.
    regex: Regex,
}

/// Where the groups of a pattern are.
#[derive(Debug)]
pub struct Places {
    /// Where group `i` begins and ends, at `2 * i`.
    ends: Vec<usize>,
    locations: CaptureLocations,
}

impl Places {
    /// Where group `group`, which is not the whole match, is; none where it took no part.
    #[inline]
    pub fn get(&self, group: usize) -> Option<Span> {
        let (start, end) = (self.ends[group * 2], self.ends[group * 2 + 1]);
        (start != usize::MAX).then_some((start, end))
    }
}

impl Matcher {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(pattern: &str) -> Result<Self, regex::Error> {
        Ok(Self { regex: Regex::new(pattern)?, direct: Direct::new(pattern) })
    }

    /// The names of its groups, by their numbers.
    pub fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.regex.capture_names()
    }

    /// Room for the places of its groups.
    pub fn places(&self) -> Places {
        let locations = self.regex.capture_locations();
        Places { ends: vec![usize::MAX; locations.len() * 2], locations }
    }

    /// Finds the text `data[from..to]`, and where the groups lie in `data`. False where it does not match.
    #[inline]
    pub fn find(&self, data: &str, from: usize, to: usize, places: &mut Places) -> bool {
        match self.direct.as_ref().map(|direct| direct.find(data, from, to, &mut places.ends)) {
            Some(Found::Match) => true,
            Some(Found::Nothing) => false,
            Some(Found::Unclear) | None => self.search(&data.as_bytes()[from..to], from, places),
        }
    }

    /// The same by the crate `regex`.
    fn search(&self, text: &[u8], from: usize, places: &mut Places) -> bool {
        let Places { ends, locations } = places;
        if self.regex.captures_read(locations, text).is_none() {
            return false;
        }
        for group in 0..locations.len() {
            let (start, end) =
                locations.get(group).map_or(NOWHERE, |(start, end)| (from + start, from + end));
            (ends[group * 2], ends[group * 2 + 1]) = (start, end);
        }
        true
    }
}
