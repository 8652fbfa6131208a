//! Adds fields from a table that the host keeps.

use flitch_model::TAG;
use flitch_model::value::Scalar;
use flitch_sdk::json::{Decoded, Limits, flatten, text_of};
use flitch_sdk::parse::{below, check_name, set_present};
use flitch_sdk::{
    AnyColumn, Batch, Changes, Column, ColumnFilter, ColumnSet, Fields, Result, TextBuilder, Value, View,
    bail, host, path,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The settings of `enrich`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The table, by its name under `tables` in the host's configuration.
    pub table: String,
    /// The field that holds the key.
    pub field: String,
    /// The table's columns that become fields.
    pub want: Vec<String>,
    /// The path below which they are written; at the top if there is none.
    pub prefix: String,
    /// Whether a field that the record has already is replaced.
    pub overwrite: bool,
    /// What becomes of a record whose key is missing or not in the table.
    pub on_missing: OnMissing,
    /// The values that such a record gets with `on_missing: default`.
    pub default: BTreeMap<String, serde_json::Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: String::new(),
            field: String::new(),
            want: Vec::new(),
            prefix: String::new(),
            overwrite: true,
            on_missing: OnMissing::default(),
            default: BTreeMap::new(),
        }
    }
}

/// What becomes of a record whose key is missing or not in the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// It goes on as it is.
    #[default]
    Keep,
    /// It is rejected.
    Reject,
    /// It gets the values under `default`.
    Default,
}

/// The filter.
#[derive(Debug)]
pub struct Enrich {
    settings: Settings,
    /// The defaults, one row of columns named as in the table.
    default: Vec<Column>,
}

impl ColumnFilter for Enrich {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        for (name, value) in [("table", &settings.table), ("field", &settings.field)] {
            if value.is_empty() {
                bail!("settings: `{name}` is missing");
            }
        }
        if settings.want.is_empty() {
            bail!("settings: `want` is missing: the table's columns that become fields");
        }
        for name in &settings.want {
            check_name(&below(&settings.prefix, name), true)?;
        }
        if let Some((one, other)) = path::contradiction(settings.want.iter().map(String::as_str)) {
            bail!("settings.want: of `{one}` and `{other}` one would replace the other");
        }
        if let Some(name) = settings.default.keys().find(|name| !settings.want.contains(name)) {
            bail!("settings.default.{name}: `want` does not name it");
        }
        if settings.default.is_empty() == (settings.on_missing == OnMissing::Default) {
            bail!("settings: `default` and `on_missing: default` need each other");
        }
        // Asking for nothing shows whether the table and its columns are there.
        host::lookup(&settings.table, &TextBuilder::default().finish(&settings.field), &settings.want)
            .map_err(|error| error.at("settings"))?;
        Ok(Self { default: defaults(&settings.default)?, settings })
    }

    fn fields(&self) -> Fields {
        let mut names = vec![self.settings.field.clone()];
        if !self.settings.overwrite {
            let written = self.settings.want.iter().map(|name| below(&self.settings.prefix, name));
            names.extend(
                written.flat_map(|name| path::and_above(&name).map(str::to_owned).collect::<Vec<_>>()),
            );
        }
        Fields::only(names)
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let settings = &self.settings;
        let rows = batch.len();
        let mut found = match batch.column(&settings.field).map(|column| keys(column, rows)) {
            Some(keys) => host::lookup(&settings.table, &keys, &settings.want)?,
            None => Vec::new(),
        };
        let missing: Vec<bool> =
            (0..rows).map(|row| !found.iter().any(|column| column.is_present(row))).collect();
        match settings.on_missing {
            OnMissing::Keep => {}
            OnMissing::Default => self.fill(&mut found, &missing),
            OnMissing::Reject => {
                let key = batch.column(&settings.field);
                for row in (0..rows).filter(|row| missing[*row]) {
                    changes.reject(row, self.reason(key.and_then(|column| column.value(row))));
                }
                let going_on = changes.going_on(rows);
                found.iter_mut().for_each(|column| *column = column.take(&going_on));
            }
        }
        let going_on = changes.going_on(rows);
        for column in &mut found {
            column.name = below(&settings.prefix, &column.name);
            if column.name == TAG {
                *column = column.as_text(going_on.len());
            }
            if !settings.overwrite {
                column.leave_what_is(batch, |_| false, &going_on);
            }
        }
        set_present(changes, found);
        Ok(())
    }
}

impl Enrich {
    /// Gives the rows that were not found the default values.
    fn fill(&self, found: &mut Vec<Column>, missing: &[bool]) {
        for default in &self.default {
            let at = found.iter().position(|column| column.name == default.name);
            let mut column = AnyColumn::new(&default.name);
            for (row, missing) in missing.iter().enumerate() {
                let value = if *missing { default.value(0) } else { at.and_then(|at| found[at].value(row)) };
                if let Some(value) = value {
                    column.push(value);
                }
                column.pad(row + 1);
            }
            match (at, column.finish()) {
                (Some(at), Some(column)) => found[at] = column,
                (None, Some(column)) => found.push(column),
                (_, None) => {}
            }
        }
    }

    fn reason(&self, key: Option<Value<'_>>) -> String {
        match key {
            None => format!("the field `{}` is missing", self.settings.field),
            Some(key) => {
                let key = Decoded::from(key);
                format!(
                    "the table {} has nothing of `want` for {}",
                    self.settings.table,
                    text_of(key.value())
                )
            }
        }
    }
}

/// The column of keys: text and whole numbers as they are, all else as texts. `5.0` is the key `5`.
fn keys(column: &Column, rows: usize) -> Column {
    if matches!(column.view(), View::Text(_) | View::Int64(_)) {
        return column.clone();
    }
    let mut keys = TextBuilder::with_capacity(rows, 0);
    for row in 0..rows {
        match column.value(row).and_then(key_of) {
            Some(key) => keys.push(&key),
            None => keys.push_absent(),
        }
    }
    keys.finish(&column.name)
}

/// A value as it stands for a key; none where it stands for none.
fn key_of(value: Value<'_>) -> Option<String> {
    let mut key = Vec::new();
    let is_key = Scalar::from(value).write_key(&mut key);
    is_key.then(|| String::from_utf8(key).ok()).flatten()
}

/// The defaults as columns of one row, objects as one value: so the host answers them, too.
fn defaults(default: &BTreeMap<String, serde_json::Value>) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for (name, value) in default {
        let mut one = ColumnSet::default();
        let text = serde_json::json!({ "value": value }).to_string();
        flatten(&text, "", 0, &mut one, Limits { depth: 1, ..Limits::default() })?;
        columns.extend(one.finish(1).into_iter().map(|column| Column { name: name.clone(), ..column }));
    }
    Ok(columns)
}

flitch_sdk::export!(Enrich);

#[cfg(test)]
mod tests;
