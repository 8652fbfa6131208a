//! Makes a record of each element of an array.

mod parts;

use flitch_sdk::json::{Decoded, Flattener, Limits, flatten};
use flitch_sdk::parse::{OnMismatch, OnMissing, check_name, check_prefix, describe, is_of_each_record};
use flitch_sdk::{Batch, Changes, Column, ColumnFilter, ColumnSet, Fields, Result, Value, bail, path};
use parts::Parts;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Most elements that a setting may allow.
const MAX_PARTS: usize = 100_000;

/// The settings of `split`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field that holds the array.
    pub field: String,
    /// The field that gets the element; the same one if there is none, the top of the record if it is empty.
    pub target: Option<String>,
    /// The field that gets the number of the element.
    pub index_field: Option<String>,
    /// Most elements of a record.
    pub max_parts: usize,
    /// What becomes of a record whose array is empty.
    pub on_empty: OnEmpty,
    /// What becomes of a record whose field is no array.
    pub on_mismatch: OnMismatch,
    /// What becomes of a record without the field.
    pub on_missing: OnMissing,
    /// The field that says why a record that goes on was not split.
    pub error_field: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            field: String::new(),
            target: None,
            index_field: None,
            max_parts: 1000,
            on_empty: OnEmpty::Pass,
            on_mismatch: OnMismatch::Pass,
            on_missing: OnMissing::Pass,
            error_field: None,
        }
    }
}

/// What becomes of a record whose array is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEmpty {
    /// It goes on unchanged.
    Pass,
    /// It is dropped.
    Drop,
    /// It is rejected.
    Reject,
}

/// The filter.
#[derive(Debug)]
pub struct Split {
    target: String,
    settings: Settings,
    /// How the objects among the elements were written so far.
    flattener: Flattener,
}

/// What becomes of a record.
enum Fate {
    /// It goes on unchanged.
    Pass,
    /// The same, and says why it is not split.
    Say(String),
    /// It goes nowhere.
    Drop,
    /// Its parts have been written.
    Split,
}

impl ColumnFilter for Split {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let field = settings.field.as_str();
        if field.is_empty() {
            bail!("settings: `field` is missing: the field that holds the array");
        }
        if !(1..=MAX_PARTS).contains(&settings.max_parts) {
            bail!("settings.max_parts: {} is not between 1 and {MAX_PARTS}", settings.max_parts);
        }
        let target = settings.target.clone().unwrap_or_else(|| field.to_owned());
        check_prefix(&target)?;
        if target != field && path::overlap(&target, field) {
            bail!("settings: of `{field}` and `{target}` one would replace the other");
        }
        for other in [&settings.index_field, &settings.error_field].into_iter().flatten() {
            check_name(other, settings.error_field.as_ref() == Some(other))?;
            for own in [&target, field] {
                if path::overlap(other, own) {
                    bail!("settings: of `{own}` and `{other}` one would replace the other");
                }
            }
        }
        let flattener = Flattener::new(target.clone(), Limits::default());
        Ok(Self { target, settings, flattener })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.settings.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let Self { target, settings, flattener } = self;
        let field = settings.field.as_str();
        let own = batch.column(field);
        // An object is there though its members are columns.
        let below: Vec<&Column> =
            batch.columns.iter().filter(|column| path::is_below(&column.name, field)).collect();
        flattener.begin();
        let mut parts = Parts::new(batch.len(), flattener);
        for row in 0..batch.len() {
            let value = own.and_then(|column| column.value(row)).map(Decoded::from);
            let is_object = || below.iter().any(|column| column.is_present(row));
            let value = match &value {
                Some(value) => Some(value.value()),
                None => is_object().then_some(Value::Json("{}")),
            };
            match settings.fate(value, target, &mut parts) {
                Ok(Fate::Pass) => parts.pass(row),
                Ok(Fate::Say(reason)) => {
                    if let Some(error) = &settings.error_field {
                        parts.columns.set(parts.rows(), error, Value::Text(&reason));
                    }
                    parts.pass(row);
                }
                Ok(Fate::Drop) => parts.discard(),
                Ok(Fate::Split) => parts.take(row),
                Err(reason) => changes.reject(row, reason.to_string()),
            }
        }
        parts.finish([field, target], changes);
        Ok(())
    }
}

impl Settings {
    /// What becomes of a record that has this value in the field; where it is split, its parts are written.
    fn fate(&self, value: Option<Value<'_>>, target: &str, parts: &mut Parts<'_>) -> Result<Fate> {
        let field = &self.field;
        let written = match value {
            None if self.on_missing == OnMissing::Pass => return Ok(Fate::Pass),
            None => bail!("the field `{field}` is missing"),
            Some(value) => self.write(value, target, parts),
        };
        match (written, self.on_mismatch) {
            (Ok(0), _) => match self.on_empty {
                OnEmpty::Pass => Ok(Fate::Pass),
                OnEmpty::Drop => Ok(Fate::Drop),
                OnEmpty::Reject => bail!("the field `{field}` is an empty array"),
            },
            (Ok(_), _) if is_of_each_record(field) => {
                parts.forget();
                bail!("`{field}` cannot be removed")
            }
            (Ok(_), _) => Ok(Fate::Split),
            (Err(reason), OnMismatch::Reject) => bail!("the field `{field}` {reason}"),
            (Err(reason), OnMismatch::Pass) => Ok(Fate::Say(format!("the field `{field}` {reason}"))),
        }
    }

    /// Writes the elements of an array, each as a part, and answers how many they are; or why there are none.
    fn write(&self, value: Value<'_>, target: &str, parts: &mut Parts<'_>) -> Result<usize, String> {
        let text = match value {
            Value::Json(text) if text.starts_with('[') => text,
            Value::Text(text) if text.trim_ascii_start().starts_with('[') => {
                // Nobody has checked this one; `flatten` refuses what is too deep for the host as well.
                let member = format!("{{\"value\":{text}}}");
                let limits = Limits { depth: 1, ..Limits::default() };
                flatten(&member, target, 0, &mut ColumnSet::default(), limits)
                    .map_err(|_| "is text, and no JSON array of less than 128 levels".to_owned())?;
                text
            }
            value => return Err(format!("is {}, and no array", describe(value))),
        };
        let elements: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|_| "is an array that cannot be read".to_owned())?;
        let (count, most) = (elements.len(), self.max_parts);
        if count > most {
            return Err(format!("has {count} elements, and `max_parts` is {most}"));
        }
        let elements = elements.iter().map(|element| element.get().trim_ascii());
        if target.is_empty()
            && let Some(number) = elements.clone().position(|element| !element.starts_with('{'))
        {
            return Err(format!("has an element {number} that is no object"));
        }
        for (number, element) in elements.enumerate() {
            if let Err(error) = parts.add(element, target) {
                parts.forget();
                return Err(format!("has an element {number} that cannot be read: {error}"));
            }
            if let Some(index) = &self.index_field {
                parts.columns.set(parts.last(), index, Value::Int64(number as i64));
            }
        }
        Ok(count)
    }
}

flitch_sdk::export!(Split);

#[cfg(test)]
mod tests;
