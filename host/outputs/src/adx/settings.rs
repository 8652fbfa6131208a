//! What is set of an output to Azure Data Explorer, and the output that is made of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::resources::Manager;
use super::service::{Service, ends};
use super::tables::{Entry, Limits, Mode, Routes, TableSettings};
use super::together::Together;
use super::{AdxOutput, WRITES, probe};
use crate::object::{believing, table};
use crate::staging::{Compression, Plan, TablePlan};
use crate::{Output, OutputContext, OutputKind};
use flitch_core::batch::encode::{Encoder, Format, Framing};
use flitch_core::batch::template::Template;
use flitch_core::net::entra::AuthSettings;
use flitch_core::net::http_client::{self, Settings};
use flitch_core::net::upload::Uploads;
use flitch_core::setting::wrong;
use flitch_core::telemetry::Quiet;
use flitch_core::units::{Bytes, Span};

/// Longest time for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// When a record counts as delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// When the cluster says that it is in the table.
    #[default]
    Delivered,
    /// When the cluster has been told of the blob that it is in. What becomes of it then flitch does not hear.
    Accepted,
}

/// Writes records to tables of Azure Data Explorer, or of an eventhouse of Microsoft Fabric: as JSON, or as `encoding` says
/// (`csv`, `parquet`, or the value of one field with `text`).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdxSettings {
    /// The cluster, by its URI (`https://logs.westeurope.kusto.windows.net`) or that of its ingestion
    /// (`https://ingest-logs.…`): each follows from the other.
    pub cluster: String,
    /// The URI of its ingestion, where it does not follow from `cluster`.
    #[serde(default)]
    pub ingest: Option<String>,
    /// How flitch proves who it is. It needs the right to ingest (Database Ingestor, or Table Ingestor).
    pub auth: AuthSettings,
    /// The database, a template.
    #[serde(default)]
    pub database: Option<Template>,
    /// The table, a template: `logs` or `{@tag}`. A record without a field of it, or whose value is no name (letters,
    /// digits, `_`, `-`, `.`), goes to the dead letters.
    #[serde(default)]
    pub table: Option<Template>,
    /// The ingestion mapping, by its name in the database or the table; `flitch adx mapping` writes one. Not set, the columns
    /// of the table have the names of the fields.
    #[serde(default)]
    pub mapping: Option<String>,
    /// In the place of `database` and `table`: where records go by their tag.
    #[serde(default)]
    pub tables: Vec<TableSettings>,
    /// `queued`, `streaming`, or `auto`, which streams and queues what cannot be streamed.
    #[serde(default)]
    pub mode: Mode,
    /// When a record counts as delivered: `delivered`, when the cluster says that it is in the table (for what is queued that
    /// takes as long as the batching policy of the table says, five minutes by default), or `accepted`, when the cluster has
    /// been told of it.
    #[serde(default)]
    pub ack: Ack,
    /// What is queued is closed when its text, before it is compressed, is that long.
    #[serde(default = "max_bytes")]
    pub max_bytes: Bytes,
    /// What is queued is closed that long after its first record came.
    #[serde(default = "max_age")]
    pub max_age: Span,
    /// The same for what is streamed; at most 2 MB.
    #[serde(default = "streaming_max_bytes")]
    pub streaming_max_bytes: Bytes,
    /// The same for what is streamed.
    #[serde(default = "streaming_max_age")]
    pub streaming_max_age: Span,
    /// Most objects that are open at once. For one more the one is closed to which nothing came for the longest
    /// time, and also when all of them take more than 64 MiB of memory beside their content: about 2.5 KiB each.
    #[serde(default = "max_open")]
    #[schemars(range(min = 1))]
    pub max_open: usize,
    /// Most bytes below `data_dir` in which objects are built, wait to be written, or wait for what the cluster says of them.
    /// Where more come sources wait.
    #[serde(default = "max_staged")]
    pub max_staged: Bytes,
    /// How long flitch waits until the cluster says what became of what was queued. After that it is sent again, and may come
    /// twice.
    #[serde(default = "status_timeout")]
    pub status_timeout: Span,
    /// Tags of the extents that are made of what is queued (`[edge, "drop-by:2026-11"]`).
    #[serde(default)]
    pub tags: Vec<String>,
    /// Marks what is queued with an `ingest-by:` tag of its content and of where that comes from, and asks the cluster to take
    /// nothing twice that has the same. It costs the cluster much: each blob is ingested by itself.
    #[serde(default)]
    pub ingest_by: bool,
    /// Hosts beside those of Kusto and Fabric to whom a token may go: whole names, or suffixes that begin with a dot.
    #[serde(default)]
    pub trusted_hosts: Vec<String>,
    /// Longest time for a request. Requests go through no proxy, whatever the environment says of proxies (`HTTPS_PROXY`).
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Certificates in PEM, of which one vouches for the cluster and its storage or is their own, instead of those that the system knows.
    /// Read again when the file has changed.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn max_bytes() -> Bytes {
    Bytes(100_000_000)
}

fn max_age() -> Span {
    Span(Duration::from_secs(30))
}

fn streaming_max_bytes() -> Bytes {
    Bytes(1_000_000)
}

fn streaming_max_age() -> Span {
    Span(Duration::from_secs(1))
}

fn max_open() -> usize {
    1_000
}

fn max_staged() -> Bytes {
    Bytes(2 << 30)
}

fn status_timeout() -> Span {
    Span(Duration::from_secs(3600))
}

fn timeout() -> Span {
    Span(Duration::from_secs(120))
}

/// What the service calls a format, its kind of mapping, and what the name of a blob ends in.
fn format(encoding: Format) -> anyhow::Result<(&'static str, &'static str, &'static str)> {
    Ok(match encoding {
        Format::Ndjson => ("json", "Json", "json"),
        Format::Csv => ("csv", "Csv", "csv"),
        Format::Text => ("txt", "Csv", "txt"),
        Format::Parquet => ("parquet", "Parquet", "parquet"),
        Format::Raw => anyhow::bail!(wrong!(
            "encoding.format",
            ": `raw` is no form that this output writes: take `ndjson`, `csv`, `text` or `parquet`"
        )),
    })
}

impl AdxSettings {
    fn entries(&self) -> anyhow::Result<Vec<Entry<'_>>> {
        let named = self.database.is_some() || self.table.is_some() || self.mapping.is_some();
        anyhow::ensure!(
            !named || self.tables.is_empty(),
            wrong!(
                "tables",
                " says where records go, and so do `database`, `table` and `mapping`: leave one of them out"
            )
        );
        if self.tables.is_empty() {
            let missing = |key: &'static str| move || wrong!("{key}", " is missing: set it, or `tables`");
            let database = self.database.as_ref().with_context(missing("database"))?;
            let table = self.table.as_ref().with_context(missing("table"))?;
            let mapping = self.mapping.as_deref();
            return Ok(vec![Entry {
                path: String::new(),
                tag: None,
                database,
                table,
                mapping,
                mode: self.mode,
            }]);
        }
        let entries = self.tables.iter().enumerate().map(|(place, table)| Entry {
            path: format!("tables[{place}]."),
            tag: Some(&table.tag),
            database: &table.db,
            table: &table.table,
            mapping: table.mapping.as_deref(),
            mode: match table.streaming {
                Some(true) => Mode::Auto,
                Some(false) => Mode::Queued,
                None => self.mode,
            },
        });
        Ok(entries.collect())
    }

    /// Whether what goes to the tables can be written in this format, and as each of them wants it.
    fn check_format(&self, entries: &[Entry<'_>], format: &str) -> anyhow::Result<()> {
        for (place, table) in self.tables.iter().enumerate() {
            let is_it = |named: &String| {
                named.eq_ignore_ascii_case(format) || format == "json" && named == "multijson"
            };
            anyhow::ensure!(
                table.format.as_ref().is_none_or(is_it),
                wrong!(
                    "tables[{place}].format",
                    ": this output writes `{format}`, as `encoding.format` says: make another output for what has another form"
                )
            );
        }
        for entry in entries.iter().filter(|entry| entry.mode != Mode::Queued) {
            let path = &entry.path;
            anyhow::ensure!(
                format != "json" || entry.mapping.is_some(),
                wrong!(
                    "{path}mapping",
                    " is missing: JSON cannot be streamed without one (`flitch adx mapping` writes one)"
                )
            );
            anyhow::ensure!(
                format != "parquet",
                wrong!("encoding.format", ": `parquet` cannot be streamed: take `mode: queued`")
            );
            anyhow::ensure!(
                !self.ingest_by,
                wrong!("ingest_by", " is for what is queued: streams have no tags")
            );
        }
        Ok(())
    }

    fn limits(&self) -> anyhow::Result<Limits> {
        let sizes = [
            ("max_bytes", self.max_bytes.0, 6_442_450_944),
            ("streaming_max_bytes", self.streaming_max_bytes.0, 2_000_000),
            ("max_staged", self.max_staged.0, u64::MAX),
        ];
        for (key, size, most) in sizes {
            anyhow::ensure!(size > 0, wrong!("{key}", " of 0 leaves room for no record"));
            anyhow::ensure!(
                size <= most,
                wrong!("{key}", " is more than a cluster takes: {most} bytes at most")
            );
        }
        for (key, time) in [("max_age", self.max_age), ("streaming_max_age", self.streaming_max_age)] {
            anyhow::ensure!(!time.0.is_zero(), wrong!("{key}", " of 0 would write each batch by itself"));
        }
        anyhow::ensure!(self.max_open > 0, wrong!("max_open", " of 0 leaves room for no object"));
        Ok(Limits {
            queued: (self.max_bytes.0, self.max_age.0),
            streamed: (self.streaming_max_bytes.0, self.streaming_max_age.0),
        })
    }

    pub(super) fn output(&self, cx: &OutputContext) -> anyhow::Result<AdxOutput> {
        self.auth.check()?;
        let ends = ends(&self.cluster, self.ingest.as_deref(), &self.trusted_hosts)?;
        let (format, mapping_kind, suffix) = format(cx.encoder.encoding().format)?;
        let (entries, limits) = (self.entries()?, self.limits()?);
        self.check_format(&entries, format)?;
        let routes = Arc::new(Routes::new(&entries, limits)?);
        let plan = self.plan(cx, routes.clone(), limits, suffix)?;
        let timeout = self.timeout.0;
        let http = believing(self.ca_file.as_deref(), move |tls| {
            let tls = Some(tls);
            http_client::client(Settings { tls, proxy: None, connect_timeout: CONNECT, timeout, keep: true })
        })?;
        Ok(AdxOutput {
            name: cx.name.clone(),
            service: Service::new(
                http,
                Uploads::new(timeout),
                ends,
                self.auth.clone(),
                self.trusted_hosts.clone(),
            ),
            resources: Manager::default(),
            together: Together::default(),
            plan,
            routes,
            format,
            mapping_kind,
            waits: self.ack == Ack::Delivered,
            patience: self.status_timeout.0,
            tags: self.tags.clone(),
            ingest_by: self.ingest_by,
            clock: cx.clock.clone(),
            uploads: Semaphore::new(WRITES),
            detour: Mutex::new(None),
            said_detour: Quiet::a_minute(),
            probes: entries.iter().map(probe::Wanted::of).collect(),
        })
    }

    /// How objects are built, of which each is a blob or a stream.
    fn plan(
        &self,
        cx: &OutputContext,
        routes: Arc<Routes>,
        limits: Limits,
        suffix: &str,
    ) -> anyhow::Result<Plan> {
        // The names of columns would be a record.
        let mut encoding = cx.encoder.encoding().clone();
        encoding.header = encoding.format != Format::Csv;
        let table = table(&encoding).map(|table| TablePlan { is_strict: true, ..table });
        // Tables are compressed within.
        let (compression, extension) = match table {
            Some(_) => (Compression::Snappy, format!(".{suffix}")),
            None => (Compression::Gzip, format!(".{suffix}{}", Compression::Gzip.extension())),
        };
        Ok(Plan {
            output: cx.name.clone(),
            folder: cx.state_dir.join("staging"),
            key: Template::parse("_").map_err(anyhow::Error::msg)?,
            places: Some(routes),
            keeps: true,
            longest: 4096,
            part: 4096,
            has_id: true,
            encoder: Encoder::new(encoding, Framing::FullLines)?,
            compression,
            table,
            extension,
            bytes: limits.queued.0,
            age: limits.queued.1,
            // Of what waits for `max_age` at most there is nothing to be said for closing it before.
            idle: limits.queued.1.max(limits.streamed.1),
            open: self.max_open,
            held: self.max_staged.0,
            stored: false,
            ledgers: cx.ledgers.clone(),
        })
    }
}

impl OutputKind for AdxSettings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        Ok(Arc::new(self.output(cx)?))
    }

    fn builds(&self) -> bool {
        true
    }

    fn formats(&self) -> &'static [Format] {
        &[Format::Ndjson, Format::Text, Format::Csv, Format::Parquet]
    }

    fn descriptors(&self) -> u64 {
        // A connection and a file for each write, and those that rest; questions for what became of blobs are short.
        WRITES as u64 * 4 + 16
    }
}
