//! Requests in JSON: protobuf's names in lowerCamelCase (its own are taken too), 64 bits as text or number, bytes as base64,
//! the ids of traces and spans in hexadecimal.
//!
//! How a request is put together is looked at first, whatever the bytes of its texts are: whether those are UTF-8 is looked at
//! when a batch is finished, as with any other body, so that such a text costs no other record.
//!
//! Source: OTLP specification, "JSON Protobuf Encoding"; <https://protobuf.dev/programming-guides/json/>.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::{Broken, DEPTH, Times, number, too_deep};
use flitch_core::batch::builder::Builder;
use scalars::{string, text, whole, wrong};

mod scalars;

/// What stands between two marks of a text that is JSON as a whole: the members of an object, or the elements of an array.
#[derive(Clone, Copy, Debug, Default)]
struct Inside<'a>(&'a [u8]);

impl<'a> Inside<'a> {
    /// The members of an object; none where there is nothing, or null.
    fn object(json: &'a [u8], what: &str) -> Result<Inside<'a>, Broken> {
        Inside::of(json, b'{', what)
    }

    /// The elements of an array; none where there is nothing, or null.
    fn array(json: &'a [u8], what: &str) -> Result<Inside<'a>, Broken> {
        Inside::of(json, b'[', what)
    }

    fn of(json: &'a [u8], open: u8, what: &str) -> Result<Inside<'a>, Broken> {
        match json {
            [first, inside @ .., _] if *first == open => Ok(Inside(inside)),
            b"" | b"null" => Ok(Inside(b"")),
            _ if open == b'[' => Err(Broken::new(format!("`{what}` is no array"))),
            _ => Err(Broken::new(format!("`{what}` is no object"))),
        }
    }

    /// The next value.
    fn element(&mut self) -> Option<&'a [u8]> {
        let rest = behind(b',', self.0);
        if rest.is_empty() {
            self.0 = rest;
            return None;
        }
        let (value, rest) = rest.split_at(length(rest));
        self.0 = rest;
        Some(value)
    }

    /// The next name and its value.
    fn member(&mut self) -> Option<(Cow<'a, [u8]>, &'a [u8])> {
        let name = self.element()?;
        let name = string(name, b"").unwrap_or_default();
        self.0 = behind(b':', self.0);
        Some((name, self.element()?))
    }
}

/// What follows white space and marks of this kind.
fn behind(mark: u8, json: &[u8]) -> &[u8] {
    let passes = |byte: &u8| *byte == mark || matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    &json[json.iter().position(|byte| !passes(byte)).unwrap_or(json.len())..]
}

/// Bytes of the value at the head of a text that is JSON as a whole.
fn length(bytes: &[u8]) -> usize {
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
    json: &'a [u8],
    schema: &'a [u8],
}

/// A record with what it shares with others.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    resource: Head<'a>,
    scope: Head<'a>,
    record: &'a [u8],
}

/// The names of what is between resources and records, and in it: those that the protocol has now, and those that it had until the
/// summer of 2022, for the same.
const SCOPE_LOGS: [&str; 4] =
    ["scopeLogs", "scope_logs", "instrumentationLibraryLogs", "instrumentation_library_logs"];
const SCOPE: [&str; 3] = ["scope", "instrumentationLibrary", "instrumentation_library"];
const LOG_RECORDS: [&str; 3] = ["logRecords", "log_records", "logs"];

/// The members of a group: its head, its schema, and what is in it.
fn group<'a>(json: &'a [u8], shared: &[&str], inside: &[&str]) -> Result<(Head<'a>, Inside<'a>), Broken> {
    let (mut head, mut all) = (Head::default(), &b""[..]);
    let mut members = Inside::object(json, inside[0])?;
    while let Some((name, value)) = members.member() {
        match &*name {
            _ if value == b"null" => {}
            b"schemaUrl" | b"schema_url" => head.schema = value,
            name if is_one_of(shared, name) => head.json = value,
            name if is_one_of(inside, name) => all = value,
            _ => {}
        }
    }
    // Whatever it is, it has to be looked at once only.
    Inside::object(head.json, shared[0])?;
    Ok((head, Inside::array(all, inside[0])?))
}

fn is_one_of(names: &[&str], name: &[u8]) -> bool {
    names.iter().any(|one| name == one.as_bytes())
}

impl<'a> Groups<'a> {
    /// # Errors
    /// The text is no JSON, or no request: an object that has something in it, but no `resourceLogs`, is something else.
    pub fn new(body: &'a [u8]) -> Result<Groups<'a>, Broken> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        serde_json::from_slice::<IgnoredAny>(body).map_err(|error| Broken::new(error.to_string()))?;
        let mut members = Inside::object(body.trim_ascii(), "the request")?;
        let (mut found, mut others) = (None, false);
        while let Some((name, value)) = members.member() {
            match &*name {
                b"resourceLogs" | b"resource_logs" => found = Some(value),
                _ => others = true,
            }
        }
        if found.is_none() && others {
            return Err(Broken::new("it has no `resourceLogs`"));
        }
        let resource_logs = Inside::array(found.unwrap_or_default(), "resourceLogs")?;
        Ok(Groups { resource_logs, ..Groups::default() })
    }

    /// The next record; none at the end.
    pub fn next(&mut self) -> Result<Option<Log<'a>>, Broken> {
        loop {
            if let Some(record) = self.records.element() {
                return Ok(Some(Log { resource: self.resource, scope: self.scope, record }));
            }
            if let Some(scope_logs) = self.scope_logs.element() {
                (self.scope, self.records) = group(scope_logs, &SCOPE, &LOG_RECORDS)?;
                continue;
            }
            let Some(resource_logs) = self.resource_logs.element() else { return Ok(None) };
            (self.resource, self.scope_logs) = group(resource_logs, &["resource"], &SCOPE_LOGS)?;
        }
    }
}

impl Head<'_> {
    fn is_empty(&self) -> bool {
        let is_blank = |inside: &[u8]| inside.trim_ascii().is_empty();
        let has_none = matches!(self.json, b"" | b"null") || is_blank(&self.json[1..self.json.len() - 1]);
        has_none && self.schema.is_empty()
    }

    fn length(&self) -> usize {
        self.json.len() + self.schema.len()
    }

    /// Appends it as it came, each member with a comma behind it.
    fn put(&self, name: &str, to: &mut Vec<u8>) {
        for (name, json) in [(name, self.json), ("schemaUrl", self.schema)] {
            if !json.is_empty() {
                to.extend_from_slice(b"\"");
                to.extend_from_slice(name.as_bytes());
                to.extend_from_slice(b"\":");
                to.extend_from_slice(json);
                to.push(b',');
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
                _ if json == b"null" => {}
                b"attributes" => attributes(json, to)?,
                b"droppedAttributesCount" | b"dropped_attributes_count" => {
                    number(b"dropped_attributes_count", whole(json, &name)?, to);
                }
                b"name" => text(b"name", json, &name, to)?,
                b"version" => text(b"version", json, &name, to)?,
                _ => {}
            }
        }
        if !self.schema.is_empty() {
            text(b"schema_url", self.schema, b"schemaUrl", to)?;
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
        let mut request = Vec::with_capacity(self.length() + 128);
        request.extend_from_slice(b"{\"resourceLogs\":[{");
        self.resource.put("resource", &mut request);
        request.extend_from_slice(b"\"scopeLogs\":[{");
        self.scope.put("scope", &mut request);
        request.extend_from_slice(b"\"logRecords\":[");
        request.extend_from_slice(self.record);
        request.extend_from_slice(b"]}]}]}");
        request
    }

    /// Writes it into the record that `to` has begun.
    pub fn write(&self, to: &mut Builder) -> Result<(), Broken> {
        self.resource.write("resource", to)?;
        self.scope.write("scope", to)?;
        let mut times = Times::default();
        let mut members = Inside::object(self.record, "logRecords[]")?;
        while let Some((name, json)) = members.member() {
            match &*name {
                _ if json == b"null" => {}
                b"timeUnixNano" | b"time_unix_nano" => times.event = whole(json, &name)?,
                b"observedTimeUnixNano" | b"observed_time_unix_nano" => times.observed = whole(json, &name)?,
                b"severityNumber" | b"severity_number" => {
                    number(b"severity_number", scalars::severity(json, &name)?, to);
                }
                b"severityText" | b"severity_text" => text(b"severity_text", json, &name, to)?,
                b"body" => {
                    to.key(b"body");
                    value(json, DEPTH, to)?;
                }
                b"attributes" => attributes(json, to)?,
                b"droppedAttributesCount" | b"dropped_attributes_count" => {
                    number(b"dropped_attributes_count", whole(json, &name)?, to);
                }
                b"flags" => number(b"trace_flags", whole::<i64>(json, &name)? & 0xff, to),
                b"traceId" | b"trace_id" => scalars::id(b"trace_id", 16, json, &name, to)?,
                b"spanId" | b"span_id" => scalars::id(b"span_id", 8, json, &name, to)?,
                b"eventName" | b"event_name" => text(b"event_name", json, &name, to)?,
                _ => {}
            }
        }
        times.write(to)
    }
}

/// Writes attributes, an array of `{"key", "value"}`, if there are any.
fn attributes(json: &[u8], to: &mut Builder) -> Result<(), Broken> {
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

fn pair(json: &[u8], depth: usize, to: &mut Builder) -> Result<(), Broken> {
    let (mut key, mut held) = (Cow::Borrowed(&b""[..]), &b""[..]);
    let mut members = Inside::object(json, "attributes[]")?;
    while let Some((name, json)) = members.member() {
        match &*name {
            _ if json == b"null" => {}
            b"key" => key = string(json, b"key")?,
            b"value" => held = json,
            _ => {}
        }
    }
    to.key(&key);
    value(held, depth, to)
}

/// AnyValue; null where there is none.
fn value(json: &[u8], depth: usize, to: &mut Builder) -> Result<(), Broken> {
    let mut members = Inside::object(json, "value")?;
    let mut last = None;
    while let Some((name, json)) = members.member() {
        if json != b"null" {
            last = Some((name, json));
        }
    }
    let Some((name, json)) = last else {
        to.null();
        return Ok(());
    };
    match &*name {
        b"stringValue" | b"string_value" => scalars::put_text(json, &name, to)?,
        b"boolValue" | b"bool_value" => match json {
            b"true" => to.boolean(true),
            b"false" => to.boolean(false),
            _ => return Err(wrong(&name)),
        },
        b"intValue" | b"int_value" => to.int(whole(json, &name)?),
        b"doubleValue" | b"double_value" => scalars::put_double(json, &name, to)?,
        b"bytesValue" | b"bytes_value" => to.bytes_value(&scalars::bytes(json, &name)?),
        b"arrayValue" | b"array_value" => {
            let inner = depth.checked_sub(1).ok_or_else(too_deep)?;
            let mut items = values(json, "arrayValue")?;
            to.begin_array();
            while let Some(item) = items.element() {
                value(item, inner, to)?;
            }
            to.end_array();
        }
        b"kvlistValue" | b"kvlist_value" => {
            let inner = depth.checked_sub(1).ok_or_else(too_deep)?;
            let mut pairs = values(json, "kvlistValue")?;
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
fn values<'a>(json: &'a [u8], what: &str) -> Result<Inside<'a>, Broken> {
    let mut members = Inside::object(json, what)?;
    while let Some((name, json)) = members.member() {
        if *name == *b"values" {
            return Inside::array(json, "values");
        }
    }
    Ok(Inside(b""))
}
