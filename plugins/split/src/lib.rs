//! Makes a record of each element of an array.

use flitch_sdk::json::{Decoded, Limits, decode, flatten};
use flitch_sdk::parse::{OnMismatch, OnMissing, check_name, check_prefix, describe};
use flitch_sdk::{ColumnSet, Fields, Record, RecordFilter, Result, Value, bail, path};
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
}

impl RecordFilter for Split {
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
        Ok(Self { target, settings })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.settings.field])
    }

    fn apply(&mut self, record: &mut Record<'_>) -> Result<()> {
        let field = &self.settings.field;
        // An object is there though its members are columns.
        let is_object = || record.fields().any(|(name, _)| path::is_below(name, field));
        let parts = match record.get(field) {
            None if is_object() => self.parts(Value::Json("{}")),
            None if self.settings.on_missing == OnMissing::Pass => return Ok(()),
            None => bail!("the field `{field}` is missing"),
            Some(value) => self.parts(value),
        };
        let parts = match (parts, self.settings.on_mismatch) {
            (Ok(parts), _) => parts,
            (Err(reason), OnMismatch::Reject) => bail!("the field `{field}` {reason}"),
            (Err(reason), OnMismatch::Pass) => {
                if let Some(error) = &self.settings.error_field {
                    record.set(error, &format!("the field `{field}` {reason}"));
                }
                return Ok(());
            }
        };
        if parts.is_empty() {
            match self.settings.on_empty {
                OnEmpty::Pass => {}
                OnEmpty::Drop => record.discard(),
                OnEmpty::Reject => bail!("the field `{field}` is an empty array"),
            }
            return Ok(());
        }
        record.split(parts.iter().enumerate(), |record, (number, part)| {
            record.remove(field);
            match part {
                Part::Value(raw) => match decode(raw) {
                    Decoded::Other(value) => record.set(&self.target, value),
                    Decoded::Text(text) => record.set(&self.target, Value::Text(&text)),
                    Decoded::Bytes(bytes) => record.set(&self.target, Value::Bytes(&bytes)),
                },
                Part::Object(members) => {
                    if !self.target.is_empty() {
                        record.remove(&self.target);
                    }
                    members.row(0).for_each(|(name, value)| record.set(name, value));
                }
            }
            if let Some(index) = &self.settings.index_field {
                record.set(index, number as i64);
            }
            Ok(())
        })
    }
}

/// One element.
enum Part {
    /// Its JSON text.
    Value(String),
    /// The fields of an object.
    Object(ColumnSet),
}

impl Split {
    /// The elements of an array, or why there are none.
    fn parts(&self, value: Value<'_>) -> Result<Vec<Part>, String> {
        let text = match value {
            Value::Json(text) if text.starts_with('[') => text,
            Value::Text(text) if text.trim_ascii_start().starts_with('[') => {
                // Nobody has checked this one; `flatten` refuses what is too deep for the host as well.
                let member = format!("{{\"value\":{text}}}");
                let limits = Limits { depth: 1, ..Limits::default() };
                flatten(&member, &self.target, 0, &mut ColumnSet::default(), limits)
                    .map_err(|_| "is text, and no JSON array of less than 128 levels".to_owned())?;
                text
            }
            value => return Err(format!("is {}, and no array", describe(value))),
        };
        let elements: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|_| "is an array that cannot be read".to_owned())?;
        if elements.len() > self.settings.max_parts {
            return Err(format!(
                "has {} elements, and `max_parts` is {}",
                elements.len(),
                self.settings.max_parts
            ));
        }
        let elements = elements.into_iter().map(|element| element.get().trim_ascii());
        elements.enumerate().map(|(number, element)| self.part(number, element)).collect()
    }

    fn part(&self, number: usize, element: &str) -> Result<Part, String> {
        let is_empty = || element[1..].trim_ascii_start().starts_with('}');
        if element.starts_with('{') && (self.target.is_empty() || !is_empty()) {
            let mut members = ColumnSet::default();
            flatten(element, &self.target, 0, &mut members, Limits::default())
                .map_err(|error| format!("has an element {number} that cannot be read: {error}"))?;
            return Ok(Part::Object(members));
        }
        if self.target.is_empty() {
            return Err(format!("has an element {number} that is no object"));
        }
        Ok(Part::Value(element.to_owned()))
    }
}

flitch_sdk::export!(Split);

#[cfg(test)]
mod tests;
