//! Drops records that came before.

mod saved;
mod seen;

use flitch_sdk::json::{Decoded, mixed_text, text_of};
use flitch_sdk::parse::Names;
use flitch_sdk::{
    Batch, Changes, Column, ColumnFilter, Fields, Result, Stateful, Value, View, bail, host, path,
};
use seen::{Key, Seen};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

const TIMESTAMP: &str = "@timestamp";
const SECOND: i64 = 1_000_000_000;

/// The settings of `dedupe`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The fields that make records the same; all but the time if there is none.
    pub key: Names,
    /// How long a record is remembered.
    pub window_seconds: i64,
    /// How many are.
    pub max_keys: usize,
    /// What becomes of a record without any of the fields.
    pub on_missing: OnMissing,
}

impl Default for Settings {
    fn default() -> Self {
        Self { key: Names::default(), window_seconds: 60, max_keys: 100_000, on_missing: OnMissing::Pass }
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
pub struct Dedupe {
    key: Vec<String>,
    on_missing: OnMissing,
    seen: Seen,
}

impl ColumnFilter for Dedupe {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        if !(1..=86_400).contains(&settings.window_seconds) {
            bail!("settings.window_seconds: {} is not between 1 and 86400", settings.window_seconds);
        }
        if !(2..=500_000).contains(&settings.max_keys) {
            bail!("settings.max_keys: {} is not between 2 and 500000", settings.max_keys);
        }
        Ok(Self {
            key: settings.key.0,
            on_missing: settings.on_missing,
            seen: Seen::new(settings.max_keys, settings.window_seconds * SECOND),
        })
    }

    fn fields(&self) -> Fields {
        if self.key.is_empty() {
            return Fields::All;
        }
        Fields::only(self.key.iter().map(String::as_str).chain([TIMESTAMP]))
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let times = match batch.column(TIMESTAMP).map(Column::view) {
            Some(View::Timestamp(times)) => Some(times),
            _ => None,
        };
        let is_key = |column: &&Column| {
            let within = |field: &String| column.name == *field || path::is_below(&column.name, field);
            if self.key.is_empty() { column.name != TIMESTAMP } else { self.key.iter().any(within) }
        };
        let mut columns: Vec<&Column> = batch.columns.iter().filter(is_key).collect();
        columns.sort_by(|one, other| one.name.cmp(&other.name));
        let mut kept = Vec::with_capacity(batch.len());
        for row in 0..batch.len() {
            let time = times.and_then(|times| times.get(row)).unwrap_or(0);
            let goes_on = match key_of(&columns, row) {
                Some(key) => !self.seen.is_repeated(key, time),
                None => self.on_missing == OnMissing::Pass,
            };
            if goes_on {
                kept.push(row as u32);
            }
        }
        if kept.len() < batch.len() {
            host::count("duplicates", (batch.len() - kept.len()) as u64);
            changes.take(kept);
        }
        Ok(())
    }
}

impl Stateful for Dedupe {
    fn save(&self) -> Vec<u8> {
        saved::write(&self.key, &self.seen)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<()> {
        saved::read(saved, &self.key, &mut self.seen)
    }
}

/// The hash of what a row has of these columns; none where it has nothing.
fn key_of(columns: &[&Column], row: usize) -> Option<Key> {
    let mut hash = Sha256::new();
    let mut write = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    let mut is_there = false;
    for column in columns {
        let Some(value) = column.value(row) else { continue };
        is_there = true;
        write(&column.name);
        write(&plain(value));
    }
    is_there.then(|| hash.finalize().into())
}

/// A value as text, whatever column it stands in: `5` is not `"5"`, and no two values are one.
fn plain(value: Value<'_>) -> Cow<'_, str> {
    match Decoded::from(value) {
        Decoded::Text(text) => format!("\"{text}").into(),
        Decoded::Other(Value::Text(text)) => format!("\"{text}").into(),
        // Bytes that are not UTF-8 stand in it as they are.
        Decoded::Other(bytes @ Value::Bytes(_)) => mixed_text(bytes).into_owned().into(),
        Decoded::Bytes(bytes) => mixed_text(Value::Bytes(&bytes)).into_owned().into(),
        Decoded::Other(other) => text_of(other).into_owned().into(),
    }
}

flitch_sdk::export!(Dedupe, state);

#[cfg(test)]
mod tests;
