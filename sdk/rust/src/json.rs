//! JSON texts into columns: the members of an object under their paths, without a tree between.

mod book;
mod flattener;
mod scan;
mod trails;

use crate::{ColumnSet, Result, Value};
use flitch_model::value::{self, Scalar};
use flitch_model::{mixed, object};
use std::borrow::Cow;

pub use flattener::Flattener;
pub use flitch_model::json::{quoted as quote, read};
pub use flitch_model::{MAX_DEPTH, MAX_MEMBERS, MAX_NAMES, REST};

/// The limits of [`flatten`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Depth past which an object stays one json value; 1 keeps every object within the text.
    pub depth: usize,
    /// Names of one text, those of objects and of their members included, past which its other members stand in [`REST`],
    /// or, below a prefix, the whole text stays one json value. An object that is open then is one json value.
    pub names: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: MAX_DEPTH, names: MAX_NAMES }
    }
}

/// Writes the members of the object `text` into row `row` of `columns`, each under its path
/// below `prefix` (or at the top, when that is empty).
///
/// Strings become text, whole numbers int64, others float64, booleans booleans. Arrays, nulls,
/// empty objects, numbers that neither type holds exactly, strings with a lone surrogate, and objects past the limits
/// become json. Of two members of one name the last one stays. At the top, what has no right to one of the host's
/// names gets another: a `@timestamp` that is no RFC 3339 text is `_@timestamp`, a `@tag` that is no text `_@tag`.
/// What becomes of a text depends on nothing but the text.
///
/// # Errors
/// When the text is not one JSON object. Row `row` is untouched then.
pub fn flatten(text: &str, prefix: &str, row: usize, columns: &mut ColumnSet, limits: Limits) -> Result<()> {
    book::read(text, prefix, row, columns, limits, None)
}

/// A value of a json column, as its own type: a string as text, a number as a number. What is no
/// scalar stays JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded<'a> {
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Anything else.
    Other(Value<'a>),
}

impl Decoded<'_> {
    /// The value, borrowed.
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
            Self::Other(value) => *value,
        }
    }
}

impl<'a> From<Value<'a>> for Decoded<'a> {
    /// The value by its own type, whatever column it stands in.
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Json(text) => decode(text),
            value => Self::Other(value),
        }
    }
}

/// Decodes one value of a json column. A field whose type differs between the records of a batch
/// is json there, and a filter should treat a record alike in whatever company it comes. There a time stands as its
/// RFC 3339 string behind one space, and bytes as a string behind two, in which each byte that is not UTF-8 is the
/// lone surrogate `\udc00` plus the byte.
pub fn decode(text: &str) -> Decoded<'_> {
    match Scalar::of(text) {
        Scalar::Text(text) => Decoded::Text(text),
        Scalar::Bytes(bytes) => Decoded::Bytes(bytes.into_owned()),
        Scalar::Int(number) => Decoded::Other(Value::Int64(number)),
        Scalar::Float(number) => Decoded::Other(Value::Float64(number)),
        Scalar::Boolean(boolean) => Decoded::Other(Value::Boolean(boolean)),
        Scalar::Time(nanos) => Decoded::Other(Value::Timestamp(nanos)),
        Scalar::Json(text) => Decoded::Other(Value::Json(text)),
    }
}

impl<'a> From<Value<'a>> for value::Value<'a> {
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.as_bytes()),
            Value::Bytes(bytes) => Self::Bytes(bytes),
            Value::Int64(number) => Self::Int(number),
            Value::Float64(number) => Self::Float(number),
            Value::Boolean(boolean) => Self::Boolean(boolean),
            Value::Timestamp(nanos) => Self::Timestamp(nanos),
            Value::Json(text) => Self::Json(text.as_bytes()),
        }
    }
}

impl<'a> From<Value<'a>> for Scalar<'a> {
    /// The value by its own kind, whatever column it stands in.
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Text(text) => Scalar::Text(text.into()),
            Value::Json(text) => Scalar::of(text),
            value => Scalar::of_value(value.into()),
        }
    }
}

/// The text of a value in a json column whose values are of several types, from which [`decode`] has it again.
pub fn mixed_text(value: Value<'_>) -> Cow<'_, str> {
    if let Value::Json(text) = value {
        return text.into();
    }
    let mut text = Vec::new();
    mixed::write(value.into(), &mut text);
    lossy(text).into()
}

/// The JSON text of a value. Bytes become a string with U+FFFD for what is not UTF-8, a
/// timestamp its RFC 3339 form, a float that JSON does not know null.
pub fn text_of(value: Value<'_>) -> Cow<'_, str> {
    if let Value::Json(text) = value
        && !text.starts_with(' ')
    {
        return text.into();
    }
    let mut text = Vec::new();
    value::Value::from(value).write_json(&mut text);
    lossy(text).into()
}

fn lossy(text: Vec<u8>) -> String {
    String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Whether a JSON text above the members `names` would lose a value if one was put there: it has one already, or is no
/// object on the way.
pub(crate) fn blocks(text: &str, names: &[String]) -> bool {
    let mut at = text;
    for name in names {
        match object::member(at, name) {
            Some(member) => at = member,
            None => return !at.trim_ascii_start().starts_with('{'),
        }
    }
    true
}

#[cfg(test)]
mod tests;
