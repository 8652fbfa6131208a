//! JSON texts into columns: the members of an object under their paths, without a tree between.

mod scan;

use crate::{ColumnSet, Error, Result, Value};
use flitch_model::json::{keep_last_members, write_name};
use flitch_model::number::Number;
use flitch_model::value::{self, Scalar};
use flitch_model::{TAG, TIMESTAMP, mixed, object, path, time};
use scan::{Scanner, Text, Token};
use std::borrow::Cow;

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
    columns.begin_row();
    let mut flattening = Flattening {
        scanner: Scanner::new(text),
        path: prefix.to_owned(),
        scratch: Vec::new(),
        columns,
        known: None,
        row,
        limits,
        above: if prefix.is_empty() { 0 } else { path::split(prefix).count() },
        names: 0,
        rest: Vec::new(),
        opened: Vec::new(),
        came: [false; 2],
        has_misnamed: false,
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
    /// A string without its escapes.
    scratch: Vec<u8>,
    columns: &'c mut ColumnSet,
    /// The column of the member that is read, where it is the one that was expected. Its path is not written then.
    known: Option<usize>,
    row: usize,
    limits: Limits,
    /// Objects that the text will lie in.
    above: usize,
    /// Names that were met so far: each costs something, even if its object turns out to be one json value.
    names: usize,
    /// The members past the limit, each behind a comma.
    rest: Vec<u8>,
    /// Hashes of the paths of objects that were opened.
    opened: Vec<u64>,
    /// Which of the host's names came, as [`RESERVED`] has them.
    came: [bool; 2],
    /// A value had no right to such a name.
    has_misnamed: bool,
}

impl<'a> Flattening<'a, '_> {
    fn document(&mut self, prefix: &str) -> Result<()> {
        let start = self.scanner.value_start();
        match self.scanner.token()? {
            Token::Object => _ = self.object(1)?,
            token => return Err(Error::new(format!("{} where an object should be", token.name()))),
        }
        let text = self.scanner.since(start);
        self.scanner.end()?;
        if self.rest.is_empty() {
            return Ok(());
        }
        if prefix.is_empty() {
            self.rest[0] = b'{';
            self.rest.push(b'}');
            keep_last_members(&mut self.rest);
            self.columns.set(self.row, REST, Value::Json(&String::from_utf8_lossy(&self.rest)));
        } else {
            self.columns.truncate(self.row);
            self.columns.begin_row();
            self.columns.set(self.row, prefix, Value::Json(text));
        }
        Ok(())
    }

    /// The members of an object whose brace has been read. Answers whether they have columns: not where it has none, or
    /// one too many. Then the scanner stands somewhere within the object.
    fn object(&mut self, depth: usize) -> Result<bool> {
        let parent = self.path.len();
        let mut first = true;
        let mut members = 0;
        let is_at_top = depth == 1 && parent == 0;
        loop {
            let has_room = self.names < self.limits.names && (depth == 1 || members < MAX_MEMBERS);
            self.known = None;
            let expected = if has_room { self.expected(is_at_top, first) } else { None };
            let key = match expected {
                Some((number, key)) => {
                    first = false;
                    // Nearly all members of a log's texts are like this one.
                    if let Some(text) = self.scanner.plain_string() {
                        members += 1;
                        self.names += 1;
                        self.columns.set_column(self.row, number, Value::Text(text));
                        continue;
                    }
                    self.known = Some(number);
                    key
                }
                None => {
                    let Some(key) = self.scanner.member(&mut first)? else { break };
                    if has_room {
                        self.known = self.known(&key, is_at_top);
                    }
                    key
                }
            };
            let is_rest = self.known.is_none() && self.enter(&key, is_at_top)?;
            if depth == 1 && self.names >= self.limits.names && !(is_at_top && reserved(&self.path).is_some())
            {
                let value = self.scanner.raw_value(self.above + depth)?;
                self.columns.unset(self.row, &self.path);
                self.rest.push(b',');
                let name = key.plain().map_or(&*self.scratch, str::as_bytes);
                write_name(if is_rest { b"_@rest" } else { name }, &mut self.rest);
                self.rest.extend_from_slice(value.as_bytes());
                self.path.truncate(parent);
                continue;
            }
            members += 1;
            if depth > 1 && (members > MAX_MEMBERS || self.names >= self.limits.names) {
                self.path.truncate(parent);
                return Ok(false);
            }
            self.names += 1;
            let start = self.scanner.value_start();
            let token = self.scanner.token()?;
            if matches!(token, Token::Object | Token::Array) && self.known.take().is_some() {
                self.push(&key, is_at_top)?;
            }
            match token {
                Token::Object if depth < self.limits.depth => {
                    if is_at_top && reserved(&self.path).is_some() {
                        self.misname();
                    }
                    self.once();
                    if !self.object(depth + 1)? {
                        self.scanner.seek(start);
                        let raw = self.scanner.raw_value(self.above + depth)?;
                        self.columns.unset(self.row, &self.path);
                        self.columns.set(self.row, &self.path, Value::Json(raw));
                    }
                }
                Token::Object | Token::Array => {
                    self.scanner.seek(start);
                    let raw = self.scanner.raw_value(self.above + depth)?;
                    self.leaf(Value::Json(raw), is_at_top);
                }
                Token::String(string) => self.string(&string, start, is_at_top)?,
                Token::Number(Number::Int(number), _) => self.leaf(Value::Int64(number), is_at_top),
                Token::Number(Number::Float(number), _) => self.leaf(Value::Float64(number), is_at_top),
                Token::Number(Number::Other, text) => self.leaf(Value::Json(text), is_at_top),
                Token::Boolean(boolean) => self.leaf(Value::Boolean(boolean), is_at_top),
                Token::Null => self.leaf(Value::Json("null"), is_at_top),
            }
            self.path.truncate(parent);
        }
        Ok(members > 0)
    }

    /// The next member of the object at the path, passed over up to its value, and its column: if it is the one that comes
    /// next in other texts.
    #[inline]
    fn expected(&mut self, is_at_top: bool, first: bool) -> Option<(usize, Text<'a>)> {
        let (number, name) = next_column(self.columns, &self.path, is_at_top)?;
        Some((number, self.scanner.expect(first, name)?))
    }

    /// The column of a member of the object at the path, if it is the same.
    fn known(&self, key: &Text<'_>, is_at_top: bool) -> Option<usize> {
        let (number, name) = next_column(self.columns, &self.path, is_at_top)?;
        (key.plain()?.as_bytes() == name).then_some(number)
    }

    /// Goes to a member. Answers whether it is one that has the name of [`REST`], and another one now.
    fn enter(&mut self, key: &Text<'_>, is_at_top: bool) -> Result<bool> {
        self.push(key, is_at_top)?;
        if !is_at_top || !self.path.starts_with('@') {
            return Ok(false);
        }
        self.take_back_misnamed();
        let is_rest = self.path == REST;
        if is_rest {
            self.path.insert(0, '_');
        }
        Ok(is_rest)
    }

    /// Writes the path of a member, whose name stays in the scratch if it has escapes.
    fn push(&mut self, key: &Text<'_>, is_at_top: bool) -> Result<()> {
        match key.plain() {
            Some(name) => path::push_text(&mut self.path, name, is_at_top),
            None => {
                key.unescape(&mut self.scratch)?;
                path::push_name(&mut self.path, &self.scratch, is_at_top);
            }
        }
        Ok(())
    }

    /// A string, which begins at `start`. One that UTF-8 cannot hold stays as it is written.
    fn string(&mut self, string: &Text<'a>, start: usize, is_at_top: bool) -> Result<()> {
        if let Some(text) = string.plain() {
            self.leaf(Value::Text(text), is_at_top);
            return Ok(());
        }
        let raw = self.scanner.since(start);
        let mut scratch = std::mem::take(&mut self.scratch);
        string.unescape(&mut scratch)?;
        let value = std::str::from_utf8(&scratch).map_or(Value::Json(raw), Value::Text);
        self.leaf(value, is_at_top);
        self.scratch = scratch;
        Ok(())
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

    #[inline]
    fn leaf(&mut self, value: Value<'_>, is_at_top: bool) {
        if let Some(number) = self.known.take() {
            return self.columns.set_column(self.row, number, value);
        }
        if !is_at_top || !self.path.starts_with('@') {
            return self.columns.set(self.row, &self.path, value);
        }
        let value = match (reserved(&self.path), value) {
            (Some(TIMESTAMP), Value::Text(text)) => time::parse(text.as_bytes()).map(Value::Timestamp),
            (Some(TAG), Value::Text(text)) => Some(Value::Text(text)),
            (Some(_), _) => None,
            (None, value) => Some(value),
        }
        .unwrap_or_else(|| {
            self.misname();
            value
        });
        self.columns.set(self.row, &self.path, value);
    }

    /// Where one of the host's names comes again, what had no right to it goes as well: the last one stays.
    fn take_back_misnamed(&mut self) {
        let Some(place) = RESERVED.iter().position(|name| *name == self.path) else { return };
        if std::mem::replace(&mut self.came[place], true) && self.has_misnamed {
            self.columns.unset(self.row, &format!("_{}", self.path));
        }
    }

    /// The member has no right to the name that it has.
    fn misname(&mut self) {
        self.has_misnamed = true;
        self.columns.unset(self.row, &self.path);
        self.path.insert(0, '_');
    }
}

/// The column that is likely to come next, and the member's name that it has in the object at `path`, if it is none of the host's.
fn next_column<'c>(columns: &'c ColumnSet, path: &str, is_at_top: bool) -> Option<(usize, &'c [u8])> {
    let expected = columns.expected(if is_at_top { None } else { Some(path) })?;
    (!is_at_top || expected.1.first() != Some(&b'@')).then_some(expected)
}

/// The names of the host that not every value has a right to.
const RESERVED: [&str; 2] = [TIMESTAMP, TAG];

/// The one of them that a path at the top is.
fn reserved(path: &str) -> Option<&'static str> {
    RESERVED.into_iter().find(|name| *name == path)
}

/// Fowler, Noll and Vo's hash, 1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
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
