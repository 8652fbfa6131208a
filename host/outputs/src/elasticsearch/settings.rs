//! What the configuration says of an Elasticsearch or OpenSearch.

use std::time::Duration;

use anyhow::Context;
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::AuthSettings;
use flitch_core::batch::template::{Template, at_best};
use flitch_core::net::tls::ClientTls;
use flitch_core::router::OneOrMore;
use flitch_core::secret::Secret;
use flitch_core::setting::{one_or_more, wrong};
use flitch_core::units::{Bytes, Span};

/// What is asked for each record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// A document that is there stays as it is: a record that comes again changes nothing.
    #[default]
    Create,
    /// A document that is there is written over.
    Index,
}

impl Op {
    /// As the requests name it.
    pub fn name(self) -> &'static str {
        match self {
            Op::Create => "create",
            Op::Index => "index",
        }
    }
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BulkCompression")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
}

/// Writes each record as one document to Elasticsearch (7 or later) or OpenSearch, by bulk requests. `type: elasticsearch`
/// and `type: opensearch` are the same.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ElasticsearchSettings {
    /// The nodes, `https://es-1.example.com:9200` each, or what stands before them; one or a list. Requests go to each in
    /// turn; one that does not answer is left alone for a while, from 1 s to 60 s, and the others take its requests.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "OneOrMore")]
    pub nodes: Vec<String>,
    /// The index, the alias or the data stream, a template: `logs-{@timestamp:%Y.%m.%d}` or `logs-{app}-default`. A record
    /// without a field of it goes to the dead letters, and so does one whose fields name an index that is refused; where
    /// there is no field in it, all wait until it is not.
    pub index: Template,
    /// Whether `index` is a data stream. Then `op` must be `create` and records must have their `@timestamp`, and `flitch
    /// check --probe` tells whether there is a template of an index that makes it one.
    #[serde(default)]
    pub data_stream: bool,
    /// `create`, or `index`, which writes over a document of the same id. Data streams take `create` alone.
    #[serde(default)]
    pub op: Op,
    /// The document's id, a template: `{topic}-{partition}-{offset}`. Records with equal ids are one document in an index. A
    /// record without a field of it goes to the dead letters. Not set: one of where the record comes from (file and offset,
    /// topic, partition and offset, chunk and place in it), so that one that is sent or read again is not there twice, and
    /// equal records are each a document.
    #[serde(default)]
    pub id: Option<Template>,
    /// In the place of `id`: the fields of which the id is a hash, those that tell a record apart for good, whichever way it
    /// came: `[event_id]`. A record that has none of them goes to the dead letters.
    #[serde(default)]
    pub id_fields: Vec<String>,
    /// Leaves ids to the nodes: for collections of OpenSearch Serverless for time series and for vectors, which take no others.
    /// A record that is sent or read again is there twice then.
    #[serde(default)]
    pub auto_id: bool,
    /// By what the document is assigned to a shard, a template; a record without a field of it goes by its id.
    #[serde(default)]
    pub routing: Option<Template>,
    /// The ingest pipeline, a template; a record without a field of it has that of the index, if there is one.
    #[serde(default)]
    pub pipeline: Option<Template>,
    /// Writes fields of flitch under their names of the Elastic Common Schema: `@tag` as `event.dataset`, `host` as
    /// `host.name`, `file` as `log.file.path`, `level` as `log.level`, and of Docker's records `container_id` as
    /// `container.id`, `container_name` as `container.name`, `source` as `stream` and `log` as `message`. What `encoding`
    /// says of a field counts more.
    #[serde(default)]
    pub ecs: bool,
    /// How flitch proves who it is.
    #[serde(default)]
    pub auth: Option<AuthSettings>,
    /// TLS of `https://` where it is not that of the system: an authority of your own, a certificate to show.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// The proxy through which requests go: `http://proxy.example.com:3128`, or `http://user:password@…`. It is shown nowhere. Not
    /// set: none, whatever the environment says of proxies (`HTTPS_PROXY`).
    #[serde(default)]
    pub proxy: Option<Secret>,
    /// How requests are compressed: `none` or `gzip`.
    #[serde(default)]
    pub compression: Compression,
    /// Most bytes of a request, before it is compressed; a record that is larger goes alone. One that a node finds too large
    /// is halved.
    #[serde(default = "max_bytes")]
    pub max_bytes: Bytes,
    /// Most records of a request.
    #[serde(default = "max_records")]
    #[schemars(range(min = 1))]
    pub max_records: usize,
    /// How long a record waits for more.
    #[serde(default = "max_age")]
    pub max_age: Span,
    /// Longest time for a request.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn max_bytes() -> Bytes {
    Bytes(8_000_000)
}

fn max_records() -> usize {
    10_000
}

fn max_age() -> Span {
    Span(Duration::from_millis(500))
}

fn timeout() -> Span {
    Span(Duration::from_secs(60))
}

impl ElasticsearchSettings {
    /// Whether the keys make sense by themselves and together. Files are not read.
    ///
    /// # Errors
    /// The text names the key that is wrong.
    pub(super) fn verify(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.index.constant() != Some(""), wrong!("index", " is empty"));
        if let Some(why) = self.index.wrong_as_place() {
            anyhow::bail!(wrong!("index", ": {why}"));
        }
        if let Some(why) = wrong_as_index(&at_best(&self.index)) {
            anyhow::bail!(wrong!("index", ": there can be no index `{}`: {why}", self.index));
        }
        anyhow::ensure!(
            self.id.as_ref().and_then(Template::constant).is_none(),
            wrong!("id", " has no field in it: all records would be one document")
        );
        anyhow::ensure!(
            self.id.is_none() || self.id_fields.is_empty(),
            wrong!("id_fields", " is in the place of `id`: leave one of them out")
        );
        anyhow::ensure!(
            self.id_fields.iter().all(|field| !field.is_empty()),
            wrong!("id_fields", " has an empty name")
        );
        anyhow::ensure!(
            !self.auto_id || (self.id.is_none() && self.id_fields.is_empty()),
            wrong!("auto_id", " leaves ids to the nodes: leave out `id` and `id_fields`, or this")
        );
        anyhow::ensure!(
            !self.data_stream || self.op == Op::Create,
            wrong!("op", " must be `create`: a data stream takes nothing else")
        );
        anyhow::ensure!(
            self.max_bytes.0 <= 1 << 30,
            wrong!("max_bytes", " is more than 1GiB, and nodes take no request of that size")
        );
        anyhow::ensure!(self.max_records > 0, wrong!("max_records", " of 0 leaves room for no record"));
        Ok(())
    }

    /// The addresses of the nodes.
    ///
    /// # Errors
    /// One of them is none.
    pub(super) fn urls(&self) -> anyhow::Result<Vec<Url>> {
        anyhow::ensure!(
            !self.nodes.is_empty(),
            wrong!("nodes", " is empty: name at least one `https://host:9200`")
        );
        self.nodes.iter().map(|node| url(node)).collect()
    }

    /// TLS where a node has it.
    ///
    /// # Errors
    /// There are settings for it that no node has a use for.
    pub(super) fn client_tls(&self, urls: &[Url]) -> anyhow::Result<Option<ClientTls>> {
        if urls.iter().all(|url| url.scheme() == "http") {
            anyhow::ensure!(
                self.tls.is_none(),
                wrong!("tls", " is for nodes of `https://`, and there is none")
            );
            return Ok(None);
        }
        Ok(Some(self.tls.clone().unwrap_or_default()))
    }
}

/// Why no node takes an index, an alias or a data stream of this name, if that is so. What stands between `<` and `>` names one by
/// its own rules, those of date math.
fn wrong_as_index(name: &str) -> Option<&'static str> {
    const LONGEST: usize = 255;
    let has = |signs: &str| name.contains(|sign| signs.contains(sign));
    Some(match name {
        _ if name.starts_with('<') && name.ends_with('>') => return None,
        "." | ".." => "a name is more than dots",
        _ if name.starts_with(['-', '_', '+']) => "a name does not begin with `-`, `_` or `+`",
        _ if name.chars().any(char::is_uppercase) => "a name has no capital letters",
        _ if has("\\/*?\"<>|,#: ") => "a name has none of `\\ / * ? \" < > | , # :` and no blank",
        _ if name.len() > LONGEST => "a name has 255 bytes at most",
        _ => return None,
    })
}

/// An address with nothing in it but where a node is, and a slash at its end.
fn url(node: &str) -> anyhow::Result<Url> {
    let mut url: Url = node
        .parse()
        .ok()
        .context(wrong!("nodes", ": there is one that is no address such as `https://host:9200`"))?;
    anyhow::ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        wrong!("nodes", ": an address begins with `https://` (or `http://`): `https://host:9200`")
    );
    anyhow::ensure!(
        url.username().is_empty() && url.password().is_none(),
        wrong!("nodes", ": user and password do not stand in an address: write them to `auth`")
    );
    anyhow::ensure!(
        url.query().is_none() && url.fragment().is_none(),
        wrong!("nodes", ": an address ends with its path")
    );
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}
