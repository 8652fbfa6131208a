//! Single values, as conditions compare them.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{
    Array, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
};
use regex::bytes::Regex;

use super::Scalar;
use crate::batch::{Column, Kind};

/// A number that keeps whole numbers exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
            (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
            (Number::Int(a), Number::Float(b)) => int_and_float(a, b),
            (Number::Float(a), Number::Int(b)) => int_and_float(b, a).map(Ordering::reverse),
        }
    }
}

/// Compares without rounding the whole number.
fn int_and_float(int: i64, float: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        None
    } else if float >= LIMIT {
        Some(Ordering::Less)
    } else if float < -LIMIT {
        Some(Ordering::Greater)
    } else {
        let whole = float.trunc();
        Some(
            int.cmp(&(whole as i64))
                .then_with(|| 0.0f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal)),
        )
    }
}

/// The number that a text reads as.
pub(super) fn number(text: &[u8]) -> Option<Number> {
    if !matches!(text.first(), Some(b'0'..=b'9' | b'-' | b'+' | b'.')) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(int) = text.parse() {
        return Some(Number::Int(int));
    }
    text.parse().ok().filter(|f: &f64| f.is_finite()).map(Number::Float)
}

/// A value of a record or of a condition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Text(&'a [u8]),
    Number(Number),
    Boolean(bool),
    /// Nanoseconds since 1970.
    Time(i64),
    /// JSON that is no scalar: null, an array, an object.
    Other(&'a [u8]),
}

impl<'a> Value<'a> {
    pub fn of(scalar: &'a Scalar) -> Value<'a> {
        match scalar {
            Scalar::Boolean(value) => Value::Boolean(*value),
            Scalar::Int(value) => Value::Number(Number::Int(*value)),
            Scalar::Float(value) => Value::Number(Number::Float(*value)),
            Scalar::Text(text) => Value::Text(text.as_bytes()),
        }
    }

    pub fn equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Boolean(a), Value::Boolean(b)) => a == b,
            (Value::Boolean(flag), Value::Text(text)) | (Value::Text(text), Value::Boolean(flag)) => {
                *text == if *flag { &b"true"[..] } else { b"false" }
            }
            (Value::Text(a), Value::Text(b)) => a == b,
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// Orders numbers, times and texts; none where the two have no order.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Number(a), Value::Number(b)) => a.compare(*b),
            (Value::Number(a), Value::Text(text)) => a.compare(number(text)?),
            (Value::Text(text), Value::Number(b)) => number(text)?.compare(*b),
            (Value::Text(a), Value::Text(b)) => match (number(a), number(b)) {
                (Some(a), Some(b)) => a.compare(b),
                _ => Some(a.cmp(b)),
            },
            (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
            (Value::Time(a), Value::Text(text)) => Some(a.cmp(&time(text)?)),
            (Value::Text(text), Value::Time(b)) => Some(time(text)?.cmp(b)),
            _ => None,
        }
    }

    pub fn fits(&self, regex: &Regex) -> bool {
        match self {
            Value::Text(text) | Value::Other(text) => regex.is_match(text),
            Value::Number(Number::Int(value)) => {
                regex.is_match(itoa::Buffer::new().format(*value).as_bytes())
            }
            Value::Number(Number::Float(value)) => regex.is_match(value.to_string().as_bytes()),
            Value::Boolean(value) => regex.is_match(if *value { b"true" } else { b"false" }),
            Value::Time(value) => jiff::Timestamp::from_nanosecond((*value).into())
                .is_ok_and(|time| regex.is_match(time.to_string().as_bytes())),
        }
    }
}

fn time(text: &[u8]) -> Option<i64> {
    let time: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

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
    pub fn read<T>(&self, place: usize, see: impl FnOnce(&Value) -> T) -> Option<T> {
        let value = match self {
            Reader::Text(array) if array.is_valid(place) => Value::Text(array.value(place).as_bytes()),
            Reader::Bytes(array) if array.is_valid(place) => Value::Text(array.value(place)),
            Reader::Int64(array) if array.is_valid(place) => Value::Number(Number::Int(array.value(place))),
            Reader::Float64(array) if array.is_valid(place) => {
                Value::Number(Number::Float(array.value(place)))
            }
            Reader::Boolean(array) if array.is_valid(place) => Value::Boolean(array.value(place)),
            Reader::Time(array) if array.is_valid(place) => Value::Time(array.value(place)),
            Reader::Json(array) if array.is_valid(place) => return Some(json(array.value(place), see)),
            _ => return None,
        };
        Some(see(&value))
    }
}

/// Shows a JSON text by its value: a string without its quotes, numbers and booleans as such.
fn json<T>(text: &str, see: impl FnOnce(&Value) -> T) -> T {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::String(inner)) => see(&Value::Text(inner.as_bytes())),
        Ok(serde_json::Value::Bool(flag)) => see(&Value::Boolean(flag)),
        Ok(serde_json::Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => see(&Value::Number(Number::Int(int))),
            (None, Some(float)) => see(&Value::Number(Number::Float(float))),
            (None, None) => see(&Value::Other(text.as_bytes())),
        },
        _ => see(&Value::Other(text.as_bytes())),
    }
}
