//! The columns of an answer, turned into Arrow's without a copy.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::FieldRef;

use super::names::check_name;
use crate::guest::bindings::{BlobsResult, ColumnResult, ValuesResult};
use crate::guest::voice::cut;
use flitch_core::batch::{Kind, REST, TAG, TIMESTAMP, path, texts};

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

/// Which rows have a value.
pub fn present(array: &ArrayRef) -> BooleanBuffer {
    match array.nulls() {
        Some(nulls) => nulls.inner().clone(),
        None => BooleanBuffer::new_set(array.len()),
    }
}

/// Whether it is of the kind that its name asks for.
pub fn check_reserved(column: &SetColumn) -> Result<(), String> {
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
pub fn check_names(set: &[SetColumn]) -> Result<(), String> {
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
            let both = &present(&outer.array) & &present(&inner.array);
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

/// A bit for each of `rows` rows.
pub fn bitmap(bits: Vec<u8>, rows: usize) -> Result<BooleanBuffer, String> {
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
