//! Columns to write, built row by row and handed to the host without another copy.

use crate::bitmap::{BitmapBuilder, Presence};
use crate::copy::{Stretches, append, gather, is_nothing};
use crate::parse::Dash;
use crate::{Blobs, Column, Values};
use std::marker::PhantomData;

/// A kind of variable-length value.
pub trait BlobKind {
    /// What is pushed: `str` or `[u8]`.
    type Item: ?Sized + AsRef<[u8]>;
    /// The values as the contract has them.
    fn values(blobs: Blobs) -> Values;
}

/// A kind of number.
pub trait NumberKind {
    /// The number.
    type Native: Copy + Default;
    /// The values as the contract has them.
    fn values(numbers: Vec<Self::Native>) -> Values;
}

macro_rules! kinds {
    ($($kind:ident: $trait:ident<$item:ident = $ty:ty>($arg:ty) => $variant:ident, $doc:literal;)+) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy)]
        pub enum $kind {}
        impl $trait for $kind {
            type $item = $ty;
            fn values(values: $arg) -> Values {
                Values::$variant(values)
            }
        }
    )+};
}

kinds! {
    TextKind: BlobKind<Item = str>(Blobs) => Text, "UTF-8 text.";
    BytesKind: BlobKind<Item = [u8]>(Blobs) => Bytes, "Arbitrary bytes.";
    JsonKind: BlobKind<Item = str>(Blobs) => Json, "One JSON text per row.";
    Int64Kind: NumberKind<Native = i64>(Vec<i64>) => Int64, "Signed 64-bit integers.";
    Float64Kind: NumberKind<Native = f64>(Vec<f64>) => Float64, "64-bit floats.";
    TimestampKind: NumberKind<Native = i64>(Vec<i64>) => Timestamp, "Nanoseconds since 1970-01-01T00:00:00Z.";
}

/// Builds a text column.
pub type TextBuilder = BlobBuilder<TextKind>;
/// Builds a column of bytes.
pub type BytesBuilder = BlobBuilder<BytesKind>;
/// Builds a json column: every value pushed must be one JSON text.
pub type JsonBuilder = BlobBuilder<JsonKind>;
/// Builds a column of signed 64-bit integers.
pub type Int64Builder = NumberBuilder<Int64Kind>;
/// Builds a column of 64-bit floats.
pub type Float64Builder = NumberBuilder<Float64Kind>;
/// Builds a column of timestamps, in nanoseconds since 1970-01-01T00:00:00Z.
pub type TimestampBuilder = NumberBuilder<TimestampKind>;

/// Builds a column of variable-length values. A row is either pushed or left absent; an absent
/// row keeps the value that the record has.
#[derive(Debug, Clone)]
pub struct BlobBuilder<K> {
    data: Vec<u8>,
    ends: Vec<u32>,
    present: Presence,
    kind: PhantomData<K>,
}

impl<K: BlobKind> Default for BlobBuilder<K> {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl<K: BlobKind> BlobBuilder<K> {
    /// A builder with room for `rows` values of `bytes` bytes in all.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self {
            data: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(rows),
            present: Presence::default(),
            kind: PhantomData,
        }
    }

    /// How many rows there are, absent ones among them.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes the values have together.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// The next row has this value.
    #[inline]
    pub fn push(&mut self, value: &K::Item) {
        append(&mut self.data, value.as_ref());
        self.ends.push(self.data.len() as u32);
        self.present.push_present();
    }

    /// The next row has no value.
    #[inline]
    pub fn push_absent(&mut self) {
        self.present.push_absent(self.ends.len());
        self.ends.push(self.data.len() as u32);
    }

    /// The next rows are these stretches of `data`. Those that lie nowhere have no value, nor have those that are only `-` where
    /// this is `dash`. A builder without room makes it for just these.
    pub(crate) fn gather(&mut self, data: &str, stretches: Stretches<'_>, dash: Dash) {
        let (data, before) = (data.as_bytes(), self.ends.len());
        // What a batch of one row costs is the number of its columns: a loop is not worth its beginning.
        if let [(from, to), ..] = stretches.spans[stretches.first..]
            && stretches.len() == 1
        {
            if is_nothing(data, (from, to), dash) {
                return self.push_absent();
            }
            // What has rows keeps them, though none of them had a byte.
            if before == 0 && self.data.capacity() == 0 {
                (self.data, self.ends) = (Vec::with_capacity(to - from), Vec::with_capacity(1));
            }
            append(&mut self.data, &data[from..to]);
            self.ends.push(self.data.len() as u32);
            return self.present.push_present();
        }
        let nothing = gather(&mut self.data, &mut self.ends, data, stretches, dash);
        if nothing == 0 && !self.present.is_kept() {
            return;
        }
        for (row, span) in stretches.iter().enumerate() {
            if is_nothing(data, span, dash) {
                self.present.push_absent(before + row);
            } else {
                self.present.push_present();
            }
        }
    }

    /// The next row has this value, or none.
    #[inline]
    pub fn push_option(&mut self, value: Option<&K::Item>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_absent(),
        }
    }

    /// The bytes of row `row`, or none where it is absent.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get_bytes(&self, row: usize) -> Option<&[u8]> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        let value = &self.data[start..self.ends[row] as usize];
        self.present.is_present(row).then_some(value)
    }

    /// Forgets all rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        if rows < self.len() {
            self.ends.truncate(rows);
            self.data.truncate(self.ends.last().map_or(0, |end| *end as usize));
            self.present.truncate(rows);
        }
    }

    /// The column, under this name.
    ///
    /// # Panics
    /// When the values are more than 4 GiB together, which no guest's memory can hold.
    pub fn finish(self, name: impl Into<String>) -> Column {
        assert!(u32::try_from(self.data.len()).is_ok(), "a column of more than 4 GiB");
        Column {
            name: name.into(),
            present: self.present.finish(),
            values: K::values(Blobs { data: self.data, ends: self.ends }),
        }
    }
}

/// Builds a column of numbers. A row is either pushed or left absent; an absent row keeps the
/// value that the record has.
#[derive(Debug, Clone)]
pub struct NumberBuilder<K: NumberKind> {
    numbers: Vec<K::Native>,
    present: Presence,
}

impl<K: NumberKind> Default for NumberBuilder<K> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<K: NumberKind> NumberBuilder<K> {
    /// A builder with room for `rows` numbers.
    pub fn with_capacity(rows: usize) -> Self {
        Self { numbers: Vec::with_capacity(rows), present: Presence::default() }
    }

    /// How many rows there are, absent ones among them.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The next row has this number.
    #[inline]
    pub fn push(&mut self, number: K::Native) {
        self.numbers.push(number);
        self.present.push_present();
    }

    /// The next row has no value.
    #[inline]
    pub fn push_absent(&mut self) {
        self.present.push_absent(self.numbers.len());
        self.numbers.push(K::Native::default());
    }

    /// The next row has this number, or none.
    #[inline]
    pub fn push_option(&mut self, number: Option<K::Native>) {
        match number {
            Some(number) => self.push(number),
            None => self.push_absent(),
        }
    }

    /// The number of row `row`, or none where it is absent.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, row: usize) -> Option<K::Native> {
        let number = self.numbers[row];
        self.present.is_present(row).then_some(number)
    }

    /// Forgets all rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.numbers.truncate(rows);
        self.present.truncate(rows);
    }

    /// The column, under this name.
    pub fn finish(self, name: impl Into<String>) -> Column {
        Column { name: name.into(), present: self.present.finish(), values: K::values(self.numbers) }
    }
}

/// Builds a column of booleans. A row is either pushed or left absent; an absent row keeps the
/// value that the record has.
#[derive(Debug, Clone, Default)]
pub struct BooleanBuilder {
    bits: BitmapBuilder,
    present: Presence,
}

impl BooleanBuilder {
    /// A builder with room for `rows` booleans.
    pub fn with_capacity(rows: usize) -> Self {
        Self { bits: BitmapBuilder::with_capacity(rows), present: Presence::default() }
    }

    /// How many rows there are, absent ones among them.
    pub fn len(&self) -> usize {
        self.bits.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// The next row has this value.
    #[inline]
    pub fn push(&mut self, value: bool) {
        self.bits.push(value);
        self.present.push_present();
    }

    /// The next row has no value.
    #[inline]
    pub fn push_absent(&mut self) {
        self.present.push_absent(self.bits.len());
        self.bits.push(false);
    }

    /// The value of row `row`, or none where it is absent.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, row: usize) -> Option<bool> {
        let value = self.bits.get(row);
        self.present.is_present(row).then_some(value)
    }

    /// Forgets all rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.bits.truncate(rows);
        self.present.truncate(rows);
    }

    /// The column, under this name.
    pub fn finish(self, name: impl Into<String>) -> Column {
        Column {
            name: name.into(),
            present: self.present.finish(),
            values: Values::Boolean(self.bits.finish()),
        }
    }
}
