//! One batch as it stands in a segment.
//!
//! A frame is a head of 64 bytes and a payload, whose length is a multiple of 8. All numbers are little endian.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `FLFR` |
//! | 4 | 4 | CRC-32C of the bytes 8 to 64 |
//! | 8 | 4 | length of the payload |
//! | 12 | 4 | CRC-32C of the payload |
//! | 16 | 8 | sequence |
//! | 24 | 8 | time at which it was stored, ns since 1970 |
//! | 32 | 8 | number of the stream in the process that stored it; 0 where order does not matter |
//! | 40 | 8 | bytes that it counts for in `max_bytes` |
//! | 48 | 4 | records |
//! | 52 | 4 | length of the first part of the payload |
//! | 56 | 4 | length of the second part |
//! | 60 | 2 | length of the third part |
//! | 62 | 2 | whether there is a fourth part: 1, or 0 in frames of version 1 |
//!
//! The payload is an Arrow IPC stream of the columns, one of the constants (a batch of one row), the name of the source
//! in UTF-8, and zeros up to the multiple of 8; then the origins of the records ([`origins`]). So a frame can be read
//! without any other one, and a frame that is broken costs itself alone; the schema that each repeats is 0.3 % of a batch
//! of 1,024 records of ten fields.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::MetadataVersion;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow_schema::ArrowError;

use crate::batch::origin::{Origins, Root};
use crate::batch::{Kind, Records};

mod origins;

/// Bytes of a head.
pub const HEAD: usize = 64;
/// What frames begin at, and end at, a multiple of.
pub const ALIGNMENT: usize = 8;

const MAGIC: [u8; 4] = *b"FLFR";

/// What the head of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the payload.
    pub length: u32,
    checksum: u32,
    /// Its place among all frames of the buffer, from 1.
    pub sequence: u64,
    /// When it was stored (ns since 1970).
    pub time: i64,
    /// Number of its stream in the process that stored it.
    pub stream: u64,
    /// What it counts for in `max_bytes`.
    pub weight: u64,
    /// How many records.
    pub rows: u32,
    columns: u32,
    constants: u32,
    source: u16,
    has_origins: u16,
}

/// What there is to store of a batch.
pub struct Draft<'a> {
    /// The records.
    pub records: &'a Records,
    /// The name of their source.
    pub source: &'a str,
    /// See [`Head::stream`].
    pub stream: u64,
    /// What it counts for as it stands in memory; its length, where that is more.
    pub weight: u64,
}

impl Head {
    /// What these bytes say, if they are a head.
    pub fn read(bytes: &[u8; HEAD]) -> Option<Head> {
        let at = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().expect("four bytes"));
        let long = |from: usize| u64::from_le_bytes(bytes[from..from + 8].try_into().expect("eight bytes"));
        if bytes[..4] != MAGIC || at(4) != crc32c::crc32c(&bytes[8..]) {
            return None;
        }
        Some(Head {
            length: at(8),
            checksum: at(12),
            sequence: long(16),
            time: long(24) as i64,
            stream: long(32),
            weight: long(40),
            rows: at(48),
            columns: at(52),
            constants: at(56),
            source: at(60) as u16,
            has_origins: (at(60) >> 16) as u16,
        })
    }

    fn write(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        let mut put = |from: usize, value: &[u8]| bytes[from..from + value.len()].copy_from_slice(value);
        put(0, &MAGIC);
        put(8, &self.length.to_le_bytes());
        put(12, &self.checksum.to_le_bytes());
        put(16, &self.sequence.to_le_bytes());
        put(24, &self.time.to_le_bytes());
        put(32, &self.stream.to_le_bytes());
        put(40, &self.weight.to_le_bytes());
        put(48, &self.rows.to_le_bytes());
        put(52, &self.columns.to_le_bytes());
        put(56, &self.constants.to_le_bytes());
        put(60, &self.source.to_le_bytes());
        put(62, &self.has_origins.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Bytes of the whole frame.
    pub fn bytes(&self) -> u64 {
        (HEAD + self.length as usize) as u64
    }

    /// Whether the payload is what was written.
    pub fn fits(&self, payload: &[u8]) -> bool {
        payload.len() == self.length as usize && crc32c::crc32c(payload) == self.checksum
    }

    /// The records and the name of their source. The payload need not be what was written: then this may fail, or answer
    /// records that differ from those.
    ///
    /// # Errors
    /// It is none that can be read, and why.
    pub fn decode(&self, payload: &Buffer) -> Result<(Records, Arc<str>), String> {
        let (columns, constants) = (self.columns as usize, self.constants as usize);
        let end = columns.saturating_add(constants).saturating_add(self.source as usize);
        if end > payload.len() {
            return Err("it is shorter than its parts".to_owned());
        }
        let records = || -> Result<Records, String> {
            let columns = batch(payload.slice_with_length(0, columns))?;
            let constants = batch(payload.slice_with_length(self.columns as usize, constants))?;
            if columns.num_rows() != self.rows as usize || constants.num_rows() != 1 {
                return Err("it has another number of records than its head says".to_owned());
            }
            let origins = match self.has_origins {
                0 => self.own_origins(),
                _ => origins::decode(
                    payload.slice(end.next_multiple_of(ALIGNMENT).min(payload.len())),
                    columns.num_rows(),
                )?,
            };
            Ok(Records::new(columns, constants).with_origins(Some(origins)))
        };
        // The decoder is made for hostile bytes, and yet not ours.
        let records = catch_unwind(AssertUnwindSafe(records));
        let records = records.unwrap_or_else(|_| Err("the decoder of Arrow panicked".to_owned()))?;
        let source = &payload[end - self.source as usize..end];
        let source = std::str::from_utf8(source).map_err(|_| "its source has no name")?;
        Ok((records, source.into()))
    }

    /// The origins of records of a frame that has none: the same whenever it is read.
    fn own_origins(&self) -> Origins {
        let root = Root::of("frame", &[&self.time.to_be_bytes(), &self.sequence.to_be_bytes()]);
        Origins::counted(root, 0, self.rows as usize)
    }
}

/// A frame that has no place among the others yet.
#[derive(Debug)]
pub struct Frame {
    head: Head,
    /// The payload; those of the columns are the batch's own memory.
    parts: Vec<Buffer>,
}

impl Frame {
    /// The frame with this sequence and time: what its head says, and the parts that follow each other on disk.
    pub fn at(&self, sequence: u64, time: i64) -> (Head, impl Iterator<Item = Buffer>) {
        let head = Head { sequence, time, ..self.head };
        (head, std::iter::once(Buffer::from(&head.write()[..])).chain(self.parts.iter().cloned()))
    }
}

/// Makes a frame.
///
/// # Errors
/// It is larger than a frame can be.
pub fn encode(draft: &Draft<'_>) -> Result<Frame, ArrowError> {
    let mut parts = Vec::new();
    let columns = stream(draft.records.columns(), &mut parts)?;
    let constants = stream(draft.records.constants(), &mut parts)?;
    // Names have 64 bytes at most; one that is longer is cut rather than refused.
    let source = &draft.source.as_bytes()[..draft.source.floor_char_boundary(usize::from(u16::MAX))];
    let used = columns + constants + source.len();
    let mut last = source.to_vec();
    last.resize(source.len() + used.next_multiple_of(ALIGNMENT) - used, 0);
    parts.push(Buffer::from_vec(last));
    let origins = draft.records.origins().map_or(0, |origins| origins::encode(origins, &mut parts));
    let length = used.next_multiple_of(ALIGNMENT) + origins;
    let long = |bytes: usize| {
        u32::try_from(bytes).map_err(|_| ArrowError::IpcError("a batch has more than 4 GiB".to_owned()))
    };
    let head = Head {
        length: long(length)?,
        checksum: parts.iter().fold(0, |sum, part| crc32c::crc32c_append(sum, part)),
        sequence: 0,
        time: 0,
        stream: draft.stream,
        weight: draft.weight.max((HEAD + length) as u64),
        rows: long(draft.records.rows())?,
        columns: long(columns)?,
        constants: long(constants)?,
        source: source.len() as u16,
        has_origins: u16::from(draft.records.origins().is_some()),
    };
    Ok(Frame { head, parts })
}

/// Appends a batch as a stream of its own; answers its bytes.
fn stream(batch: &RecordBatch, parts: &mut Vec<Buffer>) -> Result<usize, ArrowError> {
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    let mut encoder = StreamEncoder::try_new_with_options(batch.schema_ref(), options)?;
    let from = parts.len();
    parts.extend(encoder.encode(batch)?);
    // The end is what makes the decoder give out a batch without columns.
    parts.extend(encoder.finish()?);
    Ok(parts[from..].iter().map(Buffer::len).sum())
}

fn batch(mut stream: Buffer) -> Result<RecordBatch, String> {
    let mut decoder = StreamDecoder::new();
    let batch = decoder.decode(&mut stream).map_err(|error| error.to_string())?;
    let batch = batch.ok_or("a batch is missing")?;
    let known = batch.schema_ref().fields().iter().all(|field| Kind::of(field).is_some());
    if known { Ok(batch) } else { Err("a column has a type that no column has".to_owned()) }
}

#[cfg(test)]
mod tests;
