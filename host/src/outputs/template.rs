//! Texts with fields in them: `logs-{@tag}-{@timestamp:%Y-%m-%d}`, for topics, keys, headers and paths.
//!
//! `{name}` is the value of a column, `{name|other}` has a default for records without it, `{@timestamp:%Y}` formats a
//! time (UTC, strftime), and `{{` and `}}` are braces. A template is compiled once and evaluated a column at a time.

use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::batch::lift::Found;
use crate::batch::value::{Scalar, Value};
use crate::batch::{Kind, Records};

/// A compiled template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
    /// Values must not lead to other folders.
    paths: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Field { name: String, format: Option<String>, default: Option<String> },
}

/// What a template gives for the rows of a batch.
#[derive(Debug, PartialEq)]
pub enum Rendered {
    /// The same for every row.
    Same(Vec<u8>),
    /// One text per row.
    Rows(Rows),
}

/// The texts of rows, one after the other.
#[derive(Debug, Default, PartialEq)]
pub struct Rows {
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Rows without a field that has no default, ascending.
    missing: Vec<u32>,
}

impl Rendered {
    /// The text of a row; none where a field is missing.
    pub fn row(&self, row: usize) -> Option<&[u8]> {
        match self {
            Rendered::Same(text) => Some(text),
            Rendered::Rows(rows) if rows.missing.binary_search(&(row as u32)).is_ok() => None,
            Rendered::Rows(rows) => {
                let start = if row == 0 { 0 } else { rows.ends[row - 1] };
                Some(&rows.text[start..rows.ends[row]])
            }
        }
    }

    /// Rows without a text, in ascending order.
    pub fn missing(&self) -> &[u32] {
        match self {
            Rendered::Same(_) => &[],
            Rendered::Rows(rows) => &rows.missing,
        }
    }
}

impl Template {
    /// Compiles a template. The error says what is wrong with it.
    pub fn parse(source: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(place) = rest.find(['{', '}']) {
            text.push_str(&rest[..place]);
            let brace = &rest[place..place + 1];
            rest = &rest[place + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                text.push_str(brace);
                rest = after;
                continue;
            }
            let end = match (brace, rest.find('}')) {
                ("{", Some(end)) => end,
                ("{", None) => {
                    return Err(format!("`{source}`: a `{{` is not closed (write `{{{{` for a brace)"));
                }
                _ => return Err(format!("`{source}`: a `}}` without a `{{` (write `}}}}` for a brace)")),
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(field(&rest[..end]).map_err(|wrong| format!("`{source}`: {wrong}"))?);
            rest = &rest[end + 1..];
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Template { source: source.to_owned(), parts, paths: false })
    }

    /// The text, if there is no field in it.
    pub fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text before the first field.
    pub fn literal_prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The same for paths of files: a slash in a value becomes `_`, and a row whose path would have a part that is empty,
    /// `.` or `..` has none, so that no record can choose the folder.
    pub fn for_paths(self) -> Template {
        let single = |part| match part {
            // Of a part that is empty only values are to blame.
            Part::Text(mut text) => {
                while text.contains("//") {
                    text = text.replace("//", "/");
                }
                Part::Text(text)
            }
            field => field,
        };
        Template { paths: true, parts: self.parts.into_iter().map(single).collect(), ..self }
    }

    /// Names of the columns that it reads.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields_of_parts().flatten()
    }

    /// For each part the column that it reads, if it reads one.
    fn fields_of_parts(&self) -> impl Iterator<Item = Option<&str>> {
        self.parts.iter().map(|part| match part {
            Part::Field { name, .. } => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The texts of all rows.
    pub fn render(&self, records: &Records) -> Rendered {
        let found: Vec<Option<Found>> = self.fields_of_parts().map(|f| records.find(f?)).collect();
        let columns: Vec<Source> =
            self.parts.iter().zip(&found).map(|(part, found)| part.source(found.as_ref())).collect();
        if columns.iter().all(Source::is_same) {
            let mut row = Rows::default();
            append(&columns, 0, self.paths, &mut row, &mut Vec::new());
            if row.missing.is_empty() {
                return Rendered::Same(row.text);
            }
            let missing = (0..records.rows() as u32).collect();
            return Rendered::Rows(Rows { text: Vec::new(), ends: vec![0; records.rows()], missing });
        }
        let mut rows = Rows { ends: Vec::with_capacity(records.rows()), ..Rows::default() };
        let mut times = vec![(i64::MIN, String::new()); columns.len()];
        for row in 0..records.rows() {
            append(&columns, row, self.paths, &mut rows, &mut times);
        }
        Rendered::Rows(rows)
    }
}

fn field(inside: &str) -> Result<Part, String> {
    let (inside, default) = match inside.split_once('|') {
        Some((inside, default)) => (inside, Some(default.to_owned())),
        None => (inside, None),
    };
    let (name, format) = match inside.split_once(':') {
        Some((name, format)) => (name, Some(format.to_owned())),
        None => (inside, None),
    };
    if name.is_empty() {
        return Err("`{}` names no field".to_owned());
    }
    if let Some(format) = &format {
        jiff::fmt::strtime::format(format, &jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC))
            .map_err(|e| format!("`{format}` is no time format: {e}"))?;
    }
    Ok(Part::Field { name: name.to_owned(), format, default })
}

/// Where the text of a part comes from in one batch.
enum Source<'a> {
    Text(&'a str),
    Absent { default: Option<&'a str> },
    Column { kind: Kind, array: &'a ArrayRef, same: bool, format: Option<&'a str>, default: Option<&'a str> },
}

impl Source<'_> {
    fn is_same(&self) -> bool {
        match self {
            Source::Text(_) | Source::Absent { .. } => true,
            Source::Column { same, .. } => *same,
        }
    }
}

impl Part {
    fn source<'a>(&'a self, found: Option<&'a Found<'a>>) -> Source<'a> {
        let (format, default) = match self {
            Part::Text(text) => return Source::Text(text),
            Part::Field { format, default, .. } => (format.as_deref(), default.as_deref()),
        };
        let Some(column) = found.map(Found::column) else { return Source::Absent { default } };
        let Some(kind) = Kind::of(column.field()) else { return Source::Absent { default } };
        let same = matches!(column, crate::batch::Column::Constant(..));
        Source::Column { kind, array: column.array(), same, format, default }
    }
}

/// Appends the text of one row; `times` keeps the last formatted second of each part.
fn append(columns: &[Source], row: usize, paths: bool, rows: &mut Rows, times: &mut Vec<(i64, String)>) {
    let start = rows.text.len();
    times.resize(columns.len(), (i64::MIN, String::new()));
    let mut present = true;
    for (column, cached) in columns.iter().zip(times) {
        let begin = rows.text.len();
        present &= match column {
            Source::Text(text) => push(&mut rows.text, Some(text.as_bytes())),
            Source::Absent { default } => push(&mut rows.text, default.map(str::as_bytes)),
            Source::Column { kind, array, same, format, default } => {
                let place = if *same { 0 } else { row };
                value(*kind, array, place, *format, cached, &mut rows.text)
                    || push(&mut rows.text, default.map(str::as_bytes))
            }
        };
        if paths && !matches!(column, Source::Text(_)) {
            let slashes = rows.text[begin..].iter_mut().filter(|b| matches!(b, b'/' | 0));
            slashes.for_each(|b| *b = b'_');
        }
    }
    if paths {
        let text = &rows.text[start..];
        let parts = text.strip_prefix(b"/").unwrap_or(text).split(|b| *b == b'/');
        present &= !parts.into_iter().any(|part| matches!(part, b"" | b"." | b".."));
    }
    if !present {
        rows.text.truncate(start);
        rows.missing.push(row as u32);
    }
    rows.ends.push(rows.text.len());
}

fn push(text: &mut Vec<u8>, value: Option<&[u8]>) -> bool {
    text.extend_from_slice(value.unwrap_or_default());
    value.is_some()
}

/// Appends a value as text; false where it is absent.
fn value(
    kind: Kind,
    array: &ArrayRef,
    place: usize,
    format: Option<&str>,
    cached: &mut (i64, String),
    text: &mut Vec<u8>,
) -> bool {
    if array.is_null(place) {
        return false;
    }
    match kind {
        Kind::Text => push(text, Some(array.as_string::<i32>().value(place).as_bytes())),
        Kind::Bytes => push(text, Some(array.as_binary::<i32>().value(place))),
        Kind::Int64 => {
            let value = array.as_primitive::<Int64Type>().value(place);
            push(text, Some(itoa::Buffer::new().format(value).as_bytes()))
        }
        Kind::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(place);
            Scalar::of_value(Value::Float(value)).write_text(text)
        }
        Kind::Boolean => {
            let value: &[u8] = if array.as_boolean().value(place) { b"true" } else { b"false" };
            push(text, Some(value))
        }
        Kind::Timestamp => {
            let value = array.as_primitive::<TimestampNanosecondType>().value(place);
            time(value, format, cached, text)
        }
        Kind::Json => match Scalar::of(array.as_string::<i32>().value(place)) {
            Scalar::Time(value) => time(value, format, cached, text),
            other => other.write_text(text),
        },
    }
}

fn time(nanoseconds: i64, format: Option<&str>, cached: &mut (i64, String), text: &mut Vec<u8>) -> bool {
    let Ok(instant) = jiff::Timestamp::from_nanosecond(nanoseconds.into()) else { return false };
    let Some(format) = format else { return push(text, Some(instant.to_string().as_bytes())) };
    // Most formats stop at the second, and most neighbours share it.
    let fine = format.contains("%f") || format.contains("%.") || format.contains("%N");
    let second = nanoseconds.div_euclid(1_000_000_000);
    if fine || cached.0 != second || cached.1.is_empty() {
        match jiff::fmt::strtime::format(format, &instant.to_zoned(jiff::tz::TimeZone::UTC)) {
            Ok(formatted) => *cached = (second, formatted),
            Err(_) => return false,
        }
    }
    push(text, Some(cached.1.as_bytes()))
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Template, D::Error> {
        let source = String::deserialize(d)?;
        Template::parse(&source).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.source)
    }
}

impl schemars::JsonSchema for Template {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A text with fields in it: `{name}`, `{name|default}`, `{@tag}`, `{@timestamp:%Y-%m-%d}`; `{{` and `}}` are braces",
            "type": "string",
        })
    }
}

#[cfg(test)]
mod tests;
