//! The columns of an answer as Arrow's.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::FieldRef;

use super::lifted::{Blobs, Column, Ends, List, Shared, Values};
use super::names::check_name;
use crate::guest::bindings::ColumnResult;
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

/// No name stands twice, and no row has a value at a path and below it. Answers whether no path lies below another.
fn check_names(set: &[SetColumn]) -> Result<bool, String> {
    let mut sorted: Vec<&SetColumn> = set.iter().collect();
    sorted.sort_unstable_by(|a, b| a.field.name().cmp(b.field.name()));
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].field.name() == pair[1].field.name()) {
        return Err(format!("column `{}` stands twice", cut(pair[0].field.name(), 100)));
    }
    let mut are_apart = true;
    for (place, outer) in sorted.iter().enumerate() {
        // Those that begin with the path stand right behind it; some of them are only longer names (`ab`, `a-`).
        let outer_name = outer.field.name();
        let near = sorted[place + 1..].iter().take_while(|c| c.field.name().starts_with(&**outer_name));
        for inner in near.filter(|c| path::is_below(c.field.name(), outer_name)) {
            are_apart = false;
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
    Ok(are_apart)
}

/// Most columns that are known, and most bytes of their names.
const MAX_KNOWN: (usize, usize) = (64, 4096);

/// The columns that the last answer had. Most answers of a filter have the same ones, whose names are looked at once.
#[derive(Debug, Default)]
pub struct Known {
    columns: Vec<KnownColumn>,
    /// No path lies below another.
    are_apart: bool,
}

#[derive(Debug)]
struct KnownColumn {
    field: FieldRef,
    kind: Kind,
    /// Objects that a value stands in.
    depth: usize,
}

impl Known {
    /// The columns of an answer to which `rows` rows go on.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn columns(
        &mut self,
        set: Vec<Column>,
        rows: usize,
        shared: &Shared,
    ) -> Result<Vec<SetColumn>, String> {
        let count = set.len();
        let mut columns = Vec::with_capacity(count);
        let mut all = self.columns.len() == count;
        // Of all columns, once there is one that is not known.
        let mut depths = Vec::new();
        for (place, Column { name, present, values }) in set.into_iter().enumerate() {
            let kind = values.kind();
            let is_it = |known: &&KnownColumn| {
                known.kind == kind && known.field.name().as_bytes() == name.bytes(shared)
            };
            let (field, depth) = match self.columns.get(place).filter(is_it) {
                Some(known) => (known.field.clone(), known.depth),
                None => {
                    if all {
                        depths.extend(self.columns[..place].iter().map(|known| known.depth));
                        all = false;
                    }
                    let name = name.text(shared)?;
                    (Arc::new(kind.field(name)), depth_of(name).map_err(|e| in_column(name, &e))?)
                }
            };
            let array = array_of(present, values, depth, rows, shared);
            let array = array.map_err(|e| in_column(field.name(), &e))?;
            let column = SetColumn { field, kind, array };
            if !all {
                check_reserved(&column)?;
                depths.push(depth);
            }
            columns.push(column);
        }
        if all && self.are_apart {
            return Ok(columns);
        }
        self.are_apart = check_names(&columns)?;
        if !all {
            let bytes = columns.iter().map(|column| column.field.name().len()).sum::<usize>();
            let are_few = count <= MAX_KNOWN.0 && bytes <= MAX_KNOWN.1;
            let known = |(column, depth): (&SetColumn, usize)| KnownColumn {
                field: column.field.clone(),
                kind: column.kind,
                depth,
            };
            self.columns = if are_few { columns.iter().zip(depths).map(known).collect() } else { Vec::new() };
        }
        Ok(columns)
    }
}

fn in_column(name: &str, error: &str) -> String {
    format!("column `{}`: {error}", cut(name, 100))
}

/// How many objects a value of this name stands in, if it may name a field.
fn depth_of(name: &str) -> Result<usize, String> {
    let depth = check_name(name)?;
    // The members of that object stand at the top of the record.
    Ok(if name == REST { 0 } else { depth })
}

/// A column of `rows` rows that came out of a guest by itself.
pub fn column_of(column: ColumnResult, rows: usize) -> Result<SetColumn, String> {
    let (Column { name, present, values }, shared) = (column.into(), Shared::default());
    let (name, kind) = (name.text(&shared)?, values.kind());
    let array = array_of(present, values, depth_of(name)?, rows, &shared)?;
    Ok(SetColumn { field: Arc::new(kind.field(name)), kind, array })
}

fn array_of(
    present: Option<List<u8>>,
    values: Values,
    depth: usize,
    rows: usize,
    shared: &Shared,
) -> Result<ArrayRef, String> {
    let nulls = match present {
        Some(bits) => Some(NullBuffer::new(bits_of(bits, rows, shared)?)).filter(|n| n.null_count() > 0),
        None => None,
    };
    let array: ArrayRef = match values {
        Values::Text(blobs) => Arc::new(text(blobs, rows, nulls, shared)?),
        Values::Json(blobs) => Arc::new(texts::check(text(blobs, rows, nulls, shared)?, depth)?),
        Values::Bytes(blobs) => {
            let offsets = offsets(blobs.ends, blobs.data.len(), rows, shared)?;
            Arc::new(BinaryArray::new(offsets, blobs.data.buffer(shared), nulls))
        }
        Values::Int64(values) => Arc::new(Int64Array::new(numbers(values, rows, shared)?, nulls)),
        Values::Float64(values) => Arc::new(Float64Array::new(numbers(values, rows, shared)?, nulls)),
        Values::Timestamp(values) => {
            let array = TimestampNanosecondArray::new(numbers(values, rows, shared)?, nulls);
            Arc::new(array.with_timezone("UTC"))
        }
        Values::Boolean(bits) => Arc::new(BooleanArray::new(bits_of(bits, rows, shared)?, nulls)),
    };
    Ok(array)
}

fn numbers<T: arrow_buffer::ArrowNativeType>(
    values: List<T>,
    rows: usize,
    shared: &Shared,
) -> Result<ScalarBuffer<T>, String> {
    if values.len() != rows {
        return Err(format!("it has {} values for {rows} rows", values.len()));
    }
    Ok(ScalarBuffer::new(values.buffer(shared), 0, rows))
}

/// A bit for each of `rows` rows.
pub fn bitmap(bits: Vec<u8>, rows: usize) -> Result<BooleanBuffer, String> {
    bits_of(bits.into(), rows, &Shared::default())
}

fn bits_of(bits: List<u8>, rows: usize, shared: &Shared) -> Result<BooleanBuffer, String> {
    if bits.len() != rows.div_ceil(8) {
        return Err(format!("a bitmap of {} bytes for {rows} rows", bits.len()));
    }
    Ok(BooleanBuffer::new(bits.buffer(shared), 0, rows))
}

/// Arrow's offsets: a zero, then the ends.
fn offsets(ends: Ends, bytes: usize, rows: usize, shared: &Shared) -> Result<OffsetBuffer<i32>, String> {
    if ends.len() != rows {
        return Err(format!("it has {} ends for {rows} rows", ends.len()));
    }
    if i32::try_from(bytes).is_err() {
        return Err(format!("{bytes} bytes are more than a column holds"));
    }
    let offsets = ends.buffer(shared);
    let ends: &[u32] = offsets.typed_data();
    if ends.last().map_or(0, |end| *end as usize) != bytes {
        return Err(format!("the last value does not end where its {bytes} bytes end"));
    }
    // Not up to the first one that falls, but all of them, so that several are compared at once.
    let before = ends.iter();
    let falls = ends[1..].iter().zip(before).fold(false, |falls, (end, before)| falls | (end < before));
    if falls {
        return Err("a value ends before it begins".to_owned());
    }
    // SAFETY: the offsets begin with zero and never fall; the last fits into i32, so all do.
    Ok(unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::new(offsets, 0, rows + 1)) })
}

fn text(
    blobs: Blobs,
    rows: usize,
    nulls: Option<NullBuffer>,
    shared: &Shared,
) -> Result<StringArray, String> {
    let Blobs { data, ends } = blobs;
    let offsets = offsets(ends, data.len(), rows, shared)?;
    let data = data.buffer(shared);
    // Most of it is ASCII, in which nothing else is to be looked for: neither characters nor where they end.
    if !data.is_ascii() {
        let whole = simdutf8::basic::from_utf8(&data).map_err(|_| "its text is not UTF-8".to_owned())?;
        if !offsets.iter().all(|end| whole.is_char_boundary(*end as usize)) {
            return Err("a value begins or ends in the middle of a character".to_owned());
        }
    }
    // SAFETY: the whole is UTF-8 and each offset lies between characters, so each value is UTF-8.
    Ok(unsafe { StringArray::new_unchecked(offsets, data, nulls) })
}
