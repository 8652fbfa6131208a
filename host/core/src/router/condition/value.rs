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
pub(super) enum Reader<'a> {
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Int64(&'a Int64Array),
    Float64(&'a Float64Array),
    Boolean(&'a BooleanArray),
    Time(&'a TimestampNanosecondArray),
    Json(&'a StringArray),
}

impl<'a> Reader<'a> {
    pub fn new(column: Column<'a>) -> Option<Reader<'a>> {
        let array = column.array();
        Some(match Kind::of(column.field())? {
            Kind::Text => Reader::Text(array.as_string::<i32>()),
            Kind::Bytes => Reader::Bytes(array.as_binary::<i32>()),
            Kind::Int64 => Reader::Int64(array.as_primitive::<Int64Type>()),
            Kind::Float64 => Reader::Float64(array.as_primitive::<Float64Type>()),
            Kind::Boolean => Reader::Boolean(array.as_boolean()),
            Kind::Timestamp => Reader::Time(array.as_primitive::<TimestampNanosecondType>()),
            Kind::Json => Reader::Json(array.as_string::<i32>()),
        })
    }

    /// Shows the value at a place to `see`; none where it is absent.
    pub fn read<T>(&self, place: usize, see: impl FnOnce(&Cell) -> T) -> Option<T> {
        let value = match self {
            Reader::Text(array) if array.is_valid(place) => Cell::Text(array.value(place).as_bytes()),
            Reader::Bytes(array) if array.is_valid(place) => Cell::Text(array.value(place)),
            Reader::Int64(array) if array.is_valid(place) => Cell::Number(Number::Int(array.value(place))),
            Reader::Float64(array) if array.is_valid(place) => match array.value(place) {
                value if value.is_finite() => Cell::Number(Number::Float(value)),
                _ => Cell::Other(b"null"),
            },
            Reader::Boolean(array) if array.is_valid(place) => Cell::Boolean(array.value(place)),
            Reader::Time(array) if array.is_valid(place) => Cell::Time(array.value(place)),
            Reader::Json(array) if array.is_valid(place) => {
                return Some(see(&Cell::from(&Scalar::of(array.value(place)))));
            }
            _ => return None,
        };
        Some(see(&value))
    }
}
