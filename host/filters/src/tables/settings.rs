//! The settings of a table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::net::fetch::{Fetch, FetchSettings};
use flitch_core::net::http_head::AuthSettings;
use flitch_core::net::tls::ClientTls;
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;
use flitch_core::units::{Bytes, Span};

/// The shortest time between two requests.
const SHORTEST: Duration = Duration::from_secs(1);
/// Most bytes that a table may be fetched with.
const LARGEST: u64 = 1 << 30;

/// What filters look things up in: a file (`path`), or what a server has (`url`).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TableSettings {
    /// The file; a relative path is from the folder of the configuration file. It is read again when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Where a server has the table, in place of a file: `https://inventory.example.com/hosts.csv`. It is fetched at the
    /// start, and kept below `data_dir`: while the server is away, the rows that came last stay, over a restart too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How often the server is asked whether it has another table (`ETag`, `Last-Modified`), a tenth more or less. After
    /// a failure it is asked sooner, at first after a second.
    #[serde(default = "every")]
    pub every: Span,
    /// Longest time for a request, from the connection to the end of its answer.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Most bytes that are fetched, 1 GiB at most; what is larger is refused, and the rows that were there stay.
    #[serde(default = "max_bytes")]
    pub max_bytes: Bytes,
    /// How flitch proves to the server who it is: `{ bearer }`, or `{ username, password }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthSettings>,
    /// Headers of requests. Their values are shown nowhere.
    #[schemars(extend("writeOnly" = true))]
    #[serde(default)]
    pub request_headers: BTreeMap<String, Secret>,
    /// TLS of `https://` where it is not that of the system: an authority of your own, a certificate to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
    /// The column of a CSV file, or the field of an NDJSON file, that holds the key. Of two rows with one key the last
    /// counts. (In a MaxMind DB it is always the address.)
    #[serde(default = "default_key")]
    pub key: String,
    /// How the table is written; told by the ending of its file, or of the path of its URL, where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TableFormat>,
}

fn default_key() -> String {
    "key".to_owned()
}

fn every() -> Span {
    Span(Duration::from_secs(300))
}

fn timeout() -> Span {
    Span(Duration::from_secs(30))
}

fn max_bytes() -> Bytes {
    Bytes(64 << 20)
}

impl TableSettings {
    /// A file, with its key in this column.
    pub fn of_file(path: impl Into<PathBuf>, key: &str) -> TableSettings {
        TableSettings {
            path: Some(path.into()),
            url: None,
            every: every(),
            timeout: timeout(),
            max_bytes: max_bytes(),
            auth: None,
            request_headers: BTreeMap::new(),
            tls: None,
            key: key.to_owned(),
            format: None,
        }
    }

    /// Whether the settings make sense together, as far as can be told without reading the table.
    ///
    /// # Errors
    /// What contradicts what, or is missing; the text names the setting.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.path.is_some() != self.url.is_some(),
            wrong!("path", ": a table has `path`, for a file, or `url`, for what a server has")
        );
        if self.url.is_none() {
            let of_servers = [
                ("auth", self.auth.is_some()),
                ("request_headers", !self.request_headers.is_empty()),
                ("tls", self.tls.is_some()),
            ];
            for (key, is_set) in of_servers {
                ensure!(!is_set, wrong!("{key}", " is for a table with `url`, and this one is a file"));
            }
            return Ok(());
        }
        ensure!(self.every.0 >= SHORTEST, wrong!("every", ": {} is less than a second", self.every));
        ensure!(self.max_bytes.0 <= LARGEST, wrong!("max_bytes", ": {} is more than 1GiB", self.max_bytes));
        self.fetch()?;
        self.format(Path::new(""))?;
        Ok(())
    }

    /// What asks the server.
    pub(super) fn fetch(&self) -> anyhow::Result<Fetch> {
        Fetch::new(&FetchSettings {
            url: self.url.as_deref().unwrap_or_default(),
            auth: self.auth.as_ref(),
            request_headers: &self.request_headers,
            tls: self.tls.as_ref(),
            timeout: self.timeout.0,
            max_bytes: self.max_bytes.0,
        })
    }

    /// How the table is written, whose file this is where it has one.
    pub(super) fn format(&self, path: &Path) -> anyhow::Result<TableFormat> {
        let of_url = || {
            let (without, _) = self.url.as_deref()?.split_once(['?', '#']).unzip();
            of_ending(Path::new(without.or(self.url.as_deref())?))
        };
        let told = match &self.url {
            Some(_) => of_url(),
            None => of_ending(path),
        };
        let shown = || match &self.url {
            Some(_) => "`url`".to_owned(),
            None => path.display().to_string(),
        };
        self.format.or(told).with_context(|| {
            format!("cannot tell the format of {}: add `format: csv`, `ndjson` or `mmdb`", shown())
        })
    }
}

fn of_ending(path: &Path) -> Option<TableFormat> {
    match path.extension()?.to_str()? {
        "csv" => Some(TableFormat::Csv),
        "ndjson" | "jsonl" => Some(TableFormat::Ndjson),
        "mmdb" => Some(TableFormat::Mmdb),
        _ => None,
    }
}

/// How a table is written.
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
