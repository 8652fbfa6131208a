//! TLS towards servers as settings have it, and what is made of it for as long as its files stay as they are.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use rustls::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::client::{Trust, config};
use crate::file_stamp::FileStamp;
use crate::setting::wrong;
use crate::telemetry::Quiet;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// TLS towards a server. The files are PEM; when one of them has changed they are read again for the connections that are
/// made then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTls {
    /// A file with the authorities to which the server's certificate must lead, or with that certificate itself. Not set:
    /// the authorities of the system.
    pub ca: Option<PathBuf>,
    /// A file with the certificate that is shown to a server which asks for one.
    pub cert: Option<PathBuf>,
    /// A file with its key.
    pub key: Option<PathBuf>,
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// One cannot be read, or does not hold what it should; the text names the setting, below `tls`.
    pub fn config(&self) -> anyhow::Result<ClientConfig> {
        ensure!(
            self.cert.is_some() == self.key.is_some(),
            wrong!("tls", ": `cert` and `key` belong together; one of them is missing")
        );
        let trust = self.ca.as_deref().map_or(Trust::System, Trust::Roots);
        // Alone first, so that what is wrong is told of the right file.
        config(trust, None).context(wrong!("tls.ca", ": it cannot be used"))?;
        let own = self.cert.as_deref().zip(self.key.as_deref());
        config(trust, own).context(wrong!("tls.cert", ": it cannot be used with its key"))
    }

    fn stamps(&self) -> Stamps {
        [&self.ca, &self.cert, &self.key].map(|file| FileStamp::of(file.as_ref()?))
    }
}

type Stamps = [Option<FileStamp>; 3];

/// What is made of TLS settings (a client, say), and made anew when their files have changed.
pub struct Renewed<T> {
    settings: Option<ClientTls>,
    make: Box<dyn Fn(Option<ClientConfig>) -> anyhow::Result<T> + Send + Sync>,
    state: Mutex<Made<T>>,
    warning: Quiet,
}

struct Made<T> {
    what: T,
    seen: Stamps,
    looked: Instant,
}

impl<T: Clone> Renewed<T> {
    /// What `make` makes of the settings.
    ///
    /// # Errors
    /// Those of [`ClientTls::config`] and of `make`.
    pub fn new(
        settings: Option<ClientTls>,
        make: impl Fn(Option<ClientConfig>) -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<Renewed<T>> {
        let seen = settings.as_ref().map(ClientTls::stamps).unwrap_or_default();
        let what = make(settings.as_ref().map(ClientTls::config).transpose()?)?;
        let state = Mutex::new(Made { what, seen, looked: Instant::now() });
        Ok(Renewed { settings, make: Box::new(make), state, warning: Quiet::a_minute() })
    }

    /// What was made last. Files that have changed and do not fit together leave it as it is, with a warning.
    pub fn get(&self) -> T {
        let mut state = self.state.lock();
        let Some(settings) = self.settings.as_ref().filter(|_| state.looked.elapsed() >= LOOK) else {
            return state.what.clone();
        };
        state.looked = Instant::now();
        let stamps = settings.stamps();
        if stamps != state.seen {
            match settings.config().and_then(|config| (self.make)(Some(config))) {
                Ok(what) => (state.what, state.seen) = (what, stamps),
                // Looked at again until they fit: one of two may be there before the other.
                Err(error) if self.warning.may_say() => {
                    tracing::warn!(
                        "TLS files have changed and cannot be used, the old ones go on: {error:#}"
                    );
                }
                Err(_) => {}
            }
        }
        state.what.clone()
    }
}

impl<T> std::fmt::Debug for Renewed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewed").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
