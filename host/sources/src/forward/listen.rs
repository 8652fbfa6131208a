//! Listeners: TCP with the UDP heartbeat beside it, TLS, and unix sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, UnixListener, UnixStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::hub::{Alive, Hub};
use super::link::Peer;
use super::settings::ForwardSettings;
use super::strangers::Place;
use super::{connection, udp};
use flitch_core::net::address::Endpoint;
use flitch_core::net::connections::Connections;
use flitch_core::net::forward::handshake::server::shake;
use flitch_core::net::tls::{Acceptor, TlsSettings};
use flitch_core::setting::wrong;
use flitch_core::tasks;

/// Where it listens when only a port is named.
const ALL: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// Connections that the kernel holds for us.
const BACKLOG: u32 = 1024;
/// How long a client that is refused may take to hear it.
const PARTING: Duration = Duration::from_secs(1);

enum Socket {
    Tcp(TcpListener, Option<Arc<Acceptor>>, Option<UdpSocket>),
    Unix(UnixListener, #[expect(dead_code, reason = "held for its drop")] OwnPath),
}

/// A place where clients connect.
pub struct Listener {
    socket: Socket,
    address: String,
    connections: Arc<Connections>,
}

/// A unix socket's file, removed when the socket is closed.
struct OwnPath(PathBuf);

impl Drop for OwnPath {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to do.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Binds every address of the settings, for the source of this name.
pub async fn bind(name: &str, settings: &ForwardSettings) -> anyhow::Result<Vec<Listener>> {
    let tls = settings.tls.as_ref().map(TlsSettings::acceptor).transpose()?.map(Arc::new);
    let connections = Arc::new(Connections::new(name, settings.max_connections));
    let mut listeners = Vec::new();
    for endpoint in settings.listen.iter() {
        let listener = |socket, address| Listener { socket, address, connections: connections.clone() };
        let address = match endpoint {
            Endpoint::Unix(path) => {
                let (socket, path) = bind_unix(path, settings.mode()?).await?;
                listeners.push(listener(Socket::Unix(socket, path), endpoint.to_string()));
                continue;
            }
            Endpoint::Tcp(address) => address,
        };
        let wrong = || wrong!("listen", ": cannot listen on {address}");
        let found = address.resolve(ALL).await.with_context(wrong)?;
        let mut bound = Err(io::ErrorKind::AddrNotAvailable.into());
        for to in found {
            bound = bind_tcp(to);
            if bound.is_ok() {
                break;
            }
        }
        let socket = bound.with_context(wrong)?;
        let at = socket.local_addr()?;
        let udp = if settings.udp_heartbeat {
            let what = || {
                wrong!(
                    "listen",
                    ": cannot listen for UDP heartbeats on {at} (`udp_heartbeat: false` goes without)"
                )
            };
            Some(UdpSocket::bind(at).await.with_context(what)?)
        } else {
            None
        };
        listeners.push(listener(Socket::Tcp(socket, tls.clone(), udp), at.to_string()));
    }
    Ok(listeners)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Connections inherit it, so that clients which vanish do not hold theirs for ever.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn bind_unix(path: &Path, mode: u32) -> anyhow::Result<(UnixListener, OwnPath)> {
    let shown = path.display();
    if let Ok(there) = std::fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            bail!(wrong!("listen", ": {shown} exists and is no socket"));
        }
        if UnixStream::connect(path).await.is_ok() {
            bail!(wrong!("listen", ": another process listens on {shown}"));
        }
        std::fs::remove_file(path)
            .with_context(|| wrong!("listen", ": cannot remove the old socket {shown}"))?;
    }
    let socket = UnixListener::bind(path).with_context(|| wrong!("listen", ": cannot listen on {shown}"))?;
    let own = OwnPath(path.to_owned());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .with_context(|| wrong!("unix_mode", ": cannot set it on {shown}"))?;
    Ok((socket, own))
}

impl Listener {
    /// Where it listens, with the port that the system chose where 0 was asked for.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Answers heartbeats, where it has any, until the source stops.
    pub fn heartbeats(
        &mut self,
        stop: CancellationToken,
    ) -> Option<impl Future<Output = anyhow::Result<()>> + Send + 'static> {
        let Socket::Tcp(_, _, udp) = &mut self.socket else { return None };
        let udp = udp.take()?;
        Some(async move {
            match stop.run_until_cancelled(udp::answer(udp)).await {
                Some(Err(error)) => Err(error).context("UDP heartbeats cannot be answered"),
                Some(Ok(never)) => match never {},
                None => Ok(()),
            }
        })
    }

    /// Takes connections until the source stops, and serves them.
    pub async fn run(self, hub: Arc<Hub>, alive: Alive) {
        let stop = hub.cx.stop.clone();
        while let Some((stream, peer, place)) = stop.run_until_cancelled(self.next()).await {
            let (hub, alive) = (hub.clone(), alive.clone());
            tasks::client(async move {
                let _open = Open::new(hub.connections.clone());
                tokio::select! {
                    biased;
                    () = place.sent_away() => {}
                    () = welcome(hub, stream, peer, place.clone(), alive) => {}
                }
            });
        }
    }

    async fn next(&self) -> (Stream, Peer, Arc<Place>) {
        let (stream, peer) = self.connections.accept(|| self.accept()).await;
        (stream, peer, Place::new(self.connections.slot().await))
    }

    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        Ok(match &self.socket {
            Socket::Tcp(socket, tls, _) => {
                let (stream, from) = socket.accept().await?;
                // It only costs time if it fails.
                let _ = stream.set_nodelay(true);
                (Stream::Tcp(stream, tls.clone()), Peer::new(from.to_string(), &from.ip().to_string()))
            }
            Socket::Unix(socket, _) => {
                (Stream::Unix(socket.accept().await?.0), Peer::new("unix".to_owned(), "unix"))
            }
        })
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

enum Stream {
    Tcp(TcpStream, Option<Arc<Acceptor>>),
    Unix(UnixStream),
}

async fn welcome(hub: Arc<Hub>, stream: Stream, peer: Peer, place: Arc<Place>, alive: Alive) {
    // One for all that has to happen before the client may send.
    let limit = Instant::now() + hub.settings.handshake_timeout.0;
    match stream {
        Stream::Unix(stream) => greet(hub, stream, limit, peer, place, alive).await,
        Stream::Tcp(stream, None) => greet(hub, stream, limit, peer, place, alive).await,
        Stream::Tcp(stream, Some(tls)) => {
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
    }
}

/// Closes a connection so that the client hears why: a socket that is closed with bytes unread resets the connection,
/// which takes what was written before out of the client's hands.
async fn part(mut stream: TcpStream) {
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
