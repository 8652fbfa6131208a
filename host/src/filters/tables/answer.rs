use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, UInt32Array, new_null_array};

use super::rows::{Rows, write_key};
use crate::batch::{Column, Kind};
use crate::filters::bindings::{BlobsResult, ColumnResult, ValuesResult};
use crate::filters::columns;

/// The wanted columns of the rows with these keys.
pub fn answer(rows: &Rows, keys: &ColumnResult, want: &[String]) -> Result<Vec<ColumnResult>, String> {
    if let Some(unknown) = want.iter().find(|name| !rows.names().contains(name)) {
        return Err(format!("it has no column `{unknown}`; it has {}", rows.names().join(", ")));
    }
    let places = places(rows, keys)?;
    want.iter().map(|name| wanted(rows, name, &places)).collect()
}

/// Where each key stands; none where it is absent or unknown.
fn places(rows: &Rows, keys: &ColumnResult) -> Result<UInt32Array, String> {
    let count = match &keys.values {
        ValuesResult::Text(v) | ValuesResult::Bytes(v) | ValuesResult::Json(v) => v.ends.len(),
        ValuesResult::Int64(v) | ValuesResult::Timestamp(v) => v.len(),
        ValuesResult::Float64(v) => v.len(),
        ValuesResult::Boolean(_) => return Err("a boolean is no key".to_owned()),
    };
    let keys = crate::filters::answer::column_of(keys.clone(), count)
        .map_err(|reason| format!("the keys are no column: {reason}"))?;
    let mut text = Vec::new();
    Ok((0..count)
        .map(|row| {
            text.clear();
            write_key(columns::value(&keys.array, keys.kind, row)?, &mut text)?;
            rows.find(&text)
        })
        .collect())
}

fn wanted(rows: &Rows, name: &str, places: &UInt32Array) -> Result<ColumnResult, String> {
    let (kind, array) = match rows.column(name) {
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
    super::super::lower::bits(bits).to_vec()
}
