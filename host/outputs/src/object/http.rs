//! The client of HTTP that stores are spoken to with: flitch's own, with its TLS.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use object_store::client::{HttpClient, HttpConnector};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use flitch_core::net::http_client::{self, Settings};
use flitch_core::net::tls::client::{Trust, config};
use flitch_core::setting::wrong;

/// Longest time for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Gives a client to whatever in a store's library asks for one.
#[derive(Debug)]
pub(crate) struct Connector(HttpClient);

impl Connector {
    /// A connector whose requests take no longer than `timeout`, and whose servers show a certificate by one of `ca`, or
    /// by one that the system knows.
    ///
    /// # Errors
    /// `ca_file` cannot be read.
    pub fn new(timeout: Duration, ca: Option<&Path>) -> anyhow::Result<Connector> {
        Ok(Connector(HttpClient::new(http(timeout, ca)?)))
    }
}

/// A client whose requests take no longer than `timeout`, and whose servers show a certificate by one of `ca`, or by one
/// that the system knows. It goes by the proxies of the environment.
///
/// # Errors
/// `ca_file` cannot be read.
pub(crate) fn http(timeout: Duration, ca: Option<&Path>) -> anyhow::Result<reqwest::Client> {
    let tls = match ca {
        Some(ca) => config(Trust::Roots(ca), None).context(wrong!("ca_file", ": it cannot be used"))?,
        None => config(Trust::System, None)?,
    };
    let settings = Settings { tls: Some(tls), proxy: None, connect_timeout: CONNECT, timeout, keep: true };
    http_client::client_by_environment(settings)
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

/// No retries: the delivery loop does that for all outputs.
pub(crate) fn retries() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, backoff: BackoffConfig::default() }
}
