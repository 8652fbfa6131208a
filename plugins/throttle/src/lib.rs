//! Lets so many records of a kind go on in a time.

mod budgets;
mod saved;

use budgets::Budgets;
use flitch_sdk::json::{Decoded, mixed_text, text_of};
use flitch_sdk::parse::Names;
use flitch_sdk::{
    Batch, Changes, Column, ColumnFilter, Fields, Result, Stateful, Value, View, bail, host, path,
};
use serde::Deserialize;
use std::borrow::Cow;

const TIMESTAMP: &str = "@timestamp";
const SECOND: i64 = 1_000_000_000;
/// Most bytes of a key.
const MAX_KEY: usize = 256;

/// The settings of `throttle`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many records of a key go on in a window.
    pub limit: i64,
    /// The window.
    pub window_seconds: i64,
    /// The fields whose values have a budget of their own.
    pub key: Names,
    /// How many keys are remembered.
    pub max_keys: usize,
    /// What becomes of a record without any of the fields.
    pub on_missing: OnMissing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limit: 0,
            window_seconds: 1,
            key: Names::default(),
            max_keys: 10_000,
            on_missing: OnMissing::Pass,
        }
    }
}

/// What becomes of a record without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// It is kept.
    Pass,
    /// It is dropped.
    Drop,
}

/// The filter.
#[derive(Debug)]
pub struct Throttle {
    key: Vec<String>,
    on_missing: OnMissing,
    budgets: Budgets,
}

impl ColumnFilter for Throttle {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let Settings { limit, window_seconds, key, max_keys, on_missing } = settings;
        if !(1..=1_000_000_000).contains(&limit) {
            bail!("settings.limit: {limit} is not between 1 and 1000000000");
        }
        if !(1..=86_400).contains(&window_seconds) {
            bail!("settings.window_seconds: {window_seconds} is not between 1 and 86400");
        }
        if !(2..=100_000).contains(&max_keys) {
            bail!("settings.max_keys: {max_keys} is not between 2 and 100000");
        }
        Ok(Self { key: key.0, on_missing, budgets: Budgets::new(limit, window_seconds * SECOND, max_keys) })
    }

    fn fields(&self) -> Fields {
        Fields::only(self.key.iter().map(String::as_str).chain([TIMESTAMP]))
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let times = match batch.column(TIMESTAMP).map(Column::view) {
            Some(View::Timestamp(times)) => Some(times),
            _ => None,
        };
        let is_key = |column: &&Column| {
            self.key.iter().any(|field| column.name == *field || path::is_below(&column.name, field))
        };
        let mut columns: Vec<&Column> = batch.columns.iter().filter(is_key).collect();
        columns.sort_by(|one, other| one.name.cmp(&other.name));
        let mut kept = Vec::with_capacity(batch.len());
        let mut key = String::new();
        for row in 0..batch.len() {
            let time = times.and_then(|times| times.get(row)).unwrap_or(0);
            let goes_on = if self.key.is_empty() || read_key(&columns, row, &mut key) {
                self.budgets.spend(&key, time)
            } else {
                self.on_missing == OnMissing::Pass
            };
            if goes_on {
                kept.push(row as u32);
            }
        }
        if kept.len() < batch.len() {
            host::count("throttled", (batch.len() - kept.len()) as u64);
            changes.take(kept);
        }
        Ok(())
    }
}

impl Stateful for Throttle {
    fn save(&self) -> Vec<u8> {
        saved::write(&self.key, &self.budgets)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<()> {
        saved::read(saved, &self.key, &mut self.budgets)
    }
}

/// The key of a row: the names and values of what it has of these columns. False where it has nothing.
fn read_key(columns: &[&Column], row: usize, key: &mut String) -> bool {
    key.clear();
    for column in columns {
        let Some(value) = column.value(row) else { continue };
        push_escaped(key, &column.name);
        key.push('=');
        push_escaped(key, &plain(value));
        key.push('\n');
    }
    key.truncate(key.floor_char_boundary(MAX_KEY));
    !key.is_empty()
}

/// Adds a name or a value, so that what stands between it and the next is in none of them.
fn push_escaped(key: &mut String, text: &str) {
    for piece in text.split_inclusive(['\\', '=', '\n']) {
        let before = piece.trim_end_matches(['\\', '=', '\n']);
        key.push_str(before);
        match &piece[before.len()..] {
            "\n" => key.push_str("\\n"),
            "" => {}
            other => key.extend(['\\'].into_iter().chain(other.chars())),
        }
    }
}

/// A value as text, whatever column it stands in.
fn plain(value: Value<'_>) -> Cow<'_, str> {
    match Decoded::from(value) {
        Decoded::Text(text) => text,
        Decoded::Other(Value::Text(text)) => text.into(),
        // Bytes that are not UTF-8 stand in it as they are, so that different ones have budgets of their own.
        Decoded::Other(bytes @ Value::Bytes(_)) => mixed_text(bytes).into_owned().into(),
        Decoded::Bytes(bytes) => mixed_text(Value::Bytes(&bytes)).into_owned().into(),
        Decoded::Other(other) => text_of(other).into_owned().into(),
    }
}

flitch_sdk::export!(Throttle, state);

#[cfg(test)]
mod tests;
