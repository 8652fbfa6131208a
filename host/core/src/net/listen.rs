//! Listening, as all who do it share: one way to bind an address, and to take the clients that come. A lint
//! (`clippy.toml`) refuses to take them in any other way.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::address::{Address, Endpoint};
use super::connections::{Connections, Slot};
use crate::setting::wrong;
use crate::tasks;

/// What a port alone, or with `*`, is on: all addresses of the machine, those of IPv4 included.
pub const ALL: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Connections that the kernel holds for us.
const BACKLOG: u32 = 1024;

/// A connection of a client.
pub type Stream = Either<TcpStream, UnixStream>;

/// The descriptor of a connection.
pub fn socket_of(stream: &Stream) -> RawFd {
    match stream {
        Either::Left(stream) => stream.as_raw_fd(),
        Either::Right(stream) => stream.as_raw_fd(),
    }
}

/// A client that has come.
#[derive(Debug)]
pub struct Client {
    /// Its connection.
    pub stream: Stream,
    /// Where it comes from; none on a unix socket. A client of IPv4 has an address of that kind, whatever the listener's.
    pub from: Option<SocketAddr>,
}

/// A place where clients connect.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Endpoint,
    /// A client that has been accepted and waits for its slot.
    waiting: Option<Client>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "held for its drop")] OwnPath),
}

/// A unix socket's file, removed when the socket is closed.
#[derive(Debug)]
struct OwnPath(PathBuf);

impl Drop for OwnPath {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to do.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens at the `listen` of somebody's settings, as [`Listener::tcp`] does, or on a unix socket whose file has the
    /// mode `unix_mode`. A file that a listener has left behind is replaced.
    ///
    /// # Errors
    /// The address cannot be had; the text names the setting.
    pub async fn bind(listen: &Endpoint, alone: IpAddr, unix_mode: u32) -> anyhow::Result<Listener> {
        match listen {
            Endpoint::Tcp(address) => {
                let bound = Listener::tcp(address, alone).await;
                bound.with_context(|| wrong!("listen", ": cannot listen on {address}"))
            }
            Endpoint::Unix(path) => {
                let (socket, own) = unix(path, unix_mode).await?;
                Ok(Listener { socket: Socket::Unix(socket, own), address: listen.clone(), waiting: None })
            }
        }
    }

    /// Listens on the first address of the host that can be had; `alone` is the one where no host is named.
    ///
    /// # Errors
    /// The host's name cannot be resolved, or none of its addresses can be had.
    pub async fn tcp(address: &Address, alone: IpAddr) -> io::Result<Listener> {
        let mut bound = Err(io::ErrorKind::AddrNotAvailable.into());
        for to in address.resolve(alone).await? {
            bound = tcp(to);
            if bound.is_ok() {
                break;
            }
        }
        let socket = bound?;
        let address = Endpoint::Tcp(socket.local_addr()?.into());
        Ok(Listener { socket: Socket::Tcp(socket), address, waiting: None })
    }

    /// Where it listens, with the port that the system chose where 0 was asked for; none on a unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix(..) => None,
        }
    }

    /// Takes clients until `stop`, each with a slot of `connections`, and has a task of its own serve it.
    pub async fn serve<F>(
        &mut self,
        connections: &Connections,
        stop: &CancellationToken,
        serve: impl Fn(Client, Slot) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        while let Some((client, slot)) = stop.run_until_cancelled(self.next(connections)).await {
            tasks::client(serve(client, slot));
        }
    }

    /// The next client, with its slot. Where this is dropped the client that waits for a slot is the next one of the
    /// next call.
    async fn next(&mut self, connections: &Connections) -> (Client, Slot) {
        loop {
            if self.waiting.is_none() {
                self.waiting = Some(connections.accept(|| self.socket.accept()).await);
            }
            let slot = connections.slot().await;
            if let Some(client) = self.waiting.take() {
                return (client, slot);
            }
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Socket {
    #[expect(clippy::disallowed_methods, reason = "this is where all clients are taken")]
    async fn accept(&self) -> io::Result<Client> {
        Ok(match self {
            Socket::Tcp(socket) => {
                let (stream, from) = socket.accept().await?;
                // Answers are small and clients wait for them. It only costs time if it fails.
                let _ = stream.set_nodelay(true);
                let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                Client { stream: Either::Left(stream), from: Some(from) }
            }
            Socket::Unix(socket, _) => Client { stream: Either::Right(socket.accept().await?.0), from: None },
        })
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    if address.ip() != ALL {
        return tcp_at(address);
    }
    let without = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    // There a socket of IPv6 would be of that alone.
    let is_apart = std::fs::read("/proc/sys/net/ipv6/bindv6only").is_ok_and(|set| set.starts_with(b"1"));
    if is_apart {
        return tcp_at(without);
    }
    match tcp_at(address) {
        // The machine has no IPv6. What is in the way of both is told of the one that was asked for.
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => tcp_at(without).map_err(|_| error),
        bound => bound,
    }
}

fn tcp_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Who starts again has its address again at once.
    socket.set_reuseaddr(true)?;
    // Connections inherit it, so that clients which vanish do not hold theirs for ever.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn unix(path: &Path, mode: u32) -> anyhow::Result<(UnixListener, OwnPath)> {
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

#[cfg(test)]
mod tests;
