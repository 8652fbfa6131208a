//! Rows become a Parquet file in memory.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;
use arrow_select::interleave::interleave;
use parquet::errors::ParquetError;

use super::super::Compression;
use super::block::{self, Blocks};
use super::columns::{Columns, Slots};
use super::writer::Writer;
use flitch_core::batch::convert::repeat;
use flitch_core::batch::encode::Fields;
use flitch_core::batch::record_batch;

/// Rows that are given to the writer at once: the pages that it makes go by them.
pub(super) const SLICE: usize = 2048;
/// What is remembered of a column for the end of the file with each row group, about.
const CHUNK: usize = 1024;

/// A Parquet file that is written to memory, a row group at a time.
pub(super) struct Layout {
    columns: Arc<Columns>,
    writer: Writer,
    /// Rows that are no slice yet.
    slice: Vec<RecordBatch>,
    rows: usize,
    /// Bytes of them.
    waiting: usize,
    groups: usize,
}

impl Layout {
    /// A file with these columns.
    pub fn new(columns: Arc<Columns>, compression: Compression) -> Layout {
        let writer = Writer::new(columns.schema().clone(), compression);
        Layout { columns, writer, slice: Vec::new(), rows: 0, waiting: 0, groups: 0 }
    }

    /// Adds rows that came to the row group.
    pub fn add_fields(&mut self, fields: &Fields, rows: Range<usize>) -> Result<(), ParquetError> {
        let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); self.columns.count()];
        for (kind, column) in fields.columns.iter().filter(|(_, column)| column.is_in(rows.clone())) {
            let place = self.columns.place(&column.path);
            let own = if column.is_constant { 0..1 } else { rows.clone() };
            let array = self.columns.fitted(&column.array.slice(own.start, own.len()), *kind, place);
            parts[place].push(if column.is_constant { repeat(&array, rows.len()) } else { array });
        }
        let start = if rows.start == 0 { 0 } else { fields.ends[rows.start - 1] };
        self.waiting += (fields.ends[rows.end - 1] - start) as usize;
        self.add_parts(parts, rows.len())
    }

    /// Adds the rows of blocks that stand one behind the other.
    pub fn add_blocks(&mut self, slots: &Slots, mut blocks: &[u8]) -> Result<(), ParquetError> {
        while let Some(block) = block::split(&mut blocks) {
            self.add(slots, block)?;
        }
        Ok(())
    }

    /// Adds the rows of a block to the row group.
    pub fn add(&mut self, slots: &Slots, block: &[u8]) -> Result<(), ParquetError> {
        self.waiting += block.len();
        let mut block = Blocks::new(block)?;
        let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); self.columns.count()];
        while let Some(part) = block.next(slots)? {
            let place = self.columns.place(part.path);
            let array = self.columns.fitted(&part.array, part.kind, place);
            parts[place].push(if part.is_constant { repeat(&array, block.rows) } else { array });
        }
        self.add_parts(parts, block.rows)
    }

    /// Adds rows of which each column has its values in one or more arrays.
    fn add_parts(&mut self, parts: Vec<Vec<ArrayRef>>, rows: usize) -> Result<(), ParquetError> {
        let columns = self.columns.schema().fields().iter().zip(parts).map(|(field, mut parts)| {
            let array = match parts.len() {
                0 => new_null_array(field.data_type(), rows),
                1 => parts.remove(0),
                _ => merged(&parts, rows)?,
            };
            Ok((field.clone(), array))
        });
        let batch = record_batch(rows, columns.collect::<Result<_, ArrowError>>()?)?;
        self.rows += rows;
        self.slice.push(batch);
        if self.rows >= SLICE {
            self.write_slices()?;
        }
        Ok(())
    }

    /// Bytes of memory of the row group that is being filled, about.
    pub fn in_progress(&self) -> usize {
        self.waiting + self.writer.memory()
    }

    fn write_slices(&mut self) -> Result<(), ParquetError> {
        let whole = concat_batches(self.columns.schema(), &self.slice)?;
        self.slice.clear();
        self.waiting = 0;
        let mut from = 0;
        while self.rows - from >= SLICE {
            self.writer.write(&whole.slice(from, SLICE))?;
            from += SLICE;
        }
        self.rows -= from;
        if self.rows > 0 {
            self.slice.push(whole.slice(from, self.rows));
        }
        Ok(())
    }

    /// Bytes of memory between two row groups.
    pub fn memory(&self) -> usize {
        self.columns.count() * self.groups * CHUNK
    }

    /// Ends the row group. Its bytes go to the end of `out`.
    pub fn end_group(&mut self, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        self.groups += 1;
        if self.rows > 0 {
            let rest = concat_batches(self.columns.schema(), &self.slice)?;
            self.slice.clear();
            (self.rows, self.waiting) = (0, 0);
            self.writer.write(&rest)?;
        }
        self.writer.end_group(out)
    }

    /// Ends the file. Its last bytes go to the end of `out`.
    pub fn end(self, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        self.writer.end(out)
    }
}

/// The one value that each row has in one of the columns.
fn merged(parts: &[ArrayRef], rows: usize) -> Result<ArrayRef, ArrowError> {
    let of = |row: usize| parts.iter().position(|part| part.is_valid(row)).unwrap_or(0);
    let places: Vec<(usize, usize)> = (0..rows).map(|row| (of(row), row)).collect();
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    interleave(&parts, &places)
}
