//! The example of every SDK: lines of `key=value` words become fields, and a table says who owns the service.
//!
//! By columns, so that a batch costs one look into the table, however many records it has.

use std::borrow::Cow;

use flitch_sdk::json::{self, Decoded, MAX_NAMES};
use flitch_sdk::parse::set_pairs;
use flitch_sdk::{Batch, Changes, ColumnFilter, ColumnSet, Fields, Result, TextBuilder, Value, View, host};
use serde::Deserialize;

const OWNER: &str = "owner";

/// What stands under `settings` in the configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field with the line.
    field: String,
    /// The table of services.
    table: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { field: "message".to_owned(), table: "services".to_owned() }
    }
}

/// The filter.
#[derive(Debug)]
pub struct Pairs(Settings);

impl ColumnFilter for Pairs {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        Ok(Self(settings))
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.0.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let Settings { field, table } = &self.0;
        let column = batch.column(field);
        // Where texts stand beside other values, each is JSON.
        let decoded: Vec<Option<Decoded<'_>>> = match column.map(|column| column.view()) {
            Some(View::Json(texts)) => texts.iter().map(|text| text.map(json::decode)).collect(),
            _ => Vec::new(),
        };
        let value = |row: usize| match decoded.get(row) {
            Some(decoded) => decoded.as_ref().map(Decoded::value),
            None => column.and_then(|column| column.value(row)),
        };
        let mut pairs: Vec<Pair<'_>> = Vec::new();
        // The rows that go on, and where the pairs of each end.
        let (mut take, mut ends) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        let mut services = TextBuilder::default();
        for row in 0..batch.len() {
            let line = match value(row) {
                Some(Value::Text(line)) => line,
                Some(_) => {
                    changes.reject(row, format!("the field `{field}` is not text"));
                    continue;
                }
                None => {
                    changes.reject(row, format!("the field `{field}` is missing"));
                    continue;
                }
            };
            let begin = pairs.len();
            let (mut level, mut service) = ("", None);
            for pair in Words(line) {
                match pair.key {
                    "level" => level = pair.value,
                    "service" => service = Some(pair.value),
                    _ => {}
                }
                pairs.push(pair);
            }
            if pairs.len() == begin {
                changes.reject(row, "the line has no key=value");
            } else if level == "DEBUG" {
                pairs.truncate(begin);
            } else {
                take.push(row as u32);
                ends.push(pairs.len());
                services.push_option(service);
            }
        }
        let owners = host::lookup(table, &services.finish("service"), &[OWNER.to_owned()])?;
        let mut columns = ColumnSet::default();
        let mut begin = 0;
        for (row, end) in ends.iter().enumerate() {
            let own = &pairs[begin..*end];
            begin = *end;
            if own.len() >= MAX_NAMES {
                let all: Vec<_> =
                    own.iter().map(|pair| (Cow::Borrowed(pair.key), Value::Text(pair.value))).collect();
                set_pairs(&all, "", row, &mut columns)?;
            } else {
                columns.begin_row();
                for Pair { key, value, is_dotted } in own {
                    if *is_dotted {
                        // A dot is part of the name.
                        columns.set(row, &key.replace('.', "\\."), Value::Text(value));
                    } else {
                        columns.set(row, key, Value::Text(value));
                    }
                }
            }
            if let Some(owner) = owners.first().and_then(|column| column.value(row)) {
                columns.set(row, OWNER, owner);
            }
        }
        columns.finish(take.len()).into_iter().for_each(|column| changes.set(column));
        if take.len() + changes.rejected.len() < batch.len() {
            changes.take(take);
        }
        Ok(())
    }
}

/// A word that is one.
struct Pair<'a> {
    key: &'a str,
    value: &'a str,
    is_dotted: bool,
}

/// The pairs of a line, which is what is left of it.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        while !self.0.is_empty() {
            let line = self.0;
            let bytes = line.as_bytes();
            let (mut at, mut is_dotted) = (0, false);
            if bytes[0].is_ascii_alphabetic() {
                while at < bytes.len() && is_of_key(bytes[at]) {
                    is_dotted |= bytes[at] == b'.';
                    at += 1;
                }
            }
            let end =
                bytes[at..].iter().position(|byte| *byte == b' ').map_or(bytes.len(), |length| at + length);
            self.0 = line.get(end + 1..).unwrap_or("");
            if at > 0 && bytes.get(at) == Some(&b'=') {
                return Some(Pair { key: &line[..at], value: &line[at + 1..end], is_dotted });
            }
        }
        None
    }
}

fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

flitch_sdk::export!(Pairs);

#[cfg(test)]
mod tests;
