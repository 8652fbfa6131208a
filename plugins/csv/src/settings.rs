//! The settings of the filter.

use flitch_sdk::parse::{Becomes, Dash, Kind, Part, Policy, below};
use flitch_sdk::{Result, bail, err};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most columns: the host takes no more than 1,024 from one answer.
const MAX_COLUMNS: usize = 1000;

flitch_sdk::parser_settings! {
    /// The settings of `csv`.
    pub struct Settings {
        field: "message", keep_source: false, on_mismatch: Reject;
        /// The fields of the cells, in order; a cell with an empty name is passed over.
        pub columns: Vec<String> = Vec::new(),
        /// What stands between cells: one ASCII character.
        pub delimiter: String = ",".to_owned(),
        /// What stands around cells: one ASCII character, or nothing.
        pub quote: String = "\"".to_owned(),
        /// The types of columns that are not text: `int`, `float`, `bool`.
        pub types: BTreeMap<String, String> = BTreeMap::new(),
        /// Whether blanks around cells go.
        pub trim: bool = false,
        /// What becomes of an empty cell of text without quotes.
        pub empty: Empty = Empty::Keep,
        /// What becomes of a cell that is only `-`, in quotes or not.
        pub dash: Dash = Dash::Keep,
        /// What becomes of a text with fewer cells than columns.
        pub fewer_cells: FewerCells = FewerCells::Reject,
        /// What becomes of a text with more cells than columns.
        pub more_cells: MoreCells = MoreCells::Reject,
        /// Whether a record whose cells are the names of the columns is dropped.
        pub drop_header: bool = false,
        /// The path below which the fields are written; at the top if there is none.
        pub prefix: String = String::new(),
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
    pub(crate) fn checked_policy(&self) -> Result<Policy> {
        let policy = self.policy();
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
