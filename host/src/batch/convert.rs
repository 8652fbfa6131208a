//! Whole columns as columns of another kind, so that values of several batches or filters stand in one.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, BinaryArray, Float64Array, UInt32Array};

use super::Kind;
use super::builder::Value;

/// Largest whole number up to which float64 holds all.
const EXACT: i64 = 1 << 53;

/// A constant's one value, `rows` times.
pub fn repeat(one: &ArrayRef, rows: usize) -> ArrayRef {
    debug_assert_eq!(one.len(), 1);
    let index = UInt32Array::from(vec![0; rows]);
    arrow_select::take::take(one, &index, None).expect("row 0 of one row")
}

/// The kind that holds values of both, as the builder of batches has it: whole numbers and floats are float64 where
/// that loses nothing, text and bytes are bytes, all else json.
pub fn common_kind(columns: &[(Kind, &ArrayRef)]) -> Kind {
    let mut kinds = columns.iter().map(|(kind, _)| *kind);
    let Some(first) = kinds.next() else { return Kind::Json };
    if kinds.all(|kind| kind == first) {
        return first;
    }
    let all = |a: Kind, b: Kind| columns.iter().all(|(kind, _)| *kind == a || *kind == b);
    if all(Kind::Text, Kind::Bytes) {
        Kind::Bytes
    } else if all(Kind::Int64, Kind::Float64) && columns.iter().all(|(kind, array)| is_exact(*kind, array)) {
        Kind::Float64
    } else {
        Kind::Json
    }
}

fn is_exact(kind: Kind, array: &ArrayRef) -> bool {
    kind != Kind::Int64
        || array.as_primitive::<Int64Type>().iter().flatten().all(|v| (-EXACT..=EXACT).contains(&v))
}

/// The values of a column as values of another kind: one that [`common_kind`] answers.
pub fn convert(array: &ArrayRef, from: Kind, to: Kind) -> ArrayRef {
    match (from, to) {
        _ if from == to => array.clone(),
        (Kind::Int64, Kind::Float64) => {
            let array = array.as_primitive::<Int64Type>();
            Arc::new(Float64Array::from_iter(array.iter().map(|v| v.map(|v| v as f64))))
        }
        (Kind::Text, Kind::Bytes) => Arc::new(BinaryArray::from(array.as_string::<i32>().clone())),
        _ => to_json(array, from),
    }
}

fn to_json(array: &ArrayRef, kind: Kind) -> ArrayRef {
    let mut out = StringBuilder::with_capacity(array.len(), array.len() * 16);
    let mut text = Vec::new();
    for row in 0..array.len() {
        let Some(value) = value(array, kind, row) else {
            out.append_null();
            continue;
        };
        text.clear();
        value.write_json(&mut text);
        out.append_value(String::from_utf8_lossy(&text));
    }
    Arc::new(out.finish())
}

/// The value of one row.
pub(crate) fn value(array: &ArrayRef, kind: Kind, row: usize) -> Option<Value<'_>> {
    if array.is_null(row) {
        return None;
    }
    Some(match kind {
        Kind::Text => Value::Text(array.as_string::<i32>().value(row).as_bytes()),
        Kind::Json => Value::Json(array.as_string::<i32>().value(row).as_bytes()),
        Kind::Bytes => Value::Bytes(array.as_binary::<i32>().value(row)),
        Kind::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        Kind::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        Kind::Boolean => Value::Boolean(array.as_boolean().value(row)),
        Kind::Timestamp => Value::Timestamp(array.as_primitive::<TimestampNanosecondType>().value(row)),
    })
}
