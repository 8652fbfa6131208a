//! The settings of the filter.

use flitch_sdk::parse::{OnMismatch, OnMissing};
use serde::Deserialize;

/// The settings of `url`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field that holds the text.
    pub field: String,
    /// The path below which the fields are written; at the top if there is none.
    pub prefix: String,
    /// What becomes of the query.
    pub query: Query,
    /// Where percent signs are read.
    pub decode: Decode,
    /// Whether a URL without a port has that of its scheme.
    pub default_ports: bool,
    /// Whether the text stays in a record that was parsed.
    pub keep_source: bool,
    /// What becomes of a record whose text is no URL.
    pub on_mismatch: OnMismatch,
    /// What becomes of a record without the text.
    pub on_missing: OnMissing,
    /// The field that says why a record that goes on was not parsed.
    pub error_field: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            field: "url".to_owned(),
            prefix: "url".to_owned(),
            query: Query::Map,
            decode: Decode::Query,
            default_ports: false,
            keep_source: false,
            on_mismatch: OnMismatch::default(),
            on_missing: OnMissing::default(),
            error_field: None,
        }
    }
}

/// What becomes of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// Its parameters are fields.
    Map,
    /// It is one text.
    Text,
    /// Nothing.
    None,
}

/// Where percent signs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decode {
    /// In the parameters of the query.
    Query,
    /// Everywhere but in the host.
    All,
    /// Nowhere.
    None,
}
