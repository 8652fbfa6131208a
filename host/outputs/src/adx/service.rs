//! The two ends of a cluster: the engine, which takes streams and commands, and its data management, which takes blobs.
//!
//! Facts: Microsoft's *Streaming ingestion HTTP request* and *Kusto.Ingest without the client library* (2026-08), and what
//! their Python client sends.

use anyhow::Context;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::said::{self, Trouble};
use super::trust::{is_local, is_trusted};
use crate::WriteError;
use flitch_core::net::confided;
use flitch_core::net::entra::{AuthSettings, Entra, Refusal, Token};
use flitch_core::net::lent::Lent;
use flitch_core::net::tls::Renewed;
use flitch_core::net::upload::Uploads;
use flitch_core::setting::wrong;
use flitch_core::tasks;

/// Whom tokens are for where the cluster does not say otherwise.
const AUDIENCE: &str = "https://kusto.kusto.windows.net";
/// The version of the protocol that Microsoft's clients name.
const VERSION: &str = "2024-12-12";
/// How the client calls itself.
pub(super) const CLIENT: &str = concat!("flitch:{", env!("CARGO_PKG_VERSION"), "}");
/// What hosts of data management begin with.
const INGEST: &str = "ingest-";

/// See the head of this file.
pub(super) struct Service {
    pub http: Renewed<Client>,
    engine: Url,
    management: Url,
    auth: AuthSettings,
    audience: OnceCell<String>,
    token: Lent<Token>,
    more: Vec<String>,
    uploads: Uploads,
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    Engine,
    Management,
}

/// What is sent.
pub(super) enum Body {
    Nothing,
    Json(Value),
    Gzip(Vec<u8>),
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "AzureAD")]
    azure_ad: Option<AzureAd>,
}

#[derive(Deserialize)]
struct AzureAd {
    #[serde(rename = "KustoServiceResourceId")]
    resource: Option<String>,
}

/// A table in an answer (version 1 of the protocol).
#[derive(Debug, Deserialize)]
pub(super) struct Table {
    #[serde(rename = "Columns")]
    pub columns: Vec<ColumnName>,
    #[serde(rename = "Rows")]
    pub rows: Vec<Vec<Value>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ColumnName {
    #[serde(rename = "ColumnName")]
    pub name: String,
}

#[derive(Deserialize)]
struct Tables {
    #[serde(rename = "Tables")]
    tables: Vec<Table>,
}

impl Table {
    /// The values of a column, as text.
    pub fn texts(&self, column: &str) -> impl Iterator<Item = &str> {
        let place = self.columns.iter().position(|found| found.name == column);
        self.rows.iter().filter_map(move |row| row.get(place?)?.as_str())
    }
}

/// The addresses of engine and data management, of which `cluster` is the one or the other.
///
/// # Errors
/// `cluster` or `ingest` is no URL, or no token may go there.
pub(super) fn ends(cluster: &str, ingest: Option<&str>, more: &[String]) -> anyhow::Result<(Url, Url)> {
    let parse = |key: &'static str, text: &str| {
        let text = text.trim_end_matches('/');
        let url =
            Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        let url = url.with_context(|| {
            wrong!("{key}", ": `{text}` is no URL: it looks like https://NAME.REGION.kusto.windows.net")
        })?;
        let is_trusted = url.username().is_empty() && is_trusted(&url, more);
        anyhow::ensure!(
            is_trusted,
            wrong!(
                "{key}",
                ": `{text}` is no host of Kusto or Fabric that is known (by https), and a token goes to no other: name it in \
                 `trusted_hosts` if it is yours"
            )
        );
        Ok(url)
    };
    let cluster = parse("cluster", cluster)?;
    let host = cluster.host_str().unwrap_or_default().to_owned();
    let with_host = |host: &str| {
        let mut url = cluster.clone();
        url.set_host(Some(host)).ok().map(|()| url)
    };
    let stays = is_local(&host) || host.parse::<std::net::IpAddr>().is_ok();
    let (engine, derived) = match host.strip_prefix(INGEST) {
        _ if stays => (cluster.clone(), cluster.clone()),
        Some(engine) => (with_host(engine).unwrap_or_else(|| cluster.clone()), cluster.clone()),
        None => (cluster.clone(), with_host(&format!("{INGEST}{host}")).unwrap_or_else(|| cluster.clone())),
    };
    let management = ingest.map(|ingest| parse("ingest", ingest)).transpose()?.unwrap_or(derived);
    Ok((engine, management))
}

impl Service {
    pub fn new(
        http: Renewed<Client>,
        uploads: Uploads,
        ends: (Url, Url),
        auth: AuthSettings,
        more: Vec<String>,
    ) -> Service {
        let (engine, management) = ends;
        let (audience, token) = (OnceCell::new(), Lent::default());
        Service { http, engine, management, auth, audience, token, more, uploads }
    }

    /// An address at one end; the parts of its path are written as they must be.
    pub fn url(&self, end: End, parts: &[&str]) -> Url {
        let mut url = match end {
            End::Engine => self.engine.clone(),
            End::Management => self.management.clone(),
        };
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v1", "rest"]).extend(parts);
        }
        url
    }

    /// Asks one end for something, with a token. `id` says in its logs who asks what.
    pub async fn ask(&self, method: Method, url: Url, id: &str, body: Body) -> Result<String, Trouble> {
        let (json, gzip) = match body {
            Body::Nothing => (None, None),
            Body::Json(value) => (Some(value.to_string()), None),
            Body::Gzip(bytes) => (None, Some(bytes::Bytes::from(bytes))),
        };
        let mut is_renewed = false;
        loop {
            let token = self.token().await.map_err(Trouble::Failed)?;
            let mut request = self
                .http
                .get()
                .request(method.clone(), url.clone())
                .header(ACCEPT, "application/json")
                .header(AUTHORIZATION, format!("Bearer {}", token.token))
                .header("x-ms-version", VERSION)
                .header("x-ms-client-version", CLIENT)
                .header("x-ms-app", "flitch")
                .header("x-ms-client-request-id", id);
            if let Some(json) = &json {
                request = request.header(CONTENT_TYPE, "application/json; charset=utf-8").body(json.clone());
            }
            let answer = match &gzip {
                Some(gzip) => self.uploads.send(request.header(CONTENT_ENCODING, "gzip"), gzip.clone()).await,
                None => confided::send(request).await,
            };
            let whom = url.host_str().unwrap_or_default().to_owned();
            match said::text(&whom, answer).await {
                // A clock that is wrong, or a token that was taken back: one that is new may do.
                Err(Trouble::Said(said)) if said.status == 401 && !is_renewed => {
                    is_renewed = true;
                    self.token.forget(|kept| kept.token == token.token);
                }
                answer => return answer,
            }
        }
    }

    /// Runs a command at one end, and answers its first table.
    pub async fn command(&self, end: End, database: &str, command: &str) -> Result<Table, Trouble> {
        let id = format!("KPC.execute;{}", super::guid());
        let body = Body::Json(json!({ "db": database, "csl": command }));
        let text = self.ask(Method::POST, self.url(end, &["mgmt"]), &id, body).await?;
        let table = serde_json::from_str::<Tables>(&text).ok().and_then(|all| all.tables.into_iter().next());
        table.ok_or_else(|| strange(&self.url(end, &[]), command))
    }

    async fn token(&self) -> Result<Token, WriteError> {
        let fetch = async {
            let entra = Entra { auth: self.auth.clone(), audience: self.audience().await?.clone() };
            let fresh = tasks::blocking(move || entra.token()).await;
            let fresh = fresh.map_err(anyhow::Error::from).and_then(|fresh| fresh).map_err(|error| {
                let reason = format!("no token of Entra: {error:#}");
                match error.downcast_ref::<Refusal>() {
                    Some(refusal) if refusal.is_busy() => WriteError::Busy { after: refusal.after, reason },
                    Some(refusal) if !refusal.passes() => WriteError::Denied { reason },
                    _ => WriteError::Unreachable { reason },
                }
            })?;
            let end = fresh.end();
            Ok((fresh, Some(end)))
        };
        self.token.get("the token of Entra", fetch).await
    }

    /// Whom tokens are for: what the cluster says, if it is a host of Kusto, so that no cluster can have tokens made out
    /// for somebody else.
    async fn audience(&self) -> Result<&String, WriteError> {
        let ask = || async {
            let url = self.url(End::Engine, &["auth", "metadata"]);
            let whom = url.host_str().unwrap_or_default().to_owned();
            let answer = confided::send(self.http.get().get(url).header(ACCEPT, "application/json")).await;
            let resource = match said::text(&whom, answer).await {
                Ok(text) => serde_json::from_str::<Metadata>(&text)
                    .ok()
                    .and_then(|metadata| metadata.azure_ad?.resource),
                Err(Trouble::Said(said)) if said.status == 404 => None,
                Err(trouble) => return Err(trouble.error()),
            };
            let known = resource
                .filter(|resource| Url::parse(resource).is_ok_and(|url| is_trusted(&url, &self.more)));
            Ok(known.unwrap_or_else(|| AUDIENCE.to_owned()).trim_end_matches('/').to_owned())
        };
        self.audience.get_or_try_init(ask).await
    }
}

/// An answer that is none.
pub(super) fn strange(url: &Url, to: &str) -> Trouble {
    let whom = url.host_str().unwrap_or_default();
    Trouble::Failed(WriteError::Unreachable { reason: format!("{whom} answers `{to}` with something else") })
}

#[cfg(test)]
mod tests;
