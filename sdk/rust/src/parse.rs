//! What filters that parse a text field have in common: the source, types of the fields they
//! find, and what becomes of a record that does not match.

mod access;
mod names;
mod pairs;
mod part;
mod repeated;
mod request;
mod sinks;
mod texts;
mod typed;

use crate::bitmap::BitmapBuilder;
use crate::copy::owned;
use crate::json::Decoded;
use crate::{Batch, Changes, Column, Result, TextBuilder, Value, View, bail, path};
use serde::Deserialize;
use std::borrow::Cow;

pub use access::{Choice, Preset};
pub use flitch_model::pattern::foreign;
pub use names::Names;
pub use pairs::set_pairs;
pub use part::{Becomes, Dash, NOWHERE, Part, Span, WrongType};
pub use repeated::Repeated;
pub use sinks::{Room, Sinks};
pub use texts::Row;
pub(crate) use typed::eight_digits;
pub use typed::{Kind, TypedBuilder, infer};

/// What becomes of a record whose source does not match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMismatch {
    /// It is rejected: the host's `on_error` decides about it.
    #[default]
    Reject,
    /// It goes on unchanged.
    Pass,
}

/// What becomes of a record that lacks the source field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// It goes on unchanged.
    #[default]
    Pass,
    /// It is rejected: the host's `on_error` decides about it.
    Reject,
}

/// The source of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Source<'a> {
    /// The record lacks the field.
    Absent,
    /// Its text.
    Text(Cow<'a, str>),
    /// Bytes that are not UTF-8.
    Bytes(Cow<'a, [u8]>),
    /// Not text, but this.
    Other(Value<'a>),
}

impl<'a> Source<'a> {
    /// The source of a column's row: bytes count as text when they are UTF-8, json when it is a
    /// string.
    pub fn of(column: &'a Column, row: usize) -> Self {
        let Some(value) = column.value(row) else { return Self::Absent };
        match Decoded::from(value) {
            Decoded::Text(text) => Self::Text(text),
            Decoded::Other(Value::Text(text)) => Self::Text(text.into()),
            Decoded::Other(Value::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Text(text.into()),
                Err(_) => Self::Bytes(bytes.into()),
            },
            Decoded::Bytes(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Self::Text(text.into()),
                Err(error) => Self::Bytes(error.into_bytes().into()),
            },
            Decoded::Other(value) => Self::Other(value),
        }
    }
}

/// What a value is, for a reason that an operator reads.
pub fn describe(value: Value<'_>) -> &'static str {
    match value {
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytes that are not UTF-8",
        Value::Int64(_) | Value::Float64(_) => "a number",
        Value::Boolean(_) => "a boolean",
        Value::Timestamp(_) => "a timestamp",
        Value::Json(text) => match text.as_bytes().first() {
            Some(b'[') => "an array",
            Some(b'{') => "an object",
            Some(b'n') => "null",
            Some(b'"') => "text that is not UTF-8",
            _ => "a number",
        },
    }
}

/// What a record that does not match meets, and what becomes of the source of one that does.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The source field.
    pub field: String,
    /// Whether the source stays in a record that matches.
    pub keep_source: bool,
    /// What becomes of a record that does not match.
    pub on_mismatch: OnMismatch,
    /// What becomes of a record without the source.
    pub on_missing: OnMissing,
    /// The field that tells why a record that goes on did not match.
    pub error_field: Option<String>,
}

/// What a reader has found in a source that is not wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Something: the record matches.
    Something,
    /// Nothing that it knows: the record goes on, and its source stays, for it may say something to others.
    Nothing,
}

impl Found {
    /// What was found where these are the places of a text's parts.
    pub fn at(places: &[Span]) -> Self {
        if places.iter().all(|place| *place == NOWHERE) { Self::Nothing } else { Self::Something }
    }
}

/// What reads one text into columns of its own, which have a row for every row that goes on.
pub trait Reader {
    /// Reads the text `data[from..to]` of row `row` and adds a row.
    ///
    /// # Errors
    /// Why it does not match; no row is added then.
    fn read(&mut self, row: usize, data: &str, from: usize, to: usize) -> Result<Found, String>;

    /// Reads bytes that are not UTF-8, and adds a row.
    ///
    /// # Errors
    /// Why they do not match; no row is added then.
    fn read_bytes(&mut self, bytes: &[u8]) -> Result<Found, String> {
        self.read_other(Value::Bytes(bytes))
    }

    /// Reads a value that is no text, and adds a row.
    ///
    /// # Errors
    /// Why it does not match; no row is added then.
    fn read_other(&mut self, value: Value<'_>) -> Result<Found, String> {
        Err(format!("it is {}, and should be text", describe(value)))
    }

    /// Adds a row without values.
    fn skip(&mut self);
}

impl Policy {
    /// Checks that the filter writes no field over another, nor the reason over the source or a field.
    ///
    /// # Errors
    /// The two that contradict each other.
    pub fn check<'a>(&'a self, written: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let error = self.error_field.as_deref();
        let written: Vec<&str> = written.into_iter().chain(error).collect();
        let twice = path::contradiction(written.iter().copied());
        let over =
            error.filter(|error| path::overlap(error, &self.field)).map(|error| (error, self.field.as_str()));
        match twice.or(over) {
            Some((one, other)) => bail!("settings: of `{one}` and `{other}` one would replace the other"),
            None => error.map_or(Ok(()), |error| check_name(error, true)),
        }
    }

    /// Reads every row's source with `reader`, and says in `changes` what becomes of it: what is
    /// rejected, what is removed. The reader's own columns are still to be set.
    pub fn run(&self, batch: &Batch, changes: &mut Changes, reader: &mut impl Reader) {
        let is_below = |column: &&Column| path::is_below(&column.name, &self.field);
        let below = batch.columns.iter().filter(is_below).collect();
        let mut rows =
            Rows { policy: self, reader, changes, below, row: 0, going_on: 0, matched: None, errors: None };
        let source = batch.find(&self.field);
        match source.as_deref().map(|column| (column, column.view())) {
            Some((_, View::Text(column))) => {
                let mut start = 0;
                for (row, end) in column.ends().iter().enumerate() {
                    let end = *end as usize;
                    if column.is_present(row) {
                        rows.text(column.data(), start, end);
                    } else {
                        rows.missing();
                    }
                    start = end;
                }
            }
            Some((column, _)) => {
                for row in 0..batch.len() {
                    match Source::of(column, row) {
                        Source::Absent => rows.missing(),
                        Source::Text(text) => rows.text(&text, 0, text.len()),
                        Source::Bytes(bytes) => rows.bytes(&bytes),
                        Source::Other(value) => rows.other(value),
                    }
                }
            }
            None => (0..batch.len()).for_each(|_| rows.missing()),
        }
        rows.finish();
    }
}

/// The rows of one batch, as they are read.
struct Rows<'a, R> {
    policy: &'a Policy,
    reader: &'a mut R,
    changes: &'a mut Changes,
    /// What stands below the source, where that is an object.
    below: Vec<&'a Column>,
    /// The row that comes next.
    row: usize,
    going_on: usize,
    /// Of the rows that go on, which matched; none while all did.
    matched: Option<BitmapBuilder>,
    errors: Option<TextBuilder>,
}

impl<R: Reader> Rows<'_, R> {
    #[inline]
    fn text(&mut self, data: &str, from: usize, to: usize) {
        match self.reader.read(self.row, data, from, to) {
            Ok(Found::Something) => self.matched(),
            Ok(Found::Nothing) => self.unmatched(),
            Err(reason) => self.mismatched(&reason),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let read = self.reader.read_bytes(bytes);
        self.no_text(read);
    }

    fn other(&mut self, value: Value<'_>) {
        let read = self.reader.read_other(value);
        self.no_text(read);
    }

    fn no_text(&mut self, read: Result<Found, String>) {
        match read {
            Ok(Found::Something) => self.matched(),
            Ok(Found::Nothing) => self.unmatched(),
            Err(reason) => self.mismatched(&format!("the field `{}`: {reason}", self.policy.field)),
        }
    }

    #[inline]
    fn matched(&mut self) {
        if let Some(matched) = &mut self.matched {
            matched.push(true);
        }
        self.going_on += 1;
        self.row += 1;
    }

    #[cold]
    fn missing(&mut self) {
        // An object is there though its members are columns, as one is that is too wide for that.
        if self.below.iter().any(|column| column.is_present(self.row)) {
            return self.other(Value::Json("{}"));
        }
        match self.policy.on_missing {
            OnMissing::Pass => self.pass(),
            OnMissing::Reject => self.reject(format!("the field `{}` is missing", self.policy.field)),
        }
    }

    #[cold]
    fn mismatched(&mut self, reason: &str) {
        match self.policy.on_mismatch {
            OnMismatch::Reject => self.reject(reason.to_owned()),
            OnMismatch::Pass => {
                if self.policy.error_field.is_some() {
                    let errors = self.errors.get_or_insert_default();
                    while errors.len() < self.going_on {
                        errors.push_absent();
                    }
                    errors.push(reason);
                }
                self.pass();
            }
        }
    }

    fn reject(&mut self, reason: String) {
        self.changes.reject(self.row, reason);
        self.row += 1;
    }

    /// The row goes on as it is.
    fn pass(&mut self) {
        self.reader.skip();
        self.unmatched();
    }

    /// The row goes on with its source, and the reader has added its row.
    fn unmatched(&mut self) {
        let so_far = self.going_on;
        let matched = self.matched.get_or_insert_with(|| {
            let mut bits = BitmapBuilder::with_capacity(so_far + 1);
            (0..so_far).for_each(|_| bits.push(true));
            bits
        });
        matched.push(false);
        self.going_on += 1;
        self.row += 1;
    }

    fn finish(self) {
        let field = &self.policy.field;
        // The time and the tag of a record cannot be removed.
        if !self.policy.keep_source && !is_of_each_record(field) && self.going_on > 0 {
            match self.matched.map(BitmapBuilder::finish) {
                None => self.changes.remove(owned(field)),
                Some(matched) if matched.iter().any(|byte| *byte != 0) => {
                    self.changes.remove_from(field, matched)
                }
                Some(_) => {}
            }
        }
        if let (Some(mut errors), Some(field)) = (self.errors, &self.policy.error_field) {
            while errors.len() < self.going_on {
                errors.push_absent();
            }
            self.changes.set(errors.finish(field));
        }
    }
}

/// At most the first 60 characters of a text, quoted, for a reason that an operator reads.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A field's name below a prefix, or by itself when that is empty.
pub fn below(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { owned(name) } else { format!("{prefix}.{name}") }
}

/// Checks that a field may have this name: the host's own hold a time, and text, and have nothing below them.
///
/// # Errors
/// It is the name of a time, or one that only text may have, or lies below one of the two; or it is no path.
pub fn check_name(name: &str, is_text: bool) -> Result<()> {
    use flitch_model::{REST, TAG, TIMESTAMP};
    if name == TIMESTAMP {
        bail!("settings: `{TIMESTAMP}` holds a time, which the filter `timestamp` reads");
    }
    if name == TAG && !is_text {
        bail!("settings: `{TAG}` holds text");
    }
    check_escaped(name)?;
    match [TIMESTAMP, TAG, REST].into_iter().find(|own| name == REST || path::is_below(name, own)) {
        Some(_) => bail!("settings: `{name}` is no name of a field"),
        None => Ok(()),
    }
}

/// Checks that a name can be read back: the host takes no other in an answer.
///
/// # Errors
/// It has a backslash that escapes nothing.
pub fn check_escaped(name: &str) -> Result<()> {
    if !flitch_model::path::is_escaped(name) {
        bail!(
            "settings: `{name}` has a backslash that escapes nothing; in a name one is written `\\\\`, and a dot `\\.`"
        );
    }
    Ok(())
}

/// The same of the path below which fields are written.
///
/// # Errors
/// It is one of the host's names, or lies below one.
pub fn check_prefix(prefix: &str) -> Result<()> {
    if prefix.is_empty() { Ok(()) } else { check_name(&below(prefix, "x"), true) }
}

/// Whether each record has the field of this name, and keeps it: its time, and its tag.
pub fn is_of_each_record(name: &str) -> bool {
    use flitch_model::{TAG, TIMESTAMP};
    [TIMESTAMP, TAG].contains(&name)
}

/// Whether `column` has no value for any of its rows.
fn is_all_absent(column: &Column) -> bool {
    column.present.as_ref().is_some_and(|bits| bits.iter().all(|byte| *byte == 0))
}

/// Adds those columns to the changes that have a value.
pub fn set_present(changes: &mut Changes, columns: impl IntoIterator<Item = Column>) {
    changes.set.extend(columns.into_iter().filter(|column| !is_all_absent(column)));
}

/// Adds a column to the changes if it has a value.
fn set_if_present(changes: &mut Changes, column: Column) {
    if !is_all_absent(&column) {
        changes.set(column);
    }
}
