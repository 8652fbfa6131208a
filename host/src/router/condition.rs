//! Conditions on records, evaluated a column at a time.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{Array, BooleanArray};
use arrow_buffer::BooleanBuffer;
use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::value::{Reader, Value};
use crate::batch::{Column, Records};

mod value;

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
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
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several, of which one must fit.
    More(Vec<String>),
}

/// What must hold for a record. Of several keys all must hold; those that test a value need `field`. A record without
/// the field fails every test but `exists: false`.
///
/// A number and a text that reads as one are compared as numbers, so that `status: "404"` is at least 400.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConditionSettings {
    /// Path of the field that is tested: `status`, `kubernetes.labels.app`, `@tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The value is this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<Scalar>,
    /// The value is one of these.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Scalar>>,
    /// The whole value fits a pattern, or one of several, with `*`, `?`, `[a-z]` and `{this,that}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glob: Option<OneOrMore>,
    /// The value has a part that fits a regular expression; `^` and `$` tie it to the ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// The field is there, be it as null (`true`), or it is not (`false`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// The value is this or more: as numbers, as times, or as texts by their bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Scalar>,
    /// The value is this or less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Scalar>,
    /// All of these hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<Vec<ConditionSettings>>,
    /// At least one of these holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<Vec<ConditionSettings>>,
    /// This does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<ConditionSettings>>,
}

/// A compiled condition.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "ConditionSettings", into = "ConditionSettings")]
pub struct Condition {
    settings: ConditionSettings,
    test: Arc<Test>,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Condition) -> bool {
        self.settings == other.settings
    }
}

impl From<Condition> for ConditionSettings {
    fn from(condition: Condition) -> ConditionSettings {
        condition.settings
    }
}

impl JsonSchema for Condition {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Condition".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.subschema_for::<ConditionSettings>()
    }
}

/// The rows for which a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Mask {
    /// Every row.
    All,
    /// No row.
    None,
    /// The rows whose bit is set.
    Rows(BooleanBuffer),
}

impl Mask {
    /// How many of `rows` rows.
    pub fn count(&self, rows: usize) -> usize {
        match self {
            Mask::All => rows,
            Mask::None => 0,
            Mask::Rows(bits) => bits.count_set_bits(),
        }
    }

    /// The rows of either.
    pub fn or(self, other: Mask) -> Mask {
        match (self, other) {
            (Mask::All, _) | (_, Mask::All) => Mask::All,
            (Mask::None, mask) | (mask, Mask::None) => mask,
            (Mask::Rows(a), Mask::Rows(b)) => Mask::Rows(&a | &b),
        }
    }

    fn and(self, other: Mask) -> Mask {
        match (self, other) {
            (Mask::None, _) | (_, Mask::None) => Mask::None,
            (Mask::All, mask) | (mask, Mask::All) => mask,
            (Mask::Rows(a), Mask::Rows(b)) => Mask::Rows(&a & &b),
        }
    }

    fn not(self) -> Mask {
        match self {
            Mask::All => Mask::None,
            Mask::None => Mask::All,
            Mask::Rows(bits) => Mask::Rows(!&bits),
        }
    }

    /// [`Mask::All`] and [`Mask::None`] where they fit.
    fn simplified(self, rows: usize) -> Mask {
        match &self {
            Mask::Rows(bits) => match bits.count_set_bits() {
                0 => Mask::None,
                all if all == rows => Mask::All,
                _ => self,
            },
            _ => self,
        }
    }
}

impl From<bool> for Mask {
    fn from(holds: bool) -> Mask {
        if holds { Mask::All } else { Mask::None }
    }
}

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

impl TryFrom<ConditionSettings> for Condition {
    type Error = String;

    fn try_from(settings: ConditionSettings) -> Result<Condition, String> {
        let test = Arc::new(compile(&settings)?);
        Ok(Condition { settings, test })
    }
}

impl Condition {
    /// The rows for which it holds.
    pub fn test(&self, records: &Records) -> Mask {
        self.test.mask(records).simplified(records.rows())
    }
}

fn compile(settings: &ConditionSettings) -> Result<Test, String> {
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
        let compiled = Regex::new(regex).map_err(|e| format!("`regex`: {e}"))?;
        values.push(ValueTest::Fits(compiled));
    }
    values.extend(at_least.clone().map(ValueTest::AtLeast));
    values.extend(at_most.clone().map(ValueTest::AtMost));
    let mut tests = Vec::new();
    match field {
        Some(field) => {
            tests.extend(exists.map(|exists| Test::Exists(field.clone(), exists)));
            tests.extend(values.into_iter().map(|test| Test::Value(field.clone(), test)));
            if tests.is_empty() {
                return Err(format!(
                    "the condition on `{field}` tests nothing: add `equals`, `in`, `glob`, `regex`, `exists`, `at_least` or `at_most`"
                ));
            }
        }
        None if exists.is_some() || !values.is_empty() => {
            return Err("the condition tests a value but names no `field`".to_owned());
        }
        None => {}
    }
    let every = |list: &[ConditionSettings]| list.iter().map(compile).collect::<Result<Vec<_>, _>>();
    tests.extend(all.as_deref().map(every).transpose()?.map(Test::All));
    tests.extend(any.as_deref().map(every).transpose()?.map(Test::Any));
    tests.extend(not.as_deref().map(compile).transpose()?.map(|test| Test::Not(Box::new(test))));
    match tests.len() {
        0 => Err("an empty condition: add `field` with a test, or `all`, `any` or `not`".to_owned()),
        1 => Ok(tests.remove(0)),
        _ => Ok(Test::All(tests)),
    }
}

/// One expression for all patterns. In a log a `*` crosses slashes, and a line has no end inside.
fn globs(patterns: &[String]) -> Result<Regex, String> {
    let one = |pattern: &String| {
        let glob = globset::GlobBuilder::new(pattern).literal_separator(false).build();
        glob.map(|g| g.regex().to_owned()).map_err(|e| format!("`glob`: {e}"))
    };
    let all: Vec<String> = patterns.iter().map(one).collect::<Result<_, _>>()?;
    if all.is_empty() {
        return Err("`glob`: an empty list fits nothing".to_owned());
    }
    let all: Vec<String> = all.iter().map(|g| format!("(?:{g})")).collect();
    Regex::new(&all.join("|")).map_err(|e| format!("`glob`: {e}"))
}

impl Test {
    fn mask(&self, records: &Records) -> Mask {
        match self {
            Test::All(tests) => tests.iter().fold(Mask::All, |mask, test| match mask {
                Mask::None => Mask::None,
                mask => mask.and(test.mask(records)),
            }),
            Test::Any(tests) => tests.iter().fold(Mask::None, |mask, test| match mask {
                Mask::All => Mask::All,
                mask => mask.or(test.mask(records)),
            }),
            Test::Not(test) => test.mask(records).not(),
            Test::Exists(field, wanted) => {
                let there = match records.column(field) {
                    None => Mask::None,
                    Some(Column::Constant(_, array)) => Mask::from(array.is_valid(0)),
                    Some(Column::Rows(_, array)) => match array.nulls() {
                        None => Mask::All,
                        Some(nulls) => Mask::Rows(nulls.inner().clone()),
                    },
                };
                if *wanted { there } else { there.not() }
            }
            Test::Value(field, test) => match records.column(field) {
                None => Mask::None,
                Some(column @ Column::Constant(..)) => Mask::from(test.reader(column).is_some_and(|t| t(0))),
                Some(column @ Column::Rows(..)) => match test.reader(column) {
                    None => Mask::None,
                    Some(test) => Mask::Rows(BooleanBuffer::collect_bool(records.rows(), test)),
                },
            },
        }
    }
}

impl ValueTest {
    /// Tests one place of a column.
    fn reader<'a>(&'a self, column: Column<'a>) -> Option<Box<dyn Fn(usize) -> bool + 'a>> {
        let reader = Reader::new(column)?;
        Some(match self {
            ValueTest::OneOf(scalars) => {
                let wanted: Vec<Value> = scalars.iter().map(Value::of).collect();
                match (wanted.as_slice(), &reader) {
                    // The tests that a busy route is made of.
                    ([Value::Text(text)], Reader::Text(array)) => {
                        let text = *text;
                        let array = *array;
                        Box::new(move |place| array.is_valid(place) && array.value(place).as_bytes() == text)
                    }
                    _ => Box::new(move |place| {
                        reader.read(place, |found| wanted.iter().any(|w| w.equals(found))).unwrap_or(false)
                    }),
                }
            }
            ValueTest::Fits(regex) => {
                Box::new(move |place| reader.read(place, |v| v.fits(regex)).unwrap_or(false))
            }
            ValueTest::AtLeast(bound) => ordered(reader, bound, Ordering::is_ge),
            ValueTest::AtMost(bound) => ordered(reader, bound, Ordering::is_le),
        })
    }
}

fn ordered<'a>(
    reader: Reader<'a>,
    bound: &'a Scalar,
    holds: fn(Ordering) -> bool,
) -> Box<dyn Fn(usize) -> bool + 'a> {
    let bound = Value::of(bound);
    Box::new(move |place| reader.read(place, |v| v.compare(&bound).is_some_and(holds)).unwrap_or(false))
}

/// The bits as an array, to filter with.
pub(super) fn as_array(bits: &BooleanBuffer) -> BooleanArray {
    BooleanArray::new(bits.clone(), None)
}

#[cfg(test)]
mod tests;
