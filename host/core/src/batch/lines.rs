//! From lines to a batch: one text column and as little work for each line as can be.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::FieldRef;

use super::builder::Finished;
use super::constants::Constants;
use super::utf8::{Blobs, InvalidUtf8};
use super::{Cut, Kind, Records, record_batch};

/// The boolean column that marks a line of which only the first part was kept.
pub const TRUNCATED: &str = "@truncated";

/// Builds batches of lines, one after the other.
#[derive(Debug)]
pub struct Lines {
    lines: Blobs,
    /// Rows that are marked as cut.
    truncated: Vec<u32>,
    text: FieldRef,
    mark: FieldRef,
    /// Where the current line starts in the data, if it has a part already.
    open: Option<usize>,
    /// Lines and bytes of the last batch. Room for as many is taken at the first line of the next, so that a file at
    /// rest holds none.
    last: (usize, usize),
}

impl Lines {
    /// A builder whose lines stand in the column of this name; `message` by custom.
    pub fn new(column: &str) -> Lines {
        Lines {
            lines: Blobs::with_capacity(0, 0),
            truncated: Vec::new(),
            text: Arc::new(Kind::Text.field(column)),
            mark: Arc::new(Kind::Boolean.field(TRUNCATED)),
            open: None,
            last: (0, 0),
        }
    }

    /// Lines that are complete.
    #[inline]
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// Bytes of the lines.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.lines.data.len() + 4 * self.lines.len()
    }

    /// Where the lines from `row` on begin among the bytes of all, and at last where the last one ends.
    pub fn places(&self, row: usize) -> &[i32] {
        &self.lines.offsets[row..]
    }

    /// Whether the batch is to be finished before the next line.
    #[inline]
    pub fn full(&self, cut: &Cut) -> bool {
        self.rows() >= cut.rows || self.bytes() >= cut.bytes.min(1 << 30)
    }

    /// Adds one line, given without its end.
    #[inline]
    pub fn push(&mut self, line: &[u8]) {
        self.take_room();
        self.lines.data.extend_from_slice(line);
        self.end_line();
    }

    /// Adds the line that `write` appends, and takes back what it appended where it answers nothing.
    #[inline]
    pub fn write<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Option<T>) -> Option<T> {
        self.take_room();
        let start = self.lines.data.len();
        let written = write(&mut self.lines.data);
        match written {
            Some(_) => self.end_line(),
            None => self.lines.data.truncate(start),
        }
        written
    }

    #[inline]
    fn take_room(&mut self) {
        if self.lines.data.capacity() == 0 && self.rows() == 0 {
            let (rows, bytes) = self.last;
            self.lines = Blobs::with_capacity(rows + rows / 8, bytes + bytes / 8 + 64);
        }
    }

    /// Adds the next part of a line that [`Lines::end_line`] ends.
    pub fn part(&mut self, part: &[u8]) {
        self.take_room();
        self.open.get_or_insert(self.lines.data.len());
        self.lines.data.extend_from_slice(part);
    }

    /// Ends the line that the parts make; an empty line where there was none.
    #[inline]
    pub fn end_line(&mut self) {
        self.lines.end_value();
        self.open = None;
    }

    /// Marks the last complete line as cut.
    pub fn mark_truncated(&mut self) {
        if let Some(row) = self.rows().checked_sub(1) {
            self.truncated.push(row as u32);
        }
    }

    /// Adds the whole lines at the head of `chunk`, which end in LF or CR LF, until the batch is full or a line is
    /// longer than `limit` bytes or begins with a NUL, which no text does. Answers how many bytes of the chunk they
    /// were, ends included.
    ///
    /// A line of which a part is there already is continued. The limit counts bytes of the chunk only.
    pub fn append(&mut self, chunk: &[u8], cut: &Cut, limit: usize) -> usize {
        let room = cut.rows.saturating_sub(self.rows());
        let most = cut.bytes.min(1 << 30);
        self.take_room();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk).take(room) {
            if self.bytes() >= most {
                break;
            }
            let line = &chunk[start..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() > limit || line.first() == Some(&0) {
                break;
            }
            self.push(line);
            start = end + 1;
        }
        start
    }

    /// The batch's records, with `constants` for each. The builder is empty after it, but for a line that is not ended.
    pub fn finish(&mut self, invalid: InvalidUtf8, constants: &Constants) -> Finished {
        let rows = self.rows();
        let open = self.open.map(|start| self.lines.data.split_off(start));
        self.open = open.as_ref().map(|_| 0);
        self.last = (rows, self.lines.data.len());
        let lines = std::mem::replace(&mut self.lines, Blobs::with_capacity(0, 0));
        if let Some(open) = open {
            self.take_room();
            self.lines.data.extend_from_slice(&open);
        }
        let mut replaced = 0;
        let mut columns: Vec<(FieldRef, ArrayRef)> = Vec::with_capacity(2);
        if invalid == InvalidUtf8::Bytes && !lines.is_utf8() {
            let (kind, array) = lines.into_texts_and_bytes(None);
            columns.push((Arc::new(kind.field(self.text.name())), array));
        } else {
            let (array, changed) = lines.into_text(None);
            replaced = changed;
            columns.push((self.text.clone(), Arc::new(array)));
        }
        if !self.truncated.is_empty() {
            let mut marks = vec![false; rows];
            for row in self.truncated.drain(..) {
                marks[row as usize] = true;
            }
            let marks = BooleanBuffer::from(marks);
            columns.push((self.mark.clone(), Arc::new(BooleanArray::new(marks.clone(), Some(marks.into())))));
        }
        let mut constants = constants.clone();
        for (field, _) in &columns {
            constants.take(field.name());
        }
        let columns = record_batch(rows, columns).expect("each column has a place for each row");
        Finished { records: Records::new(columns, constants.into_batch()), replaced, misnamed: 0 }
    }
}

#[cfg(test)]
mod tests;
