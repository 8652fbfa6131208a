//! TLS of listeners: settings, and what they accept connections with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::setting::wrong;
use anyhow::{Context, anyhow};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_rustls::{Accept, TlsAcceptor};

use super::named::Named;
use super::pem;
use crate::file_stamp::FileStamp;
use crate::named_file;
use crate::telemetry::Quiet;

/// Time between two looks at the files of a certificate.
const LOOK: Duration = Duration::from_secs(1);

/// TLS of a listener. The files are PEM. When one of them has changed, they are read again for the connections that
/// come then; files that do not fit together, or cannot be read, leave the certificate as it is, with a warning, and are looked at
/// again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// File with the certificate of the server, and behind it those that lead to its root.
    pub cert: PathBuf,
    /// File with the private key of the certificate (PKCS #8, PKCS #1 or SEC1).
    pub key: PathBuf,
    /// File with the roots that certificates of clients must lead to, or such certificates themselves. Clients are not
    /// asked for one where it is not set.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is refused; only where `client_ca` is set.
    #[serde(default = "yes")]
    pub require_client_cert: bool,
}

fn yes() -> bool {
    true
}

impl TlsSettings {
    /// Reads the files, and makes what a listener accepts connections with.
    ///
    /// # Errors
    /// A file cannot be read, or does not hold what it should; the text names setting and file.
    pub fn acceptor(&self) -> anyhow::Result<Acceptor> {
        let seen = self.stamps();
        let state = Loaded { tls: self.read()?, seen, looked: Instant::now() };
        Ok(Acceptor { settings: self.clone(), state: Mutex::new(state), warning: Quiet::a_minute() })
    }

    /// What the files are like, without their content.
    fn stamps(&self) -> Stamps {
        [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()].map(|file| FileStamp::of(file?))
    }

    fn read(&self) -> anyhow::Result<TlsAcceptor> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .with_context(|| wrong!("tls", ": no version of it can be served"))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let wrong = || wrong!("tls.client_ca", ": {} cannot be used", file.display());
                let mut roots = RootCertStore::empty();
                let named = certificates("client_ca", file)?;
                for root in &named {
                    roots.add(root.clone()).with_context(wrong)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier =
                    if self.require_client_cert { verifier } else { verifier.allow_unauthenticated() };
                let by_roots = verifier.build().with_context(wrong)?;
                builder.with_client_cert_verifier(Arc::new(Named::new(by_roots, named)))
            }
        };
        let key = named_file::read(&self.key).map_err(|e| unreadable("key", &self.key, &e))?;
        let key = pem::key(&key).map_err(|e| unreadable("key", &self.key, &e))?;
        let config = builder.with_single_cert(certificates("cert", &self.cert)?, key).with_context(|| {
            let (cert, key) = (self.cert.display(), self.key.display());
            wrong!("tls", ": the certificate in {cert} and the key in {key} cannot be used together")
        })?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

type Stamps = [Option<FileStamp>; 3];

/// What a listener accepts connections with.
pub struct Acceptor {
    settings: TlsSettings,
    state: Mutex<Loaded>,
    warning: Quiet,
}

struct Loaded {
    tls: TlsAcceptor,
    /// The files when they were read and fitted.
    seen: Stamps,
    looked: Instant,
}

impl Acceptor {
    /// Goes through the handshake with a client.
    pub fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Accept<S> {
        self.current().accept(stream)
    }

    /// The certificate of now.
    fn current(&self) -> TlsAcceptor {
        let mut state = self.state.lock();
        let now = Instant::now();
        if now.duration_since(state.looked) < LOOK {
            return state.tls.clone();
        }
        state.looked = now;
        let seen = self.settings.stamps();
        if seen != state.seen {
            let cert = self.settings.cert.display();
            match self.settings.read() {
                Ok(tls) => {
                    (state.tls, state.seen) = (tls, seen);
                    tracing::info!(%cert, "the files of the TLS certificate have changed and are read again");
                }
                // Looked at again until they fit: there may have been no descriptor to read them by.
                Err(error) if self.warning.may_say() => {
                    let error = format!("{error:#}");
                    tracing::warn!(%cert, error, "the files have changed; the old TLS certificate stays in use");
                }
                Err(_) => {}
            }
        }
        state.tls.clone()
    }
}

fn certificates(setting: &str, file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let text = named_file::read(file).map_err(|e| unreadable(setting, file, &e))?;
    pem::certificates(&text).map_err(|e| unreadable(setting, file, &e))
}

fn unreadable(setting: &str, file: &Path, error: &dyn std::fmt::Display) -> anyhow::Error {
    anyhow!(wrong!("tls.{setting}", ": cannot read {}: {error}", file.display()))
}

#[cfg(test)]
mod tests;
