//! Columns, value by value.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{
    Array, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
};
use flitch_model::condition::{Cell, Number};

use crate::batch::value::Scalar;
use crate::batch::{Column, Kind};

/// Reads the values of one column.
pub(super) enum Cells<'a> {
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Int64(&'a Int64Array),
    Float64(&'a Float64Array),
    Boolean(&'a BooleanArray),
    Time(&'a TimestampNanosecondArray),
    Json(&'a StringArray),
}

impl<'a> Cells<'a> {
    pub fn new(column: Column<'a>) -> Option<Cells<'a>> {
        let array = column.array();
        Some(match Kind::of(column.field())? {
            Kind::Text => Cells::Text(array.as_string::<i32>()),
            Kind::Bytes => Cells::Bytes(array.as_binary::<i32>()),
            Kind::Int64 => Cells::Int64(array.as_primitive::<Int64Type>()),
            Kind::Float64 => Cells::Float64(array.as_primitive::<Float64Type>()),
            Kind::Boolean => Cells::Boolean(array.as_boolean()),
            Kind::Timestamp => Cells::Time(array.as_primitive::<TimestampNanosecondType>()),
            Kind::Json => Cells::Json(array.as_string::<i32>()),
        })
    }

    /// Shows the value at a place to `see`; none where it is absent.
    pub fn read<T>(&self, place: usize, see: impl FnOnce(&Cell) -> T) -> Option<T> {
        let value = match self {
            Cells::Text(array) if array.is_valid(place) => Cell::Text(array.value(place).as_bytes()),
            Cells::Bytes(array) if array.is_valid(place) => Cell::Text(array.value(place)),
            Cells::Int64(array) if array.is_valid(place) => Cell::Number(Number::Int(array.value(place))),
            Cells::Float64(array) if array.is_valid(place) => match array.value(place) {
                value if value.is_finite() => Cell::Number(Number::Float(value)),
                _ => Cell::Other(b"null"),
            },
            Cells::Boolean(array) if array.is_valid(place) => Cell::Boolean(array.value(place)),
            Cells::Time(array) if array.is_valid(place) => Cell::Time(array.value(place)),
            Cells::Json(array) if array.is_valid(place) => {
                return Some(Cell::show(&Scalar::of(array.value(place)), see));
            }
            _ => return None,
        };
        Some(see(&value))
    }
}
