//! Borrowed views of the columns that the host handed in.

use crate::bitmap;
use crate::copy::append;
use crate::{Blobs, Column, TextBuilder, Values};
use flitch_model::value::Scalar;

/// One value of a record, borrowed from its column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Arbitrary bytes.
    Bytes(&'a [u8]),
    /// A signed integer.
    Int64(i64),
    /// A float.
    Float64(f64),
    /// A boolean.
    Boolean(bool),
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// A JSON text: an array, a null, or a value of a field whose type differs from row to row.
    Json(&'a str),
}

/// The values of a column, by their type. All views are small and `Copy`.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// UTF-8 text.
    Text(TextColumn<'a>),
    /// Arbitrary bytes.
    Bytes(BytesColumn<'a>),
    /// Signed integers.
    Int64(NumberColumn<'a, i64>),
    /// Floats.
    Float64(NumberColumn<'a, f64>),
    /// Booleans.
    Boolean(BooleanColumn<'a>),
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    Timestamp(NumberColumn<'a, i64>),
    /// One JSON text per row.
    Json(TextColumn<'a>),
}

impl Column {
    /// The values, borrowed.
    pub fn view(&self) -> View<'_> {
        let present = self.present.as_deref();
        match &self.values {
            Values::Text(blobs) => View::Text(TextColumn(BytesColumn::new(blobs, present))),
            Values::Bytes(blobs) => View::Bytes(BytesColumn::new(blobs, present)),
            Values::Int64(numbers) => View::Int64(NumberColumn { numbers, present }),
            Values::Float64(numbers) => View::Float64(NumberColumn { numbers, present }),
            Values::Boolean(bits) => View::Boolean(BooleanColumn { bits, present }),
            Values::Timestamp(numbers) => View::Timestamp(NumberColumn { numbers, present }),
            Values::Json(blobs) => View::Json(TextColumn(BytesColumn::new(blobs, present))),
        }
    }

    /// Whether row `row` has the field.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn is_present(&self, row: usize) -> bool {
        is_present(self.present.as_deref(), row)
    }

    /// These rows of the column, in this order, under its name; a row may stand several times.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn take(&self, rows: &[u32]) -> Column {
        let numbers = |numbers: &[i64]| rows.iter().map(|row| numbers[*row as usize]).collect();
        let values = match &self.values {
            Values::Text(blobs) => Values::Text(blobs.take(rows)),
            Values::Bytes(blobs) => Values::Bytes(blobs.take(rows)),
            Values::Json(blobs) => Values::Json(blobs.take(rows)),
            Values::Int64(all) => Values::Int64(numbers(all)),
            Values::Timestamp(all) => Values::Timestamp(numbers(all)),
            Values::Float64(all) => Values::Float64(rows.iter().map(|row| all[*row as usize]).collect()),
            Values::Boolean(bits) => Values::Boolean(bitmap::take(bits, rows)),
        };
        Column {
            name: self.name.clone(),
            present: self.present.as_ref().map(|bits| bitmap::take(bits, rows)),
            values,
        }
    }

    /// Takes the value from those rows for which `absent` holds.
    pub fn clear(&mut self, rows: usize, absent: impl Fn(usize) -> bool) {
        for row in (0..rows).filter(|row| absent(*row)) {
            let present = self.present.get_or_insert_with(|| bitmap::ones(rows));
            present[row >> 3] &= !(1 << (row & 7));
        }
    }

    /// The values of `rows` rows as texts, as a tag is one: half a surrogate pair and what is not UTF-8 as U+FFFD.
    pub fn as_text(&self, rows: usize) -> Column {
        let mut texts = TextBuilder::with_capacity(rows, 0);
        let mut text = Vec::new();
        for row in 0..rows {
            text.clear();
            match self.value(row).map(Scalar::from) {
                Some(value) => {
                    if !value.write_text(&mut text) {
                        text.extend_from_slice(b"null");
                    }
                    texts.push(&String::from_utf8_lossy(&text));
                }
                None => texts.push_absent(),
            }
        }
        texts.finish(&self.name)
    }

    /// The value of row `row`, or none where the field is absent.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn value(&self, row: usize) -> Option<Value<'_>> {
        match self.view() {
            View::Text(column) => column.get(row).map(Value::Text),
            View::Bytes(column) => column.get(row).map(Value::Bytes),
            View::Int64(column) => column.get(row).map(Value::Int64),
            View::Float64(column) => column.get(row).map(Value::Float64),
            View::Boolean(column) => column.get(row).map(Value::Boolean),
            View::Timestamp(column) => column.get(row).map(Value::Timestamp),
            View::Json(column) => column.get(row).map(Value::Json),
        }
    }
}

impl Blobs {
    fn take(&self, rows: &[u32]) -> Self {
        let whole = BytesColumn::new(self, None);
        let mut taken = Self { data: Vec::new(), ends: Vec::with_capacity(rows.len()) };
        for row in rows {
            append(&mut taken.data, whole.get(*row as usize).unwrap_or_default());
            taken.ends.push(taken.data.len() as u32);
        }
        taken
    }
}

#[inline]
fn is_present(present: Option<&[u8]>, row: usize) -> bool {
    present.is_none_or(|bits| bitmap::get(bits, row))
}

/// Bytes, one value per row.
#[derive(Debug, Clone, Copy)]
pub struct BytesColumn<'a> {
    data: &'a [u8],
    ends: &'a [u32],
    present: Option<&'a [u8]>,
}

impl<'a> BytesColumn<'a> {
    fn new(blobs: &'a Blobs, present: Option<&'a [u8]>) -> Self {
        Self { data: &blobs.data, ends: &blobs.ends, present }
    }

    /// How many rows there are, absent ones among them.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All values, one after the other.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Where each value ends in [`data`](Self::data).
    pub fn ends(&self) -> &'a [u32] {
        self.ends
    }

    /// The value of row `row`, or none where it is absent.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&'a [u8]> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        let value = &self.data[start..self.ends[row] as usize];
        is_present(self.present, row).then_some(value)
    }

    /// The values of all rows, in order.
    pub fn iter(self) -> impl Iterator<Item = Option<&'a [u8]>> {
        let mut start = 0;
        self.ends.iter().enumerate().map(move |(row, end)| {
            let value = &self.data[start..*end as usize];
            start = *end as usize;
            is_present(self.present, row).then_some(value)
        })
    }
}

/// Text, one value per row.
#[derive(Debug, Clone, Copy)]
pub struct TextColumn<'a>(BytesColumn<'a>);

impl<'a> TextColumn<'a> {
    /// How many rows there are, absent ones among them.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All values, one after the other: row `i` is `data()[ends()[i - 1]..ends()[i]]`.
    pub fn data(self) -> &'a str {
        text(self.0.data)
    }

    /// Where each value ends in [`data`](Self::data).
    pub fn ends(self) -> &'a [u32] {
        self.0.ends
    }

    /// Whether row `row` has a value.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn is_present(&self, row: usize) -> bool {
        is_present(self.0.present, row)
    }

    /// The same values as bytes.
    pub fn bytes(self) -> BytesColumn<'a> {
        self.0
    }

    /// The text of row `row`, or none where it is absent.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&'a str> {
        self.0.get(row).map(text)
    }

    /// The texts of all rows, in order.
    pub fn iter(self) -> impl Iterator<Item = Option<&'a str>> {
        self.0.iter().map(|value| value.map(text))
    }
}

#[inline]
fn text(bytes: &[u8]) -> &str {
    debug_assert!(std::str::from_utf8(bytes).is_ok());
    // SAFETY: the contract says that every value of a text and of a json column is UTF-8, and
    // the host, which holds them as Arrow strings, has checked it.
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

/// Numbers, one per row.
#[derive(Debug, Clone, Copy)]
pub struct NumberColumn<'a, T> {
    numbers: &'a [T],
    present: Option<&'a [u8]>,
}

impl<'a, T: Copy> NumberColumn<'a, T> {
    /// How many rows there are, absent ones among them.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// All numbers; an absent row holds any number.
    pub fn numbers(&self) -> &'a [T] {
        self.numbers
    }

    /// The number of row `row`, or none where it is absent.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<T> {
        let number = self.numbers[row];
        is_present(self.present, row).then_some(number)
    }

    /// The numbers of all rows, in order.
    pub fn iter(self) -> impl Iterator<Item = Option<T>> {
        self.numbers
            .iter()
            .enumerate()
            .map(move |(row, number)| is_present(self.present, row).then_some(*number))
    }
}

/// Booleans, one per row.
#[derive(Debug, Clone, Copy)]
pub struct BooleanColumn<'a> {
    bits: &'a [u8],
    present: Option<&'a [u8]>,
}

impl BooleanColumn<'_> {
    /// The value of row `row`, or none where it is absent.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<bool> {
        let value = bitmap::get(self.bits, row);
        is_present(self.present, row).then_some(value)
    }
}
