//! Values by their kinds, which are those that columns have.

use std::borrow::Cow;

use crate::json::{read, unescape, write_string};
use crate::number::{Number, number, write_float, write_int};
use crate::{mixed, time};

/// A value as a column of its kind has it.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Text that is perhaps not UTF-8.
    Text(&'a [u8]),
    /// Bytes that are not meant as text.
    Bytes(&'a [u8]),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// ns since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// A JSON text, or a value of another kind as [`mixed::write`] puts it among those.
    Json(&'a [u8]),
}

impl Value<'_> {
    /// Appends the value as JSON text. What is not UTF-8 passes as it is.
    pub fn write_json(self, out: &mut Vec<u8>) {
        match self {
            Value::Text(v) | Value::Bytes(v) => write_string(v, out),
            Value::Int(v) => write_int(v, out),
            Value::Float(v) => write_float(v, out),
            Value::Boolean(v) => out.extend_from_slice(if v { b"true" } else { b"false" }),
            Value::Timestamp(v) => {
                out.push(b'"');
                time::Writer::default().write(v, out);
                out.push(b'"');
            }
            Value::Json(v) => out.extend_from_slice(&mixed::plain(v)),
        }
    }
}

/// A value of a json column by its kind, or of any column.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Text that is UTF-8.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A whole number.
    Int(i64),
    /// A floating-point number, but NaN and the infinities.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// ns since 1970-01-01T00:00:00Z.
    Time(i64),
    /// Null, an array, an object, a number that neither int64 nor float64 holds exactly, a string that UTF-8 cannot
    /// hold: as JSON.
    Json(&'a str),
}

impl<'a> Scalar<'a> {
    /// The value that a text of a json column stands for.
    pub fn of(text: &'a str) -> Scalar<'a> {
        let whole = text.as_bytes();
        match whole {
            [b'"', inside @ .., b'"'] if !inside.contains(&b'\\') => {
                Scalar::Text(Cow::Borrowed(&text[1..text.len() - 1]))
            }
            [b'"', inside @ .., b'"'] => {
                let mut inner = Vec::with_capacity(inside.len());
                match unescape(inside, &mut inner).map(|_| String::from_utf8(inner)) {
                    Ok(Ok(inner)) => Scalar::Text(Cow::Owned(inner)),
                    _ => Scalar::Json(text),
                }
            }
            [b'-' | b'0'..=b'9', ..] => match number(whole) {
                Ok((Number::Int(value), length)) if length == whole.len() => Scalar::Int(value),
                Ok((Number::Float(value), length)) if length == whole.len() => Scalar::Float(value),
                _ => Scalar::Json(text),
            },
            b"true" => Scalar::Boolean(true),
            b"false" => Scalar::Boolean(false),
            [b' ', b' ', ..] => match mixed::bytes(whole) {
                Some(bytes) => Scalar::Bytes(Cow::Owned(bytes)),
                None => Scalar::Json(text.trim_ascii_start()),
            },
            [b' ', ..] => match mixed::time(whole) {
                Some(ns) => Scalar::Time(ns),
                None => Scalar::Json(text.trim_ascii_start()),
            },
            _ => Scalar::Json(text),
        }
    }

    /// The value of a column of any kind. A float that is no number is null, as JSON writes it.
    pub fn of_value(value: Value<'a>) -> Scalar<'a> {
        match value {
            Value::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Scalar::Text(Cow::Borrowed(text)),
                Err(_) => Scalar::Bytes(Cow::Borrowed(text)),
            },
            Value::Bytes(bytes) => Scalar::Bytes(Cow::Borrowed(bytes)),
            Value::Int(value) => Scalar::Int(value),
            Value::Float(value) if value.is_finite() => Scalar::Float(value),
            Value::Float(_) => Scalar::Json("null"),
            Value::Boolean(value) => Scalar::Boolean(value),
            Value::Timestamp(ns) => Scalar::Time(ns),
            Value::Json(text) => Scalar::of(std::str::from_utf8(text).unwrap_or("null")),
        }
    }

    /// Appends the value as JSON, with U+FFFD for bytes that are not UTF-8.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Scalar::Text(text) => write_string(text.as_bytes(), out),
            Scalar::Bytes(bytes) => write_string(String::from_utf8_lossy(bytes).as_bytes(), out),
            Scalar::Int(value) => write_int(*value, out),
            Scalar::Float(value) => write_float(*value, out),
            Scalar::Boolean(value) => Value::Boolean(*value).write_json(out),
            Scalar::Time(ns) => Value::Timestamp(*ns).write_json(out),
            Scalar::Json(text) => out.extend_from_slice(text.as_bytes()),
        }
    }

    /// Appends the value as it reads within a text: text and bytes as they are, half a surrogate pair of a text as U+FFFD, all
    /// else as JSON writes it, without quotes. False for null, which is nothing.
    pub fn write_text(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Scalar::Text(text) => out.extend_from_slice(text.as_bytes()),
            Scalar::Bytes(bytes) => out.extend_from_slice(bytes),
            Scalar::Int(value) => write_int(*value, out),
            Scalar::Float(value) => write_float(*value, out),
            Scalar::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Scalar::Time(ns) => time::Writer::default().write(*ns, out),
            Scalar::Json("null") => return false,
            Scalar::Json(text) => match mended(text) {
                Some(text) => out.extend_from_slice(text.as_bytes()),
                None => out.extend_from_slice(text.as_bytes()),
            },
        }
        true
    }

    /// Appends the value as it stands for a key of a table, whatever kind it has: `5`, `5.0` and `"5"` are one. False for
    /// null, which is no key.
    pub fn write_key(&self, out: &mut Vec<u8>) -> bool {
        /// Up to here float64 holds each whole number.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match *self {
            Scalar::Float(value) if value.fract() == 0.0 && value.abs() <= EXACT => {
                Scalar::Int(value as i64).write_text(out)
            }
            ref other => other.write_text(out),
        }
    }
}

/// The text of a JSON string, with U+FFFD for half a surrogate pair, as programs write it that cut texts within a character; none
/// of any other JSON.
pub(crate) fn mended(text: &str) -> Option<String> {
    if text.starts_with('"') { read(text).ok() } else { None }
}
