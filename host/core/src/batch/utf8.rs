//! Text columns checked as a whole, and what becomes of text that is not UTF-8.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::value::Value;
use super::{Kind, mixed};

/// What becomes of text that is not UTF-8. The same setting on every source.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum InvalidUtf8 {
    /// Each bad sequence becomes U+FFFD, and the value is counted.
    #[default]
    Replace,
    /// The value keeps its bytes.
    Bytes,
}

/// Values of varying length one after the other, as Arrow lays them out.
#[derive(Debug)]
pub(super) struct Blobs {
    pub data: Vec<u8>,
    /// Value `i` is `data[offsets[i]..offsets[i + 1]]`.
    pub offsets: Vec<i32>,
}

impl Blobs {
    pub fn with_capacity(rows: usize, bytes: usize) -> Blobs {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Blobs { data: Vec::with_capacity(bytes), offsets }
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// # Panics
    /// If the column would pass 2 GiB, which Arrow's offsets cannot address; sources cut long before.
    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.end_value();
    }

    /// Ends the value whose bytes were appended to `data`.
    #[inline]
    pub fn end_value(&mut self) {
        assert!(self.data.len() <= i32::MAX as usize, "a column of a batch passes 2 GiB");
        self.offsets.push(self.data.len() as i32);
    }

    pub fn pad(&mut self, rows: usize) {
        let end = self.data.len() as i32;
        self.offsets.resize(rows + 1, end);
    }

    pub fn truncate(&mut self, rows: usize) {
        if rows < self.len() {
            self.offsets.truncate(rows + 1);
            self.data.truncate(self.offsets[rows] as usize);
        }
    }

    pub fn get(&self, row: usize) -> &[u8] {
        &self.data[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// Whether each value by itself is UTF-8.
    pub fn is_utf8(&self) -> bool {
        // The whole may be UTF-8 although a character is split between two values.
        let starts = |&at: &i32| self.data.get(at as usize).is_none_or(|b| b & 0xc0 != 0x80);
        simdutf8::basic::from_utf8(&self.data).is_ok() && self.offsets.iter().all(starts)
    }

    /// Puts U+FFFD in the place of what is not UTF-8. Answers how many values were changed.
    pub fn mend(&mut self) -> u64 {
        let mut mended = Blobs::with_capacity(self.len(), self.data.len() + self.data.len() / 8);
        let mut changed = 0;
        for row in 0..self.len() {
            let value = self.get(row);
            if std::str::from_utf8(value).is_ok() {
                mended.push(value);
            } else {
                mended.push(String::from_utf8_lossy(value).as_bytes());
                changed += 1;
            }
        }
        *self = mended;
        changed
    }

    /// The text array. Mends first what is not UTF-8; answers how many values that changed.
    pub fn into_text(mut self, nulls: Option<NullBuffer>) -> (StringArray, u64) {
        let changed = if self.is_utf8() { 0 } else { self.mend() };
        let (offsets, data) = self.into_buffers();
        // SAFETY: `is_utf8` or `mend` has made sure that each value is UTF-8; `into_buffers` answers for the offsets.
        (unsafe { StringArray::new_unchecked(offsets, data, nulls) }, changed)
    }

    /// The values that are UTF-8 as text and the others as bytes, which is a bytes column where all are bytes, else a
    /// json column of both.
    pub fn into_texts_and_bytes(self, nulls: Option<NullBuffer>) -> (Kind, ArrayRef) {
        let is_text = |row| std::str::from_utf8(self.get(row)).is_ok();
        let is_there = |row: &usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row));
        if !(0..self.len()).filter(is_there).any(is_text) {
            let (offsets, data) = self.into_buffers();
            return (Kind::Bytes, Arc::new(BinaryArray::new(offsets, data, nulls)));
        }
        let mut both = Blobs::with_capacity(self.len(), self.data.len() * 2);
        for row in 0..self.len() {
            if is_there(&row) {
                let value = self.get(row);
                let value = if is_text(row) { Value::Text(value) } else { Value::Bytes(value) };
                mixed::write(value, &mut both.data);
            }
            both.end_value();
        }
        (Kind::Json, Arc::new(both.into_text(nulls).0))
    }

    /// In a json column, strings that are not UTF-8 become bytes.
    pub fn keep_bytes_of_strings(&mut self) {
        let mut kept = Blobs::with_capacity(self.len(), self.data.len() * 2);
        for row in 0..self.len() {
            let text = self.get(row);
            match std::str::from_utf8(text).is_err().then(|| mixed::unescape(text)).flatten() {
                Some(bytes) => mixed::write(Value::Bytes(&bytes), &mut kept.data),
                None => kept.data.extend_from_slice(text),
            }
            kept.end_value();
        }
        *self = kept;
    }

    pub fn into_buffers(self) -> (OffsetBuffer<i32>, Buffer) {
        // SAFETY: the offsets start with 0 and each is the length of the data at a later time, which only `truncate`
        // makes shorter, along with the offsets past it.
        let offsets = unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::from(self.offsets)) };
        (offsets, Buffer::from_vec(self.data))
    }
}
