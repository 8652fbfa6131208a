//! Rows on their way into a row group, a column at a time: as they came, copied as they stand in memory.
//!
//! A block is its length (what follows), its rows, and each column: its slot, its form, and by the form which rows have a
//! value, and the values: eight bytes each, a bit, or where each ends and what they are. All numbers are `u32` in little
//! endian.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::ArrowError;

use super::columns::Slots;
use super::reserve;
use flitch_core::batch::Kind;
use flitch_core::batch::encode::Named;

/// The one value holds for all rows.
const CONSTANT: u32 = 1;
/// Not all rows have a value.
const NULLS: u32 = 2;

/// A block that is being written.
pub(super) struct Block<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    rows: Range<usize>,
}

impl<'a> Block<'a> {
    pub fn begin(out: &'a mut Vec<u8>, rows: Range<usize>) -> Block<'a> {
        let start = out.len();
        reserve(out, 256);
        out.extend_from_slice(&[0; 4]);
        let mut block = Block { out, start, rows };
        block.number(block.rows.len());
        block
    }

    fn number(&mut self, number: usize) {
        let number = u32::try_from(number).expect("a batch has below 4 GiB");
        self.out.extend_from_slice(&number.to_le_bytes());
    }

    /// Appends the values of the rows.
    pub fn column(&mut self, slot: u32, kind: Kind, column: &Named) {
        let rows = if column.is_constant { 0..1 } else { self.rows.clone() };
        let array = column.array.slice(rows.start, rows.len());
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let form = u32::from(column.is_constant) * CONSTANT + u32::from(nulls.is_some()) * NULLS;
        self.number(slot as usize);
        self.number(form as usize);
        if let Some(nulls) = nulls {
            self.bytes(nulls.inner().sliced().as_slice(), rows.len().div_ceil(8));
        }
        match kind {
            Kind::Text | Kind::Json => {
                let array = array.as_string::<i32>();
                self.texts(array.offsets(), array.value_data());
            }
            Kind::Bytes => {
                let array = array.as_binary::<i32>();
                self.texts(array.offsets(), array.value_data());
            }
            Kind::Int64 => self.values(array.as_primitive::<Int64Type>().values().inner(), rows.len()),
            Kind::Float64 => self.values(array.as_primitive::<Float64Type>().values().inner(), rows.len()),
            Kind::Timestamp => {
                self.values(array.as_primitive::<TimestampNanosecondType>().values().inner(), rows.len());
            }
            Kind::Boolean => {
                let bits = array.as_boolean().values().sliced();
                self.bytes(bits.as_slice(), rows.len().div_ceil(8));
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8], count: usize) {
        reserve(self.out, count);
        self.out.extend_from_slice(&bytes[..count]);
    }

    fn values(&mut self, values: &Buffer, count: usize) {
        self.bytes(values.as_slice(), count * 8);
    }

    fn texts(&mut self, offsets: &OffsetBuffer<i32>, data: &[u8]) {
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        reserve(self.out, offsets.len() * 4 + (last - first) as usize);
        for end in &offsets[1..] {
            self.out.extend_from_slice(&((end - first) as u32).to_le_bytes());
        }
        self.out.extend_from_slice(&data[first as usize..last as usize]);
    }

    pub fn end(self) {
        let length = u32::try_from(self.out.len() - self.start - 4).expect("a batch has below 4 GiB");
        self.out[self.start..self.start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Takes the first block off; none where there is no more.
pub(super) fn split<'a>(blocks: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (head, rest) = blocks.split_first_chunk::<4>()?;
    let (block, rest) = rest.split_at_checked(u32::from_le_bytes(*head) as usize)?;
    *blocks = rest;
    Some(block)
}

/// Reads the next block; false where there is no more.
pub(super) fn next(from: &mut impl Read, block: &mut Vec<u8>) -> io::Result<bool> {
    let mut head = [0; 4];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    block.resize(u32::from_le_bytes(head) as usize, 0);
    from.read_exact(block)?;
    Ok(true)
}

/// A column of a block.
pub(super) struct Part<'s> {
    pub slot: u32,
    pub path: &'s str,
    pub kind: Kind,
    pub array: ArrayRef,
    /// Whether its one value holds for all rows.
    pub is_constant: bool,
}

/// A block that is read.
pub(super) struct Blocks<'a> {
    rest: &'a [u8],
    pub rows: usize,
}

impl<'a> Blocks<'a> {
    pub fn new(block: &'a [u8]) -> Result<Blocks<'a>, ArrowError> {
        let mut blocks = Blocks { rest: block, rows: 0 };
        blocks.rows = blocks.number()? as usize;
        Ok(blocks)
    }

    /// The next column, which is one of `slots`.
    pub fn next<'s>(&mut self, slots: &'s Slots) -> Result<Option<Part<'s>>, ArrowError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (slot, form) = (self.number()?, self.number()?);
        let (path, kind) = slots.get(slot).ok_or_else(cut)?;
        let is_constant = form & CONSTANT != 0;
        let rows = if is_constant { 1 } else { self.rows };
        let nulls = match form & NULLS {
            0 => None,
            _ => Some(NullBuffer::new(self.bits(rows)?)),
        };
        let array: ArrayRef = match kind {
            Kind::Text | Kind::Json => {
                let (offsets, data) = self.texts(rows)?;
                Arc::new(StringArray::try_new(offsets, data, nulls)?)
            }
            Kind::Bytes => {
                let (offsets, data) = self.texts(rows)?;
                Arc::new(BinaryArray::try_new(offsets, data, nulls)?)
            }
            Kind::Int64 => {
                let values = self.values(rows, i64::from_le_bytes)?;
                Arc::new(Int64Array::try_new(values.into(), nulls)?)
            }
            Kind::Float64 => {
                let values = self.values(rows, f64::from_le_bytes)?;
                Arc::new(Float64Array::try_new(values.into(), nulls)?)
            }
            Kind::Timestamp => {
                let values = self.values(rows, i64::from_le_bytes)?;
                Arc::new(TimestampNanosecondArray::try_new(values.into(), nulls)?.with_timezone("UTC"))
            }
            Kind::Boolean => Arc::new(BooleanArray::new(self.bits(rows)?, nulls)),
        };
        Ok(Some(Part { slot, path, kind, array, is_constant }))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ArrowError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, ArrowError> {
        let bytes = self.take(4)?.first_chunk().ok_or_else(cut)?;
        Ok(u32::from_le_bytes(*bytes))
    }

    fn bits(&mut self, rows: usize) -> Result<BooleanBuffer, ArrowError> {
        let bytes = self.take(rows.div_ceil(8))?;
        Ok(BooleanBuffer::new(Buffer::from(bytes), 0, rows))
    }

    fn values<T>(&mut self, rows: usize, read: fn([u8; 8]) -> T) -> Result<Vec<T>, ArrowError> {
        let (values, _) = self.take(rows * 8)?.as_chunks::<8>();
        Ok(values.iter().map(|value| read(*value)).collect())
    }

    fn texts(&mut self, rows: usize) -> Result<(OffsetBuffer<i32>, Buffer), ArrowError> {
        let (ends, _) = self.take(rows * 4)?.as_chunks::<4>();
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0i32);
        for end in ends {
            let end = i32::from_le_bytes(*end);
            if end < offsets[offsets.len() - 1] {
                return Err(cut());
            }
            offsets.push(end);
        }
        let data = self.take(offsets[rows] as usize)?;
        Ok((OffsetBuffer::new(offsets.into()), Buffer::from(data)))
    }
}

fn cut() -> ArrowError {
    ArrowError::ParseError("rows on their way are not what was written".to_owned())
}
