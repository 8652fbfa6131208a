//! Columns to MessagePack: a map for each record, with what NDJSON would have in it.
//!
//! Text is str, bytes are bin, numbers have the shortest form that holds them, a time is a text (or a number, as
//! `timestamp_format` says), for other programs know no type for one inside of a record. A float that is no number is nil.
//! What json columns hold is read and written as what it is; a number that neither 64 bits nor float64 hold becomes its
//! text, and a lone surrogate U+FFFD. Arrays and maps may lie [`DEPTH`] deep: a record that is deeper has no such form.
//!
//! Names are made once for a batch. How many members a map has is known when they are written; it has room for one byte,
//! which is what a map of up to 15 takes, and those of more are moved.
//!
//! Source: the MessagePack specification, <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use rmp::encode;

use super::tree::{Group, Tree};
use super::write::copy;
use super::{Encoding, TimestampFormat, fields};
use crate::batch::path::unescape;
use crate::batch::{Column, Kind, Records, TIMESTAMP, mixed, time};

mod json;

/// Maps and arrays inside each other that a record may have.
pub const DEPTH: usize = 64;

/// Why a record cannot be a map of MessagePack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(&'static str);

/// Writes the records of a batch as maps.
pub struct Packer<'a> {
    steps: Vec<Step<'a>>,
    bytes: usize,
    times: TimestampFormat,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    time: time::Writer,
    /// For each object that is open, where it began, its name included, and how many members there were before it.
    open: Vec<(usize, u32)>,
    text: Vec<u8>,
    merged: Vec<u8>,
}

/// What to do for each row, in this order.
enum Step<'a> {
    /// The same members in each row.
    Fixed(Vec<u8>, u32),
    Leaf(Leaf<'a>),
    /// The name of an object; its members follow.
    Open(Vec<u8>),
    /// Ends the object, with the value that stands at the path itself, if there is such a column.
    Close(Option<Leaf<'a>>),
    /// The members of objects, at the top of the record.
    Members(Leaf<'a>),
}

/// Name and values of one member.
struct Leaf<'a> {
    /// The name, as MessagePack has it.
    key: Vec<u8>,
    cells: Cells<'a>,
    nulls: Option<&'a NullBuffer>,
    /// Whether its one value holds for every row.
    constant: bool,
    /// Maps and arrays that its values may have inside each other.
    depth: usize,
}

enum Cells<'a> {
    Text(&'a [i32], &'a [u8]),
    Json(&'a [i32], &'a [u8]),
    Bytes(&'a [i32], &'a [u8]),
    Int(&'a [i64]),
    Float(&'a [f64]),
    Boolean(&'a BooleanBuffer),
    Time(&'a [i64]),
}

/// Calls `then` with what writes the records, in the fields and by the names that `encoding` says.
pub fn packed<T>(records: &Records, encoding: &Encoding, then: impl FnOnce(&mut Packer<'_>) -> T) -> T {
    let named = fields::named(records, encoding);
    let columns = named.iter().map(|named| (named.path.to_string(), named.column()));
    then(&mut Packer::new(columns, encoding.timestamp_format))
}

impl<'a> Packer<'a> {
    fn new(columns: impl Iterator<Item = (String, Column<'a>)>, times: TimestampFormat) -> Packer<'a> {
        let Tree { root, rest, bytes } = Tree::of(columns);
        let mut packer = Packer { steps: Vec::new(), bytes, times, scratch: Scratch::default() };
        packer.add(root, DEPTH);
        let rest = rest.and_then(|column| leaf(column, Vec::new(), DEPTH));
        packer.steps.extend(rest.filter(|leaf| matches!(leaf.cells, Cells::Json(..))).map(Step::Members));
        packer
    }

    /// About how many bytes so many rows take, rather more than less.
    pub fn room(&self, rows: usize) -> usize {
        let of = |step: &Step<'_>| match step {
            Step::Fixed(bytes, _) | Step::Open(bytes) => bytes.len() * rows,
            Step::Leaf(leaf) => {
                let absent = leaf.nulls.map_or(0, NullBuffer::null_count);
                (leaf.key.len() + 3) * rows.saturating_sub(absent)
            }
            Step::Close(_) | Step::Members(_) => 0,
        };
        self.bytes + self.bytes / 16 + self.steps.iter().map(of).sum::<usize>() + 4 * rows + 64
    }

    /// Appends a row as a map, with the event's time (ns since 1970-01-01T00:00:00Z) in it where one is given.
    ///
    /// # Errors
    /// It cannot be. What was appended is of no use then.
    pub fn row(&mut self, row: usize, time: Option<i64>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let Packer { steps, times, scratch, .. } = self;
        scratch.open.clear();
        let start = out.len();
        let mut members = 0;
        out.push(0);
        if let Some(ns) = time {
            put_text(TIMESTAMP.as_bytes(), out);
            put_time(ns, *times, out, scratch);
            members += 1;
        }
        for step in steps.iter() {
            match step {
                Step::Fixed(bytes, count) => {
                    copy(out, bytes, 0, bytes.len());
                    members += count;
                }
                Step::Leaf(leaf) => members += put_cell(leaf, row, *times, out, scratch)?,
                Step::Open(key) => {
                    scratch.open.push((out.len(), members));
                    out.extend_from_slice(key);
                    out.push(0);
                    members = 0;
                }
                Step::Close(leaf) => {
                    let Some((before, outer)) = scratch.open.pop() else { continue };
                    let row = if leaf.as_ref().is_some_and(|leaf| leaf.constant) { 0 } else { row };
                    if members == 0 {
                        // Without members it was no object.
                        out.truncate(before);
                        members = outer;
                        if let Some(leaf) = leaf {
                            members += put_cell(leaf, row, *times, out, scratch)?;
                        }
                        continue;
                    }
                    let first = before + key_length(&out[before..]) + 1;
                    if let Some(leaf) = leaf {
                        members += put_members_before(leaf, row, first, out, scratch)?;
                    }
                    end_map(first - 1, members, out);
                    members = outer + 1;
                }
                Step::Members(leaf) => members += put_members(leaf, row, out, scratch)?,
            }
        }
        end_map(start, members, out);
        Ok(())
    }

    /// Adds the steps of a group whose values may have so many maps and arrays inside each other.
    fn add(&mut self, group: Group<'a>, depth: usize) {
        for member in group.members {
            let mut key = Vec::new();
            put_text(unescape(&member.name).as_bytes(), &mut key);
            let leaf = member.value.and_then(|column| leaf(column, key.clone(), depth));
            if member.group.members.is_empty() {
                match (leaf, member.value) {
                    (Some(leaf), Some(Column::Constant(..))) => self.add_fixed(leaf),
                    (Some(leaf), _) => self.steps.push(Step::Leaf(leaf)),
                    (None, _) => {}
                }
                continue;
            }
            self.steps.push(Step::Open(key));
            self.add(member.group, depth.saturating_sub(1));
            self.steps.push(Step::Close(leaf));
        }
    }

    /// Adds a constant as it is in each row; one that has no form is left for [`Packer::row`] to tell.
    fn add_fixed(&mut self, leaf: Leaf<'a>) {
        let mut bytes = Vec::new();
        match put_cell(&leaf, 0, self.times, &mut bytes, &mut self.scratch) {
            Ok(0) => {}
            Ok(count) => match self.steps.last_mut() {
                Some(Step::Fixed(before, members)) => {
                    before.append(&mut bytes);
                    *members += count;
                }
                _ => self.steps.push(Step::Fixed(bytes, count)),
            },
            Err(_) => self.steps.push(Step::Leaf(leaf)),
        }
    }
}

fn leaf(column: Column<'_>, key: Vec<u8>, depth: usize) -> Option<Leaf<'_>> {
    let array: &ArrayRef = column.array();
    let cells = match Kind::of(column.field())? {
        Kind::Text => Cells::Text(array.as_string::<i32>().offsets(), array.as_string::<i32>().value_data()),
        Kind::Json => Cells::Json(array.as_string::<i32>().offsets(), array.as_string::<i32>().value_data()),
        Kind::Bytes => {
            Cells::Bytes(array.as_binary::<i32>().offsets(), array.as_binary::<i32>().value_data())
        }
        Kind::Int64 => Cells::Int(array.as_primitive::<Int64Type>().values()),
        Kind::Float64 => Cells::Float(array.as_primitive::<Float64Type>().values()),
        Kind::Boolean => Cells::Boolean(array.as_boolean().values()),
        Kind::Timestamp => Cells::Time(array.as_primitive::<TimestampNanosecondType>().values()),
    };
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    Some(Leaf { key, cells, nulls, constant: matches!(column, Column::Constant(..)), depth })
}

/// Appends name and value, and answers how many members that makes: none where the row has none.
#[inline]
fn put_cell(
    leaf: &Leaf<'_>,
    row: usize,
    times: TimestampFormat,
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> Result<u32, Unfit> {
    // A constant that could not be made once stands among the columns that have a value per row.
    let row = if leaf.constant { 0 } else { row };
    if leaf.nulls.is_some_and(|nulls| nulls.is_null(row)) {
        return Ok(0);
    }
    copy(out, &leaf.key, 0, leaf.key.len());
    match &leaf.cells {
        Cells::Text(offsets, data) => {
            let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
            put_text_head(end - start, out);
            copy(out, data, start, end);
        }
        Cells::Json(offsets, data) => {
            let text = &data[offsets[row] as usize..offsets[row + 1] as usize];
            put_json(text, leaf.depth, times, out, scratch)?;
        }
        Cells::Bytes(offsets, data) => {
            put_bytes(&data[offsets[row] as usize..offsets[row + 1] as usize], out);
        }
        Cells::Int(values) => put_int(values[row], out),
        Cells::Float(values) => put_float(values[row], out),
        Cells::Boolean(values) => out.push(0xc2 | u8::from(values.value(row))),
        Cells::Time(values) => put_time(values[row], times, out, scratch),
    }
    Ok(1)
}

/// Appends what a json column holds: perhaps a time or bytes among values of other kinds, see [`mixed`].
fn put_json(
    text: &[u8],
    depth: usize,
    times: TimestampFormat,
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> Result<(), Unfit> {
    if text.first() == Some(&b' ') {
        if let Some(ns) = mixed::time(text) {
            put_time(ns, times, out, scratch);
            return Ok(());
        }
        if let Some(bytes) = mixed::bytes(text) {
            put_bytes(&bytes, out);
            return Ok(());
        }
    }
    json::Reader::new(text, &mut scratch.text).whole(depth, out)
}

/// Appends the members of an object, and answers how many they are; none where the value is no object.
fn put_members(leaf: &Leaf<'_>, row: usize, out: &mut Vec<u8>, scratch: &mut Scratch) -> Result<u32, Unfit> {
    let Cells::Json(offsets, data) = leaf.cells else { return Ok(0) };
    if leaf.nulls.is_some_and(|nulls| nulls.is_null(row)) {
        return Ok(0);
    }
    let text = &data[offsets[row] as usize..offsets[row + 1] as usize];
    json::Reader::new(text, &mut scratch.text).members(leaf.depth, out)
}

/// Puts the members of an object before those that stand at `first`, which win where both have a name.
fn put_members_before(
    leaf: &Leaf<'_>,
    row: usize,
    first: usize,
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> Result<u32, Unfit> {
    let mut merged = std::mem::take(&mut scratch.merged);
    merged.clear();
    let count = put_members(leaf, row, &mut merged, scratch);
    out.splice(first..first, merged.iter().copied());
    scratch.merged = merged;
    count
}

/// Bytes of the str that stands at the head of `bytes`, one of those that [`put_text`] writes.
fn key_length(bytes: &[u8]) -> usize {
    match *bytes {
        [0xd9, length, ..] => 2 + usize::from(length),
        [0xda, high, low, ..] => 3 + usize::from(u16::from_be_bytes([high, low])),
        [0xdb, a, b, c, d, ..] => 5 + u32::from_be_bytes([a, b, c, d]) as usize,
        [head, ..] => 1 + usize::from(head & 0x1f),
        [] => 0,
    }
}

/// Says of the map that begins at `at`, with one byte for its head, how many members it has.
fn end_map(at: usize, members: u32, out: &mut Vec<u8>) {
    match members {
        0..=15 => out[at] = 0x80 | members as u8,
        _ => end_long(at, 0xde, members, out),
    }
}

/// Makes room for the head of a map or an array of more than 15: `short` is the marker of one of up to 65,535, behind
/// which that of a longer one stands.
fn end_long(at: usize, short: u8, count: u32, out: &mut Vec<u8>) {
    match count.to_be_bytes() {
        [0, 0, high, low] => drop(out.splice(at..=at, [short, high, low])),
        [a, b, c, d] => drop(out.splice(at..=at, [short + 1, a, b, c, d])),
    }
}

/// Appends a text.
#[inline]
fn put_text(text: &[u8], out: &mut Vec<u8>) {
    put_text_head(text.len(), out);
    out.extend_from_slice(text);
}

#[inline(always)]
fn put_text_head(length: usize, out: &mut Vec<u8>) {
    match length {
        0..=31 => out.push(0xa0 | length as u8),
        32..=0xff => out.extend_from_slice(&[0xd9, length as u8]),
        0x100..=0xffff => out.extend_from_slice(&[0xda, (length >> 8) as u8, length as u8]),
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    encode::write_bin_len(out, bytes.len() as u32).map(drop).unwrap_or_default();
    out.extend_from_slice(bytes);
}

#[inline]
fn put_int(number: i64, out: &mut Vec<u8>) {
    match number {
        0..=0x7f => out.push(number as u8),
        // A vector takes every byte.
        _ => encode::write_sint(out, number).map(drop).unwrap_or_default(),
    }
}

fn put_float(number: f64, out: &mut Vec<u8>) {
    match number.is_finite() {
        true => {
            out.push(0xcb);
            out.extend_from_slice(&number.to_be_bytes());
        }
        false => out.push(0xc0),
    }
}

fn put_time(ns: i64, format: TimestampFormat, out: &mut Vec<u8>, scratch: &mut Scratch) {
    match format {
        TimestampFormat::Rfc3339 => {
            // 30 bytes at most, so that the length is in the head.
            let at = out.len();
            out.push(0);
            scratch.time.write(ns, out);
            out[at] = 0xa0 | (out.len() - at - 1) as u8;
        }
        TimestampFormat::Unix => put_int(ns.div_euclid(1_000_000_000), out),
        TimestampFormat::UnixMs => put_int(ns.div_euclid(1_000_000), out),
        TimestampFormat::UnixUs => put_int(ns.div_euclid(1000), out),
        TimestampFormat::UnixNs => put_int(ns, out),
    }
}

#[cfg(test)]
mod tests;
