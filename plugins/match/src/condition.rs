//! Conditions. They mean what the conditions of the host's routes mean.

use crate::value::{Cell, Number};
use flitch_sdk::json::Decoded;
use flitch_sdk::{Batch, Column, Result, Value, View, bail, err, json};
use globset::GlobBuilder;
use regex::bytes::Regex;
use serde::Deserialize;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A value to compare with.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a text, a number or a boolean")]
pub enum Scalar {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Int(i64),
    /// Any number.
    Float(f64),
    /// A text. For a field that is a time, RFC 3339.
    Text(String),
}

/// One or several texts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several, of which one must fit.
    More(Vec<String>),
}

/// What must hold for a record. Of several keys all must hold; those that test a value need
/// `field`. A record without the field fails every test but `exists: false`.
///
/// A number and a text that reads as one are compared as numbers, so that `status: "404"` is at
/// least 400.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConditionSettings {
    /// Path of the field that is tested.
    pub field: Option<String>,
    /// The value is this one.
    pub equals: Option<Scalar>,
    /// The value is one of these.
    #[serde(rename = "in")]
    pub one_of: Option<Vec<Scalar>>,
    /// The whole value fits a pattern, or one of several, with `*`, `?`, `[a-z]` and `{this,that}`.
    pub glob: Option<OneOrMore>,
    /// The value has a part that fits a regular expression; `^` and `$` tie it to the ends.
    pub regex: Option<String>,
    /// The field is there, be it as null (`true`), or it is not (`false`).
    pub exists: Option<bool>,
    /// The value is this or more: as numbers, as times, or as texts by their bytes.
    pub at_least: Option<Scalar>,
    /// The value is this or less.
    pub at_most: Option<Scalar>,
    /// All of these hold.
    pub all: Option<Vec<ConditionSettings>>,
    /// At least one of these holds.
    pub any: Option<Vec<ConditionSettings>>,
    /// This does not hold.
    pub not: Option<Box<ConditionSettings>>,
}

/// A compiled condition.
#[derive(Debug)]
pub struct Condition(Test);

#[derive(Debug)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Exists(String, bool),
    Value(String, ValueTest),
}

#[derive(Debug)]
enum ValueTest {
    OneOf(Vec<Scalar>),
    Fits(Regex),
    AtLeast(Scalar),
    AtMost(Scalar),
}

impl Condition {
    /// Compiles a condition.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(settings: &ConditionSettings) -> Result<Self> {
        compile(settings).map(Self)
    }

    /// The fields that it looks at.
    pub fn fields(&self) -> BTreeSet<String> {
        let mut fields = BTreeSet::new();
        self.0.fields(&mut fields);
        fields
    }

    /// For which records it holds.
    pub fn test(&self, batch: &Batch) -> Vec<bool> {
        self.0.test(batch)
    }
}

fn compile(settings: &ConditionSettings) -> Result<Test> {
    let ConditionSettings { field, equals, one_of, glob, regex, exists, at_least, at_most, all, any, not } =
        settings;
    let mut values = Vec::new();
    values.extend(equals.clone().map(|value| ValueTest::OneOf(vec![value])));
    values.extend(one_of.clone().map(ValueTest::OneOf));
    if let Some(glob) = glob {
        let patterns = match glob {
            OneOrMore::One(one) => std::slice::from_ref(one),
            OneOrMore::More(more) => more,
        };
        values.push(ValueTest::Fits(globs(patterns)?));
    }
    if let Some(regex) = regex {
        values.push(ValueTest::Fits(Regex::new(regex).map_err(|error| err!("`regex`: {error}"))?));
    }
    values.extend(at_least.clone().map(ValueTest::AtLeast));
    values.extend(at_most.clone().map(ValueTest::AtMost));
    let mut tests = Vec::new();
    match field {
        Some(field) => {
            tests.extend(exists.map(|exists| Test::Exists(field.clone(), exists)));
            tests.extend(values.into_iter().map(|test| Test::Value(field.clone(), test)));
            if tests.is_empty() {
                bail!(
                    "the condition on `{field}` tests nothing: add `equals`, `in`, `glob`, `regex`, `exists`, `at_least` or `at_most`"
                );
            }
        }
        None if exists.is_some() || !values.is_empty() => {
            bail!("the condition tests a value but names no `field`")
        }
        None => {}
    }
    let every = |name: &str, list: &[ConditionSettings]| {
        let list = list.iter().enumerate();
        list.map(|(at, settings)| compile(settings).map_err(|error| error.at(format_args!("{name}[{at}]"))))
            .collect::<Result<Vec<_>>>()
    };
    tests.extend(all.as_deref().map(|list| every("all", list)).transpose()?.map(Test::All));
    tests.extend(any.as_deref().map(|list| every("any", list)).transpose()?.map(Test::Any));
    if let Some(settings) = not {
        tests.push(Test::Not(Box::new(compile(settings).map_err(|error| error.at("not"))?)));
    }
    match tests.len() {
        0 => bail!("an empty condition: add `field` with a test, or `all`, `any` or `not`"),
        1 => Ok(tests.remove(0)),
        _ => Ok(Test::All(tests)),
    }
}

/// One expression for all patterns. In a log a `*` crosses slashes.
fn globs(patterns: &[String]) -> Result<Regex> {
    if patterns.is_empty() {
        bail!("`glob`: an empty list fits nothing");
    }
    let one = |pattern: &String| {
        let glob = GlobBuilder::new(pattern).literal_separator(false).build();
        glob.map(|glob| format!("(?:{})", glob.regex())).map_err(|error| err!("`glob`: {error}"))
    };
    let all = patterns.iter().map(one).collect::<Result<Vec<_>>>()?;
    Regex::new(&all.join("|")).map_err(|error| err!("`glob`: {error}"))
}

impl Test {
    fn fields(&self, fields: &mut BTreeSet<String>) {
        match self {
            Self::All(tests) | Self::Any(tests) => tests.iter().for_each(|test| test.fields(fields)),
            Self::Not(test) => test.fields(fields),
            Self::Exists(field, _) | Self::Value(field, _) => {
                fields.insert(field.clone());
            }
        }
    }

    fn test(&self, batch: &Batch) -> Vec<bool> {
        let rows = batch.len();
        match self {
            Self::All(tests) => tests.iter().fold(vec![true; rows], |mut holds, test| {
                holds.iter_mut().zip(test.test(batch)).for_each(|(holds, also)| *holds &= also);
                holds
            }),
            Self::Any(tests) => tests.iter().fold(vec![false; rows], |mut holds, test| {
                holds.iter_mut().zip(test.test(batch)).for_each(|(holds, or)| *holds |= or);
                holds
            }),
            Self::Not(test) => test.test(batch).into_iter().map(|holds| !holds).collect(),
            Self::Exists(field, wanted) => match batch.column(field) {
                Some(column) => (0..rows).map(|row| column.is_present(row) == *wanted).collect(),
                None => vec![!wanted; rows],
            },
            Self::Value(field, test) => match batch.column(field) {
                Some(column) => test.test(column, rows),
                None => vec![false; rows],
            },
        }
    }
}

impl ValueTest {
    fn test(&self, column: &Column, rows: usize) -> Vec<bool> {
        if let (Self::OneOf(scalars), View::Text(texts)) = (self, column.view())
            && let [Scalar::Text(wanted)] = scalars.as_slice()
        {
            return texts.iter().map(|text| text == Some(wanted)).collect();
        }
        let cells = (0..rows).map(|row| match column.value(row) {
            None => false,
            Some(Value::Json(text)) => match json::decode(text) {
                Decoded::Text(text) => self.holds(&Cell::Text(text.as_bytes())),
                Decoded::Other(value) => self.holds(&Cell::of(value)),
            },
            Some(value) => self.holds(&Cell::of(value)),
        });
        cells.collect()
    }

    fn holds(&self, cell: &Cell<'_>) -> bool {
        match self {
            Self::OneOf(scalars) => scalars.iter().any(|scalar| cell.equals(&scalar.cell())),
            Self::Fits(regex) => cell.fits(regex),
            Self::AtLeast(bound) => cell.compare(&bound.cell()).is_some_and(Ordering::is_ge),
            Self::AtMost(bound) => cell.compare(&bound.cell()).is_some_and(Ordering::is_le),
        }
    }
}

impl Scalar {
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Boolean(boolean) => Cell::Boolean(*boolean),
            Self::Int(number) => Cell::Number(Number::Int(*number)),
            Self::Float(number) => Cell::Number(Number::Float(*number)),
            Self::Text(text) => Cell::Text(text.as_bytes()),
        }
    }
}
