//! The HTTP source: `POST /` and `POST /{tag}`, answered when the records are safe.
//!
//! A request is taken as a whole or not at all: what cannot be read is named in the answer, by line, and then no
//! record of the request has been taken.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Running, SourceContext};
use crate::batch::utf8::InvalidUtf8;
use crate::config::address::Address;
use crate::config::secret::Secret;
use crate::config::units::{Bytes, Span};
use crate::net::tls::{Acceptor, TlsSettings};

/// Where it listens when only a port is named.
pub(super) const ALL: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

mod answer;
mod body;
mod decode;
mod handle;

/// Takes records that clients post.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Where to listen: `host:port`, or a port, which is on every address of the machine then.
    pub listen: Address,
    /// The tag of records that are posted to `/`; the source's name where this is not set. A path is a tag:
    /// `POST /app/web` has the tag `app.web`.
    #[serde(default)]
    pub tag: Option<String>,
    /// How to read a body: `auto` goes by the content type, and where there is none by the first byte.
    #[serde(default)]
    pub codec: HttpCodec,
    /// When to answer: `settled` (200 when the records are safe at their outputs) or `accepted` (202 at once).
    #[serde(default)]
    pub ack: AckWhen,
    /// Largest body as it comes over the wire; larger is answered by 413.
    #[serde(default = "max_body")]
    pub max_body: Bytes,
    /// Largest body after decompression; larger is answered by 413.
    #[serde(default = "max_expanded")]
    pub max_expanded: Bytes,
    /// Most bytes of all requests that are under way, after decompression; past that they are answered by 429.
    #[serde(default = "max_pending")]
    pub max_pending: Bytes,
    /// Longest wait for the next piece of a request; after it the answer is 408.
    #[serde(default = "read_timeout")]
    pub read_timeout: Span,
    /// Most connections at a time; further ones wait to be accepted.
    #[schemars(range(min = 1, max = 65535))]
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// Who may post. Without it, anybody who reaches the port.
    #[serde(default)]
    pub auth: Option<HttpAuth>,
    /// Serves TLS.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// What becomes of text that is not UTF-8.
    #[serde(default)]
    pub invalid_utf8: InvalidUtf8,
}

fn max_body() -> Bytes {
    Bytes(16 << 20)
}

fn max_expanded() -> Bytes {
    Bytes(64 << 20)
}

fn max_pending() -> Bytes {
    Bytes(64 << 20)
}

fn read_timeout() -> Span {
    Span(Duration::from_secs(30))
}

fn max_connections() -> usize {
    1024
}

impl HttpSettings {
    /// Whether the settings make sense together, and the files of `tls` hold what they should.
    ///
    /// # Errors
    /// What is wrong, with its key.
    pub fn check(&self) -> anyhow::Result<()> {
        self.tls.as_ref().map(TlsSettings::acceptor).transpose()?;
        let Some(auth) = &self.auth else { return Ok(()) };
        anyhow::ensure!(
            !auth.bearer.is_empty() || !auth.basic.is_empty(),
            "`auth` names no token and no user, so nobody could post"
        );
        // A variable that is empty must not open the door.
        anyhow::ensure!(
            auth.bearer.iter().all(|token| !token.expose().is_empty()),
            "`auth.bearer`: a token is empty"
        );
        for (user, password) in &auth.basic {
            anyhow::ensure!(!password.expose().is_empty(), "`auth.basic.{user}`: the password is empty");
        }
        Ok(())
    }

    /// [`HttpSettings::max_pending`] as permits, one a byte.
    fn most_pending(&self) -> usize {
        (self.max_pending.0 as usize).min(Semaphore::MAX_PERMITS)
    }
}

/// How the body of a request is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpCodec {
    /// JSON where the content type says so or the body begins with `{` or `[`, otherwise lines of text.
    #[default]
    Auto,
    /// One object, an array of objects, or objects one after the other (NDJSON).
    Json,
    /// A record per line, the line in the field `message`.
    Lines,
}

/// When a request is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AckWhen {
    /// When every record is safe.
    #[default]
    Settled,
    /// When the records are read and handed on; those that the outputs do not take by a crash are lost.
    Accepted,
}

/// Who may post. Either way opens the door.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpAuth {
    /// Tokens of `Authorization: Bearer`.
    pub bearer: Vec<Secret>,
    /// Users and passwords of `Authorization: Basic`.
    pub basic: std::collections::BTreeMap<String, Secret>,
}

/// What the handlers of all connections share.
struct Shared {
    settings: HttpSettings,
    cx: SourceContext,
    /// Bytes of bodies that may yet be taken in.
    pending: Arc<Semaphore>,
}

/// Binds the listener; the future serves it.
///
/// # Errors
/// The address cannot be bound, or the settings do not [`HttpSettings::check`].
pub async fn start(settings: HttpSettings, cx: SourceContext) -> anyhow::Result<Running> {
    settings.check()?;
    let listen = &settings.listen;
    let bound = listen.bind(ALL).await;
    let listener = bound.with_context(|| format!("`listen`: cannot listen on {listen}"))?;
    serve(listener, settings, cx)
}

fn serve(listener: TcpListener, settings: HttpSettings, cx: SourceContext) -> anyhow::Result<Running> {
    let tls = settings.tls.as_ref().map(TlsSettings::acceptor).transpose()?.map(Arc::new);
    tracing::info!(source = %cx.name, address = %listener.local_addr()?, "listening for HTTP");
    let connections = Arc::new(Semaphore::new(settings.max_connections.max(1)));
    let pending = Arc::new(Semaphore::new(settings.most_pending()));
    let shared = Arc::new(Shared { settings, cx, pending });
    Ok(Box::pin(async move {
        let stop = shared.cx.stop.clone();
        let greet = |(stream, permit)| {
            let (shared, tls) = (shared.clone(), tls.clone());
            tokio::spawn(async move {
                welcome(stream, tls, shared).await;
                drop(permit);
            });
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                client = next_connection(&listener, &connections) => greet(client),
            }
        }
        // Each connection holds a permit: all of them are back when the last one has ended. Who comes before that is
        // told so, on connections that nobody waits for.
        let all = shared.settings.max_connections.max(1);
        let late = Arc::new(Semaphore::new(all));
        let mut ended = std::pin::pin!(connections.acquire_many(all as u32));
        loop {
            tokio::select! {
                _ = &mut ended => return Ok(()),
                client = next_connection(&listener, &late) => greet(client),
            }
        }
    }))
}

/// The next client, when one of `connections` is free.
async fn next_connection(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = connections.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and senders wait for them.
                let _ = stream.set_nodelay(true);
                return (stream, permit);
            }
            Err(error) => {
                // Out of file descriptors, mostly: the ones in use must be given back first.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves a client that has come. One that says nothing is let go after a time, or when the source stops.
async fn welcome(stream: TcpStream, tls: Option<Arc<Acceptor>>, shared: Arc<Shared>) {
    let is_late = shared.cx.stop.is_cancelled();
    let let_go = async {
        tokio::select! {
            () = shared.cx.stop.cancelled(), if !is_late => {}
            () = tokio::time::sleep(shared.settings.read_timeout.0) => {}
        }
    };
    let source = shared.cx.name.clone();
    match tls {
        None => {
            let spoke = tokio::select! {
                biased;
                spoke = stream.readable() => spoke.is_ok(),
                () = let_go => false,
            };
            if spoke {
                connection(stream, shared, is_late).await;
            }
        }
        Some(tls) => {
            let shaken = tokio::select! {
                biased;
                shaken = tls.accept(stream) => shaken,
                () = let_go => Err(std::io::ErrorKind::TimedOut.into()),
            };
            match shaken {
                Ok(stream) => connection(stream, shared, is_late).await,
                Err(error) => tracing::debug!(%source, %error, "no TLS handshake"),
            }
        }
    }
}

/// Serves the requests of a connection. One that came late gets one answer.
async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shared: Arc<Shared>,
    is_late: bool,
) {
    let stop = shared.cx.stop.clone();
    let timeout = shared.settings.read_timeout.0;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(timeout).keep_alive(!is_late);
    server.http2().timer(TokioTimer::new()).max_concurrent_streams(64);
    let service = hyper::service::service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, std::convert::Infallible>(handle::handle(request, &shared).await) }
    });
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled(), if !is_late => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

#[cfg(test)]
mod tests;
