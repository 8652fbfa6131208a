//! What `lookup` answers a plugin.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, StringArray, UInt32Array, new_null_array};
use arrow_schema::{ArrowError, FieldRef};

use super::networks::{MAX_PATHS, Networks};
use super::rows::{Rows, write_key};
use crate::columns;
use crate::guest::answer::column_of;
use crate::guest::bindings::{BlobsResult, ColumnResult, ValuesResult};
use crate::guest::limits::Bounds;
use crate::guest::voice::cut;
use crate::guest::{LookupError, lower};
use flitch_core::batch::encode::{Encoding, ndjson_with};
use flitch_core::batch::{Column, Kind, Records, object, path};

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
    let columns = want.iter().map(|name| {
        let path = rows.path(name)?;
        let wanted = || rows.column(path).map(Wanted::Column);
        rows.parts(path).map_or_else(wanted, |parts| Some(Wanted::Whole(path, parts)))
    });
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
    let columns = (0..want.len()).map(|number| answers.column(&number.to_string()).map(Wanted::Column));
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

/// Where what is wanted stands.
enum Wanted<'a> {
    Column(Column<'a>),
    /// At this path, in these columns together: it is an object in some rows, or inside of one.
    Whole(&'a str, Vec<Column<'a>>),
}

fn gather<'a>(
    want: &[String],
    columns: impl Iterator<Item = Option<Wanted<'a>>>,
    places: &UInt32Array,
    bounds: &Bounds,
) -> Result<Vec<ColumnResult>, LookupError> {
    let mut left = bounds.bytes;
    let columns = want.iter().zip(columns).map(|(name, column)| {
        in_time(bounds)?;
        let size = match &column {
            None => 0,
            Some(Wanted::Column(column)) => size(*column, places),
            Some(Wanted::Whole(_, parts)) => parts
                .iter()
                .map(|part| size(*part, places).saturating_add(part.field().name().len() * places.len()))
                .fold(0, usize::saturating_add),
        };
        left = left.checked_sub(size + name.len() + size_of::<ColumnResult>()).ok_or(LookupError::TooMuch)?;
        let refused = |error: ArrowError| LookupError::Refused(error.to_string());
        match column {
            Some(Wanted::Whole(path, parts)) => {
                let (field, array) = whole(path, &parts, places).map_err(refused)?;
                wanted(Some(Column::Rows(&field, &array)), name, &all(places))
            }
            Some(Wanted::Column(column)) => wanted(Some(column), name, places),
            None => wanted(None, name, places),
        }
        .map_err(refused)
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

/// The field at this path of the rows that are found, as JSON texts.
fn whole(path: &str, parts: &[Column<'_>], places: &UInt32Array) -> Result<(FieldRef, ArrayRef), ArrowError> {
    let found: UInt32Array = places.iter().flatten().collect();
    let take = |column: &Column<'_>| {
        let places: UInt32Array =
            found.iter().flatten().map(|place| column.place(place as usize) as u32).collect();
        Ok((column.field().clone(), arrow_select::take::take(column.array(), &places, None)?))
    };
    let columns = parts.iter().map(take).collect::<Result<_, ArrowError>>()?;
    let records = Records::of(found.len(), columns, Vec::new())?;
    let encoding = Encoding { only: vec![path.to_owned()], ..Encoding::default() };
    let lines = ndjson_with(&records, &encoding);
    let names = path::names(path);
    let texts = (0..found.len()).map(|row| {
        let line = std::str::from_utf8(lines.value(row)).ok()?;
        names.iter().try_fold(line, |outer, name| object::member(outer, name))
    });
    Ok((Arc::new(Kind::Json.field(path)), Arc::new(texts.collect::<StringArray>())))
}

/// The places of rows that are found, in what has those alone.
fn all(places: &UInt32Array) -> UInt32Array {
    let mut next = 0..;
    places.iter().map(|place| place.and_then(|_| next.next())).collect()
}

fn wanted(column: Option<Column<'_>>, name: &str, places: &UInt32Array) -> Result<ColumnResult, ArrowError> {
    let (kind, array) = match column {
        None => (Kind::Text, new_null_array(Kind::Text.field(name).data_type(), places.len())),
        Some(column) => {
            let kind = Kind::of(column.field()).unwrap_or(Kind::Json);
            let places = match column {
                Column::Rows(..) => places,
                Column::Constant(..) => &places.iter().map(|place| place.map(|_| 0)).collect(),
            };
            let array = arrow_select::take::take(column.array(), places, None)?;
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
