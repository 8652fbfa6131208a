//! Which lines make one record.

use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use flitch_core::pattern::{foreign, is_between_slashes};
use flitch_core::setting::wrong;

mod preset;

pub use preset::Preset;
use preset::{Place, Traces};

/// A regular expression over bytes, known to be one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

impl Pattern {
    fn compile(&self) -> Result<Regex, String> {
        Regex::new(&self.0).map_err(|error| format!("`{}` is no regular expression: {error}", self.0))
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Pattern, String> {
        let slashes = is_between_slashes(&text).then_some(
            "the slashes around it are part of it: write it without them, or `[/]` where they are meant",
        );
        if let Some(why) = slashes.or(foreign(&text)) {
            return Err(format!("`{text}`: {why}"));
        }
        let pattern = Pattern(text);
        pattern.compile()?;
        Ok(pattern)
    }
}

/// How far a record has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its lines.
    pub lines: usize,
    place: Place,
}

/// Which lines begin a record, or go on with one.
#[derive(Clone, Debug)]
pub struct Rule {
    says: Says,
    max_lines: usize,
}

#[derive(Clone, Debug)]
enum Says {
    /// A line that matches begins a record.
    Begins(Regex),
    /// A line that matches goes on with one.
    GoesOn(Regex),
    /// What lines of a stack trace are depends on those before them.
    Traces(Traces),
}

impl Rule {
    /// The rule that one of `start`, `continue` and `preset` gives, for records of so many lines.
    ///
    /// # Errors
    /// There are none or several of them, or a record would have no line.
    pub fn new(
        start: Option<&Pattern>,
        more: Option<&Pattern>,
        preset: Option<Preset>,
        max_lines: usize,
    ) -> anyhow::Result<Rule> {
        let says = match (start, more, preset) {
            (Some(start), None, None) => start.compile().map(Says::Begins),
            (None, Some(more), None) => more.compile().map(Says::GoesOn),
            (None, None, Some(preset)) => Traces::of(preset).map(Says::Traces),
            (None, None, None) => anyhow::bail!(wrong!(
                "multiline",
                " needs `start`, which matches the first line of a record, `continue`, which matches its others, or a `preset`"
            )),
            _ => {
                anyhow::bail!(wrong!(
                    "multiline",
                    " has several of `start`, `continue` and `preset`: leave one of them alone"
                ))
            }
        };
        anyhow::ensure!(
            max_lines > 0,
            wrong!("multiline.max_lines", " is 0: a record has one line at least")
        );
        Ok(Rule { says: says.map_err(anyhow::Error::msg)?, max_lines })
    }

    /// Begins a record with a line.
    pub fn begin(&self, line: &[u8]) -> Begun {
        let place = match &self.says {
            Says::Traces(traces) => traces.begin(line),
            Says::Begins(_) | Says::GoesOn(_) => Place::default(),
        };
        Begun { lines: 1, place }
    }

    /// Whether the next line goes on with a record, which has come further then. Otherwise it begins another.
    pub fn goes_on(&self, begun: &mut Begun, line: &[u8]) -> bool {
        let next = match &self.says {
            _ if begun.lines >= self.max_lines => None,
            Says::Begins(start) => (!start.is_match(line)).then_some(begun.place),
            Says::GoesOn(more) => more.is_match(line).then_some(begun.place),
            Says::Traces(traces) => traces.next(begun.place, line),
        };
        let Some(place) = next else { return false };
        *begun = Begun { lines: begun.lines + 1, place };
        true
    }
}

#[cfg(test)]
mod tests;
