//! Parses a JSON text into fields, without a tree between.

use flitch_sdk::json::{Limits, MAX_DEPTH, flatten};
use flitch_sdk::parse::{OnMismatch, OnMissing, Policy, Reader, check_prefix, set_present};
use flitch_sdk::{Batch, Changes, ColumnFilter, ColumnSet, Fields, Result, bail, path};
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
        let policy = Policy {
            field: settings.field,
            keep_source: settings.keep_source,
            on_mismatch: settings.on_mismatch,
            on_missing: settings.on_missing,
            error_field: settings.error_field,
        };
        policy.check([])?;
        check_prefix(&settings.prefix)?;
        Ok(Self {
            prefix: settings.prefix,
            overwrite: settings.overwrite,
            limits: Limits { depth: settings.max_depth, ..Limits::default() },
            policy,
        })
    }

    fn fields(&self) -> Fields {
        // What is not to be overwritten must be seen.
        if self.overwrite { Fields::only([&self.policy.field]) } else { Fields::All }
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let mut texts = Texts { filter: self, columns: ColumnSet::default(), rows: 0 };
        self.policy.run(batch, changes, &mut texts);
        let mut columns = texts.columns.finish(texts.rows);
        if !self.overwrite {
            let going_on = changes.going_on(batch.len());
            let Policy { field, keep_source, .. } = &self.policy;
            let goes = |name: &str| !keep_source && (name == field || path::is_below(name, field));
            for column in &mut columns {
                column.leave_what_is(&batch.kin(&column.name, goes), &going_on);
            }
        }
        set_present(changes, columns);
        Ok(())
    }
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
