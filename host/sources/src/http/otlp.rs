//! Logs of OpenTelemetry, by OTLP/HTTP: `POST /v1/logs`, protobuf or JSON, straight into columns.
//!
//! No crate's messages are used: they hold a tree of a request whose size a stranger chooses, many times that of its bytes.
//! Here a request stays the bytes that came, and what is read of it goes to the columns at once.
//!
//! A record has the names of the log data model: `@timestamp` (else the observed time, else that of the arrival),
//! `observed_timestamp`, `severity_number`, `severity_text`, `body`, `attributes`, `trace_id`, `span_id` (hexadecimal),
//! `trace_flags`, `event_name`, `dropped_attributes_count`; and with it what all records of its group share: `resource`
//! (`attributes`, `dropped_attributes_count`, `schema_url`) and `scope` (`name`, `version` and the same). What is empty or
//! zero, as protobuf has it for what is not there, is no field.
//!
//! An id that JSON brings in base64 is written in hexadecimal, and one that is no id of its length stays the text that it is.
//!
//! A request that is broken is refused as a whole. A record that cannot be read costs itself alone: it becomes a dead letter,
//! as a request with nothing else in it, and the answer says how many those are (partial success).
//!
//! Source: OTLP specification 1.9, <https://opentelemetry.io/docs/specs/otlp/>, and opentelemetry-proto 1.9, `logs.proto`,
//! `common.proto`, `resource.proto`.

use super::answer::Answer;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::{Cut, TIMESTAMP};

mod json;
mod protobuf;
pub mod reply;

/// Where logs are posted (OTLP specification, "OTLP/HTTP Request").
pub const PATH: &str = "/v1/logs";

/// Whether logs of OTLP are posted to this path: slashes around it are none of it, as with the path of a tag.
pub fn is_at(path: &str) -> bool {
    path.trim_matches('/') == PATH.trim_matches('/')
}

/// Arrays and lists of attributes inside each other that a value may have.
const DEPTH: usize = 64;

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

/// Why a request is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub(super) String);

impl Broken {
    fn new(why: impl Into<String>) -> Broken {
        Broken(why.into())
    }
}

/// The records of a request, a batch at a time.
pub struct Logs<'a> {
    groups: Groups<'a>,
    rejected: Rejected,
    bad: Vec<Bad>,
    /// Bytes of them.
    bad_bytes: usize,
}

enum Groups<'a> {
    Protobuf(protobuf::Groups<'a>),
    Json(json::Groups<'a>),
}

/// A record that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Bad {
    /// Why not.
    pub reason: String,
    /// A request of it alone, with what it shared with others, in the encoding in which it came.
    pub request: Vec<u8>,
}

/// Records that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many.
    pub count: usize,
    /// Why the first of them was not.
    pub reason: Option<String>,
}

impl<'a> Logs<'a> {
    /// Those of a body, whose records take `most` bytes at most, what they share counted for each.
    ///
    /// # Errors
    /// It is broken, or its records take more.
    pub fn new(encoding: Encoding, body: &'a [u8], most: usize) -> Result<Logs<'a>, Answer> {
        let groups = match encoding {
            Encoding::Protobuf => Groups::Protobuf(protobuf::Groups::new(body)),
            Encoding::Json => Groups::Json(json::Groups::new(body).map_err(unreadable)?),
        };
        // It is taken as a whole or not at all: how it is put together is looked at before any record is taken.
        let mut size = 0usize;
        let mut walk = |length: usize| size = size.saturating_add(length);
        match &groups {
            Groups::Protobuf(groups) => {
                let mut groups = groups.clone();
                while let Some(log) = groups.next().map_err(unreadable)? {
                    walk(log.length());
                }
            }
            Groups::Json(groups) => {
                let mut groups = groups.clone();
                while let Some(log) = groups.next().map_err(unreadable)? {
                    walk(log.length());
                }
            }
        }
        if size > most {
            let text = format!(
                "the records, each with its resource and scope, take more than {most} bytes (`max_expanded`)"
            );
            return Err(Answer::TooLarge(text));
        }
        Ok(Logs { groups, rejected: Rejected::default(), bad: Vec::new(), bad_bytes: 0 })
    }

    /// Adds records until the batch is full, of them or of such that cannot be read, or the body at its end. Answers whether
    /// there may be more to read.
    pub fn fill(&mut self, builder: &mut Builder, cut: &Cut) -> bool {
        loop {
            builder.begin_record();
            let written = match &mut self.groups {
                Groups::Protobuf(groups) => match groups.next() {
                    Ok(Some(log)) => log.write(builder).map_err(|broken| (broken, log.alone())),
                    _ => break,
                },
                Groups::Json(groups) => match groups.next() {
                    Ok(Some(log)) => log.write(builder).map_err(|broken| (broken, log.alone())),
                    _ => break,
                },
            };
            match written {
                Ok(()) => builder.end_record(),
                Err((Broken(reason), request)) => {
                    builder.cancel_record();
                    self.rejected.count += 1;
                    let reason = format!("a record of {PATH} cannot be read: {reason}");
                    self.rejected.reason.get_or_insert_with(|| reason.clone());
                    self.bad_bytes += request.len();
                    self.bad.push(Bad { reason, request });
                }
            }
            if builder.full(cut) || self.bad_bytes >= cut.bytes || self.bad.len() >= cut.rows {
                return true;
            }
        }
        builder.cancel_record();
        false
    }

    /// Takes those of the last batch that could not be read, in their order.
    pub fn take_bad(&mut self) -> Vec<Bad> {
        self.bad_bytes = 0;
        std::mem::take(&mut self.bad)
    }

    /// Whether there are such.
    pub fn has_bad(&self) -> bool {
        !self.bad.is_empty()
    }

    /// How many could not be read so far.
    pub fn rejected(&self) -> &Rejected {
        &self.rejected
    }
}

fn unreadable(Broken(reason): Broken) -> Answer {
    Answer::Unreadable { line: 1, reason: format!("the body is no request of OTLP: {reason}") }
}

/// The times of a record, in ns since 1970; 0 where there is none.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    event: u64,
    observed: u64,
}

impl Times {
    /// Writes them into the record.
    fn write(self, to: &mut Builder) -> Result<(), Broken> {
        let time = |ns: u64| {
            i64::try_from(ns).map_err(|_| Broken::new(format!("a time of {ns} ns is past the year 2262")))
        };
        if self.observed != 0 {
            to.key(b"observed_timestamp").timestamp(time(self.observed)?);
        }
        match (self.event, self.observed) {
            (0, 0) => {}
            (0, ns) | (ns, _) => to.key(TIMESTAMP.as_bytes()).timestamp(time(ns)?),
        }
        Ok(())
    }
}

/// Writes a whole number that is not 0.
fn number(name: &[u8], number: i64, to: &mut Builder) {
    if number != 0 {
        to.key(name).int(number);
    }
}

/// Writes a text that is not empty.
fn text(name: &[u8], text: &[u8], to: &mut Builder) {
    if !text.is_empty() {
        to.key(name).text(text);
    }
}

/// Writes the bytes of an id, if there are any.
fn hexadecimal(name: &[u8], bytes: &[u8], to: &mut Builder) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    if bytes.is_empty() {
        return;
    }
    let mut digits = Vec::with_capacity(2 * bytes.len());
    for byte in bytes {
        digits.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    to.key(name).text(&digits);
}

fn too_deep() -> Broken {
    Broken::new(format!("arrays and lists of attributes lie more than {DEPTH} deep in it"))
}

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
#[cfg(test)]
mod tests;
