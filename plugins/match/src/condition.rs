//! Conditions over the columns that a filter sees.

use flitch_model::condition::{Cell, ConditionSettings, Number, Test, ValueTest, number};
use flitch_sdk::json::Decoded;
use flitch_sdk::{Batch, Column, Error, Result, Value, View, path};

/// A compiled condition.
#[derive(Debug)]
pub struct Condition(Test);

impl Condition {
    /// Compiles a condition.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(settings: &ConditionSettings) -> Result<Self> {
        Test::new(settings).map(Self).map_err(Error::from)
    }

    /// The fields that it looks at.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.fields().into_iter()
    }

    /// For which records it holds.
    pub fn test(&self, batch: &Batch) -> Vec<bool> {
        holds(&self.0, batch)
    }
}

fn holds(test: &Test, batch: &Batch) -> Vec<bool> {
    let rows = batch.len();
    match test {
        Test::All(tests) => tests.iter().fold(vec![true; rows], |mut all, test| {
            all.iter_mut().zip(holds(test, batch)).for_each(|(all, also)| *all &= also);
            all
        }),
        Test::Any(tests) => tests.iter().fold(vec![false; rows], |mut any, test| {
            any.iter_mut().zip(holds(test, batch)).for_each(|(any, or)| *any |= or);
            any
        }),
        Test::Not(test) => holds(test, batch).into_iter().map(|holds| !holds).collect(),
        Test::Exists(field, wanted) => {
            // An object is there though its members are columns.
            let there: Vec<&Column> = batch
                .columns
                .iter()
                .filter(|column| column.name == *field || path::is_below(&column.name, field))
                .collect();
            (0..rows).map(|row| there.iter().any(|column| column.is_present(row)) == *wanted).collect()
        }
        Test::Value(field, test) => match batch.column(field) {
            Some(column) => passes(test, column, rows),
            None => vec![false; rows],
        },
    }
}

fn passes(test: &ValueTest, column: &Column, rows: usize) -> Vec<bool> {
    if let (Some(wanted), View::Text(texts)) = (test.only_text(), column.view()) {
        return texts.iter().map(|text| text == Some(wanted)).collect();
    }
    let cells = (0..rows).map(|row| match column.value(row).map(Decoded::from) {
        None => false,
        Some(Decoded::Text(text)) => test.holds(&Cell::Text(text.as_bytes())),
        Some(Decoded::Bytes(bytes)) => test.holds(&Cell::Text(&bytes)),
        Some(Decoded::Other(value)) => test.holds(&cell(value)),
    });
    cells.collect()
}

/// The value of a record; json must be decoded before.
fn cell(value: Value<'_>) -> Cell<'_> {
    match value {
        Value::Text(text) => Cell::Text(text.as_bytes()),
        Value::Bytes(bytes) => Cell::Text(bytes),
        Value::Int64(number) => Cell::Number(Number::Int(number)),
        Value::Float64(number) if number.is_finite() => Cell::Number(Number::Float(number)),
        Value::Float64(_) => Cell::Other(b"null"),
        Value::Boolean(boolean) => Cell::Boolean(boolean),
        Value::Timestamp(nanos) => Cell::Time(nanos),
        Value::Json(text) => number(text.as_bytes()).map_or(Cell::Other(text.as_bytes()), Cell::Number),
    }
}
