//! Compiled conditions.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use regex::bytes::Regex;

use super::value::{Bound, Cell};
use super::{ConditionSettings, OneOrMore, Scalar};
use crate::{path, pattern};

/// What is wrong with a condition, and in which one of those inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(String);

impl Wrong {
    fn at(self, place: impl fmt::Display) -> Wrong {
        Wrong(format!("{place}: {}", self.0))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// A compiled condition.
#[derive(Debug)]
pub enum Test {
    /// All of these hold.
    All(Vec<Test>),
    /// At least one of these holds.
    Any(Vec<Test>),
    /// This does not hold.
    Not(Box<Test>),
    /// The field of this path is there, be it as null, or it is not.
    Exists(String, bool),
    /// The field of this path is there and passes.
    Value(String, ValueTest),
}

/// What is tested of one value.
#[derive(Debug)]
pub struct ValueTest(Kind);

#[derive(Debug)]
enum Kind {
    OneOf(Vec<Bound>),
    Fits(Regex),
    AtLeast(Bound),
    AtMost(Bound),
}

impl Test {
    /// Compiles a condition.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(settings: &ConditionSettings) -> Result<Test, Wrong> {
        let mut tests = own(settings)?;
        let ConditionSettings { all, any, not, .. } = settings;
        let every = |name: &str, list: &[ConditionSettings]| {
            let each = list.iter().enumerate().map(|(place, settings)| {
                Test::new(settings).map_err(|wrong| wrong.at(format_args!("{name}[{place}]")))
            });
            each.collect::<Result<Vec<_>, _>>()
        };
        tests.extend(all.as_deref().map(|list| every("all", list)).transpose()?.map(Test::All));
        tests.extend(any.as_deref().map(|list| every("any", list)).transpose()?.map(Test::Any));
        if let Some(settings) = not {
            let test = Test::new(settings).map_err(|wrong| wrong.at("not"))?;
            tests.push(Test::Not(Box::new(test)));
        }
        match tests.len() {
            0 => wrong("an empty condition: add `field` with a test, or `all`, `any` or `not`"),
            1 => Ok(tests.remove(0)),
            _ => Ok(Test::All(tests)),
        }
    }

    /// The fields that it looks at.
    pub fn fields(&self) -> BTreeSet<&str> {
        match self {
            Test::All(tests) | Test::Any(tests) => tests.iter().flat_map(Test::fields).collect(),
            Test::Not(test) => test.fields(),
            Test::Exists(field, _) | Test::Value(field, _) => BTreeSet::from([field.as_str()]),
        }
    }
}

/// The tests of the condition's own field.
fn own(settings: &ConditionSettings) -> Result<Vec<Test>, Wrong> {
    let ConditionSettings { field, equals, one_of, glob, regex, exists, at_least, at_most, .. } = settings;
    let bound = |scalar: &Scalar| Bound::new(scalar.clone());
    let mut values = Vec::new();
    values.extend(equals.as_ref().map(|value| Kind::OneOf(vec![bound(value)])));
    values.extend(one_of.as_ref().map(|values| Kind::OneOf(values.iter().map(bound).collect())));
    if let Some(glob) = glob {
        let patterns = match glob {
            OneOrMore::One(one) => std::slice::from_ref(one),
            OneOrMore::More(more) => more,
        };
        values.push(Kind::Fits(globs(patterns)?));
    }
    if let Some(regex) = regex {
        if let Some(why) = pattern::foreign(regex) {
            return wrong(&format!("`regex`: {why}"));
        }
        let compiled = Regex::new(regex).map_err(|error| Wrong(format!("`regex`: {error}")))?;
        values.push(Kind::Fits(compiled));
    }
    values.extend(at_least.as_ref().map(|value| Kind::AtLeast(bound(value))));
    values.extend(at_most.as_ref().map(|value| Kind::AtMost(bound(value))));
    let Some(field) = field else {
        if exists.is_some() || !values.is_empty() {
            return wrong("the condition tests a value but names no `field`");
        }
        return Ok(Vec::new());
    };
    path::check_exact(field).map_err(Wrong)?;
    if field == "@timestamp" {
        let bounds = values.iter().flat_map(|kind| match kind {
            Kind::OneOf(bounds) => bounds.as_slice(),
            Kind::AtLeast(bound) | Kind::AtMost(bound) => std::slice::from_ref(bound),
            Kind::Fits(_) => &[],
        });
        if let Some(bound) = bounds.into_iter().find(|bound| !bound.is_time()) {
            return wrong(&format!(
                "`@timestamp` is a time, and {bound} is none: write it as `2026-01-31T23:59:59Z`"
            ));
        }
    }
    let exists = exists.map(|exists| Test::Exists(field.clone(), exists));
    let values = values.into_iter().map(|kind| Test::Value(field.clone(), ValueTest(kind)));
    let tests: Vec<Test> = exists.into_iter().chain(values).collect();
    if tests.is_empty() {
        return wrong(&format!(
            "the condition on `{field}` tests nothing: add `equals`, `in`, `glob`, `regex`, `exists`, `at_least` or `at_most`"
        ));
    }
    Ok(tests)
}

fn wrong<T>(reason: &str) -> Result<T, Wrong> {
    Err(Wrong(reason.to_owned()))
}

/// One expression for all patterns. In a log a `*` crosses slashes and, where a text has several lines, their ends.
fn globs(patterns: &[String]) -> Result<Regex, Wrong> {
    if patterns.is_empty() {
        return wrong("`glob`: an empty list fits nothing");
    }
    let one = |pattern: &String| {
        let glob = globset::GlobBuilder::new(pattern).literal_separator(false).build();
        glob.map(|glob| format!("(?s:{})", glob.regex()))
    };
    let all = patterns.iter().map(one).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| Wrong(format!("`glob`: {error}")))?;
    Regex::new(&all.join("|")).map_err(|error| Wrong(format!("`glob`: {error}")))
}

impl ValueTest {
    /// Whether a value passes.
    pub fn holds(&self, cell: &Cell<'_>) -> bool {
        match &self.0 {
            Kind::OneOf(bounds) => bounds.iter().any(|bound| cell.equals(bound)),
            Kind::Fits(regex) => cell.fits(regex),
            Kind::AtLeast(bound) => cell.compare(bound).is_some_and(Ordering::is_ge),
            Kind::AtMost(bound) => cell.compare(bound).is_some_and(Ordering::is_le),
        }
    }

    /// Where one text passes and nothing else, this text: the test that a busy route is made of.
    pub fn only_text(&self) -> Option<&str> {
        match &self.0 {
            Kind::OneOf(bounds) => match bounds.as_slice() {
                [bound] => bound.text(),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
