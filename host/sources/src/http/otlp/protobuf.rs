//! Requests in protobuf.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>; the numbers of fields are those of opentelemetry-proto.

use super::reply::put_bytes;
use super::{Broken, DEPTH, Times, hexadecimal, number, text, too_deep};
use flitch_core::batch::builder::Builder;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wire<'a> {
    Number(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Wire<'a> {
    /// A text, bytes or a message; else nothing, as protobuf has it for a field of another type.
    fn bytes(self) -> &'a [u8] {
        match self {
            Wire::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    fn number(self) -> u64 {
        match self {
            Wire::Number(number) | Wire::Fixed64(number) => number,
            Wire::Fixed32(number) => number.into(),
            Wire::Bytes(_) => 0,
        }
    }
}

/// The fields of a message, in order.
#[derive(Clone, Copy, Debug, Default)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, Wire<'a>)>, Broken> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let head = self.varint()?;
        let wire = match head & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| short())?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(Broken::new(format!("a field has the wire type {other}"))),
        };
        Ok(Some((head >> 3, wire)))
    }

    /// The next field of this number.
    fn find(&mut self, wanted: u64) -> Result<Option<&'a [u8]>, Broken> {
        self.find_one_of(&[wanted])
    }

    /// The next field of one of these numbers.
    fn find_one_of(&mut self, wanted: &[u64]) -> Result<Option<&'a [u8]>, Broken> {
        while let Some((field, wire)) = self.next()? {
            if wanted.contains(&field) {
                return Ok(Some(wire.bytes()));
            }
        }
        Ok(None)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or_else(short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut number = 0;
        for (place, &byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                self.0 = &self.0[place + 1..];
                return Ok(number);
            }
        }
        Err(short())
    }
}

fn short() -> Broken {
    Broken::new("a message ends in the middle of a field")
}

/// The groups of a request, and in them the records, one by one.
#[derive(Clone, Debug)]
pub struct Groups<'a> {
    /// ExportLogsServiceRequest: `resource_logs = 1`.
    request: Fields<'a>,
    /// ResourceLogs: `resource = 1`, `scope_logs = 2`, `schema_url = 3`, and until the summer of 2022
    /// `instrumentation_library_logs = 1000`, which has the same in it.
    resource_logs: Fields<'a>,
    resource: &'a [u8],
    resource_schema: &'a [u8],
    /// ScopeLogs: `scope = 1`, `log_records = 2`, `schema_url = 3`.
    scope_logs: Fields<'a>,
    scope: &'a [u8],
    scope_schema: &'a [u8],
}

/// A record with what it shares with others.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    resource: &'a [u8],
    resource_schema: &'a [u8],
    scope: &'a [u8],
    scope_schema: &'a [u8],
    record: &'a [u8],
}

/// What stands beside the members of a group: its head (field 1), and its schema (field 3).
fn head(group: &[u8]) -> Result<(&[u8], &[u8]), Broken> {
    let (mut head, mut schema) = (&[][..], &[][..]);
    let mut fields = Fields(group);
    while let Some((field, wire)) = fields.next()? {
        match field {
            1 => head = wire.bytes(),
            3 => schema = wire.bytes(),
            _ => {}
        }
    }
    Ok((head, schema))
}

impl<'a> Groups<'a> {
    pub fn new(body: &'a [u8]) -> Groups<'a> {
        Groups {
            request: Fields(body),
            resource_logs: Fields::default(),
            resource: &[],
            resource_schema: &[],
            scope_logs: Fields::default(),
            scope: &[],
            scope_schema: &[],
        }
    }

    /// The next record; none at the end.
    pub fn next(&mut self) -> Result<Option<Log<'a>>, Broken> {
        loop {
            if let Some(record) = self.scope_logs.find(2)? {
                let Groups { resource, resource_schema, scope, scope_schema, .. } = *self;
                return Ok(Some(Log { resource, resource_schema, scope, scope_schema, record }));
            }
            if let Some(scope_logs) = self.resource_logs.find_one_of(&[2, 1000])? {
                (self.scope, self.scope_schema) = head(scope_logs)?;
                self.scope_logs = Fields(scope_logs);
                continue;
            }
            let Some(resource_logs) = self.request.find(1)? else { return Ok(None) };
            (self.resource, self.resource_schema) = head(resource_logs)?;
            self.resource_logs = Fields(resource_logs);
        }
    }
}

impl Log<'_> {
    /// Bytes of it, with what it shares.
    pub fn length(&self) -> usize {
        let shared = self.resource.len() + self.resource_schema.len();
        shared + self.scope.len() + self.scope_schema.len() + self.record.len()
    }

    /// A request of it alone.
    pub fn alone(&self) -> Vec<u8> {
        let put = |field, bytes: &[u8], out: &mut Vec<u8>| {
            if !bytes.is_empty() {
                put_bytes(field, bytes, out);
            }
        };
        let mut scope_logs = Vec::with_capacity(self.length() + 64);
        put(1, self.scope, &mut scope_logs);
        put_bytes(2, self.record, &mut scope_logs);
        put(3, self.scope_schema, &mut scope_logs);
        let mut resource_logs = Vec::with_capacity(self.length() + 64);
        put(1, self.resource, &mut resource_logs);
        put_bytes(2, &scope_logs, &mut resource_logs);
        put(3, self.resource_schema, &mut resource_logs);
        let mut request = Vec::with_capacity(resource_logs.len() + 16);
        put_bytes(1, &resource_logs, &mut request);
        request
    }

    /// Writes it into the record that `to` has begun.
    pub fn write(&self, to: &mut Builder) -> Result<(), Broken> {
        // Resource: `attributes = 1`, `dropped_attributes_count = 2`.
        if !self.resource.is_empty() || !self.resource_schema.is_empty() {
            to.key(b"resource").begin_object();
            attributes(self.resource, 1, to)?;
            dropped(self.resource, 2, to)?;
            text(b"schema_url", self.resource_schema, to);
            to.end_object();
        }
        // InstrumentationScope: `name = 1`, `version = 2`, `attributes = 3`, `dropped_attributes_count = 4`.
        if !self.scope.is_empty() || !self.scope_schema.is_empty() {
            to.key(b"scope").begin_object();
            let mut fields = Fields(self.scope);
            while let Some((field, wire)) = fields.next()? {
                match field {
                    1 => text(b"name", wire.bytes(), to),
                    2 => text(b"version", wire.bytes(), to),
                    _ => {}
                }
            }
            attributes(self.scope, 3, to)?;
            dropped(self.scope, 4, to)?;
            text(b"schema_url", self.scope_schema, to);
            to.end_object();
        }
        record(self.record, to)
    }
}

/// LogRecord.
fn record(record: &[u8], to: &mut Builder) -> Result<(), Broken> {
    let mut times = Times::default();
    let mut fields = Fields(record);
    while let Some((field, wire)) = fields.next()? {
        match field {
            1 => times.event = wire.number(),
            11 => times.observed = wire.number(),
            2 => number(b"severity_number", wire.number() as i32 as i64, to),
            3 => text(b"severity_text", wire.bytes(), to),
            5 => {
                to.key(b"body");
                value(wire.bytes(), DEPTH, to)?;
            }
            7 => number(b"dropped_attributes_count", (wire.number() as u32).into(), to),
            8 => number(b"trace_flags", (wire.number() & 0xff) as i64, to),
            9 => hexadecimal(b"trace_id", wire.bytes(), to),
            10 => hexadecimal(b"span_id", wire.bytes(), to),
            12 => text(b"event_name", wire.bytes(), to),
            _ => {}
        }
    }
    attributes(record, 6, to)?;
    times.write(to)
}

fn dropped(message: &[u8], wanted: u64, to: &mut Builder) -> Result<(), Broken> {
    let mut fields = Fields(message);
    while let Some((field, wire)) = fields.next()? {
        if field == wanted {
            number(b"dropped_attributes_count", (wire.number() as u32).into(), to);
        }
    }
    Ok(())
}

/// Writes the attributes of a message, which are its fields of this number, if it has any.
fn attributes(message: &[u8], field: u64, to: &mut Builder) -> Result<(), Broken> {
    let mut fields = Fields(message);
    let Some(first) = fields.find(field)? else { return Ok(()) };
    to.key(b"attributes").begin_object();
    pair(first, DEPTH, to)?;
    while let Some(next) = fields.find(field)? {
        pair(next, DEPTH, to)?;
    }
    to.end_object();
    Ok(())
}

/// KeyValue: `key = 1`, `value = 2`.
fn pair(message: &[u8], depth: usize, to: &mut Builder) -> Result<(), Broken> {
    let (mut name, mut held) = (&[][..], &[][..]);
    let mut fields = Fields(message);
    while let Some((field, wire)) = fields.next()? {
        match field {
            1 => name = wire.bytes(),
            2 => held = wire.bytes(),
            _ => {}
        }
    }
    to.key(name);
    value(held, depth, to)
}

/// AnyValue; of several the last, and null where there is none.
fn value(message: &[u8], depth: usize, to: &mut Builder) -> Result<(), Broken> {
    let mut fields = Fields(message);
    let mut last = None;
    while let Some((field, wire)) = fields.next()? {
        if (1..=7).contains(&field) {
            last = Some((field, wire));
        }
    }
    match last {
        Some((1, wire)) => to.text(wire.bytes()),
        Some((2, wire)) => to.boolean(wire.number() != 0),
        Some((3, wire)) => to.int(wire.number() as i64),
        Some((4, wire)) => to.float(f64::from_bits(wire.number())),
        Some((5, wire)) => {
            let inner = depth.checked_sub(1).ok_or_else(too_deep)?;
            to.begin_array();
            let mut items = Fields(wire.bytes());
            while let Some(item) = items.find(1)? {
                value(item, inner, to)?;
            }
            to.end_array();
        }
        Some((6, wire)) => {
            let inner = depth.checked_sub(1).ok_or_else(too_deep)?;
            to.begin_object();
            let mut pairs = Fields(wire.bytes());
            while let Some(next) = pairs.find(1)? {
                pair(next, inner, to)?;
            }
            to.end_object();
        }
        Some((_, wire)) => to.bytes_value(wire.bytes()),
        None => to.null(),
    }
    Ok(())
}
