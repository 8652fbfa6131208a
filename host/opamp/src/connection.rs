//! Another connection that the server offers, in place of what the machine's own file says: where the server is, headers, a
//! certificate. It is kept only once it has worked.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};

use crate::settings::{OpampSettings, is_tls};
use crate::store::replace;
use crate::wire::ConnectionSettingsOffers;
use flitch_core::hex;
use flitch_core::net::tls::ClientTls;
use flitch_core::secret::Secret;
use flitch_core::units::Span;

const FILE: &str = "connection.json";

/// A connection that a server offered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// By what the server knows it.
    pub hash: Vec<u8>,
    endpoint: String,
    headers: BTreeMap<String, String>,
    heartbeat: u64,
    cert: String,
    key: String,
    ca: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // There is a key in it, and there may be tokens.
        write!(f, "Connection({})", self.endpoint)
    }
}

impl Connection {
    /// What is offered.
    ///
    /// # Errors
    /// It is nothing that flitch takes.
    pub fn offered(offers: ConnectionSettingsOffers) -> anyhow::Result<Connection> {
        let Some(opamp) = offers.opamp else {
            bail!("nothing of it is about the connection to the server itself")
        };
        ensure!(!offers.hash.is_empty(), "it comes without a hash, by which both sides would know it");
        ensure!(opamp.proxy.is_none(), "flitch takes no proxy of a server");
        let tls = opamp.tls.unwrap_or_default();
        ensure!(!tls.insecure_skip_verify, "flitch believes no server unseen (`insecure_skip_verify`)");
        let certificate = opamp.certificate.unwrap_or_default();
        let text = |bytes| String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("its certificate is no PEM"));
        let ca = text(certificate.ca_cert)?;
        let headers = opamp.headers.unwrap_or_default().headers;
        Ok(Connection {
            hash: offers.hash,
            endpoint: opamp.destination_endpoint,
            headers: headers.into_iter().map(|header| (header.key, header.value)).collect(),
            heartbeat: opamp.heartbeat_interval_seconds,
            cert: text(certificate.cert)?,
            key: text(certificate.private_key)?,
            ca: if tls.ca_pem_contents.is_empty() { ca } else { tls.ca_pem_contents },
        })
    }
}

/// Whether a server that a URL names may be connected to.
pub type May = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Which connection there is.
pub struct Connections {
    own: OpampSettings,
    folder: PathBuf,
    may: May,
}

impl Connections {
    /// For a machine whose own settings are these.
    pub fn new(own: &OpampSettings, folder: &Path, may: May) -> Connections {
        Connections { own: own.clone(), folder: folder.to_owned(), may }
    }

    /// What stands in the machine's own file.
    pub fn own(&self) -> &OpampSettings {
        &self.own
    }

    /// The connection that was kept before flitch started, where one may be used.
    pub fn kept_before(&self) -> Option<Connection> {
        if !self.own.accept_connection {
            return None;
        }
        match self.read() {
            Ok(kept) => kept,
            Err(error) => {
                tracing::error!(
                    file = %self.folder.join(FILE).display(),
                    "the connection that the server has offered cannot be read; that of this machine is used: {error}"
                );
                None
            }
        }
    }

    fn kept(&self) -> Option<Connection> {
        self.read().ok().flatten()
    }

    fn read(&self) -> io::Result<Option<Connection>> {
        match std::fs::read(self.folder.join(FILE)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a connection that has worked.
    ///
    /// # Errors
    /// The system's.
    pub fn keep(&self, connection: &Connection) -> io::Result<()> {
        replace(&self.folder.join(FILE), &serde_json::to_vec(connection)?)?;
        self.sweep(&connection.hash);
        Ok(())
    }

    /// Forgets one that did not.
    pub fn refuse(&self) {
        self.sweep(&self.kept().map(|kept| kept.hash).unwrap_or_default());
    }

    /// The settings of a connection. Its certificate and key are written down.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn settings(&self, connection: &Connection) -> anyhow::Result<OpampSettings> {
        let mut settings = self.own.clone();
        let is_safe = |endpoint: &str| endpoint.starts_with("wss:") || endpoint.starts_with("https:");
        let was_tls = is_safe(&settings.endpoint) || self.kept().is_some_and(|kept| is_safe(&kept.endpoint));
        if !connection.endpoint.is_empty() {
            settings.endpoint.clone_from(&connection.endpoint);
            (self.may)(&connection.endpoint).map_err(anyhow::Error::msg)?;
        }
        let is_tls = is_tls(&settings.url()?);
        ensure!(
            is_tls || !was_tls,
            "`{}` is without TLS, and the server is reached by it now",
            settings.endpoint
        );
        for (name, value) in &connection.headers {
            if name.eq_ignore_ascii_case("authorization") {
                settings.auth = None;
            }
            settings.request_headers.retain(|own, _| !own.eq_ignore_ascii_case(name));
            settings.request_headers.insert(name.clone(), Secret::new(value.as_str()));
        }
        if connection.heartbeat > 0 {
            settings.heartbeat = Span(Duration::from_secs(connection.heartbeat));
        }
        ensure!(
            connection.cert.is_empty() == connection.key.is_empty(),
            "it has a certificate without a key, or a key without a certificate"
        );
        if is_tls {
            let mut tls = settings.tls.take().unwrap_or_default();
            if !connection.ca.is_empty() {
                tls.ca = Some(self.write(connection, "ca", &connection.ca)?);
            }
            if !connection.cert.is_empty() {
                tls.cert = Some(self.write(connection, "cert", &connection.cert)?);
                tls.key = Some(self.write(connection, "key", &connection.key)?);
            }
            settings.tls = (tls != ClientTls::default()).then_some(tls);
        }
        settings.check()?;
        Ok(settings)
    }

    fn write(&self, connection: &Connection, what: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.folder.join(format!("{}{what}.pem", prefix(&connection.hash)));
        replace(&path, text.as_bytes())?;
        Ok(path)
    }

    /// Takes away certificates of other connections.
    fn sweep(&self, hash: &[u8]) {
        let own = prefix(hash);
        for file in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.starts_with("connection-") && !name.starts_with(&own) {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}

/// How files of a connection begin.
fn prefix(hash: &[u8]) -> String {
    format!("connection-{}-", hex::encode(&hash[..hash.len().min(32)]))
}

#[cfg(test)]
mod tests;
