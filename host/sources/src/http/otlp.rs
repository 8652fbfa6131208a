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
//! A request that is broken is refused as a whole. A record that cannot be read costs itself alone: the answer says how many
//! those are (partial success).
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
}

enum Groups<'a> {
    Protobuf(protobuf::Groups<'a>),
    Json(json::Groups<'a>),
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
        Ok(Logs { groups, rejected: Rejected::default() })
    }

    /// Adds records until the batch is full or the body at its end. Answers whether there is more to read.
    pub fn fill(&mut self, builder: &mut Builder, cut: &Cut) -> bool {
        loop {
            builder.begin_record();
            let written = match &mut self.groups {
                Groups::Protobuf(groups) => match groups.next() {
                    Ok(Some(log)) => log.write(builder),
                    _ => break,
                },
                Groups::Json(groups) => match groups.next() {
                    Ok(Some(log)) => log.write(builder),
                    _ => break,
                },
            };
            match written {
                Ok(()) => builder.end_record(),
                Err(Broken(reason)) => {
                    builder.cancel_record();
                    self.rejected.count += 1;
                    self.rejected.reason.get_or_insert(reason);
                }
            }
            if builder.full(cut) {
                return true;
            }
        }
        builder.cancel_record();
        false
    }

    /// The records so far that could not be read.
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

fn too_deep() -> Broken {
    Broken::new(format!("arrays and lists of attributes lie more than {DEPTH} deep in it"))
}

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
#[cfg(test)]
mod tests;
