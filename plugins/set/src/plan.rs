//! What is to be done, and doing it.

use crate::{OnMissing, Settings};
use flitch_model::template::{Clocks, Template, Written};
use flitch_model::value::Scalar;
use flitch_sdk::bitmap;
use flitch_sdk::json::{Limits, flatten};
use flitch_sdk::parse::{check_escaped, check_name, set_present};
use flitch_sdk::{
    Batch, Changes, Column, ColumnSet, Error, Fields, Result, TextBuilder, Value, Values, bail, path,
};
use std::borrow::Cow;

/// The settings, checked.
#[derive(Debug)]
pub struct Plan {
    /// Columns of one row.
    constants: Vec<Column>,
    templates: Vec<(String, Template)>,
    moves: Vec<Move>,
    remove: Vec<String>,
    overwrite: bool,
    on_missing: OnMissing,
}

/// A field, or all that lies below one, under another name.
#[derive(Debug)]
struct Move {
    from: String,
    to: String,
    below: bool,
    keep: bool,
}

impl Plan {
    /// Checks the settings.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(settings: Settings) -> Result<Self> {
        let template = |(to, text): (String, String)| {
            let template = Template::parse(&text);
            let template =
                template.map_err(|wrong| Error::new(wrong).at(format_args!("settings.template.{to}")))?;
            Ok((to, template))
        };
        let copies = settings.copy.into_iter().map(|(from, to)| Move::new("copy", from, to, true));
        let renames = settings.rename.into_iter().map(|(from, to)| Move::new("rename", from, to, false));
        let plan = Self {
            constants: constants(settings.set)?,
            templates: settings.template.into_iter().map(template).collect::<Result<_>>()?,
            moves: copies.chain(renames).collect::<Result<_>>()?,
            remove: settings.remove.into_iter().map(removed).collect::<Result<_>>()?,
            overwrite: settings.overwrite,
            on_missing: settings.on_missing,
        };
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<()> {
        let targets: Vec<&str> = self.targets().collect();
        for (number, target) in targets.iter().enumerate() {
            if target.is_empty() {
                bail!("settings: a field without a name");
            }
            if let Some(other) = targets[..number].iter().find(|other| path::overlap(other, target)) {
                bail!("settings: both `{other}` and `{target}` are set, and one would replace the other");
            }
        }
        let gone = self.moves.iter().filter(|step| !step.keep).map(|step| &step.from).chain(&self.remove);
        for name in gone {
            if let Some(own) = ["@timestamp", "@tag"].into_iter().find(|own| path::overlap(own, name)) {
                bail!(
                    "settings: `{own}` cannot be taken from a record; `copy` leaves it, and an output's `encoding` does not write it"
                );
            }
        }
        if targets.iter().any(|target| path::overlap(target, "@timestamp")) {
            bail!("settings: `@timestamp` holds a time, which the filter `timestamp` reads");
        }
        let mut constants = self.constants.iter().filter(|column| path::overlap(&column.name, "@tag"));
        if constants.any(|column| !matches!(column.values, Values::Text(_))) {
            bail!("settings.set.@tag: a tag is text");
        }
        targets.iter().try_for_each(|target| check_name(target, true))?;
        if targets.is_empty() && self.remove.is_empty() {
            bail!("settings: there is nothing to do; write `set`, `template`, `copy`, `rename` or `remove`");
        }
        Ok(())
    }

    fn targets(&self) -> impl Iterator<Item = &str> {
        let constants = self.constants.iter().map(|column| column.name.as_str());
        let templates = self.templates.iter().map(|(to, _)| to.as_str());
        constants.chain(templates).chain(self.moves.iter().map(|step| step.to.as_str()))
    }

    /// The fields that it must see.
    pub fn fields(&self) -> Fields {
        let mut names: Vec<&str> = self.moves.iter().map(|step| step.from.as_str()).collect();
        names.extend(self.templates.iter().flat_map(|(_, template)| template.fields()));
        if !self.overwrite {
            names.extend(self.targets().flat_map(path::and_above));
        }
        names.sort_unstable();
        names.dedup();
        Fields::only(names)
    }

    /// Says what becomes of a batch.
    pub fn apply(&self, batch: &Batch, changes: &mut Changes) {
        let mut columns = self.templates(batch, changes);
        let going_on = changes.going_on(batch.len());
        let repeat = vec![0; going_on.len()];
        columns.extend(self.constants.iter().map(|constant| constant.take(&repeat)));
        columns.iter_mut().for_each(|column| self.leave_what_is(batch, &going_on, column));
        columns.extend(self.moved(batch, changes, &going_on));
        self.remove.iter().for_each(|name| changes.remove(name));
        set_present(changes, columns);
    }

    /// The templates' columns, and who is rejected for want of a field.
    fn templates(&self, batch: &Batch, changes: &mut Changes) -> Vec<Column> {
        let fields: Vec<Vec<Option<Cow<'_, Column>>>> = self
            .templates
            .iter()
            .map(|(_, template)| template.fields().map(|field| batch.find_whole(field)).collect())
            .collect();
        let mut builders: Vec<TextBuilder> =
            self.templates.iter().map(|_| TextBuilder::with_capacity(batch.len(), 0)).collect();
        let mut clocks = vec![Clocks::default(); self.templates.len()];
        let mut text = Vec::new();
        for row in 0..batch.len() {
            let before = builders.first().map_or(0, TextBuilder::len);
            let templates = self.templates.iter().zip(&fields).zip(&mut clocks).zip(&mut builders);
            for ((((_, template), columns), clocks), builder) in templates {
                text.clear();
                let value = |field: usize| columns[field].as_ref()?.value(row).map(Scalar::from);
                match (template.write(clocks, &mut text, value), self.on_missing) {
                    (Written::Without(_), OnMissing::Skip) => builder.push_absent(),
                    (Written::Without(field), OnMissing::Reject) => {
                        changes.reject(row, format!("the field `{}` is missing", field.name()));
                        break;
                    }
                    _ => builder.push(&String::from_utf8_lossy(&text)),
                }
            }
            if changes.rejected.last().is_some_and(|rejection| rejection.row as usize == row) {
                builders.iter_mut().for_each(|builder| builder.truncate(before));
            }
        }
        let names = self.templates.iter().map(|(to, _)| to);
        builders.into_iter().zip(names).map(|(builder, name)| builder.finish(name)).collect()
    }

    /// Takes the value from those rows whose record has one that may not be replaced.
    fn leave_what_is(&self, batch: &Batch, going_on: &[u32], column: &mut Column) {
        if !self.overwrite {
            column.leave_what_is(batch, |_| false, going_on);
        }
    }

    /// The fields that get another name. What was not moved stays where it is.
    fn moved(&self, batch: &Batch, changes: &mut Changes, going_on: &[u32]) -> Vec<Column> {
        let mut columns = Vec::new();
        for step in &self.moves {
            for column in &batch.columns {
                let Some(name) = step.name(&column.name) else { continue };
                let mut moved =
                    if going_on.len() == batch.len() { column.clone() } else { column.take(going_on) };
                if step.below && column.name == step.from {
                    // An object that stayed one value has all that lies below; another value does not lie there.
                    let is_object =
                        |row| matches!(column.value(row), Some(Value::Json(text)) if text.starts_with('{'));
                    moved.clear(going_on.len(), |row| !is_object(going_on[row] as usize));
                }
                moved.name = name;
                self.leave_what_is(batch, going_on, &mut moved);
                if !step.keep {
                    remove_moved(changes, &column.name, &moved, going_on.len());
                }
                if moved.name == "@tag" {
                    moved = moved.as_text(going_on.len());
                }
                columns.push(moved);
            }
        }
        columns
    }
}

/// Removes a field from those rows that have it under another name now.
fn remove_moved(changes: &mut Changes, name: &str, moved: &Column, rows: usize) {
    match &moved.present {
        None => changes.remove(name),
        Some(present) if present.iter().any(|byte| *byte != 0) => {
            let mut here = bitmap::ones(rows);
            here.iter_mut().zip(present).for_each(|(here, present)| *here &= present);
            changes.remove_from(name, here);
        }
        Some(_) => {}
    }
}

/// The field that goes: `a.*` is all that lies below `a`, which is all that an object is.
fn removed(name: String) -> Result<String> {
    match name.strip_suffix(".*").unwrap_or(&name) {
        "" => bail!("settings.remove: `{name}` names no field"),
        field => check_escaped(field).map(|()| field.to_owned()),
    }
}

impl Move {
    fn new(what: &str, from: String, to: String, keep: bool) -> Result<Self> {
        match (from.strip_suffix(".*"), to.strip_suffix(".*")) {
            (None, None) => Ok(Self { from, to, below: false, keep }),
            (Some(from), Some(to)) => {
                Ok(Self { from: from.to_owned(), to: to.to_owned(), below: true, keep })
            }
            _ => bail!("settings.{what}: `{from}` to `{to}`: either both end in `.*` or none"),
        }
    }

    /// The new name of a column that is meant: the field itself, and what lies below it.
    fn name(&self, column: &str) -> Option<String> {
        let is_meant = column == self.from || path::is_below(column, &self.from);
        let has_place = self.to != "@tag" || column == self.from;
        (is_meant && has_place).then(|| format!("{}{}", self.to, &column[self.from.len()..]))
    }
}

/// Constants as columns of one row.
fn constants(set: impl IntoIterator<Item = (String, serde_json::Value)>) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for (name, value) in set {
        let mut one = ColumnSet::default();
        let text = serde_json::json!({ "value": value }).to_string();
        flatten(&text, "", 0, &mut one, Limits { names: usize::MAX, ..Limits::default() })?;
        for mut column in one.finish(1) {
            column.name.replace_range(.."value".len(), &name);
            columns.push(column);
        }
    }
    Ok(columns)
}
