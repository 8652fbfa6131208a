//! Parses a JSON text into fields, without a tree between.

use flitch_sdk::json::{self, Limits, MAX_DEPTH, flatten};
use flitch_sdk::parse::{OnMismatch, OnMissing, Policy, Reader, set_present};
use flitch_sdk::{
    AnyColumn, Batch, Changes, Column, ColumnFilter, ColumnSet, Fields, Result, Value, bail, path, time,
};
use serde::Deserialize;

/// The settings of `json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field that holds the JSON text.
    pub field: String,
    /// The path below which the members are written; at the top if there is none.
    pub prefix: String,
    /// Whether the text stays in a record that was parsed.
    pub keep_source: bool,
    /// Whether a member replaces a field of the same path that the record has.
    pub overwrite: bool,
    /// Past this depth, 1 to 8, an object stays one JSON value.
    pub max_depth: usize,
    /// What becomes of a record whose text is no JSON object.
    pub on_mismatch: OnMismatch,
    /// What becomes of a record without the text.
    pub on_missing: OnMissing,
    /// The field that says why a record that goes on was not parsed.
    pub error_field: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            field: "message".to_owned(),
            prefix: String::new(),
            keep_source: false,
            overwrite: true,
            max_depth: MAX_DEPTH,
            on_mismatch: OnMismatch::default(),
            on_missing: OnMissing::default(),
            error_field: None,
        }
    }
}

/// The filter.
#[derive(Debug)]
pub struct Json {
    prefix: String,
    overwrite: bool,
    limits: Limits,
    policy: Policy,
}

impl ColumnFilter for Json {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        if !(1..=MAX_DEPTH).contains(&settings.max_depth) {
            bail!("settings.max_depth: {} is not between 1 and {MAX_DEPTH}", settings.max_depth);
        }
        Ok(Self {
            prefix: settings.prefix,
            overwrite: settings.overwrite,
            limits: Limits { depth: settings.max_depth, ..Limits::default() },
            policy: Policy {
                field: settings.field,
                keep_source: settings.keep_source,
                on_mismatch: settings.on_mismatch,
                on_missing: settings.on_missing,
                error_field: settings.error_field,
            },
        })
    }

    fn fields(&self) -> Fields {
        // What is not to be overwritten must be seen.
        if self.overwrite { Fields::only([&self.policy.field]) } else { Fields::All }
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let mut texts = Texts { filter: self, columns: ColumnSet::default(), rows: 0 };
        self.policy.run(batch, changes, &mut texts);
        let rows = texts.rows;
        let mut columns = texts.columns.finish(rows);
        if self.prefix.is_empty() {
            columns = reserved(columns, rows);
        }
        if !self.overwrite {
            let going_on = changes.going_on(batch.len());
            columns.iter_mut().for_each(|column| self.keep_what_is(batch, &going_on, column));
        }
        set_present(changes, columns);
        Ok(())
    }
}

impl Json {
    /// Leaves out of a column the rows whose record has the field already.
    fn keep_what_is(&self, batch: &Batch, going_on: &[u32], column: &mut Column) {
        let goes = |name: &str| name == self.policy.field && !self.policy.keep_source;
        let Some(there) = batch.column(&column.name).filter(|there| !goes(&there.name)) else { return };
        column.clear(going_on.len(), |row| there.is_present(going_on[row] as usize));
    }
}

/// Gives the names that begin with `@`, which are the host's, what is theirs: `@timestamp` where
/// it is an instant, `@tag` where it is text. Anything else of such a name loses its `@`.
fn reserved(columns: Vec<Column>, rows: usize) -> Vec<Column> {
    let (ours, mut columns): (Vec<Column>, _) =
        columns.into_iter().partition(|column| column.name.starts_with('@'));
    for column in ours {
        let mut free = column.name[1..].to_owned();
        while columns.iter().any(|other| path::overlap(&other.name, &free)) {
            free.push('_');
        }
        let (mut theirs, mut rest) = (AnyColumn::new(&column.name), AnyColumn::new(free));
        for row in 0..rows {
            let value = column.value(row).map(|value| match value {
                Value::Json(text) => json::decode(text),
                value => json::Decoded::Other(value),
            });
            match (value.as_ref().map(json::Decoded::value), column.name.as_str()) {
                (Some(Value::Text(tag)), "@tag") => theirs.push(Value::Text(tag)),
                (Some(Value::Text(text)), "@timestamp") => match time::parse_rfc3339(text.as_bytes()) {
                    Some(nanos) => theirs.push(Value::Timestamp(nanos)),
                    None => rest.push(Value::Text(text)),
                },
                (Some(value), _) => rest.push(value),
                (None, _) => {}
            }
            theirs.pad(row + 1);
            rest.pad(row + 1);
        }
        columns.extend([theirs, rest].into_iter().filter_map(AnyColumn::finish));
    }
    columns
}

/// The texts of one batch.
struct Texts<'a> {
    filter: &'a Json,
    columns: ColumnSet,
    rows: usize,
}

impl Reader for Texts<'_> {
    fn read(&mut self, _row: usize, data: &str, from: usize, to: usize) -> Result<(), String> {
        let Json { prefix, limits, .. } = self.filter;
        let text = &data[from..to];
        // A byte order mark is what a text was written with, and no part of it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        flatten(text, prefix, self.rows, &mut self.columns, *limits)?;
        self.rows += 1;
        Ok(())
    }

    fn skip(&mut self) {
        self.rows += 1;
    }
}

flitch_sdk::export!(Json);
