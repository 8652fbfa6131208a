//! Sets, copies, renames and removes fields, a column at a time.

mod plan;

use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result};
use plan::Plan;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The settings of `set`. Everything reads the record as it came in, so their order says nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Fields with constant values, any JSON: `{"env": "prod", "meta": {"version": 3}}`.
    pub set: BTreeMap<String, serde_json::Value>,
    /// Fields made of others: `{"id": "{host}-{status}"}`. `{host|none}` has a default, `{@timestamp:%Y}` formats a time,
    /// and a brace itself is written `{{`.
    pub template: BTreeMap<String, String>,
    /// Fields to copy, from and to. `a.*` is all that lies below `a`.
    pub copy: BTreeMap<String, String>,
    /// Fields to rename, from and to. `a.*` is all that lies below `a`.
    pub rename: BTreeMap<String, String>,
    /// Fields to remove, with all that lies below them. `a.*` is `a`.
    pub remove: Vec<String>,
    /// Whether a field that the record has already is replaced.
    pub overwrite: bool,
    /// What becomes of a template of which a field is missing.
    pub on_missing: OnMissing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            set: BTreeMap::new(),
            template: BTreeMap::new(),
            copy: BTreeMap::new(),
            rename: BTreeMap::new(),
            remove: Vec::new(),
            overwrite: true,
            on_missing: OnMissing::default(),
        }
    }
}

/// What becomes of a template of which a field is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// It is not set.
    #[default]
    Skip,
    /// The missing field counts as empty.
    Empty,
    /// The record is rejected.
    Reject,
}

/// The filter.
#[derive(Debug)]
pub struct Set(Plan);

impl ColumnFilter for Set {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        Plan::new(settings).map(Self)
    }

    fn fields(&self) -> Fields {
        self.0.fields()
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        self.0.apply(batch, changes);
        Ok(())
    }
}

flitch_sdk::export!(Set);

#[cfg(test)]
mod tests;
