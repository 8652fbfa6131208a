//! Posts NDJSON to an HTTP source.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url};
use rustls::ClientConfig;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

use super::connect::{PATIENCE, TlsArgs, beside};
use flitch_core::dead_letter::replay::Sink;
use flitch_core::net::confided;
use flitch_core::net::forward::client::unique;
use flitch_core::net::http_client::{self, Settings, beginning};
use flitch_core::secret::Secret;
use flitch_core::tasks;
use flitch_core::telemetry::escape::Escaped;
use flitch_sources::http::{HttpCodec, HttpSettings};

/// How long between two tries, while a source asks to wait.
const PAUSE: Duration = Duration::from_millis(500);
/// Most bytes of what a source says about its answer that are told.
const SAID: usize = 4 << 10;

/// An HTTP source.
pub struct Post {
    client: Client,
    /// Where it takes records. Credentials in it are sent as such.
    url: Url,
    /// The credentials of the configuration.
    credentials: Option<Credentials>,
    /// What the names of all requests begin with, so that the source knows one that comes again.
    id: String,
    sent: AtomicU64,
}

/// What is wrong with the records themselves, so that others may be taken.
const REFUSALS: [StatusCode; 3] =
    [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY];

enum Credentials {
    Bearer(Secret),
    Basic(String, Secret),
}

impl Post {
    /// The one at a URL.
    ///
    /// # Errors
    /// It is no URL of HTTP, or a file for TLS cannot be read.
    pub fn to_url(url: &str, tls: &TlsArgs) -> anyhow::Result<Post> {
        let tls = match url.split_once("://") {
            Some(("http", _)) => None,
            Some(("https", _)) => Some(tls.client(None)?),
            _ => bail!("it is neither a URL of HTTP nor the name of a source"),
        };
        Post::new(url, tls, None)
    }

    /// One of the configuration, with its TLS and the credentials that it takes.
    ///
    /// # Errors
    /// It would not read the records as they are, or its certificate cannot be read.
    pub fn to_source(settings: &HttpSettings, tls: &TlsArgs) -> anyhow::Result<Post> {
        if settings.codec == HttpCodec::Lines {
            bail!("it reads lines of text (`codec: lines`), and the records are JSON");
        }
        let tls = settings.tls.as_ref().map(|own| tls.client(Some(&own.cert))).transpose()?;
        let credentials = settings.auth.as_ref().and_then(|auth| {
            let bearer = auth.bearer.first().map(|token| Credentials::Bearer(token.clone()));
            let basic = auth.basic.first_key_value();
            bearer
                .or_else(|| basic.map(|(user, password)| Credentials::Basic(user.clone(), password.clone())))
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        Post::new(&format!("{scheme}://{}/", beside(&settings.listen)?), tls, credentials)
    }

    fn new(url: &str, tls: Option<ClientConfig>, credentials: Option<Credentials>) -> anyhow::Result<Post> {
        let url = Url::parse(url).context("it is no URL")?;
        let client = http_client::client(Settings {
            tls,
            proxy: None,
            connect_timeout: PATIENCE,
            timeout: PATIENCE,
            keep: false,
        })?;
        let id = unique()?;
        Ok(Post { client, url, credentials, id, sent: AtomicU64::new(0) })
    }

    /// Posts records, whole ones as NDJSON, until the source takes them. `Ok` means that they are safe.
    ///
    /// # Errors
    /// It does not answer, refuses them, or has had no room for a while. The text names it, without a password. Where it
    /// is the records that it refuses the kind is [`io::ErrorKind::InvalidInput`], and none of them was taken.
    pub async fn send(&self, records: Bytes) -> io::Result<()> {
        let begin = Instant::now();
        let key = format!("{}-{}", self.id, self.sent.fetch_add(1, Ordering::Relaxed));
        loop {
            let status = self.once(&key, records.clone()).await?;
            if status.is_success() {
                return Ok(());
            }
            if begin.elapsed() > PATIENCE {
                return Err(self.failed(&format!(" has no room for so many records ({})", status.as_u16())));
            }
            // A source that is full does not say when it has room again.
            sleep(PAUSE).await;
        }
    }

    /// Posts them once. Answers the status where the source takes them, or asks to wait.
    async fn once(&self, key: &str, records: Bytes) -> io::Result<StatusCode> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/x-ndjson");
        let request = request.header("idempotency-key", key);
        let request = match &self.credentials {
            None => request,
            Some(Credentials::Bearer(token)) => request.bearer_auth(token.expose()),
            Some(Credentials::Basic(user, password)) => request.basic_auth(user, Some(password.expose())),
        };
        let answer = confided::send(request.body(records)).await.map_err(|error| {
            let why = match error.is_timeout() {
                true => format!("no answer within {} s", PATIENCE.as_secs()),
                false => http_client::reason(&error),
            };
            self.failed(&format!(": {why}"))
        })?;
        let status = answer.status();
        let said = beginning(answer, SAID).await;
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Ok(status),
            status if status.is_success() => Ok(status),
            status => {
                let error = self.failed(&format!(" answered {status}: {}", said.trim()));
                Err(match REFUSALS.contains(&status) {
                    true => io::Error::new(io::ErrorKind::InvalidInput, error.to_string()),
                    false => error,
                })
            }
        }
    }

    /// An error of the source. It is none of standard output's, whose reader may go away in peace.
    fn failed(&self, what: &str) -> io::Error {
        let (host, port) = (self.url.host_str().unwrap_or_default(), self.url.port_or_known_default());
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        io::Error::other(format!("{host}{port}{}", Escaped(what)))
    }
}

/// Posts from a thread that waits for each answer.
pub struct Waiting {
    post: Post,
    runtime: Runtime,
    /// What the source said of a record that it refuses.
    refusal: Option<String>,
}

impl Waiting {
    /// What waits for `post`.
    ///
    /// # Errors
    /// The system gives no means to wait for connections.
    pub fn new(post: Post) -> io::Result<Waiting> {
        Ok(Waiting { post, runtime: tasks::runtime_here()?, refusal: None })
    }

    /// What it said last of records that it refuses.
    pub fn refusal(self) -> Option<String> {
        self.refusal
    }
}

impl Sink for Waiting {
    fn send(&mut self, records: &[u8]) -> io::Result<()> {
        let sent = self.runtime.block_on(self.post.send(Bytes::copy_from_slice(records)));
        sent.inspect_err(|error| {
            if error.kind() == io::ErrorKind::InvalidInput {
                self.refusal = Some(error.to_string());
            }
        })
    }
}

#[cfg(test)]
mod tests;
