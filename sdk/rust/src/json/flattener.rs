//! Texts of one kind, one after the other.

use super::trails::{Found, MOST_VALUES, Met, Trails, What};
use super::{Limits, book};
use crate::{ColumnSet, Result, Value};

/// What a byte order mark is in UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Writes texts into columns as [`flatten`](super::flatten) does it, and remembers how their like were written: what a program
/// writes has the same names in the same order, and is compared with that instead of being read.
#[derive(Debug, Clone)]
pub struct Flattener {
    prefix: String,
    limits: Limits,
    /// Objects that the text will lie in.
    above: usize,
    trails: Trails,
    /// What was met in the last text that was read by the book.
    met: Vec<Met>,
    /// The columns of the fields that trails lead to, by the fields' numbers; none where the batch has had none yet.
    columns: Vec<Option<usize>>,
}

impl Flattener {
    /// One that writes members below `prefix` (or at the top, when that is empty).
    pub fn new(prefix: impl Into<String>, limits: Limits) -> Self {
        let prefix = prefix.into();
        let above = book::objects_of(&prefix);
        Self { prefix, limits, above, trails: Trails::new(), met: Vec::new(), columns: Vec::new() }
    }

    /// Other columns are written to from here on, as in each batch.
    pub fn begin(&mut self) {
        self.columns.clear();
    }

    /// Writes the members of the object `data[from..to]` into row `row` of `columns`. A byte order mark is what a text was
    /// written with, and no part of it.
    ///
    /// # Errors
    /// When the text is not one JSON object. Row `row` is untouched then.
    pub fn flatten(
        &mut self,
        data: &str,
        from: usize,
        to: usize,
        row: usize,
        columns: &mut ColumnSet,
    ) -> Result<()> {
        let mark = if data.as_bytes()[from..to].starts_with(MARK) { MARK.len() } else { 0 };
        let from = from + mark;
        let is_tried = self.trails.is_worth_it();
        if is_tried && self.trails.follow(data, from, to, self.above) {
            self.write(data, row, columns);
            return Ok(());
        }
        let text = &data[from..to];
        self.met.clear();
        let met = is_tried.then_some(&mut self.met);
        book::read(text, &self.prefix, row, columns, self.limits, met)?;
        // Of columns past the limit none is known by its number, and a text that follows a trail passes no limit.
        if !self.met.is_empty() && self.limits.names >= 2 * MOST_VALUES && !columns.is_past() {
            let forgot = self.trails.learn(text, &self.met, |number| columns.name(number));
            if forgot {
                self.columns.clear();
            }
        }
        Ok(())
    }

    /// Writes the values to which the trail has led.
    // By itself, so that its loop has the registers.
    #[inline(never)]
    fn write(&mut self, data: &str, row: usize, columns: &mut ColumnSet) {
        columns.begin_row();
        let Self { trails, columns: numbers, .. } = self;
        for Found { field, what } in &trails.values {
            let number = match numbers.get(*field) {
                Some(Some(number)) => *number,
                _ => {
                    let number = columns.column(trails.path(*field));
                    numbers.resize(numbers.len().max(*field + 1), None);
                    numbers[*field] = Some(number);
                    number
                }
            };
            let value = match *what {
                What::Text(from, to) => Value::Text(&data[from..to]),
                What::Own(from, to) => Value::Text(&trails.own[from..to]),
                What::Json(from, to) => Value::Json(&data[from..to]),
                What::Int(number) => Value::Int64(number),
                What::Float(number) => Value::Float64(number),
                What::Boolean(boolean) => Value::Boolean(boolean),
                What::Time(nanos) => Value::Timestamp(nanos),
            };
            columns.set_column(row, number, value);
        }
    }
}

#[cfg(test)]
mod tests;
