//! A guest's answer, checked in full before the host believes it, and turned into Arrow columns without a copy.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::FieldRef;

use super::bindings::{BlobsResult, Changes, ColumnResult, ValuesResult};
use super::voice::{cut, one_line};
use flitch_core::batch::{Kind, REST, TAG, TIMESTAMP, texts};

mod names;

use names::{check_name, check_names, check_reserved};

/// Most bytes that are kept of what a guest says is wrong with a record, or with its batch.
pub const MAX_REASON: usize = 2048;
/// Most columns that one answer sets, and most fields that it removes.
const MAX_COLUMNS: usize = 1024;

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
    pub rejected: Vec<(u32, Arc<str>)>,
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
        for (count, what) in [(changes.set.len(), "sets"), (changes.remove.len(), "removes")] {
            if count > MAX_COLUMNS {
                return Err(format!("it {what} {count} fields; an answer may have {MAX_COLUMNS}"));
            }
        }
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
            check_name(&r.name)?;
            let rows = r.rows.map(|bits| bitmap(bits, going)).transpose();
            let rows = rows.map_err(|e| format!("removal of `{}`: {e}", cut(&r.name, 100)))?;
            Ok(Remove { name: r.name, rows })
        });
        let remove = remove.collect::<Result<_, String>>()?;
        Ok(Answer { take, rows: going, set, remove, rejected, bytes })
    }
}

/// A reason of a guest's, as it is kept.
pub fn reason(text: &str) -> Arc<str> {
    one_line(text, MAX_REASON).into()
}

/// How many of the rows in `take` stand there for another time.
pub fn copies(take: &[u32], rows: usize) -> usize {
    if take.windows(2).all(|pair| pair[0] < pair[1]) {
        return 0;
    }
    let mut taken = vec![false; rows];
    take.iter().filter(|row| std::mem::replace(&mut taken[**row as usize], true)).count()
}

fn rejected(rejected: Vec<super::bindings::Rejection>, rows: usize) -> Result<Vec<(u32, Arc<str>)>, String> {
    let mut all = Vec::with_capacity(rejected.len());
    for rejection in rejected {
        if rejection.row as usize >= rows {
            return Err(format!("it rejects row {} of {rows}", rejection.row));
        }
        all.push((rejection.row, reason(&rejection.reason)));
    }
    all.sort_by_key(|(row, _)| *row);
    match all.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(format!("it rejects row {} twice", pair[0].0)),
        None => Ok(all),
    }
}

/// The rows that go on; none where all do.
fn take(
    take: Option<Vec<u32>>,
    rows: usize,
    rejected: &[(u32, Arc<str>)],
) -> Result<Option<Vec<u32>>, String> {
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
    let depth = check_name(&column.name)?;
    // The members of that object stand at the top of the record.
    let depth = if column.name == REST { 0 } else { depth };
    let nulls = match column.present {
        Some(bits) => Some(NullBuffer::new(bitmap(bits, rows)?)).filter(|n| n.null_count() > 0),
        None => None,
    };
    let (kind, array): (Kind, ArrayRef) = match column.values {
        ValuesResult::Text(blobs) => (Kind::Text, Arc::new(text(blobs, rows, nulls)?)),
        ValuesResult::Json(blobs) => (Kind::Json, Arc::new(texts::check(text(blobs, rows, nulls)?, depth)?)),
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

#[cfg(test)]
mod tests;
