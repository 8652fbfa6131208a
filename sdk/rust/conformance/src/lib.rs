//! The conformance guest of the Rust SDK. It does what its settings say, step by step, so that the cases under
//! `wit/cases/batches` can hold it to the contract; `wit/cases/README.md` has the steps.

use flitch_sdk::json::{Decoded, decode, mixed_text};
use flitch_sdk::{Fields, Record, RecordFilter, Result, TextBuilder, Value, bail, host};
use serde::Deserialize;

/// What the guest does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The fields that it asks for; all of them if there are none.
    fields: Option<Vec<String>>,
    /// It refuses these settings, and says this.
    refuse: Option<String>,
    /// What it does with each record.
    #[serde(default)]
    steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Deserialize)]
struct Step {
    /// The field that a record must have for the step to be done.
    #[serde(rename = "if")]
    condition: Option<String>,
    #[serde(flatten)]
    action: Action,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Action {
    Drop,
    Reject { reason: String },
    Set { field: String, value: serde_json::Value },
    SetTime { field: String, ns: i64 },
    SetBytes { field: String, bytes: Vec<u8> },
    Copy { from: String, to: String },
    Remove { field: String },
    Split { field: String, to: String },
    Log { level: Level, message: String },
    Count { counter: String, by: u64 },
    Lookup { table: String, key: String, want: Vec<String> },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// The filter.
#[derive(Debug)]
pub struct Guest(Settings);

impl RecordFilter for Guest {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        match settings.refuse {
            Some(reason) => bail!("{reason}"),
            None => Ok(Self(settings)),
        }
    }

    fn fields(&self) -> Fields {
        match &self.0.fields {
            Some(names) => Fields::only(names),
            None => Fields::All,
        }
    }

    fn apply(&mut self, record: &mut Record<'_>) -> Result<()> {
        for Step { condition, action } in &self.0.steps {
            if condition.as_ref().is_none_or(|field| record.has(field)) {
                act(action, record)?;
            }
        }
        Ok(())
    }
}

fn act(action: &Action, record: &mut Record<'_>) -> Result<()> {
    match action {
        Action::Drop => record.discard(),
        Action::Reject { reason } => record.reject(reason),
        Action::Set { field, value } => record.set_json(field, value),
        Action::SetTime { field, ns } => record.set(field, Value::Timestamp(*ns)),
        Action::SetBytes { field, bytes } => record.set(field, bytes),
        Action::Copy { from, to } => {
            if let Some(text) = record.get(from).map(|value| mixed_text(value).into_owned()) {
                record.set(to, decode(&text).value());
            }
        }
        Action::Remove { field } => record.remove(field),
        Action::Split { field, to } => {
            let Some(serde_json::Value::Array(items)) = record.json(field) else {
                bail!("{field} is no array");
            };
            record.split(items, |record, item| {
                record.set_json(to, &item);
                Ok(())
            })?;
        }
        Action::Log { level, message } => match level {
            Level::Debug => host::debug(message),
            Level::Info => host::info(message),
            Level::Warn => host::warn(message),
            Level::Error => host::error(message),
        },
        Action::Count { counter, by } => host::count(counter, *by),
        Action::Lookup { table, key, want } => {
            let mut keys = TextBuilder::default();
            keys.push(record.need_text(key)?);
            for column in host::lookup(table, &keys.finish(key), want)? {
                if let Some(value) = column.value(0) {
                    record.set(&column.name, Decoded::from(value).value());
                }
            }
        }
    }
    Ok(())
}

flitch_sdk::export!(Guest);

#[cfg(test)]
mod tests;
