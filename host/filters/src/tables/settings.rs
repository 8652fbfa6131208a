//! The settings of a table.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file that filters look things up in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TableSettings {
    /// The file; a relative path is from the folder of the configuration file. It is read again when it changes.
    pub path: PathBuf,
    /// The column of a CSV file, or the field of an NDJSON file, that holds the key. Of two rows with one key the last
    /// counts. (In a MaxMind DB it is always the address.)
    #[serde(default = "default_key")]
    pub key: String,
    /// How the file is written; told by its ending where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TableFormat>,
}

fn default_key() -> String {
    "key".to_owned()
}

/// How a table's file is written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TableFormat {
    /// Comma-separated values under a line of names (RFC 4180). All values are text; an empty one is absent.
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// A MaxMind DB, for the country, city or network of an IP address: GeoLite2-City and its kin. The key is the
    /// address; a column is a path in its record, with numbers for places in a list: `country.iso_code`,
    /// `subdivisions.0.names.en`.
    Mmdb,
}
