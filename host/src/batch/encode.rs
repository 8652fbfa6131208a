//! Columns to NDJSON.
//!
//! What the rows have in common is worked out once per batch: the names, their commas and quotes, the constants, and
//! which columns hold nothing that JSON must escape. What is left per value is to copy it.
//!
//! Paths are nested again. Members stand in the order of the columns, constants first, and members of one object
//! together. A record that has a value both at a path and below it is written with what is below it. Text is written
//! as it is, bytes as text with U+FFFD for what is not UTF-8, times as RFC 3339 in UTC, floats with the fewest digits
//! that read back as the same float64; a float that is no number (only a filter can make one) is `null`. The members of
//! [`super::REST`] are written at the top of the record.

use std::collections::BTreeMap;

use super::{Column, Encoded, REST, Records, TAG, TIMESTAMP, path};
use plan::{Bytes, Plan};

mod collide;
mod plan;
mod write;

/// How an output writes records: names, and which fields.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Encoding {
    /// The event's time: `true` writes it as `@timestamp`, a name writes it under that name, `false` leaves it out.
    pub timestamp: Naming,
    /// The tag: `true` writes it as `@tag`, a name writes it under that name, `false` leaves it out.
    pub tag: Naming,
    /// How times are written.
    pub timestamp_format: TimestampFormat,
    /// Writes only these fields, and what lies below them (`kubernetes` means all of `kubernetes.*`). Empty: all.
    pub only: Vec<String>,
    /// Leaves these fields out, and what lies below them.
    pub except: Vec<String>,
    /// Writes a field, or all below it, at another path: old path to new path. `only` and `except` go by the old one.
    /// A record that has both keeps at that path what came there; its time and its tag before all else.
    pub rename: BTreeMap<String, String>,
}

/// Under which name a field of the host's is written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
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
    let named = encoding.only.iter().chain(&encoding.except).chain(encoding.rename.keys());
    let lifted = records.lifted(named.map(String::as_str)).expect("each column has a place for each row");
    let records = lifted.as_ref().unwrap_or(records);
    let columns: Vec<_> =
        records.iter().filter_map(|column| Some((encoding.path(column)?, column))).collect();
    let joined = collide::joined(&columns, records.rows());
    let columns =
        columns.into_iter().filter(|(path, _)| joined.iter().all(|(field, _)| field.name() != path));
    let joined = joined.iter().map(|(field, array)| (field.name().clone(), Column::Rows(field, array)));
    let plan = Plan::new(columns.chain(joined), Bytes::Replaced, encoding.timestamp_format);
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
