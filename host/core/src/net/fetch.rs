//! A document that a server of HTTP has, fetched again when it is another one (RFC 9110, section 13).

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::ensure;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HOST, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::confided;
use super::http_client::{self, beginning, reason, retry_after};
use super::http_head::{self, AuthSettings};
use super::tls::{ClientTls, Renewed};
use crate::secret::Secret;
use crate::setting::wrong;
use crate::units::Bytes;

/// Longest time for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are passed on as the reason.
const REASON: usize = 300;

/// By what a server knows a document again. (Either may be missing, and is no secret.)
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub modified: Option<String>,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The document is the one that was known.
    Unchanged,
    /// It is another one, and was written whole.
    Changed {
        /// By what the server knows it again.
        validators: Validators,
        /// Its bytes.
        bytes: u64,
    },
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Failed {
    /// In words, without the URL.
    pub reason: String,
    /// How long the server asks to wait.
    pub after: Option<Duration>,
    /// Whether it may be otherwise a moment later: the server is not reached, or is busy.
    pub passes: bool,
}

/// Asks a server for one document.
#[derive(Debug)]
pub struct Fetch {
    url: Url,
    head: HeaderMap,
    client: Renewed<Client>,
    max_bytes: u64,
}

/// Which document is asked for, and how.
#[derive(Clone, Copy, Debug)]
pub struct FetchSettings<'a> {
    /// Where it is, under the key `url`.
    pub url: &'a str,
    /// Under `auth`.
    pub auth: Option<&'a AuthSettings>,
    /// Under `request_headers`.
    pub request_headers: &'a BTreeMap<String, Secret>,
    /// Under `tls`.
    pub tls: Option<&'a ClientTls>,
    /// Longest time from the connection to the end of the answer.
    pub timeout: Duration,
    /// Most bytes of the document, under `max_bytes`.
    pub max_bytes: u64,
}

/// Headers that follow from the request.
const OURS: [HeaderName; 4] = [ACCEPT_ENCODING, HOST, IF_NONE_MATCH, IF_MODIFIED_SINCE];

impl Fetch {
    /// Asks as the settings say. Nothing is connected to.
    ///
    /// # Errors
    /// What is wrong with them; the text names the setting.
    pub fn new(settings: &FetchSettings<'_>) -> anyhow::Result<Fetch> {
        let url = http_head::url(settings.url)?;
        let is_tls = url.scheme() == "https";
        ensure!(
            is_tls || settings.tls.is_none(),
            wrong!("tls", " is for `https://`, and `url` has `http://`")
        );
        let tls = is_tls.then(|| settings.tls.cloned().unwrap_or_default());
        let mut head = HeaderMap::new();
        http_head::add(&mut head, settings.auth, settings.request_headers, &OURS)?;
        head.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let timeout = settings.timeout;
        let client = Renewed::new(tls, move |tls| {
            http_client::client(http_client::Settings {
                tls,
                proxy: None,
                connect_timeout: CONNECT,
                timeout,
                keep: false,
            })
        })?;
        Ok(Fetch { url, head, client, max_bytes: settings.max_bytes })
    }

    /// Where it asks, as it may be shown.
    pub fn place(&self) -> String {
        http_client::shown(&self.url)
    }

    /// Writes the document to `sink`, where it is another one than `known`. `now` is the time of day in ns.
    ///
    /// # Errors
    /// Why not; what `sink` has by then is nothing.
    pub async fn get(&self, known: &Validators, sink: &mut dyn Write, now: i64) -> Result<Fetched, Failed> {
        let failed = |reason: String| Failed { reason, after: None, passes: false };
        let unreached = |error| Failed { passes: true, ..failed(reason(&error)) };
        let mut head = self.head.clone();
        for (name, text) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.modified)] {
            if let Some(value) = text.as_ref().and_then(|text| HeaderValue::from_str(text).ok()) {
                head.insert(name, value);
            }
        }
        let asked = confided::send(self.client.get().get(self.url.clone()).headers(head)).await;
        let mut answer = asked.map_err(unreached)?;
        let is_known = known.etag.is_some() || known.modified.is_some();
        match answer.status() {
            StatusCode::NOT_MODIFIED if is_known => return Ok(Fetched::Unchanged),
            StatusCode::OK => {}
            _ => return Err(refused(answer, now).await),
        }
        let coding = text_of(&answer, &CONTENT_ENCODING).filter(|coding| coding != "identity");
        if let Some(coding) = coding {
            return Err(failed(format!("the answer is encoded as `{coding}`, which was not asked for")));
        }
        let too_large = || failed(format!("it has more than {} (`max_bytes`)", Bytes(self.max_bytes)));
        if answer.content_length().is_some_and(|bytes| bytes > self.max_bytes) {
            return Err(too_large());
        }
        let mut bytes = 0;
        while let Some(piece) = answer.chunk().await.map_err(unreached)? {
            bytes += piece.len() as u64;
            if bytes > self.max_bytes {
                return Err(too_large());
            }
            sink.write_all(&piece).map_err(|error| failed(format!("it cannot be kept: {error}")))?;
        }
        let validators =
            Validators { etag: text_of(&answer, &ETAG), modified: text_of(&answer, &LAST_MODIFIED) };
        Ok(Fetched::Changed { validators, bytes })
    }
}

async fn refused(answer: Response, now: i64) -> Failed {
    let (status, after) = (answer.status(), retry_after(answer.headers(), now));
    let said = beginning(answer, REASON).await;
    let said = said.trim();
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let is_busy = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    let passes = is_busy || status.is_server_error();
    Failed { reason: format!("the server answers {status}{said}"), after, passes }
}

fn text_of(answer: &Response, name: &HeaderName) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests;
