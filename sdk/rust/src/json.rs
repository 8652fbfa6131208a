//! JSON texts into columns: the members of an object under their paths, without a tree between.

mod scan;

use crate::{ColumnSet, Error, Result, Value, path, time};
use scan::{Scanner, Token};
use std::borrow::Cow;

/// Past this depth, an object stays one json value.
pub const MAX_DEPTH: usize = 8;
/// With more members than this, an object within the record stays one json value.
pub const MAX_MEMBERS: usize = 64;

/// The limits of [`flatten`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Depth past which an object stays one json value; 1 keeps every object within the text.
    pub depth: usize,
    /// Columns past which a text that would make another one is refused.
    pub columns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: MAX_DEPTH, columns: 512 }
    }
}

/// Writes the members of the object `text` into row `row` of `columns`, each under its path
/// below `prefix` (or at the top, when that is empty).
///
/// Strings become text, whole numbers int64, others float64, booleans booleans. Arrays, nulls,
/// empty objects, numbers that neither type holds exactly, and objects past the limits become
/// json. Of two members of one name the last one stays.
///
/// # Errors
/// When the text is not one JSON object, or has too many fields. Row `row` is untouched then.
pub fn flatten(text: &str, prefix: &str, row: usize, columns: &mut ColumnSet, limits: Limits) -> Result<()> {
    columns.begin_row();
    let mut flattening = Flattening {
        scanner: Scanner::new(text),
        path: prefix.to_owned(),
        scratch: String::new(),
        columns,
        row,
        limits,
    };
    let done = flattening.document();
    if done.is_err() {
        columns.truncate(row);
    }
    done
}

struct Flattening<'a, 'c> {
    scanner: Scanner<'a>,
    path: String,
    scratch: String,
    columns: &'c mut ColumnSet,
    row: usize,
    limits: Limits,
}

impl Flattening<'_, '_> {
    fn document(&mut self) -> Result<()> {
        match self.scanner.token()? {
            Token::Object => self.object(1)?,
            token => return Err(Error::new(format!("{} where an object should be", token.name()))),
        }
        self.scanner.end()
    }

    /// The members of an object whose brace has been read.
    fn object(&mut self, depth: usize) -> Result<()> {
        let parent = self.path.len();
        let mut first = true;
        while let Some(key) = self.scanner.member(&mut first)? {
            path::push(&mut self.path, &key.text(&mut self.scratch)?);
            let start = self.scanner.value_start();
            match self.scanner.token()? {
                Token::Object if depth < self.limits.depth && self.opens(start)? => self.object(depth + 1)?,
                Token::Object | Token::Array => {
                    self.scanner.seek(start);
                    let raw = self.scanner.raw_value()?;
                    self.leaf(Value::Json(raw))?;
                }
                Token::String(string) => {
                    let mut scratch = std::mem::take(&mut self.scratch);
                    let done = string.text(&mut scratch).and_then(|text| self.leaf(Value::Text(&text)));
                    self.scratch = scratch;
                    done?;
                }
                Token::Number(number) => self.leaf(number_value(number))?,
                Token::Boolean(boolean) => self.leaf(Value::Boolean(boolean))?,
                Token::Null => self.leaf(Value::Json("null"))?,
            }
            self.path.truncate(parent);
        }
        Ok(())
    }

    /// Whether an object is to be opened: it has members, and not too many. The scanner stands
    /// behind its brace, and stays there.
    fn opens(&mut self, start: usize) -> Result<bool> {
        let inside = self.scanner.position();
        self.scanner.seek(start);
        let members = self.scanner.count_members()?;
        self.scanner.seek(inside);
        Ok((1..=MAX_MEMBERS).contains(&members))
    }

    fn leaf(&mut self, value: Value<'_>) -> Result<()> {
        if self.columns.len() >= self.limits.columns && !self.columns.contains(&self.path) {
            return Err(Error::new(format!("more than {} fields", self.limits.columns)));
        }
        self.columns.set(self.row, &self.path, value);
        Ok(())
    }
}

/// A JSON number as the smallest type that holds it exactly.
fn number_value(text: &str) -> Value<'_> {
    let digits = text.trim_start_matches('-');
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole && text != "-0" {
        return text.parse().map_or(Value::Json(text), Value::Int64);
    }
    match text.parse::<f64>() {
        // 15 significant digits survive the way through a float; longer ones must show that
        // they do.
        Ok(number) if number.is_finite() && (significant(digits) <= 15 || survives(number, text)) => {
            Value::Float64(number)
        }
        _ => Value::Json(text),
    }
}

fn significant(digits: &str) -> usize {
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let all = mantissa.bytes().filter(u8::is_ascii_digit);
    all.skip_while(|byte| *byte == b'0').count()
}

fn survives(number: f64, text: &str) -> bool {
    normal(&format!("{number:e}")) == normal(text)
}

/// A number as its significant digits and the power of ten of the first of them.
fn normal(text: &str) -> (bool, String, i64) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) =
        mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let power = exponent.parse::<i64>().unwrap_or(0) + whole.len() as i64 - leading as i64;
    let digits = digits.trim_matches('0').to_owned();
    let power = if digits.is_empty() { 0 } else { power };
    (text.starts_with('-'), digits, power)
}

/// A value of a json column, as its own type: a string as text, a number as a number. What is no
/// scalar stays JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded<'a> {
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// Anything else.
    Other(Value<'a>),
}

impl Decoded<'_> {
    /// The value, borrowed.
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Other(value) => *value,
        }
    }
}

/// Decodes one value of a json column. A field whose type differs between the records of a batch
/// is json there, and a filter should treat a record alike in whatever company it comes.
pub fn decode(text: &str) -> Decoded<'_> {
    match text.as_bytes() {
        [b'"', inside @ .., b'"'] if !inside.contains(&b'\\') => {
            Decoded::Text(text[1..text.len() - 1].into())
        }
        [b'"', ..] => Decoded::Text(serde_json::from_str::<String>(text).unwrap_or_default().into()),
        [b'-' | b'0'..=b'9', ..] => Decoded::Other(number_value(text)),
        b"true" => Decoded::Other(Value::Boolean(true)),
        b"false" => Decoded::Other(Value::Boolean(false)),
        _ => Decoded::Other(Value::Json(text)),
    }
}

/// The JSON text of a value. Bytes become a string with U+FFFD for what is not UTF-8, a
/// timestamp its RFC 3339 form, a float that JSON does not know null.
pub fn text_of(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Text(text) => Cow::Owned(quote(text)),
        Value::Bytes(bytes) => Cow::Owned(quote(&String::from_utf8_lossy(bytes))),
        Value::Int64(number) => Cow::Owned(number.to_string()),
        Value::Float64(number) if number.is_finite() => {
            Cow::Owned(serde_json::to_string(&number).unwrap_or_default())
        }
        Value::Float64(_) => Cow::Borrowed("null"),
        Value::Boolean(true) => Cow::Borrowed("true"),
        Value::Boolean(false) => Cow::Borrowed("false"),
        Value::Timestamp(nanos) => Cow::Owned(quote(&time::format_rfc3339(nanos))),
        Value::Json(text) => Cow::Borrowed(text),
    }
}

/// A string as a JSON text.
pub fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests;
