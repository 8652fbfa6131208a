//! What `lookup` answers a plugin.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, UInt32Array, new_null_array};

use super::networks::{MAX_PATHS, Networks};
use super::rows::{Rows, write_key};
use crate::columns;
use crate::guest::answer::column_of;
use crate::guest::bindings::{BlobsResult, ColumnResult, ValuesResult};
use crate::guest::limits::Bounds;
use crate::guest::voice::cut;
use crate::guest::{LookupError, lower};
use flitch_core::batch::{Column, Kind};

/// Keys that are looked for between two looks at the clock.
const STRIDE: usize = 1024;

/// The wanted columns of the rows with these keys. No more is copied than `bounds` allow.
pub fn of_rows(
    rows: &Rows,
    keys: ColumnResult,
    want: &[String],
    bounds: &Bounds,
) -> Result<Vec<ColumnResult>, LookupError> {
    for name in want {
        in_time(bounds)?;
        if rows.path(name).is_none() {
            let all = rows.names().join(", ");
            let (name, all) = (cut(name, 100), cut(&all, 1000));
            return Err(LookupError::Refused(format!("it has no column `{name}`; it has {all}")));
        }
    }
    let places = places(keys, bounds, |key| Ok(rows.find(key)))?;
    let columns = want.iter().map(|name| rows.path(name).and_then(|path| rows.column(path)));
    gather(want, columns, &places, bounds)
}

/// The same of the networks of these addresses.
pub fn of_networks(
    networks: &Networks,
    keys: ColumnResult,
    want: &[String],
    bounds: &Bounds,
) -> Result<Vec<ColumnResult>, LookupError> {
    // Before anything is kept for each of them.
    if want.len() > MAX_PATHS || want.iter().map(String::len).sum::<usize>() > bounds.bytes {
        return Err(LookupError::TooMuch);
    }
    in_time(bounds)?;
    let mut question = networks.ask(want, bounds);
    let places = places(keys, bounds, |key| question.find(key))?;
    let answers = question.answers();
    let columns = (0..want.len()).map(|number| answers.column(&number.to_string()));
    gather(want, columns, &places, bounds)
}

/// The same of a table of which nothing is known.
pub fn of_nothing(
    keys: ColumnResult,
    want: &[String],
    bounds: &Bounds,
) -> Result<Vec<ColumnResult>, LookupError> {
    let places = places(keys, bounds, |_| Ok(None))?;
    gather(want, want.iter().map(|_| None), &places, bounds)
}

fn gather<'a>(
    want: &[String],
    columns: impl Iterator<Item = Option<Column<'a>>>,
    places: &UInt32Array,
    bounds: &Bounds,
) -> Result<Vec<ColumnResult>, LookupError> {
    let mut left = bounds.bytes;
    let columns = want.iter().zip(columns).map(|(name, column)| {
        in_time(bounds)?;
        let size = column.map_or(0, |column| size(column, places));
        left = left.checked_sub(size + name.len() + size_of::<ColumnResult>()).ok_or(LookupError::TooMuch)?;
        wanted(column, name, places).map_err(LookupError::Refused)
    });
    columns.collect()
}

fn in_time(bounds: &Bounds) -> Result<(), LookupError> {
    if bounds.is_late() { Err(LookupError::Late) } else { Ok(()) }
}

/// Bytes that the values at these places take in an answer.
fn size(column: Column<'_>, places: &UInt32Array) -> usize {
    let array = column.array();
    let length = |place: u32| {
        let place = column.place(place as usize);
        if let Some(text) = array.as_string_opt::<i32>() {
            text.value_length(place) as usize
        } else if let Some(bytes) = array.as_binary_opt::<i32>() {
            bytes.value_length(place) as usize
        } else {
            8
        }
    };
    let values = places.iter().flatten().map(length).fold(0, usize::saturating_add);
    values.saturating_add(places.len() * 5)
}

/// Where each key stands; none where it is absent or unknown.
fn places(
    keys: ColumnResult,
    bounds: &Bounds,
    mut find: impl FnMut(&[u8]) -> Result<Option<u32>, LookupError>,
) -> Result<UInt32Array, LookupError> {
    let count = match &keys.values {
        ValuesResult::Text(v) | ValuesResult::Bytes(v) | ValuesResult::Json(v) => v.ends.len(),
        ValuesResult::Int64(v) | ValuesResult::Timestamp(v) => v.len(),
        ValuesResult::Float64(v) => v.len(),
        ValuesResult::Boolean(_) => return Err(LookupError::Refused("a boolean is no key".to_owned())),
    };
    let keys = column_of(keys, count)
        .map_err(|reason| LookupError::Refused(format!("the keys are no column: {reason}")))?;
    let mut text = Vec::new();
    let place = |row: usize| {
        if row.is_multiple_of(STRIDE) {
            in_time(bounds)?;
        }
        text.clear();
        let value = columns::value(&keys.array, keys.kind, row);
        match value.and_then(|value| write_key(value, &mut text)) {
            Some(()) => find(&text),
            None => Ok(None),
        }
    };
    (0..count).map(place).collect()
}

fn wanted(column: Option<Column<'_>>, name: &str, places: &UInt32Array) -> Result<ColumnResult, String> {
    let (kind, array) = match column {
        None => (Kind::Text, new_null_array(Kind::Text.field(name).data_type(), places.len())),
        Some(column) => {
            let kind = Kind::of(column.field()).unwrap_or(Kind::Json);
            let places = match column {
                Column::Rows(..) => places,
                Column::Constant(..) => &places.iter().map(|place| place.map(|_| 0)).collect(),
            };
            let array = arrow_select::take::take(column.array(), places, None).map_err(|e| e.to_string())?;
            (kind, array)
        }
    };
    let present = array.nulls().filter(|n| n.null_count() > 0).map(|n| bits(n.inner()));
    let values = match kind {
        Kind::Text => ValuesResult::Text(text(&array)),
        Kind::Json => ValuesResult::Json(text(&array)),
        Kind::Bytes => {
            let array = array.as_binary::<i32>();
            ValuesResult::Bytes(BlobsResult {
                data: array.values().to_vec(),
                ends: array.offsets()[1..].iter().map(|end| *end as u32).collect(),
            })
        }
        Kind::Int64 => ValuesResult::Int64(array.as_primitive::<Int64Type>().values().to_vec()),
        Kind::Float64 => ValuesResult::Float64(array.as_primitive::<Float64Type>().values().to_vec()),
        Kind::Timestamp => {
            ValuesResult::Timestamp(array.as_primitive::<TimestampNanosecondType>().values().to_vec())
        }
        Kind::Boolean => ValuesResult::Boolean(bits(array.as_boolean().values())),
    };
    Ok(ColumnResult { name: name.to_owned(), present, values })
}

fn text(array: &ArrayRef) -> BlobsResult {
    let array = array.as_string::<i32>();
    BlobsResult {
        data: array.values().to_vec(),
        ends: array.offsets()[1..].iter().map(|end| *end as u32).collect(),
    }
}

fn bits(bits: &arrow_buffer::BooleanBuffer) -> Vec<u8> {
    lower::bits(bits).to_vec()
}
