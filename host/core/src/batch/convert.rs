//! Whole columns as columns of another kind, so that values of several batches or filters stand in one.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, UInt32Array};

use super::value::{Scalar, Value};
use super::{Kind, mixed};

/// A constant's one value, `rows` times.
pub fn repeat(one: &ArrayRef, rows: usize) -> ArrayRef {
    debug_assert_eq!(one.len(), 1);
    let index = UInt32Array::from(vec![0; rows]);
    arrow_select::take::take(one, &index, None).expect("row 0 of one row")
}

/// The kind that holds values of both: where they differ, json, in which each keeps its own (see [`super::mixed`]).
pub fn common_kind(columns: &[(Kind, &ArrayRef)]) -> Kind {
    let mut kinds = columns.iter().map(|(kind, _)| *kind);
    match kinds.next() {
        Some(first) if kinds.all(|kind| kind == first) => first,
        _ => Kind::Json,
    }
}

/// The values of a column as values of another kind: one that [`common_kind`] answers.
pub fn convert(array: &ArrayRef, from: Kind, to: Kind) -> ArrayRef {
    debug_assert!(from == to || to == Kind::Json, "values that meet are json");
    if from == to { array.clone() } else { to_json(array, from) }
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
        mixed::write(value, &mut text);
        out.append_value(String::from_utf8_lossy(&text));
    }
    Arc::new(out.finish())
}

/// The value of one row.
pub fn value(array: &ArrayRef, kind: Kind, row: usize) -> Option<Value<'_>> {
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

/// The value of one row by its own kind, also where the column holds several.
pub fn scalar(array: &ArrayRef, kind: Kind, row: usize) -> Option<Scalar<'_>> {
    if array.is_null(row) {
        return None;
    }
    Some(match kind {
        // Neither is looked at again to see that it is UTF-8.
        Kind::Text => Scalar::Text(array.as_string::<i32>().value(row).into()),
        Kind::Json => Scalar::of(array.as_string::<i32>().value(row)),
        _ => Scalar::of_value(value(array, kind, row)?),
    })
}
