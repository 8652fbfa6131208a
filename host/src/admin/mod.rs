//! The admin listener: metrics, health and status, on the loopback unless the configuration says otherwise.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::config::address::Address;
use crate::telemetry::Exporter;

/// Where it listens when only a port is named.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

mod status;

pub use status::{OutputStatus, PipelineStatus, Status, StatusBoard};

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminSettings {
    /// Where to listen: `host:port`, or a port, which is on the loopback then. Whoever reaches it reads names, counts
    /// and versions, but no record and no secret.
    pub listen: Address,
    /// Whether to listen at all.
    pub enabled: bool,
}

impl Default for AdminSettings {
    fn default() -> Self {
        AdminSettings { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9598)).into(), enabled: true }
    }
}

/// Serves until `stop` is cancelled. The listener is bound before this returns.
///
/// # Errors
/// The address cannot be bound.
pub async fn start(
    settings: &AdminSettings,
    board: Arc<StatusBoard>,
    stop: CancellationToken,
) -> std::io::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let listener = settings.listen.bind(LOOPBACK).await?;
    let address = listener.local_addr()?;
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/api/status", get(status))
        .with_state(board);
    let serve = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
    let task = tokio::spawn(async move {
        if let Err(error) = serve.await {
            tracing::error!(%error, "the admin listener stopped");
        }
    });
    Ok((address, task))
}

async fn metrics(State(board): State<Arc<StatusBoard>>) -> Response {
    board.refresh_gauges();
    let format = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (format, Exporter::get().render()).into_response()
}

async fn ready(State(board): State<Arc<StatusBoard>>) -> Response {
    match board.is_ready() {
        true => "ready\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}

async fn status(State(board): State<Arc<StatusBoard>>) -> Json<Status> {
    Json(board.read())
}
