//! The settings of the HTTP output.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::batch::encode::Format;
use flitch_core::net::http_head::{self, AuthSettings};
use flitch_core::net::tls::ClientTls;
use flitch_core::router::OneOrMore;
use flitch_core::secret::Secret;
use flitch_core::setting::{one_or_more, wrong};
use flitch_core::units::{Bytes, Span};

/// What asks the server to take the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// POST
    #[default]
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
}

/// What the body of a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The records one behind the other, as `encoding` writes them into a file.
    #[default]
    Lines,
    /// A JSON array of the records.
    Array,
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "HttpCompression")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// Sends records to a server by HTTP, those of a request together.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Where requests go, `https://logs.example.com/in`; one or a list, each of which takes requests in turn. One that does
    /// not answer rests for a while, and the others take its place.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "OneOrMore")]
    pub url: Vec<String>,
    /// `POST`, `PUT` or `PATCH`.
    #[serde(default)]
    pub method: Method,
    /// `lines`: the records as `encoding` writes them, one behind the other. `array`: a JSON array of them.
    #[serde(default)]
    pub body: Body,
    /// Headers of requests. Their values are shown nowhere.
    #[schemars(extend("writeOnly" = true))]
    #[serde(default)]
    pub request_headers: BTreeMap<String, Secret>,
    /// How flitch proves who it is: `{ bearer }`, or `{ username, password }`.
    #[serde(default)]
    pub auth: Option<AuthSettings>,
    /// TLS of `https://` where it is not that of the system: an authority of your own, a certificate to show.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// The proxy through which requests go: `http://proxy.example.com:3128`, or `http://user:password@…`. It is shown nowhere. Not
    /// set: none, whatever the environment says of proxies (`HTTPS_PROXY`).
    #[serde(default)]
    pub proxy: Option<Secret>,
    /// `none`, `gzip` or `zstd`.
    #[serde(default)]
    pub compression: Compression,
    /// Bytes of records, about, that are gathered for a request, before they are compressed. One that the server finds too
    /// large (413) is halved.
    #[serde(default = "max_bytes")]
    pub max_bytes: Bytes,
    /// Most records of a request.
    #[serde(default = "max_records")]
    #[schemars(range(min = 1))]
    pub max_records: usize,
    /// How long a record waits for more.
    #[serde(default = "max_age")]
    pub max_age: Span,
    /// Longest time for a request, from the connection to the end of its answer.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Requests that may be under way at once. With more than one, records may arrive in another order.
    #[serde(default = "concurrency")]
    #[schemars(range(min = 1, max = 64))]
    pub concurrency: usize,
}

fn max_bytes() -> Bytes {
    Bytes(1 << 20)
}

fn max_records() -> usize {
    10_000
}

fn max_age() -> Span {
    Span(Duration::from_millis(200))
}

fn timeout() -> Span {
    Span(Duration::from_secs(30))
}

fn concurrency() -> usize {
    1
}

/// Headers that follow from the request.
const OURS: [HeaderName; 4] = [CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING, HOST];

impl HttpSettings {
    /// Whether the keys make sense together with how records are written.
    pub(super) fn check(&self, format: Format) -> anyhow::Result<()> {
        ensure!(
            self.body == Body::Lines || format == Format::Ndjson,
            wrong!("body", ": an array is made of JSON, and `encoding.format` is `{}`", format.name())
        );
        ensure!(self.max_records > 0, wrong!("max_records", " is 0"));
        ensure!(
            (1..=64).contains(&self.concurrency),
            wrong!("concurrency", ": {} is not between 1 and 64", self.concurrency)
        );
        Ok(())
    }

    /// Where requests go.
    pub(super) fn parsed(&self) -> anyhow::Result<Vec<Url>> {
        ensure!(!self.url.is_empty() && self.url.len() <= 64, wrong!("url", " names none, or more than 64"));
        let parse = |(place, text): (usize, &String)| {
            let url = http_head::url(text)?;
            ensure!(!self.url[..place].contains(text), wrong!("url", ": `{text}` stands there twice"));
            Ok(url)
        };
        self.url.iter().enumerate().map(parse).collect()
    }

    /// The TLS of requests; none where no URL has it.
    pub(super) fn client_tls(&self, urls: &[Url]) -> anyhow::Result<Option<ClientTls>> {
        let wanted = urls.iter().any(|url| url.scheme() == "https");
        ensure!(wanted || self.tls.is_none(), wrong!("tls", " is for `https://`, and `url` has `http://`"));
        Ok(wanted.then(|| self.tls.clone().unwrap_or_default()))
    }

    /// The headers of all requests.
    pub(super) fn head(&self, format: Format) -> anyhow::Result<HeaderMap> {
        let mut head = HeaderMap::new();
        let kind = match (self.body, format) {
            (Body::Array, _) => "application/json",
            (Body::Lines, Format::Ndjson) => "application/x-ndjson",
            (Body::Lines, Format::Text) => "text/plain; charset=utf-8",
            (Body::Lines, Format::Csv) => "text/csv; charset=utf-8",
            (Body::Lines, _) => "application/octet-stream",
        };
        head.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        http_head::add(&mut head, self.auth.as_ref(), &self.request_headers, &OURS)?;
        Ok(head)
    }
}
