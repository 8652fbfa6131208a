//! One column while it grows.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, TimestampNanosecondArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, NullBufferBuilder};
use arrow_schema::FieldRef;

use crate::batch::utf8::{Blobs, InvalidUtf8};
use crate::batch::value::Value;
use crate::batch::{Kind, TAG, mixed};

/// Bytes that a value counts for in a batch.
#[inline(always)]
pub(super) fn size(value: Value<'_>) -> usize {
    match value {
        Value::Text(v) | Value::Bytes(v) | Value::Json(v) => v.len() + 4,
        Value::Boolean(_) => 1,
        _ => 8,
    }
}

#[derive(Debug)]
pub(super) enum Values {
    /// No value yet.
    Empty,
    Text(Blobs),
    Bytes(Blobs),
    Json(Blobs),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Boolean(Vec<bool>),
    Timestamp(Vec<i64>),
}

/// What a cancelled record did to a column's type: the values as they were.
pub(super) type Undo = Vec<(u32, Values)>;

#[derive(Debug)]
pub(super) struct Column {
    values: Values,
    nulls: NullBufferBuilder,
    /// Rows that have their place; those after it are absent so far.
    len: usize,
    /// The first row that was given a value.
    first: usize,
    /// Rows and bytes of the last batch.
    last: (usize, usize),
    path: String,
    field: Option<(Kind, FieldRef)>,
}

impl Column {
    pub fn new(path: String) -> Column {
        Column {
            values: Values::Empty,
            nulls: NullBufferBuilder::new(0),
            len: 0,
            first: 0,
            last: (0, 0),
            path,
            field: None,
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The first row of the batch that was given a value, for a column that is used.
    pub fn first(&self) -> usize {
        self.first
    }

    pub fn is_used(&self) -> bool {
        !matches!(self.values, Values::Empty)
    }

    /// Sets the value of `row`, the last row. A change of the column's type is noted in `undo` under `id`. Answers
    /// whether it is the column's first value.
    #[inline(always)]
    pub fn put(&mut self, row: usize, value: Value<'_>, id: u32, undo: &mut Undo) -> bool {
        if self.len == row {
            match (&mut self.values, value) {
                (Values::Text(to), Value::Text(v)) => to.push(v),
                (Values::Int(to), Value::Int(v)) => to.push(v),
                (Values::Float(to), Value::Float(v)) => to.push(v),
                (Values::Boolean(to), Value::Boolean(v)) => to.push(v),
                (Values::Timestamp(to), Value::Timestamp(v)) => to.push(v),
                (Values::Json(to), Value::Json(v)) => to.push(v),
                _ => return self.put_slowly(row, value, id, undo),
            }
            self.has_row();
            false
        } else {
            self.put_slowly(row, value, id, undo)
        }
    }

    /// Where the text of `row` goes, if it is the next row of a column of texts. [`Column::has_row`] follows.
    #[inline(always)]
    pub fn texts(&mut self, row: usize) -> Option<&mut Blobs> {
        match &mut self.values {
            Values::Text(to) if self.len == row => Some(to),
            _ => None,
        }
    }

    /// Where the time of `row` goes, if it is the next row of a column of times. [`Column::has_row`] follows.
    #[inline(always)]
    pub fn times(&mut self, row: usize) -> Option<&mut Vec<i64>> {
        match &mut self.values {
            Values::Timestamp(to) if self.len == row => Some(to),
            _ => None,
        }
    }

    /// Whether some of these rows have no value.
    pub fn is_absent_in(&self, rows: usize) -> bool {
        self.len < rows || self.nulls.as_slice().is_some() && (0..rows).any(|row| !self.nulls.is_valid(row))
    }

    /// The value of one more row was added.
    #[inline(always)]
    pub fn has_row(&mut self) {
        self.nulls.append_non_null();
        self.len += 1;
    }

    pub fn is_text(&self) -> bool {
        matches!(self.values, Values::Text(_))
    }

    #[inline(never)]
    fn put_slowly(&mut self, row: usize, value: Value<'_>, id: u32, undo: &mut Undo) -> bool {
        let first = !self.is_used();
        if first {
            self.first = row;
        }
        self.truncate(row);
        self.pad(row);
        if let Some(values) = self.converted(row, value) {
            undo.push((id, std::mem::replace(&mut self.values, values)));
        }
        match (&mut self.values, value) {
            (Values::Text(to), Value::Text(v)) | (Values::Bytes(to), Value::Bytes(v)) => to.push(v),
            (Values::Int(to), Value::Int(v)) => to.push(v),
            (Values::Float(to), Value::Float(v)) => to.push(v),
            (Values::Boolean(to), Value::Boolean(v)) => to.push(v),
            (Values::Timestamp(to), Value::Timestamp(v)) => to.push(v),
            (Values::Json(to), value) => {
                mixed::write(value, &mut to.data);
                to.end_value();
            }
            _ => unreachable!("`converted` has made room for the value"),
        }
        self.nulls.append_non_null();
        self.len += 1;
        first
    }

    /// The values in the type that also holds `value`; none where they have it. All rows before `row` have a place.
    fn converted(&self, row: usize, value: Value<'_>) -> Option<Values> {
        match (&self.values, value) {
            (Values::Empty, _) => return Some(self.start(row, value)),
            (Values::Text(_), Value::Text(_))
            | (Values::Bytes(_), Value::Bytes(_))
            | (Values::Int(_), Value::Int(_))
            | (Values::Float(_), Value::Float(_))
            | (Values::Boolean(_), Value::Boolean(_))
            | (Values::Timestamp(_), Value::Timestamp(_))
            | (Values::Json(_), _) => return None,
            _ => {}
        }
        if self.is_blank() {
            return Some(self.start(row, value));
        }
        let mut texts = Blobs::with_capacity(row + 1, self.size() * 2 + 8);
        for row in 0..row {
            if let Some(value) = self.get(row) {
                mixed::write(value, &mut texts.data);
            }
            texts.end_value();
        }
        Some(Values::Json(texts))
    }

    /// Room for `value`, with `row` absent rows before it.
    fn start(&self, row: usize, value: Value<'_>) -> Values {
        let rows = self.last.0.max(row + 1);
        let blobs = || {
            let mut blobs = Blobs::with_capacity(rows, self.last.1);
            blobs.pad(row);
            blobs
        };
        fn numbers<T: Copy + Default>(row: usize, rows: usize) -> Vec<T> {
            let mut numbers = Vec::with_capacity(rows);
            numbers.resize(row, T::default());
            numbers
        }
        match value {
            Value::Text(_) => Values::Text(blobs()),
            Value::Bytes(_) => Values::Bytes(blobs()),
            Value::Json(_) => Values::Json(blobs()),
            Value::Int(_) => Values::Int(numbers(row, rows)),
            Value::Float(_) => Values::Float(numbers(row, rows)),
            Value::Boolean(_) => Values::Boolean(numbers(row, rows)),
            Value::Timestamp(_) => Values::Timestamp(numbers(row, rows)),
        }
    }

    /// Marks the rows from the last that has a place up to `row` as absent.
    fn pad(&mut self, row: usize) {
        if self.len >= row {
            return;
        }
        match &mut self.values {
            Values::Empty => {}
            Values::Text(to) | Values::Bytes(to) | Values::Json(to) => to.pad(row),
            Values::Int(to) | Values::Timestamp(to) => to.resize(row, 0),
            Values::Float(to) => to.resize(row, 0.0),
            Values::Boolean(to) => to.resize(row, false),
        }
        self.nulls.append_n_nulls(row - self.len);
        self.len = row;
    }

    /// Takes back what stands at `row` and after it.
    pub fn truncate(&mut self, row: usize) {
        if self.len <= row {
            return;
        }
        self.len = row;
        self.nulls.truncate(row);
        self.truncate_values(row);
    }

    fn truncate_values(&mut self, row: usize) {
        match &mut self.values {
            Values::Empty => {}
            Values::Text(to) | Values::Bytes(to) | Values::Json(to) => to.truncate(row),
            Values::Int(to) | Values::Timestamp(to) => to.truncate(row),
            Values::Float(to) => to.truncate(row),
            Values::Boolean(to) => to.truncate(row),
        }
    }

    /// Puts back the values from before a change of type in the record that is cancelled.
    pub fn restore(&mut self, values: Values) {
        self.values = values;
        if !self.is_used() {
            self.len = 0;
            self.nulls = NullBufferBuilder::new(0);
        } else {
            self.truncate_values(self.len);
        }
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.restore(Values::Empty);
    }

    /// Whether no row has a value.
    fn is_blank(&self) -> bool {
        (0..self.len).all(|row| !self.nulls.is_valid(row))
    }

    fn size(&self) -> usize {
        match &self.values {
            Values::Text(v) | Values::Bytes(v) | Values::Json(v) => v.data.len() + v.offsets.len() * 4,
            _ => self.len * 8,
        }
    }

    /// The value of a row, none where it is absent.
    pub fn get(&self, row: usize) -> Option<Value<'_>> {
        if row >= self.len || !self.nulls.is_valid(row) {
            return None;
        }
        Some(match &self.values {
            Values::Empty => return None,
            Values::Text(v) => Value::Text(v.get(row)),
            Values::Bytes(v) => Value::Bytes(v.get(row)),
            Values::Json(v) => Value::Json(v.get(row)),
            Values::Int(v) => Value::Int(v[row]),
            Values::Float(v) => Value::Float(v[row]),
            Values::Boolean(v) => Value::Boolean(v[row]),
            Values::Timestamp(v) => Value::Timestamp(v[row]),
        })
    }

    /// Gives every one of `rows` rows that is absent, and for which `wants` holds, this value.
    pub fn fill(&mut self, rows: usize, value: Value<'_>, wants: impl Fn(usize) -> bool) {
        let mut undo = Undo::new();
        let filled = Column::new(std::mem::take(&mut self.path));
        let old = std::mem::replace(self, filled);
        self.field = old.field.clone();
        for row in 0..rows {
            if let Some(value) = old.get(row).or_else(|| wants(row).then_some(value)) {
                self.put(row, value, 0, &mut undo);
                undo.clear();
            }
        }
    }

    /// The finished column of `rows` rows, and how many of its texts were mended; none where no row has a value. The
    /// column is empty after it, and remembers its size.
    pub fn finish(&mut self, rows: usize, invalid: InvalidUtf8) -> Option<(FieldRef, ArrayRef, u64)> {
        if !self.is_used() {
            return None;
        }
        self.pad(rows);
        self.len = 0;
        let nulls = std::mem::replace(&mut self.nulls, NullBufferBuilder::new(0)).build();
        let values = std::mem::replace(&mut self.values, Values::Empty);
        if nulls.as_ref().map_or(0, NullBuffer::null_count) == rows {
            return None;
        }
        let nulls = nulls.filter(|n| n.null_count() > 0);
        let mut remember = |blobs: &Blobs| {
            self.last = (rows + rows / 8, blobs.data.len() + blobs.data.len() / 8);
        };
        // A tag is text, whatever its bytes are.
        let keeps_bytes = invalid == InvalidUtf8::Bytes && self.path != TAG;
        let mut mended = 0;
        let (kind, array): (Kind, ArrayRef) = match values {
            Values::Empty => return None,
            Values::Text(v) if keeps_bytes && !v.is_utf8() => {
                remember(&v);
                v.into_texts_and_bytes(nulls)
            }
            Values::Bytes(v) => {
                remember(&v);
                let (offsets, data) = v.into_buffers();
                (Kind::Bytes, Arc::new(BinaryArray::new(offsets, data, nulls)))
            }
            Values::Text(v) => {
                remember(&v);
                let (array, changed) = v.into_text(nulls);
                mended = changed;
                (Kind::Text, Arc::new(array))
            }
            Values::Json(mut v) => {
                remember(&v);
                if keeps_bytes && !v.is_utf8() {
                    v.keep_bytes_of_strings();
                }
                let (array, changed) = v.into_text(nulls);
                mended = changed;
                (Kind::Json, Arc::new(array))
            }
            Values::Int(v) => (Kind::Int64, Arc::new(Int64Array::new(v.into(), nulls))),
            Values::Float(v) => (Kind::Float64, Arc::new(Float64Array::new(v.into(), nulls))),
            Values::Boolean(v) => (Kind::Boolean, Arc::new(BooleanArray::new(BooleanBuffer::from(v), nulls))),
            Values::Timestamp(v) => {
                let array = TimestampNanosecondArray::new(v.into(), nulls).with_timezone("UTC");
                (Kind::Timestamp, Arc::new(array))
            }
        };
        self.last.0 = rows + rows / 8;
        let field = match &self.field {
            Some((known, field)) if *known == kind => field.clone(),
            _ => {
                let field = Arc::new(kind.field(&self.path));
                self.field = Some((kind, field.clone()));
                field
            }
        };
        Some((field, array, mended))
    }
}
