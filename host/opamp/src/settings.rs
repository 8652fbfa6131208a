//! What the configuration says of the server.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::net::http_head::{self, AuthSettings};
use flitch_core::net::tls::ClientTls;
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;
use flitch_core::units::{Bytes, Span, or_zero};

/// Most that a message of a server may have (the specification recommends to take up to this much).
const LARGEST: u64 = 64 << 20;
/// The shortest time between two heartbeats, or two questions over HTTP.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest, after which nobody would know of a machine whether it is there.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The longest probation: after it a configuration that is worse has returned within half a minute.
const LONGEST_PROBATION: Duration = Duration::from_secs(600);

/// A server that manages this flitch, over OpAMP.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpampSettings {
    /// Where the server is: `wss://fleet.example.com/v1/opamp`; `ws://` without TLS; `https://` or `http://` to ask it in
    /// turns in place of a connection that stays open.
    pub endpoint: String,
    /// How flitch proves to the server who it is: `{ bearer }`, or `{ username, password }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthSettings>,
    /// Headers of requests. Their values are shown nowhere.
    #[schemars(extend("writeOnly" = true))]
    #[serde(default)]
    pub request_headers: BTreeMap<String, Secret>,
    /// TLS of `wss://` and `https://` where it is not that of the system: an authority of your own, a certificate to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
    /// What the server is told of this machine beside its name and system: `{ site: berlin, role: edge }`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether configurations of the server are put into force, within `manage.allow`.
    #[serde(default = "yes")]
    pub accept_config: bool,
    /// Whether packages of the server are taken, which are plugins: filters name them `package:NAME`. They come from hosts of
    /// `manage.allow`, and are signed as `plugins` says.
    #[serde(default)]
    pub accept_packages: bool,
    /// Whether the server may name another connection to itself: an endpoint below `manage.allow.hosts`, headers, a certificate. It
    /// is kept in place of what stands here once it has worked.
    #[serde(default)]
    pub accept_connection: bool,
    /// Whether the server may have flitch restart.
    #[serde(default = "yes")]
    pub accept_restart: bool,
    /// How long a new configuration is watched before it counts as good: one under which parts fail, records are rejected
    /// or pile up, or memory grows, and did not before, returns to the one before it; `0s` for none, 10 minutes at most.
    #[serde(default = "probation", deserialize_with = "or_zero")]
    pub probation: Span,
    /// How often the server hears that flitch is there; over HTTP, how often it is asked; 24 hours at most.
    #[serde(default = "heartbeat")]
    pub heartbeat: Span,
    /// Longest time for a connection, and for an answer over HTTP.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Most bytes of a message of the server, 64 MiB at most. A larger one is not read, and its connection is closed.
    #[serde(default = "max_bytes")]
    pub max_bytes: Bytes,
}

fn yes() -> bool {
    true
}

fn probation() -> Span {
    Span(Duration::from_secs(30))
}

fn heartbeat() -> Span {
    Span(Duration::from_secs(30))
}

fn timeout() -> Span {
    Span(Duration::from_secs(10))
}

fn max_bytes() -> Bytes {
    Bytes(4 << 20)
}

/// Headers that follow from the request.
const OURS: [HeaderName; 7] = [
    CONTENT_TYPE,
    HOST,
    reqwest::header::CONNECTION,
    reqwest::header::UPGRADE,
    reqwest::header::SEC_WEBSOCKET_KEY,
    reqwest::header::SEC_WEBSOCKET_VERSION,
    reqwest::header::SEC_WEBSOCKET_PROTOCOL,
];

impl OpampSettings {
    /// A server at this endpoint, and all else as it is by default.
    pub fn of(endpoint: &str) -> OpampSettings {
        OpampSettings {
            endpoint: endpoint.to_owned(),
            auth: None,
            request_headers: BTreeMap::new(),
            tls: None,
            labels: BTreeMap::new(),
            accept_config: true,
            accept_packages: false,
            accept_connection: false,
            accept_restart: true,
            probation: probation(),
            heartbeat: heartbeat(),
            timeout: timeout(),
            max_bytes: max_bytes(),
        }
    }

    /// Whether the settings make sense together. Nothing is connected to; files that they name are read.
    ///
    /// # Errors
    /// What is wrong; the text names the setting.
    pub fn check(&self) -> anyhow::Result<()> {
        let url = self.url()?;
        ensure!(
            is_tls(&url) || self.tls.is_none(),
            wrong!("tls", " is for `wss://` and `https://`, and `endpoint` has `{}://`", url.scheme())
        );
        if let Some(tls) = &self.tls {
            tls.config()?;
        }
        self.head()?;
        ensure!(self.heartbeat.0 >= SHORTEST, wrong!("heartbeat", ": {} is less than 1s", self.heartbeat));
        ensure!(self.heartbeat.0 <= LONGEST, wrong!("heartbeat", ": {} is more than 24h", self.heartbeat));
        ensure!(
            self.probation.0 <= LONGEST_PROBATION,
            wrong!("probation", ": {} is more than 10m", self.probation)
        );
        ensure!(self.max_bytes.0 <= LARGEST, wrong!("max_bytes", ": {} is more than 64MiB", self.max_bytes));
        Ok(())
    }

    /// The endpoint.
    pub(crate) fn url(&self) -> anyhow::Result<Url> {
        let text = &self.endpoint;
        let url = Url::parse(text).map_err(|_| wrong!("endpoint", ": `{text}` is no URL"))?;
        ensure!(
            matches!(url.scheme(), "ws" | "wss" | "http" | "https") && url.has_host(),
            wrong!(
                "endpoint",
                ": `{text}` does not begin with `wss://`, `ws://`, `https://` or `http://` and a host"
            )
        );
        ensure!(
            url.username().is_empty() && url.password().is_none(),
            wrong!("endpoint", ": a user and a password belong to `auth`")
        );
        ensure!(
            url.fragment().is_none(),
            wrong!("endpoint", ": `{text}` has a `#`, which no server is sent")
        );
        Ok(url)
    }

    /// The headers of requests.
    pub(crate) fn head(&self) -> anyhow::Result<HeaderMap> {
        let mut head = HeaderMap::new();
        http_head::add(&mut head, self.auth.as_ref(), &self.request_headers, &OURS)?;
        Ok(head)
    }
}

/// Whether a URL is one of TLS.
pub(crate) fn is_tls(url: &Url) -> bool {
    matches!(url.scheme(), "wss" | "https")
}

#[cfg(test)]
mod tests;
