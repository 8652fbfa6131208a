//! Where a cluster takes blobs, and by which way it is told of them: containers, queues and tables with signatures, which
//! are asked for anew before they end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::said::Trouble;
use super::service::{Body, End, Service, strange};
use crate::WriteError;

/// How often they are asked for where the service does not say.
const REFRESH: Duration = Duration::from_secs(3600);
/// The shortest time after which they are asked for again because one of them did not work.
const SOON: Duration = Duration::from_secs(10);
/// How long an account that failed is the last to be tried.
const SHY: Duration = Duration::from_secs(60);
/// Most blobs in a request where the service does not say.
const BLOBS: u64 = 20;
/// A database that every cluster has.
const DATABASE: &str = "NetDefaultDB";

/// What the service has said.
#[derive(Debug)]
pub(super) struct Resources {
    pub way: Way,
    pub containers: Vec<Url>,
    fetched: Instant,
    refresh: Duration,
}

/// Of how much the service is told in one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batching {
    pub blobs: usize,
    /// Of all of them, before they were compressed.
    pub bytes: u64,
}

/// How the service is told of a blob.
#[derive(Debug)]
pub(super) enum Way {
    /// By a request (the REST interface of 2025, *V2*).
    Rest(Batching),
    /// By a message in a queue (*V1*). The token says who sends it.
    Queue { queues: Vec<Url>, tables: Vec<Url>, identity: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    container_settings: Option<ContainerSettings>,
    ingestion_settings: Option<IngestionSettings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerSettings {
    #[serde(default)]
    containers: Vec<Container>,
    refresh_interval: Option<String>,
}

#[derive(Deserialize)]
struct Container {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IngestionSettings {
    preferred_ingestion_method: Option<String>,
    #[serde(default)]
    max_blobs_per_batch: Value,
    #[serde(default)]
    max_data_size: Value,
}

/// A number, which may be written as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).filter(|number| *number > 0)
}

/// Keeps them.
#[derive(Default)]
pub(super) struct Manager {
    kept: tokio::sync::Mutex<Option<Arc<Resources>>>,
    turn: AtomicUsize,
    failed: Mutex<HashMap<String, Instant>>,
}

impl Manager {
    /// What the service has said, not longer ago than it allows. Where it cannot be asked again, what it said before.
    pub async fn get(&self, service: &Service) -> Result<Arc<Resources>, Trouble> {
        self.younger(service, None).await
    }

    /// What it says now, after something of `before` was refused: a signature has ended, or was taken back.
    pub async fn renew(&self, service: &Service, before: &Resources) -> Result<Arc<Resources>, Trouble> {
        self.younger(service, Some(before.fetched)).await
    }

    async fn younger(&self, service: &Service, than: Option<Instant>) -> Result<Arc<Resources>, Trouble> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = &*kept {
            let age = kept.fetched.elapsed();
            let is_young = match than {
                Some(than) => kept.fetched > than || age < SOON,
                None => age < kept.refresh,
            };
            if is_young {
                return Ok(kept.clone());
            }
        }
        match fetch(service).await {
            Ok(fresh) => Ok(kept.insert(Arc::new(fresh)).clone()),
            Err(trouble) => match &*kept {
                Some(kept) if than.is_none() => Ok(kept.clone()),
                _ => Err(trouble),
            },
        }
    }

    /// The addresses in the order in which they are to be tried: each account has its turn, and those that failed a short
    /// time ago come last.
    pub fn ranked<'u>(&self, urls: &'u [Url]) -> Vec<&'u Url> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut ranked: Vec<&Url> = urls.iter().collect();
        ranked.rotate_left(turn % urls.len().max(1));
        let failed = self.failed.lock();
        let is_shy = |url: &Url| failed.get(&account(url)).is_some_and(|at| at.elapsed() < SHY);
        ranked.sort_by_key(|url| is_shy(url));
        ranked
    }

    /// Notes how an account did.
    pub fn note(&self, url: &Url, is_good: bool) {
        let mut failed = self.failed.lock();
        if is_good {
            failed.remove(&account(url));
        } else {
            failed.insert(account(url), Instant::now());
        }
    }
}

/// The account of an address: its host and port.
fn account(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

async fn fetch(service: &Service) -> Result<Resources, Trouble> {
    let id = format!("FLITCH.configuration;{}", super::guid());
    let url = service.url(End::Management, &["ingestion", "configuration"]);
    let configuration = match service.ask(Method::GET, url.clone(), &id, Body::Nothing).await {
        Ok(text) => serde_json::from_str(&text).ok(),
        // A cluster that does not know the interface yet.
        Err(Trouble::Said(said)) if matches!(said.status, 404 | 405 | 501) => None,
        Err(trouble) => return Err(trouble),
    };
    if let Some(Configuration { container_settings: Some(containers), ingestion_settings }) = configuration {
        let settings = ingestion_settings.as_ref();
        let batching = Batching {
            blobs: settings.and_then(|settings| number(&settings.max_blobs_per_batch)).unwrap_or(BLOBS)
                as usize,
            bytes: settings.and_then(|settings| number(&settings.max_data_size)).unwrap_or(u64::MAX),
        };
        let method = settings.and_then(|settings| settings.preferred_ingestion_method.as_deref());
        let is_rest = method.is_none_or(|method| matches!(method, "V2" | "REST" | "Rest" | "Default"));
        let paths = containers.containers.iter().map(|container| container.path.as_str());
        let urls = urls(paths);
        if is_rest && !urls.is_empty() {
            let refresh = containers.refresh_interval.as_deref().and_then(span).unwrap_or(REFRESH);
            let way = Way::Rest(batching);
            return Ok(Resources { way, containers: urls, fetched: Instant::now(), refresh });
        }
    }
    let table = service.command(End::Management, DATABASE, ".get ingestion resources").await?;
    let of = |kind: &str| {
        let rows = table.rows.iter().filter(|row| row.first().and_then(|name| name.as_str()) == Some(kind));
        urls(rows.filter_map(|row| row.get(1)?.as_str()))
    };
    let (queues, containers) = (of("SecuredReadyForAggregationQueue"), of("TempStorage"));
    if queues.is_empty() || containers.is_empty() {
        return Err(strange(&url, ".get ingestion resources"));
    }
    let token = service.command(End::Management, DATABASE, ".get kusto identity token").await?;
    let Some(identity) = token.texts("AuthorizationContext").next().map(str::to_owned) else {
        return Err(strange(&url, ".get kusto identity token"));
    };
    let way = Way::Queue { queues, tables: of("IngestionsStatusTable"), identity };
    Ok(Resources { way, containers, fetched: Instant::now(), refresh: REFRESH })
}

/// Addresses that can be spoken to: what a signature is for goes over the network by TLS alone, but to this machine.
fn urls<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<Url> {
    let is_safe = |url: &Url| url.scheme() == "https" || url.host_str().is_some_and(super::trust::is_local);
    texts.filter_map(|text| Url::parse(text).ok()).filter(is_safe).collect()
}

/// A time as .NET writes it: `01:00:00`.
fn span(text: &str) -> Option<Duration> {
    let mut parts = text.split(':').map(|part| part.parse::<f64>().ok());
    let mut next = || parts.next().flatten().filter(|part| (0.0..1e6).contains(part));
    let seconds = next()? * 3600.0 + next()? * 60.0 + next()?;
    (seconds >= 1.0).then(|| Duration::from_secs_f64(seconds))
}

impl Resources {
    /// That the service gave no table in which it tells what became of a blob.
    pub fn no_table() -> Trouble {
        let reason = "the service tells by no table what becomes of a blob: with `ack: accepted` flitch does not wait for it";
        Trouble::Failed(WriteError::Denied { reason: reason.to_owned() })
    }
}
