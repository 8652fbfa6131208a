//! The settings of the filter.

use flitch_sdk::parse::{Names, OnMismatch, OnMissing};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The settings of `grok`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field that holds the text.
    pub field: String,
    /// A pattern, or several that are tried in order.
    pub pattern: Names,
    /// Definitions by name.
    pub definitions: BTreeMap<String, String>,
    /// Types by field, for those that the patterns give none.
    pub types: BTreeMap<String, String>,
    /// The path below which the fields are written; at the top if there is none.
    pub prefix: String,
    /// Whether the text stays in a record that matched.
    pub keep_source: bool,
    /// What becomes of a record whose text does not match.
    pub on_mismatch: OnMismatch,
    /// What becomes of a record without the text.
    pub on_missing: OnMissing,
    /// The field that says why a record that goes on did not match.
    pub error_field: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            field: "message".to_owned(),
            pattern: Names::default(),
            definitions: BTreeMap::new(),
            types: BTreeMap::new(),
            prefix: String::new(),
            keep_source: false,
            on_mismatch: OnMismatch::default(),
            on_missing: OnMissing::default(),
            error_field: None,
        }
    }
}
