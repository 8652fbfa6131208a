//! Native tests of filters: records in as JSON, records out as JSON, and nothing of WebAssembly.
//!
//! ```
//! # use flitch_sdk::{Record, RecordFilter, Result};
//! # struct Shout;
//! # impl RecordFilter for Shout {
//! #     type Settings = serde_json::Value;
//! #     fn new(_: Self::Settings) -> Result<Self> { Ok(Self) }
//! #     fn apply(&mut self, record: &mut Record<'_>) -> Result<()> {
//! #         let loud = record.need_text("word")?.to_uppercase();
//! #         record.set("word", &loud);
//! #         Ok(())
//! #     }
//! # }
//! use flitch_sdk::testing::Tester;
//! use serde_json::json;
//!
//! let mut shout = Tester::new::<Shout, _>(json!({})).unwrap();
//! let outcome = shout.run([json!({"word": "hey"}), json!({"word": 7})]);
//! assert_eq!(outcome.records, [json!({"word": "HEY"})]);
//! assert_eq!(outcome.rejected, [(1, "the field `word` is not text".to_owned())]);
//! ```
//!
//! Arrays, nulls and fields of mixed types are json columns here as they are in the host, and
//! members of objects are columns under their paths. Every record has the time
//! 1970-01-01T00:00:00Z in `@timestamp` and the tag `test` in `@tag` unless it brings others;
//! records that come out show the two only where they are others.

mod apply;
pub mod borders;
pub mod cases;
pub mod host;

use crate::json::{Limits, flatten, read, text_of};
use crate::{Batch, Column, ColumnSet, Configure, Engine, Fields, Result, Stateful, Value, path};
use flitch_model::MAX_SET;
pub use flitch_model::cases::Outcome;
use serde_json::Value as Json;
use std::borrow::Cow;

/// The tag of a record that brings none.
pub const TAG: &str = "test";

/// A configured filter under test.
pub struct Tester(Box<dyn Engine>);

impl Tester {
    /// Configures the filter `F`, as in `Tester::new::<MyFilter, _>(json!({"field": "x"}))`.
    ///
    /// # Errors
    /// The filter's, when it refuses the settings.
    pub fn new<F: Configure<K>, K>(settings: Json) -> Result<Self> {
        F::configure(&settings.to_string()).map(Self)
    }

    /// Which fields the filter wants.
    pub fn fields(&self) -> Fields {
        self.0.fields()
    }

    /// What the filter, which is an `F`, remembers.
    ///
    /// # Panics
    /// When it is another filter.
    pub fn save<F: Stateful + 'static>(&mut self) -> Vec<u8> {
        self.stateful::<F>().save()
    }

    /// Has the filter, which is an `F`, remember what was saved.
    ///
    /// # Errors
    /// The filter's, when it refuses it.
    ///
    /// # Panics
    /// When it is another filter.
    pub fn restore<F: Stateful + 'static>(&mut self, saved: &[u8]) -> Result<()> {
        self.stateful::<F>().restore(saved)
    }

    fn stateful<F: 'static>(&mut self) -> &mut F {
        self.0.filter().downcast_mut().expect("the filter that the tester was made with")
    }

    /// Runs the records through the filter as one batch.
    ///
    /// # Panics
    /// When a record is no JSON object, the filter fails for the batch as a whole, or its answer
    /// breaks the contract.
    pub fn run(&mut self, records: impl IntoIterator<Item = Json>) -> Outcome {
        let lines: Vec<String> = records.into_iter().map(|record| record.to_string()).collect();
        self.run_ndjson(&lines.join("\n")).expect("the filter takes the batch")
    }

    /// Runs the records of an NDJSON text through the filter as one batch.
    ///
    /// # Errors
    /// The filter's, when it fails for the batch as a whole.
    ///
    /// # Panics
    /// When a line is no JSON object, or the answer breaks the contract.
    pub fn run_ndjson(&mut self, ndjson: &str) -> Result<Outcome> {
        let whole = batch(ndjson);
        let seen = select(&whole, &self.fields());
        let changes = self.0.apply(&seen)?;
        Ok(apply::apply(&whole, changes))
    }
}

/// The records of an NDJSON text as a batch.
///
/// # Panics
/// When a line is no JSON object.
pub fn batch(ndjson: &str) -> Batch {
    let mut set = ColumnSet::default();
    let lines = ndjson.lines().filter(|line| !line.trim().is_empty());
    let mut rows = 0;
    for line in lines {
        flatten(line, "", rows, &mut set, Limits::default())
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let time = match set.get(rows, "@timestamp") {
            None => 0,
            Some(Value::Timestamp(nanos)) => nanos,
            Some(other) => panic!("@timestamp is {other:?}, and should be an RFC 3339 text"),
        };
        set.unset(rows, "@timestamp");
        set.set(rows, "@\0", Value::Timestamp(time));
        if set.get(rows, "@tag").is_none() {
            set.set(rows, "@tag", Value::Text(TAG));
        }
        rows += 1;
    }
    assert!(
        set.len() <= MAX_SET,
        "the records have more than {MAX_SET} fields: test them in several batches"
    );
    let mut columns = set.finish(rows);
    columns.retain(|column| column.name != "@timestamp");
    if let Some(column) = columns.iter_mut().find(|column| column.name == "@\0") {
        column.name = "@timestamp".to_owned();
    }
    Batch { rows: rows as u32, columns }
}

/// The batch as a filter sees it: with the fields it wants, what lies below them, and those of them that stand inside of
/// a json value.
pub fn select(batch: &Batch, fields: &Fields) -> Batch {
    let Fields::Only(names) = fields else { return batch.clone() };
    let wanted = |column: &&Column| {
        names.iter().any(|name| column.name == *name || path::is_below(&column.name, name))
    };
    let mut columns: Vec<Column> = batch.columns.iter().filter(wanted).cloned().collect();
    for name in names {
        if let Some(Cow::Owned(lifted)) = batch.find(name) {
            columns.retain(|column| column.name != *name);
            columns.push(lifted);
        }
    }
    Batch { rows: batch.rows, columns }
}

pub(crate) fn json_of(value: Value<'_>) -> Json {
    read(&text_of(value)).expect("a json column holds JSON texts")
}
