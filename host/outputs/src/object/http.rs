//! The client of HTTP that stores are spoken to with: flitch's own, with its TLS.

use std::future::Future;
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use reqwest::header::{HeaderValue, IF_NONE_MATCH};
use reqwest::{Client, Method, StatusCode};
use rustls::ClientConfig;

use super::pause;
use flitch_core::net::http_client::{self, Settings};
use flitch_core::net::short::Short;
use flitch_core::net::tls::client::{Trust, config};
use flitch_core::net::tls::{ClientTls, Renewed};
use flitch_core::setting::wrong;

/// Longest time for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read: a store says what became of a write in some hundred. The library keeps all that it is
/// given, and takes memory for as much as the head of an answer claims.
const MOST: usize = 1 << 20;

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
        Ok(Connector(Beside::client(timeout, ca)?))
    }

    /// The same for a store of S3's protocol, which is asked to complete a write in parts only where there is no object of
    /// that name, as it is for one in one request.
    ///
    /// # Errors
    /// `ca_file` cannot be read.
    pub fn creating(timeout: Duration, ca: Option<&Path>) -> anyhow::Result<Connector> {
        let client = Beside::client(timeout, ca)?;
        Ok(Connector(HttpClient::new(Creating { client, is_unknown: AtomicBool::new(false) })))
    }
}

/// Asks who tells a machine who it is without the proxy that the environment names: a proxy would ask on its own machine.
#[derive(Debug)]
struct Beside {
    by_environment: Renewed<Client>,
    direct: HttpClient,
}

impl Beside {
    fn client(timeout: Duration, ca: Option<&Path>) -> anyhow::Result<HttpClient> {
        let (by_environment, direct) = (http(timeout, ca)?, HttpClient::new(direct(timeout)?));
        Ok(HttpClient::new(Beside { by_environment, direct }))
    }
}

impl HttpService for Beside {
    fn call<'s, 'a>(
        &'s self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>
    where
        's: 'a,
        Self: 'a,
    {
        let client = match request.uri().host() {
            Some(host) if is_beside(host) => self.direct.clone(),
            _ => HttpClient::new(self.by_environment.get()),
        };
        Box::pin(async move {
            let answer = client.execute(request).await;
            pause::hear(answer.as_ref().ok().map(|answer| (answer.status(), answer.headers())));
            answer.map(|answer| answer.map(|body| HttpResponseBody::new(Short::new(body, MOST))))
        })
    }
}

/// Whether a host is one that tells a machine who it is: an address of the link, those of AWS in IPv6, or Google's names.
fn is_beside(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.segments()[..2] == [0xfd00, 0x0ec2],
        Err(_) => matches!(host, "metadata.google.internal" | "metadata"),
    }
}

/// Puts the condition into requests that complete a write in parts: what signs them does not know it there, and S3 lets
/// headers stand that are not signed.
#[derive(Debug)]
struct Creating {
    client: HttpClient,
    /// The store has refused the condition: it does not know it.
    is_unknown: AtomicBool,
}

impl Creating {
    async fn execute(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let query = request.uri().query().unwrap_or_default();
        let is_completion = *request.method() == Method::POST && query.contains("uploadId=");
        if !is_completion || self.is_unknown.load(Ordering::Acquire) {
            return self.client.execute(request).await;
        }
        let mut plain = HttpRequest::new(request.body().clone());
        plain.method_mut().clone_from(request.method());
        plain.uri_mut().clone_from(request.uri());
        plain.headers_mut().clone_from(request.headers());
        request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        let answer = self.client.execute(request).await?;
        if answer.status() != StatusCode::NOT_IMPLEMENTED {
            return Ok(answer);
        }
        self.is_unknown.store(true, Ordering::Release);
        self.client.execute(plain).await
    }
}

impl HttpService for Creating {
    fn call<'s, 'a>(
        &'s self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>
    where
        's: 'a,
        Self: 'a,
    {
        Box::pin(self.execute(request))
    }
}

/// A client whose requests take no longer than `timeout`, and whose servers show a certificate by one of `ca`, or by one
/// that the system knows. It goes by the proxies of the environment.
///
/// # Errors
/// `ca_file` cannot be read.
pub(crate) fn http(timeout: Duration, ca: Option<&Path>) -> anyhow::Result<Renewed<Client>> {
    believing(ca, move |tls| {
        let tls = Some(tls);
        let settings = Settings { tls, proxy: None, connect_timeout: CONNECT, timeout, keep: true };
        http_client::client_by_environment(settings)
    })
}

/// What `make` makes of TLS that believes the certificates in `ca_file`, anew when these have changed; or those that the system
/// knows.
///
/// # Errors
/// `ca_file` cannot be read, and those of `make`.
pub(crate) fn believing<T: Clone>(
    ca_file: Option<&Path>,
    make: impl Fn(ClientConfig) -> anyhow::Result<T> + Send + Sync + 'static,
) -> anyhow::Result<Renewed<T>> {
    if let Some(ca) = ca_file {
        // Alone first, so that what is wrong is told of the name that the setting has here.
        config(Trust::Roots(ca), None).context(wrong!("ca_file", ": it cannot be used"))?;
    }
    let files = ca_file.map(|ca| ClientTls { ca: Some(ca.to_owned()), ..ClientTls::default() });
    Renewed::new(files, move |tls| make(tls.map_or_else(|| config(Trust::System, None), Ok)?))
}

/// The same without a proxy, for what is on this machine or beside it.
///
/// # Errors
/// There is no TLS to speak.
pub(crate) fn direct(timeout: Duration) -> anyhow::Result<Client> {
    let tls = Some(config(Trust::System, None)?);
    http_client::client(Settings { tls, proxy: None, connect_timeout: CONNECT, timeout, keep: true })
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

#[cfg(test)]
mod tests;
