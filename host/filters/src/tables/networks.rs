//! A MaxMind DB: what is known of IP addresses, by network. The format is
//! <https://maxmind.github.io/MaxMind-DB/>.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, bail};
use maxminddb::{MaxMindDbError, PathElement, Reader, WithinOptions};
use serde_json::Value;

use crate::guest::LookupError;
use crate::guest::limits::Bounds;
use flitch_core::batch::Records;
use flitch_core::batch::builder::{Builder, Handle};
use flitch_core::batch::constants::Constants;
use flitch_core::batch::path;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::named_file;
use flitch_core::telemetry::Quiet;

/// Most bytes of a file, which is held in memory.
const MAX_BYTES: u64 = 1 << 30;
/// Networks that are read at the start, and leaves of the tree that are looked at for them.
const SAMPLE: usize = 4096;
const LEAVES: usize = 1 << 18;
/// Most paths that may be asked for at once: each has a column.
pub const MAX_PATHS: usize = 1000;

/// The networks of a file.
pub struct Networks {
    reader: Reader<Vec<u8>>,
    /// Told of values that cannot be read.
    broken: Quiet,
}

impl std::fmt::Debug for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Networks").field("type", &self.kind()).finish_non_exhaustive()
    }
}

impl Networks {
    /// Reads a file, and a part of its networks.
    ///
    /// # Errors
    /// It cannot be read, is larger than 1 GiB, or is no MaxMind DB.
    pub fn read(path: &Path) -> anyhow::Result<Networks> {
        let read = || {
            let length = named_file::open(path)?.metadata()?.len();
            if length > MAX_BYTES {
                bail!("it is too large: {length} bytes, and a table holds 1 GiB");
            }
            let reader = Reader::open_readfile(path)?;
            // Leaves with nothing count as well: a tree of a hundred nodes may lead to those in more ways than can be gone.
            let every = WithinOptions::default().include_networks_without_data().include_aliased_networks();
            let mut known = 0;
            for leaf in reader.networks(every)?.take(LEAVES) {
                // A file that is damaged shows it here, and not at the first record.
                known += usize::from(leaf?.decode::<serde::de::IgnoredAny>()?.is_some());
                if known == SAMPLE {
                    break;
                }
            }
            Ok(Networks { reader, broken: Quiet::a_minute() })
        };
        read().with_context(|| format!("cannot read {}", path.display()))
    }

    /// What the file says it is: `GeoLite2-City`.
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// How many nodes its tree has.
    pub fn len(&self) -> usize {
        self.reader.metadata().node_count as usize
    }

    /// A question for these paths, to be asked address by address.
    pub fn ask<'a>(&'a self, want: &'a [String], bounds: &'a Bounds) -> Question<'a> {
        let mut builder = Builder::new();
        let wanted = want.iter().enumerate().map(|(number, name)| {
            // Paths may lie within one another, so each has a column of its own.
            Wanted { names: path::names(name), handle: builder.raw_column(&number.to_string()) }
        });
        let wanted = wanted.collect();
        Question { of: self, wanted, builder, seen: HashMap::default(), bounds }
    }
}

struct Wanted {
    names: Vec<String>,
    handle: Handle,
}

/// What is asked of networks, and what they have answered so far.
pub struct Question<'a> {
    of: &'a Networks,
    wanted: Vec<Wanted>,
    builder: Builder,
    /// The rows of answers, by their place in the file: many addresses share one.
    seen: HashMap<usize, u32, ahash::RandomState>,
    bounds: &'a Bounds,
}

impl Question<'_> {
    /// The row of the answer for an address as text; none where it is no address, or none of a known network.
    pub fn find(&mut self, key: &[u8]) -> Result<Option<u32>, LookupError> {
        let Some(address) = address(key) else { return Ok(None) };
        // An address of version 6 is in no database of version 4.
        let Ok(found) = self.of.reader.lookup(address) else { return Ok(None) };
        let Some(place) = found.offset() else { return Ok(None) };
        let row = match self.seen.entry(place) {
            Entry::Occupied(row) => return Ok(Some(*row.get())),
            Entry::Vacant(vacant) => *vacant.insert(self.builder.rows() as u32),
        };
        if self.bounds.is_late() {
            return Err(LookupError::Late);
        }
        self.builder.begin_record();
        for wanted in &self.wanted {
            let path: Vec<PathElement<'_>> = wanted.names.iter().map(|name| element(name)).collect();
            match found.decode_path::<Value>(&path) {
                Ok(Some(value)) => put(self.builder.at(wanted.handle), value),
                Ok(None) => {}
                Err(error) => self.of.tell(&wanted.names, &error),
            }
        }
        self.builder.end_record();
        if self.builder.bytes() > self.bounds.bytes {
            return Err(LookupError::TooMuch);
        }
        Ok(Some(row))
    }

    /// All answers, a row each; the value of the path number `n` is in the column `n`.
    pub fn answers(mut self) -> Records {
        self.builder.finish(InvalidUtf8::Replace, &Constants::new()).records
    }
}

impl Networks {
    fn tell(&self, names: &[String], error: &MaxMindDbError) {
        // A path that goes on where the record has a value, or a list: it has none there.
        if matches!(error, MaxMindDbError::Decoding { .. }) {
            return;
        }
        if self.broken.may_say() {
            let (database, path) = (self.kind(), path::of_names(names.iter().map(String::as_str)));
            tracing::error!(database, path, %error, "a value of the table cannot be read; records go without it");
        }
    }
}

/// The address that a text is. One of version 4 that is written as one of version 6 is of version 4.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let address: IpAddr = text.parse().ok()?;
    Some(match address {
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    })
}

/// A name of a path: a number is a place in a list.
fn element(name: &str) -> PathElement<'_> {
    name.parse().map_or(PathElement::Key(name), PathElement::Index)
}

fn put(column: &mut Builder, value: Value) {
    match value {
        Value::Null => column.null(),
        Value::Bool(value) => column.boolean(value),
        Value::String(text) => column.text(text.as_bytes()),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => column.int(int),
            (None, Some(unsigned)) => column.unsigned(unsigned),
            (None, None) => column.float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::Array(_) | Value::Object(_) => column.json(&value.to_string()),
    }
}

#[cfg(test)]
mod tests;
