//! Turns members of objects into fields at the top of the record.

mod walk;

use flitch_model::{REST, TAG, TIMESTAMP};
use flitch_sdk::bitmap::BitmapBuilder;
use flitch_sdk::json::Decoded;
use flitch_sdk::parse::{set_pairs, set_present};
use flitch_sdk::{Batch, Changes, Column, ColumnFilter, ColumnSet, Fields, Result, Value, bail, path};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use walk::Walk;

/// Most bytes of all names of one record: each name holds those above it, so they grow faster than the record.
const MAX_NAME_BYTES: usize = 256 * 1024;

/// The settings of `flatten`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What stands between the names.
    pub separator: String,
    /// What becomes of arrays.
    pub arrays: Arrays,
    /// The objects that are taken apart; all if there is none.
    pub fields: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { separator: ".".to_owned(), arrays: Arrays::Keep, fields: Vec::new() }
    }
}

/// What becomes of arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrays {
    /// They stay values.
    Keep,
    /// Their elements are named by their numbers.
    Index,
}

/// The filter.
#[derive(Debug)]
pub struct Flatten(Settings);

impl ColumnFilter for Flatten {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        if !(1..=8).contains(&settings.separator.chars().count()) {
            bail!("settings.separator: {:?} does not have 1 to 8 characters", settings.separator);
        }
        if let Some(own) =
            settings.fields.iter().find(|field| [TIMESTAMP, TAG, REST].contains(&field.as_str()))
        {
            bail!("settings.fields: `{own}` is no object");
        }
        if let Some((one, other)) = path::contradiction(settings.fields.iter().map(String::as_str)) {
            bail!("settings.fields: `{one}` and `{other}` are one within the other");
        }
        Ok(Self(settings))
    }

    fn fields(&self) -> Fields {
        if self.0.fields.is_empty() { Fields::All } else { Fields::only(&self.0.fields) }
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let own = [TIMESTAMP, TAG, REST];
        let columns = batch.columns.iter().filter(|column| !own.contains(&column.name.as_str()));
        let mut columns: Vec<(Vec<String>, &Column)> =
            columns.map(|column| (path::split(&column.name), column)).collect();
        columns.sort_by(|(one, _), (other, _)| one.cmp(other));
        let flat: Vec<String> = columns.iter().map(|(names, _)| names.join(&self.0.separator)).collect();

        // Asked for by name, a field comes in a column of its own wherever it stands.
        let rest = batch.column(REST);

        let mut written = ColumnSet::default();
        let mut gone: BTreeMap<String, BitmapBuilder> = BTreeMap::new();
        let mut going_on = 0;
        for row in 0..batch.len() {
            let mut walk = Walk::new(&self.0, MAX_NAME_BYTES);
            let mut removed: Vec<Cow<'_, str>> = Vec::new();
            let rest = rest.and_then(|rest| rest.value(row));
            let mut rest = walk.objects_of(rest).into_iter().peekable();
            for ((names, column), flat) in columns.iter().zip(&flat) {
                let Some(value) = column.value(row) else { continue };
                while let Some(object) = rest.next_if(|object| [&object.name] < [&names[0]]) {
                    object.walk(&mut walk, &mut removed);
                }
                match value {
                    Value::Json(text) if names.len() > 1 || walk.goes_into(text) => {
                        walk.value(flat, text);
                        removed.push(column.name.as_str().into());
                    }
                    value if names.len() > 1 => {
                        walk.leaf(flat, Decoded::Other(value));
                        removed.push(column.name.as_str().into());
                    }
                    _ => {}
                }
            }
            rest.for_each(|object| object.walk(&mut walk, &mut removed));
            if walk.is_too_much {
                changes.reject(
                    row,
                    format!("the names of its fields would take more than {MAX_NAME_BYTES} bytes"),
                );
                continue;
            }
            if !removed.is_empty() {
                let pairs: Vec<(Cow<'_, str>, Value<'_>)> = walk
                    .pairs
                    .iter()
                    .map(|(name, value)| (Cow::Borrowed(name.as_str()), value.value()))
                    .collect();
                if let Err(error) = set_pairs(&pairs, "", going_on, &mut written) {
                    changes.reject(row, format!("its objects cannot be read: {error}"));
                    continue;
                }
            }
            for name in removed {
                let rows = gone.entry(name.into_owned()).or_default();
                while rows.len() < going_on {
                    rows.push(false);
                }
                rows.push(true);
            }
            going_on += 1;
        }
        for (name, mut rows) in gone {
            while rows.len() < going_on {
                rows.push(false);
            }
            changes.remove_from(name, rows.finish());
        }
        set_present(changes, written.finish(going_on));
        Ok(())
    }
}

flitch_sdk::export!(Flatten);

#[cfg(test)]
mod tests;
