//! Conditions over the columns that a filter sees.

use flitch_model::condition::{Cell, ConditionSettings, Test, ValueTest};
use flitch_model::value::Scalar;
use flitch_sdk::{Batch, Column, Error, Result, View, path};

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
    let cells = (0..rows).map(|row| {
        let value = column.value(row).map(Scalar::from);
        value.is_some_and(|value| Cell::show(&value, |cell| test.holds(cell)))
    });
    cells.collect()
}
