//! The admin listener: metrics, health and status, on the loopback unless the configuration says otherwise.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::app::{Command, Control};
use flitch_core::net::address::Address;
use flitch_core::net::connections::Connections;
use flitch_core::net::listen::{Client, Listener, socket_of};
use flitch_core::net::serve::{Patience, Visit};
use flitch_core::tasks;
use hosts::Hosts;

mod exporter;
mod filters;
mod gauges;
mod hosts;
mod record;
mod status;
mod upkeep;

pub use exporter::Exporter;
pub use record::Home;
pub use status::{FilterStatus, OutputStatus, PipelineStatus, Running, Status, StatusBoard};

/// Where it listens when only a port is named.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// By HTTP/2 a client may ask many times and take no answer, each of which is as long as there are parts to tell of.
const STREAMS: u32 = 4;

const PATIENCE: Patience = Patience { header: Duration::from_secs(10), idle: Duration::from_secs(75) };

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminSettings {
    /// Where to listen: `host:port`, or a port, which is on the loopback then. Whoever reaches it reads names, counts
    /// and versions, but no secret, and no record but for parts of those that a filter's `shadow: examples` shows. The
    /// variable `FLITCH_ADMIN_LISTEN` of the environment counts more than this and `enabled`.
    pub listen: Address,
    /// Whether to listen at all.
    pub enabled: bool,
    /// Names by which clients may ask for it, beside `localhost`, its address and the name of the machine: that of a
    /// service in Kubernetes, for example. A request whose `Host` is another name is answered by 421, so that no web
    /// page can have a browser read it by a name of its own.
    pub hosts: Vec<String>,
    /// Most connections at a time. Further clients wait, and connections that have nothing under way are closed for
    /// them.
    #[schemars(range(min = 1, max = 65535))]
    pub max_connections: usize,
}

impl Default for AdminSettings {
    fn default() -> Self {
        AdminSettings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9598)).into(),
            enabled: true,
            hosts: Vec::new(),
            max_connections: 64,
        }
    }
}

/// Serves until `stop` is cancelled. The listener is bound before this returns.
///
/// # Errors
/// The address cannot be bound.
pub async fn start(
    settings: &AdminSettings,
    board: Arc<StatusBoard>,
    control: Control,
    stop: CancellationToken,
) -> std::io::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let mut listener = Listener::tcp(&settings.listen, LOOPBACK).await?;
    let address = listener.address().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let names = settings.listen.host().into_iter().chain(settings.hosts.iter().map(String::as_str));
    let hosts = Arc::new(Hosts::new(address.ip(), names));
    let connections = Connections::new("admin", settings.max_connections);
    let task = tasks::joined(async move {
        let serve = |client: Client, slot| {
            let socket = Some(socket_of(&client.stream));
            let stop = stop.clone();
            let visit = Visit { slot, patience: PATIENCE, streams: STREAMS, stop, socket };
            let (board, hosts, control) = (board.clone(), hosts.clone(), control.clone());
            let answer = move |request: Request<_>| {
                let now = match (filters::asked(&request, &hosts), record::asked(&request, &hosts)) {
                    (Some(change), _) => Asked::Change(change),
                    (_, Some(recording)) => Asked::Record(recording),
                    (None, None) => Asked::Now(answer(&request, &board, &hosts)),
                };
                let (control, board) = (control.clone(), board.clone());
                async move {
                    match now {
                        Asked::Now(answer) => answer,
                        Asked::Change(change) => filters::change(change, &control).await,
                        Asked::Record(recording) => record::record(recording, &board).await,
                    }
                }
            };
            async move { visit.serve(client.stream, None, answer).await }
        };
        listener.serve(&connections, &stop, serve).await;
        connections.ended().await;
    });
    Ok((address, task))
}

/// What a request comes to.
enum Asked {
    /// What is known at once.
    Now(Response<Full<Bytes>>),
    Change(Result<Command, filters::Refusal>),
    Record(Result<record::Asked, filters::Refusal>),
}

const TEXT: &str = "text/plain; charset=utf-8";
/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

fn answer<B>(request: &Request<B>, board: &StatusBoard, hosts: &Hosts) -> Response<Full<Bytes>> {
    if let Err(refused) = hosts.check(request) {
        return respond(StatusCode::MISDIRECTED_REQUEST, TEXT, refused);
    }
    let path = request.uri().path();
    let diff = path.strip_prefix("/api/filters/").and_then(|rest| rest.strip_suffix("/diff"));
    let known = ["/metrics", "/healthz", "/readyz", "/api/status", "/api/filters/history"];
    let is_known = known.contains(&path) || diff.is_some();
    if is_known && request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is answered\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/metrics" => {
            board.refresh_gauges();
            respond(StatusCode::OK, METRICS, Exporter::get().render())
        }
        "/healthz" => respond(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => match board.not_ready() {
            None => respond(StatusCode::OK, TEXT, "ready\n"),
            Some(why) => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {why}\n")),
        },
        "/api/status" => json(&board.read()),
        "/api/filters/history" => {
            let filter = request.uri().query().and_then(|query| query.strip_prefix("filter="));
            json(&board.history(filter.map(|name| filters::decoded(&name.replace('+', " "))).as_deref()))
        }
        _ if let Some(name) = diff => filters::diff(&filters::decoded(name), board),
        _ => respond(
            StatusCode::NOT_FOUND,
            TEXT,
            "there are /metrics, /healthz, /readyz, /api/status, /api/filters/history, /api/filters/{name}/diff and, for \
             POST, /api/filters/{name}/swap, /api/filters/{name}/rollback and /api/filters/{name}/record\n",
        ),
    }
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(text) => respond(StatusCode::OK, JSON, text),
        Err(error) => respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string()),
    }
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests;
