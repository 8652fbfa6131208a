//! Fields that stand inside a json value: a member of an object with too many members or too deep for columns.
//!
//! Whether an object's members are columns depends on the record alone, so of two records of a batch one may have
//! `labels.app` in a column and the other in the JSON text of `labels`. Whoever asks for a field by its path, by
//! [`Records::find`], sees both.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{ArrowError, FieldRef};

use super::convert::{convert, repeat};
use super::object::Whole;
use super::path::{is_above, is_below, names_between};
use super::{Column, Kind, Records, object};

/// A field of all records.
#[derive(Debug)]
pub enum Found<'a> {
    /// A column as it stands.
    Stands(Column<'a>),
    /// The column and what was found inside of json values: a json column, a value per row.
    Lifted(FieldRef, ArrayRef),
}

impl Found<'_> {
    /// The field as a column.
    pub fn column(&self) -> Column<'_> {
        match self {
            Found::Stands(column) => *column,
            Found::Lifted(field, array) => Column::Rows(field, array),
        }
    }
}

impl Records {
    /// The field at exactly this path, wherever records have it: in its column, or inside of a json value above it.
    pub fn find(&self, name: &str) -> Option<Found<'_>> {
        let stands = self.column(name);
        let lifted = self.iter().filter(|c| is_json_above(*c, name)).fold(None, |so_far, outer| {
            let names = names_between(outer.field().name(), name);
            lift(outer, &names, self.rows(), so_far)
        });
        match lifted {
            None => stands.map(Found::Stands),
            Some(texts) => {
                let texts: ArrayRef = Arc::new(or_column(texts, stands, self.rows()));
                Some(Found::Lifted(Arc::new(Kind::Json.field(name)), texts))
            }
        }
    }

    /// The same, and an object whose members are columns as one JSON text, as one is that is too wide or too deep for them.
    pub fn find_whole(&self, name: &str) -> Option<Found<'_>> {
        let own = self.find(name);
        let mut columns: Vec<Column<'_>> = self.iter().filter(|c| is_below(c.field().name(), name)).collect();
        if columns.is_empty() {
            return own;
        }
        let stands = own.as_ref().map(Found::column);
        columns.extend(stands);
        let whole = Whole::of(name, columns.iter().map(|column| column.field().name().as_str()));
        let texts = (0..self.rows()).map(|row| whole.of_row(|column| columns[column].scalar(row))).collect();
        let texts: ArrayRef = Arc::new(or_column(texts, stands, self.rows()));
        Some(Found::Lifted(Arc::new(Kind::Json.field(name)), texts))
    }

    /// Whether a json value may hold the field at this path.
    pub fn is_inside(&self, name: &str) -> bool {
        self.iter().any(|column| is_json_above(column, name))
    }

    /// The records with each of these fields in columns alone, and no more inside of a json value above. None where
    /// they stand so.
    pub fn lifted<'a>(&self, paths: impl Iterator<Item = &'a str>) -> Result<Option<Records>, ArrowError> {
        let mut paths: Vec<&str> = paths.filter(|p| self.is_inside(p)).collect();
        if paths.is_empty() {
            return Ok(None);
        }
        // Inner ones first: what an outer one covers is then no part of it any more.
        paths.sort_unstable_by_key(|p| std::cmp::Reverse(p.len()));
        paths.dedup();
        let rows = self.rows();
        let mut columns: Vec<(FieldRef, ArrayRef)> = Vec::new();
        let mut constants = Vec::new();
        for column in self.iter() {
            let pair = (column.field().clone(), column.array().clone());
            match column {
                Column::Constant(..) if !is_json_above_any(column, &paths) => constants.push(pair),
                Column::Constant(..) => columns.push((pair.0, repeat(&pair.1, rows))),
                Column::Rows(..) => columns.push(pair),
            }
        }
        let mut now = Records::of(rows, columns, constants)?;
        for path in paths {
            let Some(Found::Lifted(field, array)) = now.find(path) else { continue };
            let mut columns = vec![(field, array)];
            for column in now.iter().filter(|c| matches!(c, Column::Rows(..)) && c.field().name() != path) {
                let array = match is_json_above(column, path) {
                    true => without(column.array(), &names_between(column.field().name(), path)),
                    false => column.array().clone(),
                };
                columns.push((column.field().clone(), array));
            }
            let constants =
                now.iter().filter(|c| matches!(c, Column::Constant(..)) && c.field().name() != path);
            let constants = constants.map(|c| (c.field().clone(), c.array().clone())).collect();
            now = Records::of(rows, columns, constants)?;
        }
        Ok(Some(now))
    }
}

fn is_json_above(column: Column<'_>, name: &str) -> bool {
    is_above(column.field().name(), name) && Kind::of(column.field()) == Some(Kind::Json)
}

fn is_json_above_any(column: Column<'_>, paths: &[&str]) -> bool {
    paths.iter().any(|path| is_json_above(column, path))
}

/// What the objects of `outer` hold at `names`, where `so_far` has nothing; none where none of them holds anything.
fn lift(
    outer: Column<'_>,
    names: &[String],
    rows: usize,
    so_far: Option<Vec<Option<String>>>,
) -> Option<Vec<Option<String>>> {
    let array = outer.array().as_string::<i32>();
    let at = |row: usize| {
        let place = outer.place(row);
        array.is_valid(place).then(|| inside(array.value(place), names)).flatten().map(str::to_owned)
    };
    let mut texts = so_far;
    for row in 0..rows {
        if let Some(text) = at(row) {
            texts.get_or_insert_with(|| vec![None; rows])[row].get_or_insert(text);
        }
    }
    texts
}

/// The texts, and where there is none the values of the column.
fn or_column(
    texts: Vec<Option<String>>,
    column: Option<Column<'_>>,
    rows: usize,
) -> arrow_array::StringArray {
    let under = column.and_then(|column| {
        let kind = Kind::of(column.field())?;
        Some((column, convert(column.array(), kind, Kind::Json)))
    });
    let mut out = StringBuilder::with_capacity(rows, 0);
    for (row, text) in texts.into_iter().enumerate() {
        let stands = under.as_ref().and_then(|(column, array)| {
            let (array, place) = (array.as_string::<i32>(), column.place(row));
            array.is_valid(place).then(|| array.value(place))
        });
        out.append_option(text.as_deref().or(stands));
    }
    out.finish()
}

/// The value at `names` inside of the object `text`.
fn inside<'a>(text: &'a str, names: &[String]) -> Option<&'a str> {
    names.iter().try_fold(text, |outer, name| object::member(outer, name))
}

/// The objects without the member at `names`; absent where nothing is left of one.
fn without(array: &ArrayRef, names: &[String]) -> ArrayRef {
    let texts = array.as_string::<i32>().iter().map(|text| {
        let text = text?;
        match object::remove(text, names) {
            Some(rest) if rest == "{}" => None,
            Some(rest) => Some(rest),
            None => Some(text.to_owned()),
        }
    });
    Arc::new(texts.collect::<arrow_array::StringArray>())
}

#[cfg(test)]
mod tests;
