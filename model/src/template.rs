//! Texts with fields in them: `logs-{@tag}-{@timestamp:%Y-%m-%d}`, for topics, keys, headers, paths and new fields.
//!
//! `{name}` is the value of a field, `{name|other}` has a default for records without it, `{@timestamp:%Y}` formats a
//! time (UTC, strftime), also one that is a text of RFC 3339, and `{{` and `}}` are braces. Text and bytes stand as they are,
//! all else as JSON writes it, an object with all its members; a null is no value, and for a format nothing is but a time. A
//! template is compiled once, and whoever has columns gives it the values.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::path;
use crate::time::{self, SECOND};
use crate::value::Scalar;

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
    Field(Field),
}

/// A field in a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    name: String,
    format: Option<Format>,
    default: Option<String>,
}

/// How a time is written.
#[derive(Clone, Debug, PartialEq)]
struct Format {
    text: String,
    /// Nanoseconds, from a multiple of them on, in which it writes the same.
    lasts: i64,
}

/// What each field of a template has formatted last: most formats stop at the day or the hour, and most neighbours share it.
#[derive(Clone, Debug, Default)]
pub struct Clocks(Vec<Clock>);

#[derive(Clone, Debug, Default)]
struct Clock {
    /// How many times [`Format::lasts`] have gone.
    turn: Option<i64>,
    text: String,
}

/// What a template gives for a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Written<'a> {
    /// Its text.
    Whole,
    /// A text in which this field, the first one, is missing.
    Without(&'a Field),
    /// A path that has a part which is empty, `.` or `..`.
    Astray,
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
            let field = Field::parse(&rest[..end]).map_err(|wrong| format!("`{source}`: {wrong}"))?;
            parts.push(Part::Field(field));
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

    /// What is wrong with it as a place where records go, if anything is: other collectors format times in the text itself, and
    /// write fields as `{{ name }}` (Vector) or `%{name}` (Logstash).
    pub fn wrong_as_place(&self) -> Option<String> {
        let source = &self.source;
        let format = |part: &Part| if let Part::Text(text) = part { directive(text) } else { None };
        if let Some(letter) = self.parts.iter().find_map(format) {
            return Some(format!(
                "`{source}` has `%{letter}` outside of braces, where no time is written: `{{@timestamp:%{letter}}}`"
            ));
        }
        let between = |open: &str, close: &str| Some(source.split_once(open)?.1.split_once(close)?.0.trim());
        // Elasticsearch reads braces itself where an index stands between these signs: `<logs-{{now/d}}>`.
        let has_own_braces = source.starts_with('<') && source.ends_with('>');
        if let Some(name) = between("{{", "}}").filter(|_| !has_own_braces) {
            return Some(format!(
                "`{source}` has braces twice, which are braces themselves then: a field is `{{{name}}}`"
            ));
        }
        let name = between("%{", "}")?;
        Some(match name.starts_with('+') {
            true => {
                format!("`{source}` has a time as Logstash writes it: here it is `{{@timestamp:%Y.%m.%d}}`")
            }
            false => format!(
                "`{source}` has a `%` before a field, which is written as it stands: a field is `{{{name}}}`"
            ),
        })
    }

    /// The same for paths of files: a slash in a value becomes `_`, and a record whose path would have a part that is
    /// empty, `.` or `..` has none, so that no record can choose the folder. In a format of times and in a default, which are
    /// none of the record's, it parts folders.
    #[must_use]
    pub fn for_paths(self) -> Template {
        // Of a part that is empty only values are to blame.
        let once = |text: &mut String| {
            while text.contains("//") {
                *text = text.replace("//", "/");
            }
        };
        let single = |mut part| {
            match &mut part {
                Part::Text(text) => once(text),
                Part::Field(field) => {
                    field.format.iter_mut().for_each(|format| once(&mut format.text));
                    field.default.iter_mut().for_each(once);
                }
            }
            part
        };
        Template { paths: true, parts: self.parts.into_iter().map(single).collect(), ..self }
    }

    /// The paths of the fields that it reads, in order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(field) => Some(field.name()),
            Part::Text(_) => None,
        })
    }

    /// In how many nanoseconds, from a multiple of them on, the field at a place of [`Template::fields`] writes the same for any
    /// time; none where it writes times in full.
    pub fn lasts(&self, place: usize) -> Option<i64> {
        let mut fields = self.parts.iter().filter_map(|part| match part {
            Part::Field(field) => Some(field),
            Part::Text(_) => None,
        });
        Some(fields.nth(place)?.format.as_ref()?.lasts)
    }

    /// Appends the text of a record, whose values `value` has by the places of [`Template::fields`]. A field that is
    /// missing counts as empty.
    #[inline]
    pub fn write<'v>(
        &self,
        clocks: &mut Clocks,
        out: &mut Vec<u8>,
        value: impl Fn(usize) -> Option<Scalar<'v>>,
    ) -> Written<'_> {
        let start = out.len();
        let mut missing = None;
        let mut place = 0;
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field(field) => {
                    if !field.write(value(place).as_ref(), clocks.of(place), self.paths, out) {
                        missing = missing.or(Some(field));
                    }
                    place += 1;
                }
            }
        }
        match missing {
            Some(field) => Written::Without(field),
            None if self.paths && leads_astray(&out[start..]) => Written::Astray,
            None => Written::Whole,
        }
    }
}

fn leads_astray(path: &[u8]) -> bool {
    let mut parts = path.strip_prefix(b"/").unwrap_or(path).split(|b| *b == b'/');
    parts.any(|part| matches!(part, b"" | b"." | b".."))
}

impl Field {
    fn parse(inside: &str) -> Result<Field, String> {
        let (inside, default) = match inside.split_once('|') {
            Some((inside, default)) => (inside, Some(default.to_owned())),
            None => (inside, None),
        };
        let (name, format) = match inside.split_once(':') {
            Some((name, format)) => (name, Some(Format::new(format)?)),
            None => (inside, None),
        };
        if name.is_empty() {
            return Err("`{}` names no field".to_owned());
        }
        path::check_exact(name)?;
        Ok(Field { name: name.to_owned(), format, default })
    }

    /// Its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Appends what stands for a value, for a path where it is `in_path`; false where nothing does.
    fn write(&self, value: Option<&Scalar<'_>>, clock: &mut Clock, in_path: bool, out: &mut Vec<u8>) -> bool {
        let written = match (value, &self.format) {
            (None, _) => false,
            (Some(value), Some(format)) => time_of(value).is_some_and(|ns| format.write(ns, clock, out)),
            (Some(value), None) => {
                let begin = out.len();
                let written = value.write_text(out);
                if in_path {
                    let slashes = out[begin..].iter_mut().filter(|b| matches!(b, b'/' | 0));
                    slashes.for_each(|b| *b = b'_');
                }
                written
            }
        };
        if !written && let Some(default) = &self.default {
            out.extend_from_slice(default.as_bytes());
            return true;
        }
        written
    }
}

/// The time that a value is, ns since 1970: that somebody has given a format says that a text is meant to be one.
fn time_of(value: &Scalar<'_>) -> Option<i64> {
    match value {
        Scalar::Time(ns) => Some(*ns),
        Scalar::Text(text) => time::parse_lenient(text.as_bytes()),
        _ => None,
    }
}

/// A day in nanoseconds, and an instant of it that differs from its begin in all that a clock shows, one of twelve hours too.
const DAY: i64 = 86_400 * SECOND;
const LATE: i64 = 48_896 * SECOND;

impl Format {
    /// A format, tried out.
    fn new(text: &str) -> Result<Format, String> {
        let at = |ns| format_utc(text, ns).map_err(|e| format!("`{text}` is no time format: {e}"));
        let begin = at(0)?;
        // The first of these that a format tells from the begin of a day is too long for it.
        let tries =
            [(1, 123_456_789), (SECOND, 56 * SECOND), (60 * SECOND, 2_096 * SECOND), (3_600 * SECOND, LATE)];
        for (lasts, instant) in tries {
            if at(instant)? != begin {
                return Ok(Format { text: text.to_owned(), lasts });
            }
        }
        Ok(Format { text: text.to_owned(), lasts: DAY })
    }

    fn write(&self, ns: i64, clock: &mut Clock, out: &mut Vec<u8>) -> bool {
        let turn = ns.div_euclid(self.lasts);
        if clock.turn != Some(turn) {
            let Ok(text) = format_utc(&self.text, ns) else { return false };
            *clock = Clock { turn: Some(turn), text };
        }
        out.extend_from_slice(clock.text.as_bytes());
        true
    }
}

fn format_utc(format: &str, ns: i64) -> Result<String, jiff::Error> {
    strtime::format(format, &Timestamp::from_nanosecond(ns.into())?.to_zoned(TimeZone::UTC))
}

impl Clocks {
    fn of(&mut self, place: usize) -> &mut Clock {
        if self.0.len() <= place {
            self.0.resize(place + 1, Clock::default());
        }
        &mut self.0[place]
    }
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

#[cfg(feature = "schema")]
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

/// The letter of the first part of a time in `text` as strftime writes it: a year, or another that stands alone, as in `date=%F/`.
fn directive(text: &str) -> Option<char> {
    text.split('%').skip(1).find_map(|behind| {
        let mut behind = behind.chars();
        let letter = behind.next()?;
        let is_alone = !behind.next().is_some_and(char::is_alphanumeric);
        (letter == 'Y' || is_alone && "FTDmdeHMSjys".contains(letter)).then_some(letter)
    })
}

#[cfg(test)]
mod tests;
