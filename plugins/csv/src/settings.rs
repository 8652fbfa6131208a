//! The settings of the filter.

use flitch_sdk::parse::{Becomes, Kind, OnMismatch, OnMissing, Part, Policy, below};
use flitch_sdk::{Result, bail, err};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most columns: the host takes no more than 1,024 from one answer.
const MAX_COLUMNS: usize = 1000;

/// The settings of `csv`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field that holds the text.
    pub field: String,
    /// The fields of the cells, in order; a cell with an empty name is passed over.
    pub columns: Vec<String>,
    /// What stands between cells: one ASCII character.
    pub delimiter: String,
    /// What stands around cells: one ASCII character, or nothing.
    pub quote: String,
    /// The types of columns that are not text: `int`, `float`, `bool`.
    pub types: BTreeMap<String, String>,
    /// Whether blanks around cells go.
    pub trim: bool,
    /// What becomes of an empty cell of text without quotes.
    pub empty: Empty,
    /// What becomes of a text with fewer cells than columns.
    pub fewer_cells: FewerCells,
    /// What becomes of a text with more cells than columns.
    pub more_cells: MoreCells,
    /// Whether a record whose cells are the names of the columns is dropped.
    pub drop_header: bool,
    /// The path below which the fields are written; at the top if there is none.
    pub prefix: String,
    /// Whether the text stays in a record that was parsed.
    pub keep_source: bool,
    /// What becomes of a record whose text does not match.
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
            columns: Vec::new(),
            delimiter: ",".to_owned(),
            quote: "\"".to_owned(),
            types: BTreeMap::new(),
            trim: false,
            empty: Empty::Keep,
            fewer_cells: FewerCells::Reject,
            more_cells: MoreCells::Reject,
            drop_header: false,
            prefix: String::new(),
            keep_source: false,
            on_mismatch: OnMismatch::default(),
            on_missing: OnMissing::default(),
            error_field: None,
        }
    }
}

/// What becomes of an empty cell of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// It is an empty text.
    Keep,
    /// The record lacks the field.
    Absent,
}

/// What becomes of a text with fewer cells than columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FewerCells {
    /// It does not match.
    Reject,
    /// The record lacks their fields.
    Absent,
}

/// What becomes of a text with more cells than columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoreCells {
    /// It does not match.
    Reject,
    /// They are passed over.
    Ignore,
}

impl Settings {
    /// The cells as parts of a text.
    ///
    /// # Errors
    /// What is wrong with the columns or their types.
    pub(crate) fn parts(&self) -> Result<Vec<Part>> {
        if self.columns.is_empty() {
            bail!("settings: `columns` is missing: the fields of the cells, in order");
        }
        if self.columns.len() > MAX_COLUMNS {
            bail!("settings.columns: there are {}, and {MAX_COLUMNS} at most", self.columns.len());
        }
        if let Some(name) = self.types.keys().find(|name| !self.columns.contains(name)) {
            bail!("settings.types.{name}: `columns` does not name it");
        }
        let part = |name: &String| {
            let becomes = match self.types.get(name) {
                _ if name.is_empty() => Becomes::Nothing,
                None => Becomes::Field(Kind::Text),
                Some(kind) => Becomes::Field(Kind::named(kind).ok_or_else(|| {
                    err!("settings.types.{name}: there is no type `{kind}`; there are text, int, float and bool")
                })?),
            };
            Ok(Part { name: name.clone(), becomes })
        };
        self.columns.iter().map(part).collect()
    }

    /// What becomes of records that do not match.
    ///
    /// # Errors
    /// Two names of which one would replace the other.
    pub(crate) fn policy(&self) -> Result<Policy> {
        let policy = Policy {
            field: self.field.clone(),
            keep_source: self.keep_source,
            on_mismatch: self.on_mismatch,
            on_missing: self.on_missing,
            error_field: self.error_field.clone(),
        };
        let names = self.columns.iter().filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(|name| below(&self.prefix, name)).collect();
        policy.check(names.iter().map(String::as_str))?;
        Ok(policy)
    }
}

/// The one ASCII character that a setting is.
///
/// # Errors
/// It is something else.
pub(crate) fn character(key: &str, text: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        _ => bail!("settings.{key}: {text:?} is not one ASCII character"),
    }
}
