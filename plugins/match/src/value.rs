//! Single values, as conditions compare them.

use flitch_sdk::{Value, json, time};
use regex::bytes::Regex;
use std::cmp::Ordering;

/// A number that keeps whole numbers exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// Any other.
    Float(f64),
}

impl Number {
    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Float(b)) => int_and_float(a, b),
            (Self::Float(a), Self::Int(b)) => int_and_float(b, a).map(Ordering::reverse),
        }
    }
}

/// Compares without rounding the whole number.
fn int_and_float(int: i64, float: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= LIMIT {
        return Some(Ordering::Less);
    }
    if float < -LIMIT {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc();
    let fraction = 0.0_f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal);
    Some(int.cmp(&(whole as i64)).then(fraction))
}

/// The number that a text reads as.
pub fn number(text: &[u8]) -> Option<Number> {
    if !matches!(text.first(), Some(b'0'..=b'9' | b'-' | b'+' | b'.')) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(int) = text.parse() {
        return Some(Number::Int(int));
    }
    text.parse().ok().filter(|float: &f64| float.is_finite()).map(Number::Float)
}

/// A value of a record or of a condition.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    /// Text, or bytes.
    Text(&'a [u8]),
    /// A number.
    Number(Number),
    /// A boolean.
    Boolean(bool),
    /// Nanoseconds since 1970.
    Time(i64),
    /// JSON that is no scalar: null, an array, an object.
    Other(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// The value of a record; json must be decoded before.
    pub fn of(value: Value<'a>) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.as_bytes()),
            Value::Bytes(bytes) => Self::Text(bytes),
            Value::Int64(number) => Self::Number(Number::Int(number)),
            Value::Float64(number) => Self::Number(Number::Float(number)),
            Value::Boolean(boolean) => Self::Boolean(boolean),
            Value::Timestamp(nanos) => Self::Time(nanos),
            Value::Json(text) => number(text.as_bytes()).map_or(Self::Other(text.as_bytes()), Self::Number),
        }
    }

    /// Whether two values are the same.
    pub fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Boolean(flag), Self::Text(text)) | (Self::Text(text), Self::Boolean(flag)) => {
                *text == if *flag { &b"true"[..] } else { b"false" }
            }
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// Orders numbers, times and texts; none where the two have no order.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.compare(*b),
            (Self::Number(a), Self::Text(text)) => a.compare(number(text)?),
            (Self::Text(text), Self::Number(b)) => number(text)?.compare(*b),
            (Self::Text(a), Self::Text(b)) => match (number(a), number(b)) {
                (Some(a), Some(b)) => a.compare(b),
                _ => Some(a.cmp(b)),
            },
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Text(text)) => Some(a.cmp(&time::parse_rfc3339(text)?)),
            (Self::Text(text), Self::Time(b)) => Some(time::parse_rfc3339(text)?.cmp(b)),
            _ => None,
        }
    }

    /// Whether an expression fits the value's text.
    pub fn fits(&self, regex: &Regex) -> bool {
        match self {
            Self::Text(text) | Self::Other(text) => regex.is_match(text),
            Self::Number(Number::Int(number)) => regex.is_match(number.to_string().as_bytes()),
            Self::Number(Number::Float(number)) => {
                regex.is_match(json::text_of(Value::Float64(*number)).as_bytes())
            }
            Self::Boolean(boolean) => regex.is_match(if *boolean { b"true" } else { b"false" }),
            Self::Time(nanos) => regex.is_match(time::format_rfc3339(*nanos).as_bytes()),
        }
    }
}
