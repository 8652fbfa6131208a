//! Keeps a part of the records: which, their hashes say.

mod rate;

use flitch_sdk::json::{Decoded, text_of};
use flitch_sdk::parse::{Names, check_name};
use flitch_sdk::{Batch, Changes, Column, ColumnFilter, Fields, Float64Builder, Result, Value, bail, path};
use rate::{Hash, Rate};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The settings of `sample`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The part that is kept.
    rate: Option<Rate>,
    /// The fields whose values decide; all if there is none.
    key: Names,
    /// What becomes of a record without any of them.
    on_missing: OnMissing,
    /// Values by field, whose records are kept always.
    always: BTreeMap<String, Vec<Scalar>>,
    /// Another number keeps another part.
    seed: u64,
    /// The field that gets how many records a kept one stands for.
    weight_field: Option<String>,
}

/// What becomes of a record without a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnMissing {
    /// It is kept.
    #[default]
    Pass,
    /// It is dropped.
    Drop,
}

/// A value in the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a text, a number or a boolean")]
enum Scalar {
    Text(String),
    Boolean(bool),
    Int(i64),
    Float(f64),
}

impl Scalar {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Boolean(boolean) => boolean.to_string().into(),
            Self::Int(number) => number.to_string().into(),
            Self::Float(number) => text_of(Value::Float64(*number)).into_owned().into(),
        }
    }
}

/// The filter.
#[derive(Debug)]
pub struct Sample {
    rate: Rate,
    key: Vec<String>,
    on_missing: OnMissing,
    always: Vec<(String, Vec<String>)>,
    seed: u64,
    weight_field: Option<String>,
}

impl ColumnFilter for Sample {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let Some(rate) = settings.rate else { bail!("settings: `rate` is missing: 1/10, 10% or 0.1") };
        let texts = |(field, values): (String, Vec<Scalar>)| {
            (field, values.iter().map(|value| value.text().into_owned()).collect())
        };
        let always: Vec<(String, Vec<String>)> = settings.always.into_iter().map(texts).collect();
        if let Some(weight) = &settings.weight_field {
            check_name(weight, false)?;
            let mut read = settings.key.0.iter().chain(always.iter().map(|(field, _)| field));
            if let Some(field) = read.find(|field| path::overlap(field, weight)) {
                bail!("settings: of `{field}` and `{weight}` one would replace the other");
            }
        }
        Ok(Self {
            rate,
            key: settings.key.0,
            on_missing: settings.on_missing,
            always,
            seed: settings.seed,
            weight_field: settings.weight_field,
        })
    }

    fn fields(&self) -> Fields {
        if self.key.is_empty() {
            return Fields::All;
        }
        Fields::only(self.key.iter().chain(self.always.iter().map(|(field, _)| field)))
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let columns = self.columns(batch);
        let always = self.always.iter();
        let always: Vec<(Cow<'_, Column>, &[String])> =
            always.filter_map(|(field, values)| Some((batch.find(field)?, values.as_slice()))).collect();
        let mut kept = Vec::with_capacity(batch.len());
        let mut weights = Float64Builder::default();
        for row in 0..batch.len() {
            let is_always = always
                .iter()
                .any(|(column, values)| column.value(row).is_some_and(|value| is_among(value, values)));
            if is_always || self.keeps(&columns, row) {
                kept.push(row as u32);
                weights.push(if is_always { 1.0 } else { self.rate.weight() });
            }
        }
        if kept.len() < batch.len() {
            changes.take(kept);
        }
        if let Some(field) = &self.weight_field {
            changes.set(weights.finish(field));
        }
        Ok(())
    }
}

impl Sample {
    /// The columns of the key, in an order that does not depend on the batch.
    fn columns<'a>(&self, batch: &'a Batch) -> Vec<&'a Column> {
        let is_key = |column: &&Column| {
            let within = |field: &String| column.name == *field || path::is_below(&column.name, field);
            self.key.is_empty() || self.key.iter().any(within)
        };
        let mut columns: Vec<&Column> = batch.columns.iter().filter(is_key).collect();
        columns.sort_by(|one, other| one.name.cmp(&other.name));
        columns
    }

    fn keeps(&self, columns: &[&Column], row: usize) -> bool {
        let mut hash = Hash::new(self.seed);
        let mut has_key = false;
        for column in columns {
            let Some(value) = column.value(row) else { continue };
            has_key = true;
            // The name of a single key says nothing, so that two sources may call it differently.
            if self.key.len() != 1 || column.name != self.key[0] {
                hash.write(column.name.as_bytes());
            }
            hash.write(plain(value).as_bytes());
        }
        if has_key { self.rate.keeps(hash.finish()) } else { self.on_missing == OnMissing::Pass }
    }
}

/// A value as text, whatever column it stands in.
fn plain(value: Value<'_>) -> Cow<'_, str> {
    if let Value::Text(text) = value {
        return text.into();
    }
    match Decoded::from(value) {
        Decoded::Text(text) => text,
        Decoded::Other(Value::Text(text)) => text.into(),
        other => text_of(other.value()).into_owned().into(),
    }
}

fn is_among(value: Value<'_>, values: &[String]) -> bool {
    let text = plain(value);
    values.iter().any(|one| *one == text)
}

flitch_sdk::export!(Sample);

#[cfg(test)]
mod tests;
