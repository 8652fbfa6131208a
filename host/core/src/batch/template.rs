//! Templates over records, a column at a time.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef};
use flitch_model::template::{Clocks, Written};
use flitch_model::value::Scalar;

use super::convert::scalar;
use super::lift::Found;
use super::{Column, Kind, Records};

pub use flitch_model::template::Template;

/// What a template gives for the rows of a batch.
#[derive(Debug, PartialEq)]
pub enum Rendered {
    /// The same for every row.
    Same(Vec<u8>),
    /// One text per row.
    Rows(Rows),
}

/// The texts of rows, one after the other.
#[derive(Debug, Default, PartialEq)]
pub struct Rows {
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Rows without a field that has no default, ascending.
    missing: Vec<u32>,
}

impl Rendered {
    /// A text for each row, or none.
    pub fn of<'t>(texts: impl Iterator<Item = Option<&'t [u8]>>) -> Rendered {
        let mut rows = Rows::default();
        for (row, text) in texts.enumerate() {
            match text {
                Some(text) => rows.text.extend_from_slice(text),
                None => rows.missing.push(row as u32),
            }
            rows.ends.push(rows.text.len());
        }
        Rendered::Rows(rows)
    }

    /// The text of a row; none where a field is missing.
    pub fn row(&self, row: usize) -> Option<&[u8]> {
        match self {
            Rendered::Same(text) => Some(text),
            Rendered::Rows(rows) if rows.missing.binary_search(&(row as u32)).is_ok() => None,
            Rendered::Rows(rows) => {
                let start = if row == 0 { 0 } else { rows.ends[row - 1] };
                Some(&rows.text[start..rows.ends[row]])
            }
        }
    }

    /// Rows without a text, in ascending order.
    pub fn missing(&self) -> &[u32] {
        match self {
            Rendered::Same(_) => &[],
            Rendered::Rows(rows) => &rows.missing,
        }
    }
}

/// The name that a template gives to a record whose fields do their best: a small letter each, and a time where one is written.
/// Where that cannot be a name no record has one.
pub fn at_best(template: &Template) -> String {
    let fields: Vec<&str> = template.fields().collect();
    let value = |place: usize| {
        let is_time = template.lasts(place).is_some() || fields.get(place) == Some(&"@timestamp");
        Some(if is_time { Scalar::Time(0) } else { Scalar::Text("a".into()) })
    };
    let mut name = Vec::new();
    template.write(&mut Clocks::default(), &mut name, value);
    String::from_utf8_lossy(&name).into_owned()
}

impl Records {
    /// What a template gives for each row. An object is its JSON text there, however wide it is.
    pub fn render(&self, template: &Template) -> Rendered {
        let found: Vec<Option<Found>> = template.fields().map(|field| self.find_whole(field)).collect();
        let columns: Vec<Option<(Kind, Column)>> =
            found.iter().map(|f| known(f.as_ref()?.column())).collect();
        let mut rows = Rows::default();
        let mut clocks = Clocks::default();
        let mut append = |row: usize, rows: &mut Rows| {
            let start = rows.text.len();
            let written = template.write(&mut clocks, &mut rows.text, |field| {
                let (kind, column) = columns[field]?;
                scalar(column.array(), kind, column.place(row))
            });
            if written != Written::Whole {
                rows.text.truncate(start);
                rows.missing.push(row as u32);
            }
            rows.ends.push(rows.text.len());
        };
        let is_same = |(place, column): (usize, &Option<(Kind, Column)>)| match column {
            Some((Kind::Timestamp, Column::Rows(_, times))) => {
                template.lasts(place).is_some_and(|lasts| are_close(times, lasts))
            }
            column => !matches!(column, Some((_, Column::Rows(..)))),
        };
        if columns.iter().enumerate().all(is_same) {
            append(0, &mut rows);
            if rows.missing.is_empty() {
                return Rendered::Same(rows.text);
            }
            let missing = (0..self.rows() as u32).collect();
            return Rendered::Rows(Rows { text: Vec::new(), ends: vec![0; self.rows()], missing });
        }
        rows.ends.reserve(self.rows());
        (0..self.rows()).for_each(|row| append(row, &mut rows));
        Rendered::Rows(rows)
    }
}

/// Whether all of these times are there and fall in the same stretch of `lasts` nanoseconds, counted from 1970: most formats
/// end with the day or the hour, and most batches stay in one.
fn are_close(times: &ArrayRef, lasts: i64) -> bool {
    let times = times.as_primitive::<TimestampNanosecondType>();
    let Some(first) = times.values().first().filter(|_| times.null_count() == 0) else { return false };
    let Some(begin) = first.div_euclid(lasts).checked_mul(lasts) else { return false };
    times.values().iter().all(|time| (begin..begin.saturating_add(lasts)).contains(time))
}

fn known(column: Column<'_>) -> Option<(Kind, Column<'_>)> {
    Some((Kind::of(column.field())?, column))
}

#[cfg(test)]
mod tests;
