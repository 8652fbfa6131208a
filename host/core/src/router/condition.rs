//! Conditions on records, evaluated a column at a time.

use std::sync::Arc;

use arrow_array::{Array, BooleanArray};
use arrow_buffer::BooleanBuffer;
use flitch_model::condition::{Test, ValueTest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::value::Cells;
use crate::batch::{Column, Records, path};

mod value;

pub use flitch_model::condition::{ConditionSettings, OneOrMore, Scalar};

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

impl TryFrom<ConditionSettings> for Condition {
    type Error = String;

    fn try_from(settings: ConditionSettings) -> Result<Condition, String> {
        let test = Test::new(&settings).map_err(|wrong| wrong.to_string())?;
        Ok(Condition { settings, test: Arc::new(test) })
    }
}

impl Condition {
    /// The rows for which it holds.
    pub fn test(&self, records: &Records) -> Mask {
        mask(&self.test, records).simplified(records.rows())
    }
}

fn mask(test: &Test, records: &Records) -> Mask {
    match test {
        Test::All(tests) => tests.iter().fold(Mask::All, |so_far, test| match so_far {
            Mask::None => Mask::None,
            so_far => so_far.and(mask(test, records)),
        }),
        Test::Any(tests) => tests.iter().fold(Mask::None, |so_far, test| match so_far {
            Mask::All => Mask::All,
            so_far => so_far.or(mask(test, records)),
        }),
        Test::Not(test) => mask(test, records).not(),
        Test::Exists(field, wanted) => {
            let there = exists(field, records);
            if *wanted { there } else { there.not() }
        }
        Test::Value(field, test) => match records.find(field) {
            None => Mask::None,
            Some(found) => match found.column() {
                column @ Column::Constant(..) => Mask::from(at(test, column).is_some_and(|test| test(0))),
                column @ Column::Rows(..) => match at(test, column) {
                    None => Mask::None,
                    Some(test) => Mask::Rows(BooleanBuffer::collect_bool(records.rows(), test)),
                },
            },
        },
    }
}

/// The rows that have a field, or anything below it: an object is there though its members are columns.
fn exists(field: &str, records: &Records) -> Mask {
    let there = |column: Column<'_>| match column {
        Column::Constant(_, array) => Mask::from(array.is_valid(0)),
        Column::Rows(_, array) => match array.nulls() {
            None => Mask::All,
            Some(nulls) => Mask::Rows(nulls.inner().clone()),
        },
    };
    let below = records.iter().filter(|column| path::is_below(column.field().name(), field)).map(there);
    let own = records.find(field).map_or(Mask::None, |found| there(found.column()));
    below.fold(own, Mask::or)
}

/// Tests one place of a column.
fn at<'a>(test: &'a ValueTest, column: Column<'a>) -> Option<Box<dyn Fn(usize) -> bool + 'a>> {
    let reader = Cells::new(column)?;
    Some(match (test.only_text(), reader) {
        (Some(wanted), Cells::Text(array)) => {
            Box::new(move |place| array.is_valid(place) && array.value(place) == wanted)
        }
        (_, reader) => Box::new(move |place| reader.read(place, |cell| test.holds(cell)).unwrap_or(false)),
    })
}

/// The bits as an array, to filter with.
pub(super) fn as_array(bits: &BooleanBuffer) -> BooleanArray {
    BooleanArray::new(bits.clone(), None)
}

#[cfg(test)]
mod tests;
