//! Columns whose names and types are known only when the values come.

use crate::copy::same;
use crate::{
    BooleanBuilder, BytesBuilder, Column, Float64Builder, Int64Builder, JsonBuilder, TextBuilder,
    TimestampBuilder, Value, json, path,
};
use flitch_model::MAX_SET;
use flitch_model::json::plain_prefix;
use std::collections::BTreeMap;

/// How the names of columns begin that the host is to refuse.
const REFUSED: &str = "@\0";

/// A column that takes its type from its first value, and becomes json when another type comes.
#[derive(Debug, Clone)]
pub struct AnyColumn {
    name: String,
    /// Where the last name of the path begins, if it stands there, and in a JSON text, without an escape.
    last: Option<usize>,
    typed: Typed,
    /// The columns above and below this one, whose values a value here replaces.
    kin: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Typed {
    /// So many absent rows, and no value yet.
    Empty(usize),
    Text(TextBuilder),
    Bytes(BytesBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampBuilder),
    Json(JsonBuilder),
}

/// Calls a method that every builder has.
macro_rules! each {
    ($typed:expr, $builder:ident => $call:expr, $empty:pat => $none:expr) => {
        match $typed {
            $empty => $none,
            Typed::Text($builder) => $call,
            Typed::Bytes($builder) => $call,
            Typed::Int64($builder) => $call,
            Typed::Float64($builder) => $call,
            Typed::Boolean($builder) => $call,
            Typed::Timestamp($builder) => $call,
            Typed::Json($builder) => $call,
        }
    };
}

impl AnyColumn {
    /// A column without rows.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let plain = |last: &&str| plain_prefix(last.as_bytes()) == last.len();
        let last = flitch_model::path::split(&name).last().filter(plain).map(|last| name.len() - last.len());
        Self { name, last, typed: Typed::Empty(0), kin: Vec::new() }
    }

    /// The field's path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many rows there are, absent ones among them.
    pub fn len(&self) -> usize {
        each!(&self.typed, builder => builder.len(), Typed::Empty(rows) => *rows)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next row has no value.
    pub fn push_absent(&mut self) {
        each!(&mut self.typed, builder => builder.push_absent(), Typed::Empty(rows) => *rows += 1);
    }

    /// The next row has this value.
    #[inline]
    pub fn push(&mut self, value: Value<'_>) {
        if let Typed::Empty(_) = self.typed {
            self.begin(value, 0, 0);
        }
        match (&mut self.typed, value) {
            (Typed::Text(builder), Value::Text(text)) => builder.push(text),
            (Typed::Bytes(builder), Value::Bytes(bytes)) => builder.push(bytes),
            (Typed::Int64(builder), Value::Int64(number)) => builder.push(number),
            (Typed::Float64(builder), Value::Float64(number)) => builder.push(number),
            (Typed::Boolean(builder), Value::Boolean(boolean)) => builder.push(boolean),
            (Typed::Timestamp(builder), Value::Timestamp(nanos)) => builder.push(nanos),
            (Typed::Json(builder), Value::Json(text)) => builder.push(text),
            (_, value) => self.push_other(value),
        }
    }

    /// The same, if the next row is this one and the value of the column's own type; else nothing is done.
    #[inline]
    fn push_next(&mut self, row: usize, value: Value<'_>) -> bool {
        match (&mut self.typed, value) {
            (Typed::Text(builder), Value::Text(text)) if builder.len() == row => builder.push(text),
            (Typed::Int64(builder), Value::Int64(number)) if builder.len() == row => builder.push(number),
            (Typed::Float64(builder), Value::Float64(number)) if builder.len() == row => builder.push(number),
            (Typed::Json(builder), Value::Json(text)) if builder.len() == row => builder.push(text),
            (Typed::Timestamp(builder), Value::Timestamp(nanos)) if builder.len() == row => {
                builder.push(nanos)
            }
            (Typed::Boolean(builder), Value::Boolean(boolean)) if builder.len() == row => {
                builder.push(boolean)
            }
            _ => return false,
        }
        true
    }

    /// Takes the type of its first value, with room for so many rows and bytes.
    #[cold]
    fn begin(&mut self, value: Value<'_>, rows: usize, bytes: usize) {
        let absent = self.len();
        self.typed = Typed::of(value, rows, bytes);
        for _ in 0..absent {
            self.push_absent();
        }
    }

    /// The next row has a value that is of another type.
    #[cold]
    fn push_other(&mut self, value: Value<'_>) {
        if !matches!(self.typed, Typed::Json(_)) {
            self.become_json();
        }
        if let Typed::Json(builder) = &mut self.typed {
            builder.push(&json::mixed_text(value));
        }
    }

    fn become_json(&mut self) {
        let mut builder = JsonBuilder::with_capacity(self.len() + 1, 0);
        for row in 0..self.len() {
            builder.push_option(self.get(row).map(json::mixed_text).as_deref());
        }
        self.typed = Typed::Json(builder);
    }

    /// Adds rows without values until there are `rows`.
    pub fn pad(&mut self, rows: usize) {
        while self.len() < rows {
            self.push_absent();
        }
    }

    /// The value of row `row`, or none where it is absent.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, row: usize) -> Option<Value<'_>> {
        match &self.typed {
            Typed::Empty(_) => None,
            Typed::Text(builder) => builder.get_bytes(row).map(|text| Value::Text(utf8(text))),
            Typed::Bytes(builder) => builder.get_bytes(row).map(Value::Bytes),
            Typed::Int64(builder) => builder.get(row).map(Value::Int64),
            Typed::Float64(builder) => builder.get(row).map(Value::Float64),
            Typed::Boolean(builder) => builder.get(row).map(Value::Boolean),
            Typed::Timestamp(builder) => builder.get(row).map(Value::Timestamp),
            Typed::Json(builder) => builder.get_bytes(row).map(|text| Value::Json(utf8(text))),
        }
    }

    /// Forgets all rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        each!(&mut self.typed, builder => builder.truncate(rows), Typed::Empty(len) => *len = rows.min(*len));
    }

    /// The column, or none when no row has a value.
    pub fn finish(self) -> Option<Column> {
        let name = self.name;
        each!(self.typed, builder => Some(builder.finish(name)), Typed::Empty(_) => None)
    }

    #[inline]
    fn set(&mut self, row: usize, value: Value<'_>) {
        if self.len() != row {
            self.truncate(row);
            self.pad(row);
        }
        self.push(value);
    }

    fn get_last(&self, row: usize) -> Option<Value<'_>> {
        (self.len() == row + 1).then(|| self.get(row)).flatten()
    }
}

impl Typed {
    fn of(value: Value<'_>, rows: usize, bytes: usize) -> Self {
        match value {
            Value::Text(_) => Self::Text(TextBuilder::with_capacity(rows, bytes)),
            Value::Bytes(_) => Self::Bytes(BytesBuilder::with_capacity(rows, bytes)),
            Value::Int64(_) => Self::Int64(Int64Builder::with_capacity(rows)),
            Value::Float64(_) => Self::Float64(Float64Builder::with_capacity(rows)),
            Value::Boolean(_) => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            Value::Timestamp(_) => Self::Timestamp(TimestampBuilder::with_capacity(rows)),
            Value::Json(_) => Self::Json(JsonBuilder::with_capacity(rows, bytes)),
        }
    }
}

fn utf8(bytes: &[u8]) -> &str {
    // Only `str` is pushed to builders of text and json.
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Columns that come into being as their first value is set. Rows are written in order; within
/// a row, a value replaces what stands at, above or below its path.
///
/// There are no more than one answer may set, and one. Past that nothing is kept, and the answer is one that the host refuses, to
/// hand the rows over in parts: records that share no names cost what their names cost, and not that times their number.
#[derive(Debug, Clone, Default)]
pub struct ColumnSet {
    columns: Vec<AnyColumn>,
    index: BTreeMap<String, usize>,
    /// Where the next path is likely to be: records of one kind have their fields in one order.
    next: usize,
    /// How many rows there will be, as far as is known.
    rows: usize,
    /// Bytes for which new columns may make room.
    room: usize,
}

impl ColumnSet {
    /// One that will have `rows` rows of about `bytes` bytes in all. A column makes room for as many values like its first
    /// one.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { rows, room: bytes, ..Self::default() }
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Whether there is a column of this path.
    pub fn contains(&self, path: &str) -> bool {
        self.index.contains_key(path)
    }

    /// The number of the column of this path, which is made if there is none.
    pub fn column(&mut self, path: &str) -> usize {
        let guess = self.next;
        let found = match self.columns.get(guess) {
            Some(column) if same(column.name.as_bytes(), path.as_bytes()) => guess,
            _ => self.index.get(path).copied().unwrap_or_else(|| self.add(path)),
        };
        self.next = found + 1;
        found
    }

    fn add(&mut self, path: &str) -> usize {
        if self.is_past() {
            return MAX_SET;
        }
        let added = self.columns.len();
        let mut column = AnyColumn::new(path);
        column.kin.extend(flitch_model::path::above(path).filter_map(|above| self.index.get(above)));
        let below = format!("{path}.");
        let inside = self.index.range(below.clone()..).take_while(|(name, _)| name.starts_with(&below));
        column.kin.extend(inside.map(|(_, number)| number));
        for kin in &column.kin {
            self.columns[*kin].kin.push(added);
        }
        self.columns.push(column);
        self.index.insert(path.to_owned(), added);
        added
    }

    /// Sets the value of a path in row `row`, which must be the last row that was written, or a
    /// later one.
    pub fn set(&mut self, row: usize, path: &str, value: Value<'_>) {
        let number = self.column(path);
        self.set_column(row, number, value);
    }

    /// The number of the column that is likely to come next, and its last name, in which no JSON text has an escape: if it
    /// is one of the object at the path `above`, or of the record itself.
    #[inline]
    pub(crate) fn expected(&self, above: Option<&str>) -> Option<(usize, &[u8])> {
        let column = self.columns.get(self.next)?;
        let (whole, last) = (column.name.as_bytes(), column.last?);
        let is_below = match above {
            None => last == 0,
            Some(above) => last == above.len() + 1 && same(&whole[..above.len()], above.as_bytes()),
        };
        is_below.then(|| (self.next, &whole[last..]))
    }

    /// The number of the column that was set last.
    pub(crate) fn last(&self) -> usize {
        self.next.saturating_sub(1)
    }

    /// The name of a column.
    pub(crate) fn name(&self, number: usize) -> &str {
        self.columns.get(number).map_or("", AnyColumn::name)
    }

    /// Sets the value of a column of which the number is known, as [`Self::set`].
    #[inline]
    pub(crate) fn set_column(&mut self, row: usize, number: usize, value: Value<'_>) {
        self.next = number + 1;
        let column = &mut self.columns[number];
        if !column.kin.is_empty() || !column.push_next(row, value) {
            self.set_slowly(row, number, value);
        }
    }

    #[inline(never)]
    fn set_slowly(&mut self, row: usize, number: usize, value: Value<'_>) {
        if let Typed::Empty(_) = self.columns[number].typed {
            self.begin(number, value);
        }
        self.columns[number].set(row, value);
        for kin in 0..self.columns[number].kin.len() {
            let kin = self.columns[number].kin[kin];
            self.columns[kin].truncate(row);
        }
    }

    #[cold]
    fn begin(&mut self, number: usize, value: Value<'_>) {
        let length = match value {
            Value::Text(text) | Value::Json(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        // An eighth more, for values are not all alike.
        let bytes = length.saturating_mul(self.rows).saturating_mul(9) / 8;
        let bytes = bytes.min(self.room);
        self.room -= bytes;
        self.columns[number].begin(value, self.rows, bytes);
    }

    /// The value of a path in row `row`, which must be the last row that was written.
    pub fn get(&self, row: usize, path: &str) -> Option<Value<'_>> {
        self.columns[*self.index.get(path)?].get_last(row)
    }

    /// Forgets what row `row`, the last one, has at and below a path.
    pub fn unset(&mut self, row: usize, path: &str) {
        for column in &mut self.columns {
            if column.name == path || path::is_below(&column.name, path) {
                column.truncate(row);
            }
        }
    }

    /// Forgets all rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        for column in &mut self.columns {
            column.truncate(rows);
        }
        self.next = 0;
    }

    /// The values of row `row`, the last one, with their paths.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.columns.iter().filter_map(move |column| Some((column.name(), column.get_last(row)?)))
    }

    /// The next row is written from its start.
    pub fn begin_row(&mut self) {
        self.next = 0;
    }

    /// Whether there are more columns than an answer may set.
    pub(crate) fn is_past(&self) -> bool {
        self.columns.len() > MAX_SET
    }

    /// All columns that have a value, each of `rows` rows; where there were more than one answer may set, as many of no meaning.
    pub fn finish(self, rows: usize) -> Vec<Column> {
        if self.is_past() {
            let mut any = BooleanBuilder::default();
            (0..rows).for_each(|_| any.push(false));
            // Of a name that no record has, so that nobody takes them out for what is there already.
            return (0..=MAX_SET).map(|number| any.clone().finish(format!("{REFUSED}{number}"))).collect();
        }
        self.columns
            .into_iter()
            .filter_map(|mut column| {
                column.pad(rows);
                column.finish()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
