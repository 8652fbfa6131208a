//! How a replay reaches a source: the address that it listens on, with TLS where it has it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use flitch_core::net::address::{Address, Endpoint};
use flitch_core::net::tls::client::{self, Trust};
use flitch_core::telemetry::escape::Escaped;

/// How long a source may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the one who replays brings for TLS.
#[derive(Debug, Default, clap::Args)]
pub struct TlsArgs {
    /// For `https://`: a PEM file with the roots that the server's certificate leads to. A source that is named is
    /// known by its own certificate.
    #[arg(long, value_name = "FILE", requires = "to")]
    ca: Option<PathBuf>,
    /// A PEM file with a certificate for sources that ask their clients for one.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// A PEM file with the key of `--cert`.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

/// The address by which a listener on this machine is reached from here.
///
/// # Errors
/// The system chose its port.
pub fn beside(listen: &Address) -> anyhow::Result<Address> {
    if listen.port() == 0 {
        bail!("it listens on a port that the system chose: name it by its URL");
    }
    Ok(match listen.host() {
        // What is on all addresses is on those of IPv4 too.
        None | Some("0.0.0.0" | "::") => SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port())).into(),
        Some(_) => listen.clone(),
    })
}

/// A server, and how to speak with it.
pub struct Server {
    place: Place,
    tls: Option<Arc<ClientConfig>>,
}

enum Place {
    /// A host and a port.
    Tcp(String, u16),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// A connection.
pub trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl Server {
    /// The server that listens on this machine. On a unix socket nobody speaks TLS.
    pub fn behind(listen: &Endpoint, tls: Option<ClientConfig>) -> anyhow::Result<Server> {
        let listen = match listen {
            Endpoint::Tcp(address) => address,
            Endpoint::Unix(path) => return Ok(Server { place: Place::Unix(path.clone()), tls: None }),
        };
        let address = beside(listen)?;
        let host = address.host().unwrap_or_default().to_owned();
        Ok(Server { place: Place::Tcp(host, address.port()), tls: tls.map(Arc::new) })
    }

    /// An error of a connection to it. It is none of standard output's, whose reader may go away in peace.
    pub fn failed(&self, error: &io::Error) -> io::Error {
        let why = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("no answer within {} s", PATIENCE.as_secs())
            }
            _ => Escaped(error).to_string(),
        };
        io::Error::other(format!("{self}: {why}"))
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there. (What TLS says comes with the first byte.)
    pub fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let (host, port) = match &self.place {
            Place::Tcp(host, port) => (host, *port),
            Place::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(Box::new(stream));
            }
        };
        let stream = TcpStream::connect((host.as_str(), port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(tls.clone(), name).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, stream)))
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Place::Tcp(host, port) => write!(f, "{host}:{port}"),
            Place::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl TlsArgs {
    /// The TLS of a client that believes a server with the certificate in the file `known`, and no other; or, without
    /// one, what `--ca` says. `--ca` wins over the file.
    ///
    /// # Errors
    /// A file cannot be read, or `--ca` is wanted and missing.
    pub fn client(&self, known: Option<&Path>) -> anyhow::Result<ClientConfig> {
        let trust = match (&self.ca, known) {
            (Some(ca), _) => Trust::Roots(ca),
            (None, Some(certificate)) => Trust::Same(certificate),
            (None, None) => {
                bail!("name a file with the roots of its certificate (`--ca`), or the source by its name")
            }
        };
        client::config(trust, self.cert.as_deref().zip(self.key.as_deref()))
    }
}
