//! Connecting to a server over TCP, with TLS or without.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::address::Address;

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to the first address of the host that can be reached; without a host, to this machine. The kernel looks
/// whether the other side is still there while nothing is said. Who asks waits no longer than `within`: of that each address
/// has its share, so that one which says nothing does not stand before the others.
///
/// # Errors
/// No address can be found or reached; or TLS fails, by [`rustls::Error`] inside.
pub async fn dial(
    address: &Address,
    tls: Option<Arc<ClientConfig>>,
    within: Duration,
) -> io::Result<Box<dyn Stream>> {
    let end = Instant::now() + within;
    let stream = reach(&address.resolve(Ipv4Addr::LOCALHOST.into()).await?, end).await?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let host = address.host().unwrap_or("localhost").to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(tls).connect(name, stream).await?))
}

async fn reach(addresses: &[SocketAddr], end: Instant) -> io::Result<TcpStream> {
    let mut reached = Err(io::ErrorKind::AddrNotAvailable.into());
    for (place, to) in addresses.iter().enumerate() {
        let left = addresses.len() - place;
        reached = match u32::try_from(left) {
            // The last one has all that is left.
            Ok(1) | Err(_) => connect(*to).await,
            Ok(left) => {
                let share = end.saturating_duration_since(Instant::now()) / left;
                let late = |_| Err(io::Error::new(io::ErrorKind::TimedOut, format!("{to} does not answer")));
                timeout(share, connect(*to)).await.unwrap_or_else(late)
            }
        };
        if reached.is_ok() {
            break;
        }
    }
    reached
}

async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_keepalive(true)?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether a connection failed because one side does not believe the other by TLS.
pub fn is_disbelief(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    use rustls::Error::{AlertReceived, InvalidCertificate, NoCertificatesPresented};
    matches!(tls, Some(AlertReceived(_) | InvalidCertificate(_) | NoCertificatesPresented))
}

#[cfg(test)]
mod tests;
