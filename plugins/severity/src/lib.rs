//! Brings the severities of many conventions into one.

mod level;
mod settings;

use flitch_sdk::bitmap::BitmapBuilder;
use flitch_sdk::parse::{OnMismatch, OnMissing, Source, check_name, describe, excerpt, is_of_each_record};
use flitch_sdk::{
    AnyColumn, Batch, Changes, Column, ColumnFilter, Fields, Result, TextBuilder, Value, bail, path,
};
pub use level::{Level, Numbers};
pub use settings::{Format, Settings};
use std::borrow::Cow;

/// The filter.
#[derive(Debug)]
pub struct Severity(Settings);

impl ColumnFilter for Severity {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let Settings { field, target, error_field, .. } = &settings;
        if field.0.is_empty() {
            bail!("settings.field: the list is empty");
        }
        if target.is_empty() {
            bail!("settings.target: it is empty");
        }
        check_name(target, settings.format.is_text())?;
        if let Some(field) = field.0.iter().find(|field| *field != target && path::overlap(field, target)) {
            bail!("settings: of `{field}` and `{target}` one would replace the other");
        }
        if let Some(error) = error_field {
            check_name(error, true)?;
            if let Some(other) = [target].into_iter().chain(&field.0).find(|name| path::overlap(name, error))
            {
                bail!("settings: of `{other}` and `{error}` one would replace the other");
            }
        }
        Ok(Self(settings))
    }

    fn fields(&self) -> Fields {
        Fields::only(&self.0.field.0)
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let fields = self
            .0
            .field
            .0
            .iter()
            .map(|name| (name.as_str(), batch.find_whole(name), BitmapBuilder::default()));
        let mut rows = Rows {
            settings: &self.0,
            fields: fields.collect(),
            take: Vec::new(),
            levels: AnyColumn::new(&self.0.target),
            errors: TextBuilder::default(),
        };
        for row in 0..batch.len() {
            rows.judge(row, changes);
        }
        rows.finish(batch.len(), changes);
        Ok(())
    }
}

/// The rows of one batch, and what is said of those that go on.
struct Rows<'a> {
    settings: &'a Settings,
    /// The fields, their columns, and from which rows they go.
    fields: Vec<(&'a str, Option<Cow<'a, Column>>, BitmapBuilder)>,
    take: Vec<u32>,
    levels: AnyColumn,
    errors: TextBuilder,
}

impl Rows<'_> {
    fn judge(&mut self, row: usize, changes: &mut Changes) {
        let mut sources = self.fields.iter().enumerate().map(|(number, (name, column, _))| {
            let source = column.as_deref().map_or(Source::Absent, |column| Source::of(column, row));
            (number, *name, source)
        });
        let found = sources
            .find(|(_, _, source)| !matches!(source, Source::Absent | Source::Other(Value::Json("null"))));
        let (read, from) = match found {
            None => (Err(None), None),
            Some((number, name, source)) => {
                let level = self.settings.level(&source);
                (level.map_err(|wrong| Some(format!("the field `{name}` {wrong}"))), Some(number))
            }
        };
        let is_read = read.is_ok();
        let (level, error) = match (read, self.settings.default) {
            (Ok(level), _) => (Some(level), None),
            (Err(_), Some(level)) => (Some(level), None),
            (Err(None), None) if self.settings.on_missing == OnMissing::Reject => {
                return changes.reject(row, format!("the field `{}` is missing", self.settings.field.0[0]));
            }
            (Err(Some(reason)), None) if self.settings.on_mismatch == OnMismatch::Reject => {
                return changes.reject(row, reason);
            }
            (Err(reason), None) => (None, reason),
        };
        if let (Some(level), Some(lowest)) = (level, self.settings.drop_below)
            && level < lowest
        {
            return;
        }
        self.take.push(row as u32);
        match level {
            Some(level) => self.levels.push(self.settings.format.value(level)),
            None => self.levels.push_absent(),
        }
        self.errors.push_option(error.as_deref());
        for (number, (name, _, gone)) in self.fields.iter_mut().enumerate() {
            let may_go = *name != self.settings.target && !is_of_each_record(name);
            gone.push(is_read && from == Some(number) && may_go);
        }
    }

    fn finish(self, rows: usize, changes: &mut Changes) {
        if self.take.len() + changes.rejected.len() < rows {
            changes.take(self.take);
        }
        if !self.settings.keep_source {
            for (name, _, gone) in self.fields {
                let gone = gone.finish();
                if gone.iter().any(|byte| *byte != 0) {
                    changes.remove_from(name, gone);
                }
            }
        }
        if let Some(levels) = self.levels.finish() {
            changes.set(levels);
        }
        if let Some(field) = &self.settings.error_field
            && self.errors.bytes() > 0
        {
            changes.set(self.errors.finish(field));
        }
    }
}

fn no_severity(value: Value<'_>) -> String {
    format!("is {}, and no severity", describe(value))
}

impl Settings {
    /// The level that a value stands for.
    fn level(&self, source: &Source<'_>) -> Result<Level, String> {
        let (number, shown) = match source {
            Source::Text(text) => {
                if let Some(level) = Level::of_word(text) {
                    return Ok(level);
                }
                (text.trim().parse().ok(), excerpt(text))
            }
            Source::Other(Value::Int64(number)) => (Some(*number), number.to_string()),
            Source::Other(Value::Float64(number)) if number.fract() == 0.0 && number.abs() < 1e15 => {
                (Some(*number as i64), number.to_string())
            }
            Source::Bytes(bytes) => return Err(no_severity(Value::Bytes(bytes))),
            Source::Other(value) => return Err(no_severity(*value)),
            Source::Absent => return Err("is missing".to_owned()),
        };
        match (number, self.numbers) {
            (Some(number), Some(numbers)) => {
                numbers.level(number).ok_or_else(|| format!("is {shown}, and no severity of these numbers"))
            }
            (Some(_), None) => Err(format!("is the number {shown}; the setting `numbers` says whose it is")),
            (None, _) => Err(format!("is {shown}, and no severity")),
        }
    }
}

flitch_sdk::export!(Severity);

#[cfg(test)]
mod tests;
