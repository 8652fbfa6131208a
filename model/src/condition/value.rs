//! Single values, as conditions compare them.

use std::cmp::Ordering;

use regex::bytes::Regex;

use super::Scalar;
use crate::number::write_float;
use crate::{time, value};

/// A number that keeps whole numbers exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// Any other.
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

/// A value of a condition, with what it reads as besides.
#[derive(Debug)]
pub(crate) struct Bound {
    scalar: Scalar,
    number: Option<Number>,
    time: Option<i64>,
}

impl Bound {
    pub fn new(scalar: Scalar) -> Bound {
        let (number, time) = match &scalar {
            Scalar::Boolean(_) => (None, None),
            Scalar::Int(int) => (Some(Number::Int(*int)), None),
            Scalar::Float(float) => (Some(Number::Float(*float)), None),
            Scalar::Text(text) => (number(text.as_bytes()), time::parse_lenient(text.as_bytes())),
        };
        Bound { scalar, number, time }
    }

    /// Whether it can be compared with times.
    pub fn is_time(&self) -> bool {
        self.time.is_some()
    }

    pub fn text(&self) -> Option<&str> {
        match &self.scalar {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.scalar {
            Scalar::Boolean(flag) => write!(f, "`{flag}`"),
            Scalar::Int(int) => write!(f, "`{int}`"),
            Scalar::Float(float) => write!(f, "`{float}`"),
            Scalar::Text(text) => write!(f, "`{text}`"),
        }
    }
}

/// A value of a record.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'a> {
    /// Text, or bytes.
    Text(&'a [u8]),
    /// A number.
    Number(Number),
    /// A boolean.
    Boolean(bool),
    /// Nanoseconds since 1970.
    Time(i64),
    /// Null, or an array, as JSON.
    Other(&'a [u8]),
    /// An object: it is there, and no test of a value holds of it, for its members may as well be fields of their own.
    Object,
}

impl Cell<'_> {
    /// Shows a value to `see`, by its own kind: a number that no column type holds exactly by the nearest, and a text with half a
    /// surrogate pair, as programs write it that cut texts within a character, as one with U+FFFD in its place.
    pub fn show<T>(value: &value::Scalar<'_>, see: impl FnOnce(&Cell<'_>) -> T) -> T {
        let cell = match value {
            value::Scalar::Text(text) => Cell::Text(text.as_bytes()),
            value::Scalar::Bytes(bytes) => Cell::Text(bytes),
            value::Scalar::Int(int) => Cell::Number(Number::Int(*int)),
            value::Scalar::Float(float) => Cell::Number(Number::Float(*float)),
            value::Scalar::Boolean(flag) => Cell::Boolean(*flag),
            value::Scalar::Time(ns) => Cell::Time(*ns),
            value::Scalar::Json(text) if text.starts_with('{') => Cell::Object,
            value::Scalar::Json(text) => match value::mended(text) {
                Some(text) => return see(&Cell::Text(text.as_bytes())),
                None => number(text.as_bytes()).map_or(Cell::Other(text.as_bytes()), Cell::Number),
            },
        };
        see(&cell)
    }
}

impl Cell<'_> {
    /// Whether it is the value of a condition.
    pub(crate) fn equals(&self, bound: &Bound) -> bool {
        let word = |flag: bool| if flag { &b"true"[..] } else { b"false" };
        match (self, &bound.scalar) {
            (Cell::Boolean(a), Scalar::Boolean(b)) => a == b,
            (Cell::Boolean(flag), Scalar::Text(text)) => text.as_bytes() == word(*flag),
            (Cell::Text(text), Scalar::Boolean(flag)) => *text == word(*flag),
            (Cell::Text(a), Scalar::Text(b)) => *a == b.as_bytes(),
            _ => self.compare(bound) == Some(Ordering::Equal),
        }
    }

    /// Orders numbers, times and texts; none where the two have no order.
    pub(crate) fn compare(&self, bound: &Bound) -> Option<Ordering> {
        match (self, &bound.scalar) {
            (Cell::Number(a), _) => a.compare(bound.number?),
            (Cell::Text(a), Scalar::Text(b)) => {
                match bound.number.and_then(|bound| Some((number(a)?, bound))) {
                    Some((a, b)) => a.compare(b),
                    None => Some((*a).cmp(b.as_bytes())),
                }
            }
            (Cell::Text(a), _) => bound.number.and_then(|bound| number(a)?.compare(bound)),
            (Cell::Time(a), _) => Some(a.cmp(&bound.time?)),
            _ => None,
        }
    }

    /// Whether an expression fits its text, which is the one that it has in JSON, a string without its quotes.
    pub(crate) fn fits(&self, regex: &Regex) -> bool {
        match self {
            Cell::Text(text) | Cell::Other(text) => regex.is_match(text),
            Cell::Number(Number::Int(int)) => regex.is_match(int.to_string().as_bytes()),
            Cell::Number(Number::Float(float)) => {
                let mut text = Vec::with_capacity(24);
                write_float(*float, &mut text);
                regex.is_match(&text)
            }
            Cell::Boolean(flag) => regex.is_match(if *flag { b"true" } else { b"false" }),
            Cell::Time(nanos) => regex.is_match(time::to_text(*nanos).as_bytes()),
            Cell::Object => false,
        }
    }
}
