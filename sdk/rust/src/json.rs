//! JSON texts into columns: the members of an object under their paths, without a tree between.

mod mixed;
mod scan;

use crate::{ColumnSet, Error, Result, Value, path, time};
use scan::{Scanner, Text, Token};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Past this depth, an object stays one json value.
pub const MAX_DEPTH: usize = 8;
/// With more members than this, an object within the record stays one json value.
pub const MAX_MEMBERS: usize = 64;

/// With more names than this, a record keeps the others in one json column, [`REST`].
pub const MAX_NAMES: usize = 256;
/// The column of the members past [`MAX_NAMES`]: a json object, whose members are written at the top of the record.
pub const REST: &str = "@rest";

/// The limits of [`flatten`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Depth past which an object stays one json value; 1 keeps every object within the text.
    pub depth: usize,
    /// Names of one text past which its other members stand in [`REST`], or, below a prefix, the whole text stays one
    /// json value.
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
    columns.begin_row();
    let mut flattening = Flattening {
        scanner: Scanner::new(text),
        path: prefix.to_owned(),
        scratch: String::new(),
        columns,
        row,
        limits,
        names: 0,
        rest: Vec::new(),
        opened: Vec::new(),
    };
    let done = flattening.document(prefix);
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
    /// Columns that the text has so far.
    names: usize,
    /// The members past the limit: names as JSON has them, and values.
    rest: Vec<(String, &'a str)>,
    /// Hashes of the paths of objects that were opened.
    opened: Vec<u64>,
}

impl<'a> Flattening<'a, '_> {
    fn document(&mut self, prefix: &str) -> Result<()> {
        let start = self.scanner.value_start();
        match self.scanner.token()? {
            Token::Object => self.object(1)?,
            token => return Err(Error::new(format!("{} where an object should be", token.name()))),
        }
        let text = self.scanner.since(start);
        self.scanner.end()?;
        if self.rest.is_empty() {
            return Ok(());
        }
        if prefix.is_empty() {
            self.columns.set(self.row, REST, Value::Json(&rest(&self.rest)));
        } else {
            self.columns.truncate(self.row);
            self.columns.begin_row();
            self.columns.set(self.row, prefix, Value::Json(text));
        }
        Ok(())
    }

    /// The members of an object whose brace has been read.
    fn object(&mut self, depth: usize) -> Result<()> {
        let parent = self.path.len();
        let mut first = true;
        while let Some(key) = self.scanner.member(&mut first)? {
            let is_at_top = self.path.is_empty();
            self.push(&key)?;
            if depth == 1 && self.names >= self.limits.names && !(is_at_top && reserved(&self.path).is_some())
            {
                let value = self.scanner.raw_value(depth)?;
                self.columns.unset(self.row, &self.path);
                self.rest.push((key.quoted(), value));
                self.path.truncate(parent);
                continue;
            }
            if is_at_top && self.path == REST {
                self.path.insert(0, '_');
            }
            let start = self.scanner.value_start();
            match self.scanner.token()? {
                Token::Object if depth < self.limits.depth && self.opens(start, depth)? => {
                    if is_at_top && reserved(&self.path).is_some() {
                        self.misname();
                    }
                    self.once();
                    self.object(depth + 1)?;
                }
                Token::Object | Token::Array => {
                    self.scanner.seek(start);
                    let raw = self.scanner.raw_value(depth)?;
                    self.leaf(Value::Json(raw), is_at_top);
                }
                Token::String(string) if string.is_lone() => {
                    let raw = self.scanner.since(start);
                    self.leaf(Value::Json(raw), is_at_top);
                }
                Token::String(string) => {
                    let mut scratch = std::mem::take(&mut self.scratch);
                    let done = string.text(&mut scratch).map(|text| self.leaf(Value::Text(&text), is_at_top));
                    self.scratch = scratch;
                    done?;
                }
                Token::Number(number) => self.leaf(number_value(number), is_at_top),
                Token::Boolean(boolean) => self.leaf(Value::Boolean(boolean), is_at_top),
                Token::Null => self.leaf(Value::Json("null"), is_at_top),
            }
            self.path.truncate(parent);
        }
        Ok(())
    }

    /// Goes to a member.
    fn push(&mut self, key: &Text<'_>) -> Result<()> {
        match key.plain() {
            Some(name) => path::push(&mut self.path, name),
            None => path::push_escaped(&mut self.path, &key.path(&mut self.scratch)?),
        }
        Ok(())
    }

    /// Whether an object is to be opened: it has members, and not too many. The scanner stands
    /// behind its brace, and stays there.
    fn opens(&mut self, start: usize, depth: usize) -> Result<bool> {
        let inside = self.scanner.position();
        self.scanner.seek(start);
        let members = self.scanner.count_members(depth)?;
        self.scanner.seek(inside);
        Ok((1..=MAX_MEMBERS).contains(&members) && self.names + members <= self.limits.names)
    }

    /// Of two objects of one path in the text the first one goes.
    fn once(&mut self) {
        let hash = fnv(self.path.as_bytes());
        if self.opened.contains(&hash) {
            self.columns.unset(self.row, &self.path);
        } else {
            self.opened.push(hash);
        }
    }

    fn leaf(&mut self, value: Value<'_>, is_at_top: bool) {
        self.names += 1;
        if !is_at_top || !self.path.starts_with('@') {
            return self.columns.set(self.row, &self.path, value);
        }
        let value = match (reserved(&self.path), value) {
            (Some("@timestamp"), Value::Text(text)) => {
                time::parse_rfc3339(text.as_bytes()).map(Value::Timestamp)
            }
            (Some("@tag"), Value::Text(text)) => Some(Value::Text(text)),
            (Some(_), _) => None,
            (None, value) => Some(value),
        }
        .unwrap_or_else(|| {
            self.misname();
            value
        });
        self.columns.set(self.row, &self.path, value);
    }

    /// The member has no right to the name that it has.
    fn misname(&mut self) {
        self.columns.unset(self.row, &self.path);
        self.path.insert(0, '_');
    }
}

/// The host's own name that a path at the top is, if it is one.
fn reserved(path: &str) -> Option<&'static str> {
    ["@timestamp", "@tag"].into_iter().find(|name| *name == path)
}

/// An object of these members; of two with one name the last.
fn rest(members: &[(String, &str)]) -> String {
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, (name, _)) in members.iter().enumerate() {
        last.insert(name, place);
    }
    let mut text = String::from("{");
    for (place, (name, value)) in members.iter().enumerate() {
        if last[name.as_str()] == place {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(name);
            text.push(':');
            text.push_str(value);
        }
    }
    text.push('}');
    text
}

/// Fowler, Noll and Vo's hash, 1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A JSON number as the smallest type that holds it exactly.
fn number_value(text: &str) -> Value<'_> {
    let digits = text.trim_start_matches('-');
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole && text != "-0" {
        return text.parse().map_or(Value::Json(text), Value::Int64);
    }
    match text.parse::<f64>() {
        // 15 significant digits survive the way through a float that is not near its ends; others must show that
        // they do.
        Ok(number)
            if number.is_finite()
                && (significant(digits) == 0
                    || significant(digits) <= 15 && (1e-300..1e300).contains(&number.abs())
                    || survives(number, text)) =>
        {
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
    match text.as_bytes() {
        [b'"', inside @ .., b'"'] if !inside.contains(&b'\\') => {
            Decoded::Text(text[1..text.len() - 1].into())
        }
        [b'"', ..] => match serde_json::from_str::<String>(text) {
            Ok(inside) => Decoded::Text(inside.into()),
            Err(_) => Decoded::Other(Value::Json(text)),
        },
        [b'-' | b'0'..=b'9', ..] => Decoded::Other(number_value(text)),
        b"true" => Decoded::Other(Value::Boolean(true)),
        b"false" => Decoded::Other(Value::Boolean(false)),
        [b' ', b' ', ..] => {
            mixed::bytes(text).map_or(Decoded::Other(Value::Json(text.trim_start())), Decoded::Bytes)
        }
        [b' ', ..] => Decoded::Other(match mixed::time(text) {
            Some(nanos) => Value::Timestamp(nanos),
            None => Value::Json(text.trim_start()),
        }),
        _ => Decoded::Other(Value::Json(text)),
    }
}

/// The text of a value in a json column whose values are of several types, from which [`decode`] has it again.
pub fn mixed_text(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Timestamp(_) => Cow::Owned(format!(" {}", text_of(value))),
        Value::Bytes(bytes) => Cow::Owned(mixed::text_of_bytes(bytes)),
        Value::Json(text) => Cow::Borrowed(text),
        value => text_of(value),
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
        Value::Json(text) => match decode(text) {
            Decoded::Bytes(bytes) => Cow::Owned(quote(&String::from_utf8_lossy(&bytes))),
            _ => Cow::Borrowed(text.trim_start()),
        },
    }
}

/// Whether a JSON text above the members `names` would lose a value if one was put there: it has one already, or is no
/// object on the way.
pub(crate) fn blocks(text: &str, names: &[String]) -> bool {
    let Ok(mut at) = serde_json::from_str::<serde_json::Value>(text) else { return true };
    for name in names {
        let Some(members) = at.as_object_mut() else { return true };
        match members.remove(name) {
            Some(member) => at = member,
            None => return false,
        }
    }
    true
}

/// A string as a JSON text.
pub fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests;
