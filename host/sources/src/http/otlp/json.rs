//! Requests in JSON: protobuf's names in lowerCamelCase (its own are taken too), 64 bits as text or number, bytes as base64,
//! the ids of traces and spans in hexadecimal.
//!
//! Source: OTLP specification, "JSON Protobuf Encoding"; <https://protobuf.dev/programming-guides/json/>.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::value::RawValue;

use super::{Broken, DEPTH, Times, number, text, too_deep};
use flitch_core::batch::builder::Builder;

/// What stands between two marks of a text that is JSON as a whole: the members of an object, or the elements of an array.
#[derive(Clone, Copy, Debug, Default)]
struct Inside<'a>(&'a str);

impl<'a> Inside<'a> {
    /// The members of an object; none where there is nothing, or null.
    fn object(json: &'a str, what: &str) -> Result<Inside<'a>, Broken> {
        Inside::of(json, '{', what)
    }

    /// The elements of an array; none where there is nothing, or null.
    fn array(json: &'a str, what: &str) -> Result<Inside<'a>, Broken> {
        Inside::of(json, '[', what)
    }

    fn of(json: &'a str, open: char, what: &str) -> Result<Inside<'a>, Broken> {
        match json.strip_prefix(open) {
            Some(rest) => Ok(Inside(&rest[..rest.len() - 1])),
            None if json.is_empty() || json == "null" => Ok(Inside("")),
            None if open == '[' => Err(Broken::new(format!("`{what}` is no array"))),
            None => Err(Broken::new(format!("`{what}` is no object"))),
        }
    }

    /// The next value.
    fn element(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches([',', ' ', '\t', '\n', '\r']);
        if rest.is_empty() {
            self.0 = rest;
            return None;
        }
        let (value, rest) = rest.split_at(length(rest));
        self.0 = rest;
        Some(value)
    }

    /// The next name and its value.
    fn member(&mut self) -> Option<(Cow<'a, str>, &'a str)> {
        let name = self.element()?;
        // A text without its quotes where it has a lone surrogate: no name that is looked for.
        let name = serde_json::from_str(name).unwrap_or(Cow::Borrowed(&name[1..name.len() - 1]));
        self.0 = self.0.trim_start_matches([':', ' ', '\t', '\n', '\r']);
        Some((name, self.element()?))
    }
}

/// Bytes of the value at the head of a text that is JSON as a whole.
fn length(json: &str) -> usize {
    let bytes = json.as_bytes();
    let string = |from: usize| {
        let mut at = from + 1;
        while bytes[at] != b'"' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        at + 1
    };
    match bytes[0] {
        b'"' => string(0),
        b'{' | b'[' => {
            let (mut at, mut open) = (0, 0);
            loop {
                match bytes[at] {
                    b'"' => at = string(at) - 1,
                    b'{' | b'[' => open += 1,
                    b'}' | b']' => open -= 1,
                    _ => {}
                }
                at += 1;
                if open == 0 {
                    return at;
                }
                at += bytes[at..]
                    .iter()
                    .position(|b| matches!(b, b'"' | b'{' | b'}' | b'[' | b']'))
                    .unwrap_or(0);
            }
        }
        _ => {
            let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b':') || b.is_ascii_whitespace();
            bytes.iter().position(ends).unwrap_or(bytes.len())
        }
    }
}

/// The groups of a request, and in them the records, one by one.
#[derive(Clone, Debug, Default)]
pub struct Groups<'a> {
    resource_logs: Inside<'a>,
    resource: Head<'a>,
    scope_logs: Inside<'a>,
    scope: Head<'a>,
    records: Inside<'a>,
}

/// What records of a group share: an object, and the URL of its schema.
#[derive(Clone, Copy, Debug, Default)]
struct Head<'a> {
    json: &'a str,
    schema: &'a str,
}

/// A record with what it shares with others.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    resource: Head<'a>,
    scope: Head<'a>,
    record: &'a str,
}

/// The members of a group: its head, its schema, and what is in it.
fn group<'a>(json: &'a str, names: [&str; 2], inside: [&str; 2]) -> Result<(Head<'a>, Inside<'a>), Broken> {
    let (mut head, mut all) = (Head::default(), "");
    let mut members = Inside::object(json, inside[0])?;
    while let Some((name, value)) = members.member() {
        match &*name {
            "schemaUrl" | "schema_url" => head.schema = value,
            name if name == names[0] => head.json = value,
            name if inside.contains(&name) => all = value,
            _ => {}
        }
    }
    // Whatever it is, it has to be looked at once only.
    Inside::object(head.json, names[0])?;
    Ok((head, Inside::array(all, inside[0])?))
}

impl<'a> Groups<'a> {
    /// # Errors
    /// The text is no JSON, or no object.
    pub fn new(body: &'a [u8]) -> Result<Groups<'a>, Broken> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let whole: &RawValue =
            serde_json::from_slice(body).map_err(|error| Broken::new(error.to_string()))?;
        let (_, resource_logs) = group(whole.get(), ["", ""], ["resourceLogs", "resource_logs"])?;
        Ok(Groups { resource_logs, ..Groups::default() })
    }

    /// The next record; none at the end.
    pub fn next(&mut self) -> Result<Option<Log<'a>>, Broken> {
        loop {
            if let Some(record) = self.records.element() {
                return Ok(Some(Log { resource: self.resource, scope: self.scope, record }));
            }
            if let Some(scope_logs) = self.scope_logs.element() {
                (self.scope, self.records) = group(scope_logs, ["scope", ""], ["logRecords", "log_records"])?;
                continue;
            }
            let Some(resource_logs) = self.resource_logs.element() else { return Ok(None) };
            (self.resource, self.scope_logs) =
                group(resource_logs, ["resource", ""], ["scopeLogs", "scope_logs"])?;
        }
    }
}

impl Head<'_> {
    fn is_empty(&self) -> bool {
        let has_none = |json: &str| json.trim_start_matches('{').trim_end_matches('}').trim().is_empty();
        (self.json == "null" || has_none(self.json)) && self.schema.is_empty()
    }

    fn length(&self) -> usize {
        self.json.len() + self.schema.len()
    }

    /// Appends it as it came, each member with a comma behind it.
    fn put(&self, name: &str, to: &mut String) {
        for (name, json) in [(name, self.json), ("schemaUrl", self.schema)] {
            if !json.is_empty() {
                to.extend(["\"", name, "\":", json, ","]);
            }
        }
    }

    /// Writes it as an object.
    fn write(&self, name: &str, to: &mut Builder) -> Result<(), Broken> {
        if self.is_empty() {
            return Ok(());
        }
        to.key(name.as_bytes()).begin_object();
        let mut members = Inside::object(self.json, name)?;
        while let Some((name, json)) = members.member() {
            match &*name {
                "attributes" => attributes(json, to)?,
                "droppedAttributesCount" | "dropped_attributes_count" => {
                    number(b"dropped_attributes_count", whole(json, &name)?, to);
                }
                "name" => text(b"name", string(json, &name)?.as_bytes(), to),
                "version" => text(b"version", string(json, &name)?.as_bytes(), to),
                _ => {}
            }
        }
        if !self.schema.is_empty() {
            text(b"schema_url", string(self.schema, "schemaUrl")?.as_bytes(), to);
        }
        to.end_object();
        Ok(())
    }
}

impl Log<'_> {
    /// Bytes of it, with what it shares.
    pub fn length(&self) -> usize {
        self.resource.length() + self.scope.length() + self.record.len()
    }

    /// A request of it alone.
    pub fn alone(&self) -> Vec<u8> {
        let mut request = String::with_capacity(self.length() + 128);
        request.push_str("{\"resourceLogs\":[{");
        self.resource.put("resource", &mut request);
        request.push_str("\"scopeLogs\":[{");
        self.scope.put("scope", &mut request);
        request.push_str("\"logRecords\":[");
        request.push_str(self.record);
        request.push_str("]}]}]}");
        request.into_bytes()
    }

    /// Writes it into the record that `to` has begun.
    pub fn write(&self, to: &mut Builder) -> Result<(), Broken> {
        self.resource.write("resource", to)?;
        self.scope.write("scope", to)?;
        let mut times = Times::default();
        let mut members = Inside::object(self.record, "logRecords[]")?;
        while let Some((name, json)) = members.member() {
            match &*name {
                _ if json == "null" => {}
                "timeUnixNano" | "time_unix_nano" => times.event = unsigned(json, &name)?,
                "observedTimeUnixNano" | "observed_time_unix_nano" => times.observed = unsigned(json, &name)?,
                "severityNumber" | "severity_number" => number(b"severity_number", whole(json, &name)?, to),
                "severityText" | "severity_text" => {
                    text(b"severity_text", string(json, &name)?.as_bytes(), to)
                }
                "body" => {
                    to.key(b"body");
                    value(json, DEPTH, to)?;
                }
                "attributes" => attributes(json, to)?,
                "droppedAttributesCount" | "dropped_attributes_count" => {
                    number(b"dropped_attributes_count", whole(json, &name)?, to);
                }
                "flags" => number(b"trace_flags", whole(json, &name)? & 0xff, to),
                "traceId" | "trace_id" => {
                    text(b"trace_id", string(json, &name)?.to_ascii_lowercase().as_bytes(), to);
                }
                "spanId" | "span_id" => {
                    text(b"span_id", string(json, &name)?.to_ascii_lowercase().as_bytes(), to);
                }
                "eventName" | "event_name" => text(b"event_name", string(json, &name)?.as_bytes(), to),
                _ => {}
            }
        }
        times.write(to)
    }
}

/// Writes attributes, an array of `{"key", "value"}`, if there are any.
fn attributes(json: &str, to: &mut Builder) -> Result<(), Broken> {
    let mut pairs = Inside::array(json, "attributes")?;
    let Some(first) = pairs.element() else { return Ok(()) };
    to.key(b"attributes").begin_object();
    pair(first, DEPTH, to)?;
    while let Some(next) = pairs.element() {
        pair(next, DEPTH, to)?;
    }
    to.end_object();
    Ok(())
}

fn pair(json: &str, depth: usize, to: &mut Builder) -> Result<(), Broken> {
    let (mut key, mut held) = (Cow::Borrowed(""), "");
    let mut members = Inside::object(json, "attributes[]")?;
    while let Some((name, json)) = members.member() {
        match &*name {
            "key" => key = string(json, "key")?,
            "value" => held = json,
            _ => {}
        }
    }
    to.key(key.as_bytes());
    value(held, depth, to)
}

/// AnyValue; null where there is none.
fn value(json: &str, depth: usize, to: &mut Builder) -> Result<(), Broken> {
    let mut members = Inside::object(json, "value")?;
    let mut last = None;
    while let Some((name, json)) = members.member() {
        if json != "null" {
            last = Some((name, json));
        }
    }
    let Some((name, json)) = last else {
        to.null();
        return Ok(());
    };
    match &*name {
        "stringValue" | "string_value" => to.text(string(json, &name)?.as_bytes()),
        "boolValue" | "bool_value" => match json {
            "true" => to.boolean(true),
            "false" => to.boolean(false),
            _ => return Err(wrong(&name)),
        },
        "intValue" | "int_value" => to.int(whole(json, &name)?),
        "doubleValue" | "double_value" => to.float(double(json, &name)?),
        "bytesValue" | "bytes_value" => {
            let text = string(json, &name)?;
            to.bytes_value(&BASE64_STANDARD.decode(&*text).map_err(|_| wrong(&name))?);
        }
        "arrayValue" | "array_value" => {
            let inner = depth.checked_sub(1).ok_or_else(too_deep)?;
            let mut items = values(json, &name)?;
            to.begin_array();
            while let Some(item) = items.element() {
                value(item, inner, to)?;
            }
            to.end_array();
        }
        "kvlistValue" | "kvlist_value" => {
            let inner = depth.checked_sub(1).ok_or_else(too_deep)?;
            let mut pairs = values(json, &name)?;
            to.begin_object();
            while let Some(next) = pairs.element() {
                pair(next, inner, to)?;
            }
            to.end_object();
        }
        _ => to.null(),
    }
    Ok(())
}

/// The elements of `{"values": [...]}`.
fn values<'a>(json: &'a str, what: &str) -> Result<Inside<'a>, Broken> {
    let mut members = Inside::object(json, what)?;
    while let Some((name, json)) = members.member() {
        if name == "values" {
            return Inside::array(json, "values");
        }
    }
    Ok(Inside(""))
}

fn wrong(name: &str) -> Broken {
    Broken::new(format!("`{name}` has a value of another type"))
}

fn string<'a>(json: &'a str, name: &str) -> Result<Cow<'a, str>, Broken> {
    /// Borrowed where it has no escapes.
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    serde_json::from_str::<Text<'_>>(json).map(|Text(text)| text).map_err(|_| wrong(name))
}

/// What stands between quotes, or a number without them.
fn digits(json: &str) -> &str {
    json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(json)
}

fn unsigned(json: &str, name: &str) -> Result<u64, Broken> {
    digits(json).parse().map_err(|_| wrong(name))
}

fn whole(json: &str, name: &str) -> Result<i64, Broken> {
    digits(json).parse().map_err(|_| wrong(name))
}

fn double(json: &str, name: &str) -> Result<f64, Broken> {
    match digits(json) {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        digits => digits.parse().map_err(|_| wrong(name)),
    }
}
