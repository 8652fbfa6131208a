//! Servers that take records by HTTP.
//!
//! | answer | what becomes of the records |
//! |---|---|
//! | 2xx | They are delivered. |
//! | 408, 421, 425, 429, 5xx, none | They are sent again, no sooner than `Retry-After` says, and to the next server where there are several. |
//! | 401 to 405, 407, 410, 415, 426, 431, 451, 3xx | They wait for an operator: it is not for their sake that the server refuses. |
//! | 413, and any other 4xx | The request is halved, until the record that is refused stands alone: a dead letter. |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, StatusCode, Url};

use self::body::body;
use crate::nodes::{Node, Nodes};
use crate::staging::{self, Press};
use crate::{Answer, Output, OutputContext, OutputKind, Parcel, Wants, WriteError, Written};
use flitch_core::batch::encode::Encoder;
use flitch_core::blocking;
use flitch_core::clock::Clock;
use flitch_core::net::http_client::{self, beginning, is_of_the_moment, leads_to, reason, retry_after};
use flitch_core::net::http_head;
use flitch_core::net::tls::Renewed;
use flitch_core::net::upload::Uploads;

mod body;
mod settings;

pub use flitch_core::net::http_head::AuthSettings;
pub use settings::{Body, Compression, HttpSettings, Method};

/// Longest time for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are passed on as the reason.
const REASON: usize = 500;

/// See [`HttpSettings`].
struct Http {
    settings: HttpSettings,
    encoder: Encoder,
    head: HeaderMap,
    urls: Vec<Url>,
    nodes: Nodes,
    client: Renewed<Client>,
    uploads: Uploads,
    press: Option<Arc<Mutex<Press>>>,
    clock: Clock,
}

impl OutputKind for HttpSettings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        let format = cx.encoder.encoding().format;
        self.check(format)?;
        let urls = self.parsed()?;
        let (timeout, proxy) = (self.timeout.0, http_head::proxy(self.proxy.as_ref())?);
        let client = Renewed::new(self.client_tls(&urls)?, move |tls| {
            let proxy = proxy.clone();
            let settings =
                http_client::Settings { tls, proxy, connect_timeout: CONNECT, timeout, keep: true };
            http_client::client(settings)
        })?;
        let mut head = self.head(format)?;
        let press = match self.compression {
            Compression::None => None,
            Compression::Gzip => Some(("gzip", staging::Compression::Gzip)),
            Compression::Zstd => Some(("zstd", staging::Compression::Zstd)),
        };
        if let Some((name, _)) = press {
            head.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        let node = |url: &Url| Node { name: http_client::shown(url), weight: 1, standby: false };
        Ok(Arc::new(Http {
            press: press
                .map(|(_, kind)| Press::new(kind))
                .transpose()?
                .map(|press| Arc::new(Mutex::new(press))),
            settings: self.clone(),
            encoder: cx.encoder.clone(),
            head,
            nodes: Nodes::new(&cx.name, urls.iter().map(node).collect()),
            urls,
            client,
            uploads: Uploads::new(timeout),
            clock: cx.clock.clone(),
        }))
    }

    fn descriptors(&self) -> u64 {
        (self.concurrency * self.url.len().max(1)) as u64
    }
}

impl Http {
    async fn send(&self, parcel: &Parcel) -> Result<Written, WriteError> {
        let body = body(parcel, &self.encoder, self.settings.body);
        let written = Written { bytes: body.bytes, refused: body.refused, again: None };
        if !body.has_any {
            return Ok(written);
        }
        let text = self.pressed(body.text).await?;
        let (mut tried, mut last) = (Vec::new(), None);
        while let Some(turn) = self.nodes.pick(&tried) {
            let error = match self.request(&self.urls[turn.place()], &text).await {
                Ok(()) => {
                    turn.succeeded();
                    return Ok(written);
                }
                Err(error) => error,
            };
            if !matches!(error, WriteError::Busy { .. } | WriteError::Unreachable { .. }) {
                // The server is well. What it says of these records, or of who sends them, the next one would say too.
                turn.succeeded();
                return Err(error);
            }
            tried.push(turn.place());
            turn.failed(&error.to_string(), error.after());
            last = Some(error);
        }
        Err(last.unwrap_or_else(|| WriteError::Unreachable { reason: "there is no server".to_owned() }))
    }

    async fn request(&self, url: &Url, body: &Bytes) -> Result<(), WriteError> {
        let method = match self.settings.method {
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
        };
        let request = self.client.get().request(method, url.clone()).headers(self.head.clone());
        let answer = self.uploads.send(request, body.clone()).await;
        let answer = answer.map_err(|error| unreachable(url, &reason(&error)))?;
        let status = answer.status();
        let after = retry_after(answer.headers(), self.clock.now());
        let led = leads_to(&answer);
        let said = beginning(answer, REASON).await;
        if status.is_success() {
            return Ok(());
        }
        let reason = format!("{}: {status}{led}: {}", http_client::shown(url), said.trim());
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                WriteError::Busy { after, reason }
            }
            _ if is_of_the_moment(status) && after.is_some() => WriteError::Busy { after, reason },
            _ if is_of_the_moment(status) => WriteError::Unreachable { reason },
            // Of who sends, of the account, of the address, of the headers: the same for every record.
            StatusCode::UNAUTHORIZED
            | StatusCode::PAYMENT_REQUIRED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED
            | StatusCode::GONE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UPGRADE_REQUIRED
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => WriteError::Denied { reason },
            _ if status.is_client_error() => WriteError::Poison { reason },
            _ => WriteError::Denied { reason },
        })
    }

    /// The body as it is sent.
    async fn pressed(&self, text: Bytes) -> Result<Bytes, WriteError> {
        let Some(press) = self.press.clone() else { return Ok(text) };
        let work = move || press.lock().press(&text, |pressed| Ok(Bytes::copy_from_slice(pressed)));
        blocking::io(work).await.map_err(|error| WriteError::Unreachable { reason: error.to_string() })
    }

    /// Asks each server for nothing. That it answers is enough, whatever it says of the method or of what is there.
    async fn look(&self) -> Result<(), WriteError> {
        for url in &self.urls {
            let request = self.client.get().head(url.clone()).headers(self.head.clone());
            let answer = request.send().await.map_err(|error| unreachable(url, &reason(&error)))?;
            let status = answer.status();
            let reason = format!("{}: {status}", http_client::shown(url));
            match status {
                StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                    return Err(WriteError::Denied { reason });
                }
                StatusCode::NOT_IMPLEMENTED => {}
                _ if status.is_server_error() => return Err(WriteError::Unreachable { reason }),
                _ => {}
            }
        }
        Ok(())
    }
}

fn unreachable(url: &Url, why: &str) -> WriteError {
    WriteError::Unreachable { reason: format!("{}: {why}", http_client::shown(url)) }
}

impl Output for Http {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        Box::pin(self.send(parcel))
    }

    fn wants(&self) -> Option<Wants> {
        let settings = &self.settings;
        Some(Wants::one(settings.max_bytes.0 as usize, settings.max_records, settings.max_age.0))
    }

    fn concurrency(&self) -> usize {
        self.settings.concurrency
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.look())
    }
}

#[cfg(test)]
mod tests;
