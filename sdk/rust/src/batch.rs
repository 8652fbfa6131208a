//! What the records of a batch have, wherever it stands.

use crate::{AnyColumn, Batch, Column, JsonBuilder, TextColumn, Value, View, json, path};
use flitch_model::object::{self, Whole, of_written, written};
use flitch_model::path::{is_above, names_between};
use flitch_model::value::Scalar;
use flitch_model::{REST, path::split};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.rows as usize
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The column of this path, if any record of the batch has the field.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// How many bytes the text of this path has in all records; none where it is no text.
    pub fn text_bytes(&self, name: &str) -> usize {
        self.text(name).map_or(0, |column| column.data().len())
    }

    /// The column of this path, if it holds text.
    pub fn text(&self, name: &str) -> Option<TextColumn<'_>> {
        match self.column(name)?.view() {
            View::Text(column) => Some(column),
            _ => None,
        }
    }

    /// The field at exactly this path, wherever records have it: in its column, or inside of a json value above it, of which
    /// `@rest` is one. A filter that names the fields it wants has them in their columns; one that asks for all finds its own by
    /// this.
    pub fn find(&self, name: &str) -> Option<Cow<'_, Column>> {
        let stands = self.column(name);
        let is_outer =
            |column: &&Column| is_above(&column.name, name) && matches!(column.view(), View::Json(_));
        let outer: Vec<(&Column, Vec<String>)> = self
            .columns
            .iter()
            .filter(is_outer)
            .map(|column| (column, names_between(&column.name, name)))
            .collect();
        let inside = |row: usize| outer.iter().find_map(|(column, names)| inside(column, row, names));
        let lifted: Vec<Option<&str>> =
            if outer.is_empty() { Vec::new() } else { (0..self.len()).map(inside).collect() };
        if lifted.iter().all(Option::is_none) {
            return stands.map(Cow::Borrowed);
        }
        let mut both = AnyColumn::new(name);
        for (row, lifted) in lifted.into_iter().enumerate() {
            if let Some(value) = lifted.map(Value::Json).or_else(|| stands?.value(row)) {
                both.push(value);
            }
            both.pad(row + 1);
        }
        both.finish().map(Cow::Owned)
    }

    /// The same, and an object whose members are columns as one JSON text, as one is that is too wide or too deep for them.
    pub fn find_whole(&self, name: &str) -> Option<Cow<'_, Column>> {
        let own = self.find(name);
        let below: Vec<&Column> =
            self.columns.iter().filter(|column| path::is_below(&column.name, name)).collect();
        if below.is_empty() {
            return own;
        }
        let stands = own.as_deref();
        let columns: Vec<&Column> = below.into_iter().chain(stands).collect();
        let whole = Whole::of(name, columns.iter().map(|column| column.name.as_str()));
        let mut texts = AnyColumn::new(name);
        for row in 0..self.len() {
            let text = whole.of_row(|column| columns[column].value(row).map(Scalar::from));
            let own = || stands.and_then(|column| column.value(row));
            match text.as_deref().map(Value::Json).or_else(own) {
                Some(value) => texts.push(value),
                None => texts.push_absent(),
            }
        }
        texts.finish().map(Cow::Owned)
    }
}

/// The JSON text at `names` inside of a json column's value.
fn inside<'a>(outer: &'a Column, row: usize, names: &[String]) -> Option<&'a str> {
    let Some(Value::Json(text)) = outer.value(row) else { return None };
    names.iter().try_fold(text, |outer, name| object::member(outer, name))
}

/// What a record has at, above and below a path.
struct Kin<'a>(Vec<(&'a Column, Option<Vec<String>>)>);

impl<'a> Kin<'a> {
    /// In the columns of a batch but those for which `but` holds.
    fn of(batch: &'a Batch, path: &str, but: &impl Fn(&str) -> bool) -> Self {
        let kin = |column: &'_ Column| {
            let name = column.name.as_str();
            if but(name) {
                None
            } else if name == path || path::is_below(name, path) {
                Some(None)
            } else {
                (is_above(name, path) && !but(path)).then(|| Some(names_between(name, path)))
            }
        };
        Self(batch.columns.iter().filter_map(|column| Some((column, kin(column)?))).collect())
    }

    /// Whether a value at the path would take the place of one that row `row` has.
    fn is_met(&self, row: usize) -> bool {
        self.0.iter().any(|(column, inside)| match (inside, column.value(row)) {
            (_, None) => false,
            (Some(names), Some(Value::Json(text))) => json::blocks(text, names),
            _ => true,
        })
    }
}

impl Column {
    /// Takes the value from those rows whose record has one that it would take the place of, in a column of the batch but those
    /// for which `but` holds. `going_on` are the rows of the batch that the column's rows are. Of `@rest` it takes the members
    /// of which that is so.
    pub fn leave_what_is(&mut self, batch: &Batch, but: impl Fn(&str) -> bool, going_on: &[u32]) {
        if self.name == REST {
            return self.leave_members(batch, but, going_on);
        }
        let kin = Kin::of(batch, &self.name, &but);
        self.clear(going_on.len(), |row| kin.is_met(going_on[row] as usize));
    }

    #[cold]
    fn leave_members(&mut self, batch: &Batch, but: impl Fn(&str) -> bool, going_on: &[u32]) {
        let mut columns: HashMap<&str, Vec<&Column>> = HashMap::new();
        for column in batch.columns.iter().filter(|column| column.name != REST && !but(&column.name)) {
            columns.entry(split(&column.name).next().unwrap_or_default()).or_default().push(column);
        }
        let rest = batch.column(REST);
        let mut left = JsonBuilder::with_capacity(going_on.len(), 0);
        for (row, from) in going_on.iter().enumerate() {
            let from = *from as usize;
            let Some(Value::Json(text)) = self.value(row) else {
                left.push_absent();
                continue;
            };
            let before = match rest.and_then(|rest| rest.value(from)) {
                Some(Value::Json(before)) => written(before).unwrap_or_default(),
                _ => Vec::new(),
            };
            let before: HashSet<Cow<'_, str>> =
                before.iter().map(|member| member.path()).filter(|path| !but(path)).collect();
            let is_new = |path: &str| {
                let of_columns = || columns.get(path).into_iter().flatten();
                !before.contains(path) && !of_columns().any(|column| column.is_present(from))
            };
            let members = written(text).unwrap_or_default();
            let members: Vec<_> = members.into_iter().filter(|member| is_new(&member.path())).collect();
            left.push_option((!members.is_empty()).then(|| of_written(members)).as_deref());
        }
        *self = left.finish(REST);
    }
}

#[cfg(test)]
mod tests;
