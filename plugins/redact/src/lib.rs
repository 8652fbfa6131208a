//! Takes personal data out of texts.

mod around;
mod card;
mod email;
mod find;
mod ip;
mod json;
mod settings;

use find::Finder;
use flitch_model::{TAG, TIMESTAMP};
use flitch_sdk::parse::set_present;
use flitch_sdk::{
    AnyColumn, Batch, Changes, Column, ColumnFilter, Fields, Result, Value, View, bail, host, path,
};
pub use settings::{Action, Find, Settings};

/// The filter.
#[derive(Debug)]
pub struct Redact {
    finder: Finder,
    fields: Vec<String>,
    except: Vec<String>,
    drop: bool,
}

impl ColumnFilter for Redact {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let drop = settings.action == Action::Drop;
        let (fields, except) = (settings.fields.clone(), settings.except.clone());
        if let Some(wrong) = except.iter().find_map(|name| path::check_exact(name).err()) {
            bail!("settings.except: {wrong}");
        }
        Ok(Self { finder: settings.finder()?, fields, except, drop })
    }

    fn fields(&self) -> Fields {
        if self.fields.is_empty() { Fields::All } else { Fields::only(&self.fields) }
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let mut hit = vec![false; if self.drop { batch.len() } else { 0 }];
        let mut written = Vec::new();
        let columns: Vec<&Column> =
            batch.columns.iter().filter(|column| self.looks_at(&column.name)).collect();
        for column in columns {
            let mut out = AnyColumn::new(&column.name);
            for row in 0..batch.len() {
                if let Some(value) = self.redacted(column, row) {
                    if let Some(hit) = hit.get_mut(row) {
                        *hit = true;
                    }
                    out.pad(row);
                    out.push(value.value());
                }
            }
            if !out.is_empty() && !self.drop {
                out.pad(batch.len());
                written.extend(out.finish());
            }
        }
        set_present(changes, written);
        if hit.contains(&true) {
            changes.take((0..batch.len() as u32).filter(|row| !hit[*row as usize]).collect());
        }
        for (name, count) in self.finder.take_counts() {
            host::count(&name, count);
        }
        Ok(())
    }
}

/// A value without what was found in it.
enum Redacted {
    Text(String),
    Bytes(Vec<u8>),
    Json(String),
}

impl Redacted {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
            Self::Json(text) => Value::Json(text),
        }
    }
}

impl Redact {
    fn looks_at(&self, name: &str) -> bool {
        let among = |names: &[String]| names.iter().any(|outer| name == outer || path::is_below(name, outer));
        let named = if self.fields.is_empty() { name != TAG } else { among(&self.fields) };
        named && name != TIMESTAMP && !among(&self.except)
    }

    /// The value of a row, or none where nothing was found.
    fn redacted(&mut self, column: &Column, row: usize) -> Option<Redacted> {
        match column.view() {
            View::Text(texts) => self.finder.redact(texts.get(row)?).map(Redacted::Text),
            View::Int64(numbers) => {
                let number = numbers.get(row)?;
                self.finder.redact(&number.to_string()).map(Redacted::Text)
            }
            View::Bytes(bytes) => self.finder.redact_bytes(bytes.get(row)?).map(Redacted::Bytes),
            View::Json(texts) => {
                let within = |names: &str| {
                    self.except.iter().any(|outer| names == outer || path::is_below(names, outer))
                };
                let inner = self.except.iter().any(|inner| flitch_model::path::is_above(&column.name, inner));
                let is_spared = |name: &str| inner && within(name);
                json::redact(&column.name, texts.get(row)?, &mut self.finder, &is_spared).map(Redacted::Json)
            }
            View::Float64(numbers) => self.finder.redact_float(numbers.get(row)?).map(Redacted::Text),
            View::Boolean(_) | View::Timestamp(_) => None,
        }
    }
}

flitch_sdk::export!(Redact);

#[cfg(test)]
mod tests;
