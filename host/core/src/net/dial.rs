//! Connecting to a server over TCP, with TLS or without.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::address::Address;

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to the first address of the host that can be reached; without a host, to this machine. The kernel looks
/// whether the other side is still there while nothing is said.
///
/// # Errors
/// No address can be found or reached; or TLS fails, by [`rustls::Error`] inside.
pub async fn dial(address: &Address, tls: Option<Arc<ClientConfig>>) -> io::Result<Box<dyn Stream>> {
    let mut reached = Err(io::ErrorKind::AddrNotAvailable.into());
    for to in address.resolve(Ipv4Addr::LOCALHOST.into()).await? {
        reached = connect(to).await;
        if reached.is_ok() {
            break;
        }
    }
    let stream = reached?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let host = address.host().unwrap_or("localhost").to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(tls).connect(name, stream).await?))
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
