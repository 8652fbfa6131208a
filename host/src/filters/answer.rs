//! A guest's answer, checked in full before the host believes it, and turned into Arrow columns without a copy.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::FieldRef;

use super::bindings::{BlobsResult, Changes, ColumnResult, ValuesResult};
use super::voice::cut;
use crate::batch::{Kind, REST, TAG, TIMESTAMP, object, path};

/// Most bytes of a reason that are kept.
const MAX_REASON: usize = 2048;

/// What a guest wants to become of a batch, checked.
#[derive(Debug)]
pub struct Answer {
    /// The rows that go on, by their number in the batch handed in; none where all do.
    pub take: Option<Vec<u32>>,
    /// How many rows go on.
    pub rows: usize,
    /// Columns to write, with a place for each row that goes on.
    pub set: Vec<SetColumn>,
    /// Fields to remove.
    pub remove: Vec<Remove>,
    /// Rows that the guest could not handle, in ascending order, with the reasons.
    pub rejected: Vec<(u32, String)>,
    /// Bytes that crossed the border.
    pub bytes: usize,
}

/// A column that a guest wrote.
#[derive(Debug)]
pub struct SetColumn {
    /// Name and type.
    pub field: FieldRef,
    /// What its values are.
    pub kind: Kind,
    /// The values.
    pub array: ArrayRef,
}

/// A field that a guest removes.
#[derive(Debug)]
pub struct Remove {
    /// Its path.
    pub name: String,
    /// From which of the rows that go on; none where from all.
    pub rows: Option<BooleanBuffer>,
}

impl Answer {
    /// Checks the answer to a batch of `rows` rows. The error says what is wrong with it.
    pub fn check(changes: Changes, rows: usize) -> Result<Answer, String> {
        let rejected = rejected(changes.rejected, rows)?;
        let take = take(changes.take, rows, &rejected)?;
        let going = take.as_ref().map_or(rows, Vec::len);
        let mut bytes = take.as_ref().map_or(0, |t| t.len() * 4);
        let mut set = Vec::with_capacity(changes.set.len());
        for column in changes.set {
            let name = column.name.clone();
            let column =
                column_of(column, going).map_err(|e| format!("column `{}`: {e}", cut(&name, 100)))?;
            check_reserved(&column)?;
            bytes += column.array.get_buffer_memory_size();
            set.push(column);
        }
        check_names(&set)?;
        let remove = changes.remove.into_iter().map(|r| {
            if [TIMESTAMP, TAG].contains(&&*r.name) {
                return Err(format!("`{}` cannot be removed; an output's `encoding` leaves it out", r.name));
            }
            check_path(&r.name)?;
            let rows = r.rows.map(|bits| bitmap(bits, going)).transpose();
            let rows = rows.map_err(|e| format!("removal of `{}`: {e}", cut(&r.name, 100)))?;
            Ok(Remove { name: r.name, rows })
        });
        let remove = remove.collect::<Result<_, String>>()?;
        Ok(Answer { take, rows: going, set, remove, rejected, bytes })
    }
}

fn rejected(rejected: Vec<super::bindings::Rejection>, rows: usize) -> Result<Vec<(u32, String)>, String> {
    let mut all = Vec::with_capacity(rejected.len());
    for rejection in rejected {
        if rejection.row as usize >= rows {
            return Err(format!("it rejects row {} of {rows}", rejection.row));
        }
        let mut reason = rejection.reason;
        reason.truncate(reason.floor_char_boundary(MAX_REASON));
        all.push((rejection.row, reason));
    }
    all.sort_by_key(|(row, _)| *row);
    match all.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(format!("it rejects row {} twice", pair[0].0)),
        None => Ok(all),
    }
}

/// The rows that go on; none where all do.
fn take(take: Option<Vec<u32>>, rows: usize, rejected: &[(u32, String)]) -> Result<Option<Vec<u32>>, String> {
    let Some(take) = take else {
        if rejected.is_empty() {
            return Ok(None);
        }
        let mut left = rejected.iter().map(|(row, _)| *row).peekable();
        return Ok(Some((0..rows as u32).filter(|row| left.next_if_eq(row).is_none()).collect()));
    };
    if let Some(row) = take.iter().find(|row| **row as usize >= rows) {
        return Err(format!("it takes row {row} of {rows}"));
    }
    if !rejected.is_empty() {
        let mut out = vec![false; rows];
        rejected.iter().for_each(|(row, _)| out[*row as usize] = true);
        if let Some(row) = take.iter().find(|row| out[**row as usize]) {
            return Err(format!("it rejects row {row} and takes it"));
        }
    }
    let all = take.len() == rows && take.iter().enumerate().all(|(place, row)| place == *row as usize);
    Ok(if all { None } else { Some(take) })
}

/// A column of `rows` rows that came out of a guest.
pub fn column_of(column: ColumnResult, rows: usize) -> Result<SetColumn, String> {
    check_path(&column.name)?;
    let nulls = match column.present {
        Some(bits) => Some(NullBuffer::new(bitmap(bits, rows)?)).filter(|n| n.null_count() > 0),
        None => None,
    };
    let (kind, array): (Kind, ArrayRef) = match column.values {
        ValuesResult::Text(blobs) => (Kind::Text, Arc::new(text(blobs, rows, nulls)?)),
        ValuesResult::Json(blobs) => (Kind::Json, Arc::new(object::check(text(blobs, rows, nulls)?)?)),
        ValuesResult::Bytes(blobs) => {
            let offsets = offsets(blobs.ends, blobs.data.len(), rows)?;
            (Kind::Bytes, Arc::new(BinaryArray::new(offsets, Buffer::from_vec(blobs.data), nulls)))
        }
        ValuesResult::Int64(values) => {
            (Kind::Int64, Arc::new(Int64Array::new(numbers(values, rows)?, nulls)))
        }
        ValuesResult::Float64(values) => {
            (Kind::Float64, Arc::new(Float64Array::new(numbers(values, rows)?, nulls)))
        }
        ValuesResult::Timestamp(values) => {
            let array = TimestampNanosecondArray::new(numbers(values, rows)?, nulls).with_timezone("UTC");
            (Kind::Timestamp, Arc::new(array))
        }
        ValuesResult::Boolean(bits) => {
            (Kind::Boolean, Arc::new(BooleanArray::new(bitmap(bits, rows)?, nulls)))
        }
    };
    Ok(SetColumn { field: Arc::new(kind.field(&column.name)), kind, array })
}

fn numbers<T: arrow_buffer::ArrowNativeType>(values: Vec<T>, rows: usize) -> Result<ScalarBuffer<T>, String> {
    if values.len() != rows {
        return Err(format!("it has {} values for {rows} rows", values.len()));
    }
    Ok(values.into())
}

fn bitmap(bits: Vec<u8>, rows: usize) -> Result<BooleanBuffer, String> {
    if bits.len() != rows.div_ceil(8) {
        return Err(format!("a bitmap of {} bytes for {rows} rows", bits.len()));
    }
    Ok(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows))
}

/// Arrow's offsets: a zero, then the ends.
fn offsets(ends: Vec<u32>, bytes: usize, rows: usize) -> Result<OffsetBuffer<i32>, String> {
    if ends.len() != rows {
        return Err(format!("it has {} ends for {rows} rows", ends.len()));
    }
    if i32::try_from(bytes).is_err() {
        return Err(format!("{bytes} bytes are more than a column holds"));
    }
    if ends.last().map_or(0, |end| *end as usize) != bytes {
        return Err(format!("the last value does not end where its {bytes} bytes end"));
    }
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0i32);
    let mut before = 0;
    let mut falls = false;
    for end in ends {
        falls |= end < before;
        before = end;
        offsets.push(end as i32);
    }
    if falls {
        return Err("a value ends before it begins".to_owned());
    }
    // SAFETY: the offsets begin with zero and never fall; the last fits into i32, so all do.
    Ok(unsafe { OffsetBuffer::new_unchecked(offsets.into()) })
}

fn text(blobs: BlobsResult, rows: usize, nulls: Option<NullBuffer>) -> Result<StringArray, String> {
    let offsets = offsets(blobs.ends, blobs.data.len(), rows)?;
    let whole = simdutf8::basic::from_utf8(&blobs.data).map_err(|_| "its text is not UTF-8".to_owned())?;
    if !whole.is_ascii() && !offsets.iter().all(|end| whole.is_char_boundary(*end as usize)) {
        return Err("a value begins or ends in the middle of a character".to_owned());
    }
    // SAFETY: the whole is UTF-8 and each offset lies between characters, so each value is UTF-8.
    Ok(unsafe { StringArray::new_unchecked(offsets, Buffer::from_vec(blobs.data), nulls) })
}

/// Whether a path can be read back: each backslash begins `\.`, `\\` or the `\uXXXX` of a lone surrogate.
fn check_path(name: &str) -> Result<(), String> {
    let mut rest = name.as_bytes();
    while let Some(place) = memchr::memchr(b'\\', rest) {
        rest = match &rest[place + 1..] {
            [b'.' | b'\\', rest @ ..] => rest,
            [b'u', b'd', b'8'..=b'9' | b'a'..=b'f', a, b, rest @ ..]
                if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() =>
            {
                rest
            }
            _ => {
                return Err(format!(
                    "the path `{}` has a backslash that escapes nothing: write `\\\\`",
                    cut(name, 100)
                ));
            }
        };
    }
    Ok(())
}

fn check_reserved(column: &SetColumn) -> Result<(), String> {
    let name = column.field.name();
    match (&**name, column.kind) {
        (TIMESTAMP, Kind::Timestamp) | (TAG, Kind::Text) | (REST, Kind::Json) => Ok(()),
        (TIMESTAMP, _) => Err(format!("`{TIMESTAMP}` must be a timestamp")),
        (TAG, _) => Err(format!("`{TAG}` must be text")),
        (REST, _) => Err(format!("`{REST}` must be a JSON object")),
        _ if [TIMESTAMP, TAG, REST].iter().any(|outer| path::is_below(name, outer)) => {
            Err(format!("`{}` lies below a name of the host's", cut(name, 100)))
        }
        _ => Ok(()),
    }
}

/// No name stands twice, and no row has a value at a path and below it.
fn check_names(set: &[SetColumn]) -> Result<(), String> {
    let mut sorted: Vec<&SetColumn> = set.iter().collect();
    sorted.sort_unstable_by(|a, b| a.field.name().cmp(b.field.name()));
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].field.name() == pair[1].field.name()) {
        return Err(format!("column `{}` stands twice", cut(pair[0].field.name(), 100)));
    }
    for (place, outer) in sorted.iter().enumerate() {
        // Those that begin with the path stand right behind it; some of them are only longer names (`ab`, `a-`).
        let outer_name = outer.field.name();
        let near = sorted[place + 1..].iter().take_while(|c| c.field.name().starts_with(&**outer_name));
        for inner in near.filter(|c| path::is_below(c.field.name(), outer_name)) {
            let both = &super::columns::present(&outer.array) & &super::columns::present(&inner.array);
            if both.count_set_bits() > 0 {
                return Err(format!(
                    "a row has a value at `{}` and at `{}` below it",
                    cut(outer_name, 100),
                    cut(inner.field.name(), 100)
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
