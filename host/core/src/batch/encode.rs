//! Columns to text: NDJSON, CSV, or the value of one field by itself. An [`Encoder`] is what outputs have.
//!
//! NDJSON: what the rows have in common is worked out once per batch: the names, their commas and quotes, the constants, and
//! which columns hold nothing that JSON must escape. What is left per value is to copy it.
//!
//! Paths are nested again. Members stand in the order of the columns, constants first, and members of one object
//! together. A record that has a value both at a path and below it is written with what is below it. Text is written
//! as it is, bytes as text with U+FFFD for what is not UTF-8, times as RFC 3339 in UTC, floats with the fewest digits
//! that read back as the same float64; a float that is no finite number, of which OTLP, MessagePack and filters have some and
//! JSON has none, is `null`. The members of [`super::REST`] are written at the top of the record.

use std::collections::BTreeMap;

use super::{Column, Encoded, REST, Records, TAG, TIMESTAMP, path};
pub(super) use encoder::Manner;
pub use encoder::{Encoder, Framing};
pub use fields::{Fields, Named};
use plan::{Bytes, Plan};

mod cells;
mod collide;
mod csv;
mod encoder;
mod fields;
pub mod msgpack;
mod plan;
mod tree;
mod write;

/// How an output writes records: the format, names, and which fields.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Encoding {
    /// What is written of a record. `timestamp_format` goes with every format; `timestamp`, `tag`, `only`, `except` and
    /// `rename` with `ndjson` and `parquet` alone.
    pub format: Format,
    /// With `format: text` and `raw`: the field whose value is written. A record without it goes to the dead letters, and
    /// so does one in which it is an object.
    pub field: Option<String>,
    /// With `format: csv`: the fields that are written, in this order. What a record has not is empty, and so is an
    /// object: name its members.
    pub columns: Vec<String>,
    /// With `format: csv`: whether the names of `columns` stand before the first record, at the beginning of each file and
    /// of a stream. Messages have none.
    pub header: bool,
    /// The event's time: `true` writes it as `@timestamp`, a name writes it under that name, `false` leaves it out.
    pub timestamp: Naming,
    /// The tag: `true` writes it as `@tag`, a name writes it under that name, `false` leaves it out.
    pub tag: Naming,
    /// How times are written. With `format: parquet` they are timestamps in UTC all the same: of microseconds, or of
    /// milliseconds with `unix_ms` and of nanoseconds with `unix_ns`, which not every reader takes.
    pub timestamp_format: TimestampFormat,
    /// Writes only these fields, and what lies below them (`kubernetes` means all of `kubernetes.*`). Empty: all.
    pub only: Vec<String>,
    /// Leaves these fields out, and what lies below them.
    pub except: Vec<String>,
    /// Writes a field, or all below it, at another path: old path to new path. `only` and `except` go by the old one.
    /// A record that has both keeps at that path what came there; its time and its tag before all else.
    pub rename: BTreeMap<String, String>,
}

/// What is written of a record.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The record as a JSON object. Files and streams have one a line.
    #[default]
    Ndjson,
    /// The value of `field` as it is, byte for byte, without its name. Files and streams have one a line: a record whose
    /// value has a line feed in it goes to the dead letters there. In a message it may have any.
    Text,
    /// The same with nothing between two records, in files and streams too: for values that say themselves where they
    /// end.
    Raw,
    /// The values of `columns` with commas between them, quoted where they must be (RFC 4180). A record is a line that
    /// ends in a line feed; a quoted value may have others in it.
    Csv,
    /// A row of a Parquet file, for outputs that write objects (`s3`, `azure_blob`, `gcs`, `webhdfs`, `adx`): a column for
    /// each field, by its path (`kubernetes.labels.app`). Arrays, what stayed JSON of an object, and (but in `adx`) fields
    /// that have values of several kinds are JSON texts; whole numbers beside others are float64 where that has them exactly.
    /// Null is no value. A record that the columns of an object do not fit begins another.
    Parquet,
}

impl Format {
    /// As the configuration names it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Ndjson => "ndjson",
            Format::Text => "text",
            Format::Raw => "raw",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }
}

/// Under which name a field of the host's is written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(untagged, expecting = "expected `true`, `false`, or the path under which it is written")]
pub enum Naming {
    /// Under its own name, or not at all.
    Own(bool),
    /// Under this path.
    As(String),
}

impl Default for Naming {
    fn default() -> Self {
        Naming::Own(true)
    }
}

/// How times are written.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TimestampFormat {
    /// Text such as `2026-01-31T23:59:59.123Z`, in UTC, to the nanosecond where there are any.
    #[default]
    Rfc3339,
    /// Whole seconds since 1970-01-01T00:00:00Z.
    Unix,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    UnixMs,
    /// Microseconds since 1970-01-01T00:00:00Z.
    UnixUs,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    UnixNs,
}

impl Default for Encoding {
    fn default() -> Self {
        Encoding {
            format: Format::default(),
            field: None,
            columns: Vec::new(),
            header: true,
            timestamp: Naming::default(),
            tag: Naming::default(),
            timestamp_format: TimestampFormat::default(),
            only: Vec::new(),
            except: Vec::new(),
            rename: BTreeMap::new(),
        }
    }
}

impl Encoding {
    /// Where a column is written; none where it is left out.
    fn path(&self, column: Column<'_>) -> Option<String> {
        let name = column.field().name();
        let own = match name.as_str() {
            TIMESTAMP => Some(&self.timestamp),
            TAG => Some(&self.tag),
            _ => None,
        };
        if let Some(own) = own {
            return match own {
                Naming::Own(true) => Some(name.clone()),
                Naming::Own(false) => None,
                Naming::As(path) => Some(path.clone()),
            };
        }
        if name == REST {
            return self.only.is_empty().then(|| name.clone());
        }
        let covers = |outer: &String| name == outer || path::is_below(name, outer);
        if !self.only.is_empty() && !self.only.iter().any(covers) || self.except.iter().any(covers) {
            return None;
        }
        // The longest path that covers the column is the one that means it.
        match self.rename.iter().filter(|(old, _)| covers(old)).max_by_key(|(old, _)| old.len()) {
            Some((old, new)) => Some(format!("{new}{}", &name[old.len()..])),
            None => Some(name.clone()),
        }
    }
}

/// Encodes every row as one JSON object and a newline.
pub fn ndjson(records: &Records) -> Encoded {
    ndjson_with(records, &Encoding::default())
}

/// The same with the names and fields that `encoding` says.
pub fn ndjson_with(records: &Records, encoding: &Encoding) -> Encoded {
    let named = fields::named(records, encoding);
    let columns = named.iter().map(|named| (named.path.to_string(), named.column()));
    let plan = Plan::new(columns, Bytes::Replaced, encoding.timestamp_format);
    write::rows(&plan, records.rows())
}

/// The same with every byte kept: a value of a bytes column is `{"$bytes":"<base64>"}`, and a member that is named
/// `$bytes` has one more `$` in front. Dead letters are written so.
pub fn ndjson_lossless(records: &Records) -> Encoded {
    let columns = records.iter().map(|column| (column.field().name().clone(), column));
    write::rows(&Plan::new(columns, Bytes::Base64, TimestampFormat::Rfc3339), records.rows())
}

#[cfg(test)]
mod tests;
