//! Where clients connect: TCP with the UDP heartbeat beside it, TLS, and unix sockets.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::hub::{Alive, Hub};
use super::link::Peer;
use super::settings::ForwardSettings;
use super::strangers::Place;
use super::{connection, udp};
use crate::ALL;
use flitch_core::net::connections::Connections;
use flitch_core::net::forward::handshake::server::shake;
use flitch_core::net::listen::{Client, Listener, Stream};
use flitch_core::net::tls::{Acceptor, TlsSettings};
use flitch_core::setting::wrong;

/// How long a client that is refused may take to hear it.
const PARTING: Duration = Duration::from_secs(1);

/// A place where clients connect.
pub struct Door {
    listener: Listener,
    tls: Option<Arc<Acceptor>>,
    heartbeats: Option<UdpSocket>,
    connections: Arc<Connections>,
}

/// Binds every address of the settings, for the source of this name.
pub async fn bind(name: &str, settings: &ForwardSettings) -> anyhow::Result<Vec<Door>> {
    let tls = settings.tls.as_ref().map(TlsSettings::acceptor).transpose()?.map(Arc::new);
    let connections = Arc::new(Connections::new(name, settings.max_connections));
    let mut doors = Vec::new();
    for endpoint in settings.listen.iter() {
        let listener = Listener::bind(endpoint, ALL, settings.mode()?).await?;
        let heartbeats = match listener.address().filter(|_| settings.udp_heartbeat) {
            Some(at) => Some(UdpSocket::bind(at).await.with_context(|| {
                wrong!(
                    "listen",
                    ": cannot listen for UDP heartbeats on {at} (`udp_heartbeat: false` goes without)"
                )
            })?),
            None => None,
        };
        // Nobody speaks TLS on a unix socket.
        let tls = tls.clone().filter(|_| listener.address().is_some());
        doors.push(Door { listener, tls, heartbeats, connections: connections.clone() });
    }
    Ok(doors)
}

impl Door {
    /// Where it listens, with the port that the system chose where 0 was asked for.
    pub fn address(&self) -> String {
        self.listener.to_string()
    }

    /// Answers heartbeats, where it has any, until the source stops.
    pub fn heartbeats(
        &mut self,
        stop: CancellationToken,
    ) -> Option<impl Future<Output = anyhow::Result<()>> + Send + 'static> {
        let udp = self.heartbeats.take()?;
        Some(async move {
            match stop.run_until_cancelled(udp::answer(udp)).await {
                Some(Err(error)) => Err(error).context("UDP heartbeats cannot be answered"),
                Some(Ok(never)) => match never {},
                None => Ok(()),
            }
        })
    }

    /// Takes connections until the source stops, and serves them.
    pub async fn run(mut self, hub: Arc<Hub>, alive: Alive) {
        let stop = hub.cx.stop.clone();
        let greet = |client: Client, slot| {
            let (hub, alive, tls) = (hub.clone(), alive.clone(), self.tls.clone());
            async move {
                let _open = Open::new(hub.connections.clone());
                let place = Place::new(slot);
                let peer = match client.from {
                    Some(from) => Peer::new(from.to_string(), &from.ip().to_string()),
                    None => Peer::new("unix".to_owned(), "unix"),
                };
                tokio::select! {
                    biased;
                    () = place.sent_away() => {}
                    () = welcome(hub, client.stream, tls, peer, place.clone(), alive) => {}
                }
            }
        };
        self.listener.serve(&self.connections, &stop, greet).await;
    }
}

/// Counts a connection for as long as it is open.
struct Open(metrics::Gauge);

impl Open {
    fn new(gauge: metrics::Gauge) -> Open {
        gauge.increment(1);
        Open(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

async fn welcome(
    hub: Arc<Hub>,
    stream: Stream,
    tls: Option<Arc<Acceptor>>,
    peer: Peer,
    place: Arc<Place>,
    alive: Alive,
) {
    // One for all that has to happen before the client may send.
    let limit = Instant::now() + hub.settings.handshake_timeout.0;
    let Some(tls) = tls else { return greet(hub, stream, limit, peer, place, alive).await };
    let accept = timeout_at(limit, tls.accept(stream).into_fallible());
    match hub.cx.stop.run_until_cancelled(accept).await {
        Some(Ok(Ok(stream))) => greet(hub, stream, limit, peer, place, alive).await,
        Some(Ok(Err((error, stream)))) => {
            hub.refuse(&peer.shown, &format!("the TLS handshake failed: {error}"));
            part(stream).await;
        }
        Some(Err(_)) => hub.refuse(&peer.shown, "the TLS handshake took too long"),
        None => {}
    }
}

/// Closes a connection so that the client hears why: a socket that is closed with bytes unread resets the connection,
/// which takes what was written before out of the client's hands.
async fn part(mut stream: Stream) {
    let rest = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    // It is over one way or another.
    let _ = timeout(PARTING, rest).await;
}

/// Goes through the handshake, where one is set, and serves the connection.
async fn greet<S>(
    hub: Arc<Hub>,
    mut stream: S,
    limit: Instant,
    mut peer: Peer,
    place: Arc<Place>,
    alive: Alive,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut buffer = BytesMut::new();
    if let Some(security) = &hub.settings.security {
        let shake = shake(&mut stream, &mut buffer, security);
        match hub.cx.stop.run_until_cancelled(timeout_at(limit, shake)).await {
            Some(Ok(Ok(hostname))) => peer = peer.named(&hostname),
            Some(Ok(Err(error))) => {
                return hub.refuse(&peer.shown, &format!("the handshake failed: {error}"));
            }
            Some(Err(_)) => return hub.refuse(&peer.shown, "the handshake took too long"),
            None => return,
        }
    }
    connection::serve(hub, stream, buffer, &peer, place, alive).await;
}

#[cfg(test)]
mod tests;
