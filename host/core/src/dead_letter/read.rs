//! Finding dead letters again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::folder;

/// Which letters are meant; all that is set must fit.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The stage: source, filter or output.
    pub stage: Option<String>,
    /// The component's name in the configuration.
    pub component: Option<String>,
    /// A part of the reason.
    pub reason: Option<String>,
    /// From this time on.
    pub since: Option<jiff::Timestamp>,
    /// Before this time.
    pub until: Option<jiff::Timestamp>,
}

/// One dead letter.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Letter {
    /// When it was written.
    #[serde(with = "rfc3339")]
    pub time: jiff::Timestamp,
    /// Where its record ended: source, filter or output.
    pub stage: String,
    /// The component's name in the configuration.
    pub component: String,
    /// What is wrong.
    pub reason: String,
    /// The record, a JSON object; bytes in it are `{"$bytes":"<base64>"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<RawValue>>,
    /// What never became a record: a text, or bytes as `{"$bytes":"<base64>"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Box<RawValue>>,
}

impl Filter {
    /// Whether a letter is meant.
    pub fn takes(&self, letter: &Letter) -> bool {
        self.stage.as_ref().is_none_or(|s| *s == letter.stage)
            && self.component.as_ref().is_none_or(|c| *c == letter.component)
            && self.reason.as_ref().is_none_or(|r| letter.reason.contains(r.as_str()))
            && self.since.is_none_or(|since| letter.time >= since)
            && self.until.is_none_or(|until| letter.time < until)
    }
}

/// Shows every letter that `filter` takes, oldest first, until `see` answers `false`. Lines that are no letters (half
/// written, or changed by hand) are passed over and counted in the answer.
///
/// # Errors
/// The folder or a file cannot be read, and what `see` answers.
pub fn letters(
    folder: &Path,
    filter: &Filter,
    mut see: impl FnMut(Letter) -> io::Result<bool>,
) -> io::Result<u64> {
    let mut broken = 0;
    for name in folder::all(folder)? {
        let mut go_on = true;
        broken += in_file(&name.path, |letter, _| {
            if go_on && filter.takes(&letter) {
                go_on = see(letter)?;
            }
            Ok(go_on)
        })?;
        if !go_on {
            break;
        }
    }
    Ok(broken)
}

/// Shows every letter of a file with its line, until `see` answers `false`. Answers the number of lines that are none.
pub(super) fn in_file(
    path: &Path,
    mut see: impl FnMut(Letter, &[u8]) -> io::Result<bool>,
) -> io::Result<u64> {
    let file = match File::open(path) {
        Ok(file) => file,
        // Rotated away or replayed since the folder was read.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(e),
    };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    let mut broken = 0;
    while reader.read_until(b'\n', &mut line)? > 0 {
        match serde_json::from_slice::<Letter>(&line) {
            Ok(letter) => {
                if !see(letter, &line)? {
                    break;
                }
            }
            Err(_) => broken += 1,
        }
        line.clear();
    }
    Ok(broken)
}

/// Letters with the same cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The stage: source, filter or output.
    pub stage: String,
    /// The component's name in the configuration.
    pub component: String,
    /// What is wrong, in the words of the first: those that differ in numbers alone are one cause.
    pub reason: String,
    /// How many letters.
    pub count: u64,
    /// The time of the oldest.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub oldest: jiff::Timestamp,
    /// The time of the newest.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub newest: jiff::Timestamp,
}

/// What is among the dead letters.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// By stage, component and reason; the largest first.
    pub groups: Vec<Group>,
    /// Letters in all groups.
    pub letters: u64,
    /// Lines that are no letters.
    pub broken: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// Counts the letters that `filter` takes by their cause.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn list(folder: &Path, filter: &Filter) -> io::Result<Summary> {
    let mut groups: BTreeMap<(String, String, String), Group> = BTreeMap::new();
    let broken = letters(folder, filter, |letter| {
        let cause = without_numbers(&letter.reason);
        let group =
            groups.entry((letter.stage.clone(), letter.component.clone(), cause)).or_insert_with(|| Group {
                stage: letter.stage,
                component: letter.component,
                reason: letter.reason,
                count: 0,
                oldest: letter.time,
                newest: letter.time,
            });
        group.count += 1;
        group.oldest = group.oldest.min(letter.time);
        group.newest = group.newest.max(letter.time);
        Ok(true)
    })?;
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|g| std::cmp::Reverse(g.count));
    let letters = groups.iter().map(|g| g.count).sum();
    let size = |name: &folder::Name| std::fs::metadata(&name.path).map_or(0, |m| m.len());
    let bytes = folder::all(folder)?.iter().map(size).sum();
    Ok(Summary { groups, letters, broken, bytes })
}

/// Puts `#` for every run of digits, so that "a record of 1234 bytes" and "of 99 bytes" count as one cause.
fn without_numbers(reason: &str) -> String {
    let mut text = String::with_capacity(reason.len());
    for c in reason.chars() {
        match c {
            c if !c.is_ascii_digit() => text.push(c),
            _ if text.ends_with('#') => {}
            _ => text.push('#'),
        }
    }
    text
}

/// Times as RFC 3339.
mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &jiff::Timestamp, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(time)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<jiff::Timestamp, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
