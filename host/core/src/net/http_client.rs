//! Speaking HTTP to servers, for all who do: what a client connects by, how long it waits, and what it says when that
//! went wrong.

use std::error::Error;
use std::io::{self, Read};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Proxy, Response, StatusCode, Url, redirect};
use rustls::ClientConfig;

use super::confided::Confided;
use super::expand::Coding;
use super::tls;

/// How a client calls itself.
pub const USER_AGENT: &str = concat!("flitch/", env!("CARGO_PKG_VERSION"));
/// How long a connection that is kept may rest until its next request: less than servers commonly allow, so that a
/// request seldom meets a connection that is being closed.
const IDLE: Duration = Duration::from_secs(20);

/// The largest window of zstd in an answer, as a power of two: what RFC 9659 has every server keep to.
const WINDOW: u32 = 23;

/// Longest time that a server is believed which asks to wait.
const LONGEST: Duration = Duration::from_secs(3600);

/// How a client reaches its servers.
#[derive(Debug)]
pub struct Settings {
    /// TLS of `https://`, as [`config`](tls::client::config) makes it. Without it a client speaks with no server of `https://`.
    pub tls: Option<ClientConfig>,
    /// The proxy through which all servers are reached (`http://user:password@host:port`); what the environment says of
    /// proxies counts for nothing.
    pub proxy: Option<Url>,
    /// Longest time for a connection, TLS handshake included.
    pub connect_timeout: Duration,
    /// Longest time from the begin of a request to the end of its answer, the connection included.
    pub timeout: Duration,
    /// Whether connections are kept for the next requests. A request can fail then because its connection is closed by
    /// the server in that moment, and may have arrived: it takes somebody who tries again.
    pub keep: bool,
}

/// A client that goes where it is sent and nowhere else: an answer that redirects is an answer like another.
///
/// # Errors
/// The proxy's URL is none that a proxy can have.
pub fn client(settings: Settings) -> anyhow::Result<Client> {
    let proxy = settings.proxy.clone();
    let mut builder = builder(settings)?.no_proxy();
    if let Some(proxy) = proxy {
        builder = builder.proxy(Proxy::all(proxy).context("the proxy")?);
    }
    Ok(builder.build()?)
}

/// The same for clients that users know from the vendor's tools: without a proxy of its own it goes by what the environment
/// says of proxies (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
///
/// # Errors
/// As of [`client`].
pub fn client_by_environment(settings: Settings) -> anyhow::Result<Client> {
    match settings.proxy {
        Some(_) => client(settings),
        None => Ok(builder(settings)?.build()?),
    }
}

fn builder(settings: Settings) -> anyhow::Result<ClientBuilder> {
    let tls = match settings.tls {
        Some(tls) => tls,
        // Left out, reqwest would look for ciphers of the whole process, and there are none.
        None => tls::client::nobody()?,
    };
    Ok(Client::builder()
        .user_agent(USER_AGENT)
        // Who does not say so is taken for one who reads any coding there is (RFC 9110, section 12.5.3).
        .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]))
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(if settings.keep { usize::MAX } else { 0 })
        .tls_backend_preconfigured(tls))
}

/// Why a request failed, in the words of whoever knows most of it, and without the URL, in which a password may stand.
/// For logs and terminals it is escaped like anything that a server says.
pub fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut deepest: Option<&dyn Error> = error.source();
    while let Some(deeper) = deepest.and_then(Error::source) {
        deepest = Some(deeper);
    }
    match deepest {
        Some(error) => error.to_string(),
        None => "the request cannot be made".to_owned(),
    }
}

/// How long an answer asks to wait until the next request (RFC 9110, section 10.2.3), [`LONGEST`] at most; `now` is the
/// time of day, in ns since 1970-01-01T00:00:00Z.
pub fn retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let after = match seconds(text) {
        Some(seconds) => seconds,
        None => Duration::from_nanos(u64::try_from(date(text)? - i128::from(now)).unwrap_or(0)),
    };
    Some(after.min(LONGEST))
}

/// A number of seconds; some servers write them with a point.
fn seconds(text: &str) -> Option<Duration> {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse::<f64>().ok().filter(|_| is_number)?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST))
}

/// A date in one of the three forms that must be read (RFC 9110, section 5.6.7), in ns since 1970-01-01T00:00:00Z.
fn date(text: &str) -> Option<i128> {
    if let Ok(zoned) = rfc2822::parse(text) {
        return Some(zoned.timestamp().as_nanosecond());
    }
    // Of RFC 850, and of C's `asctime`; both are in GMT.
    let forms = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let read = forms.iter().find_map(|form| DateTime::strptime(form, text).ok())?;
    Some(read.to_zoned(TimeZone::UTC).ok()?.timestamp().as_nanosecond())
}

/// Whether an answer says something of this moment, or of this connection, and nothing of what was asked: the same may go the
/// next time. (429 does so too, of who asks.)
pub fn is_of_the_moment(status: StatusCode) -> bool {
    let of_the_connection =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::MISDIRECTED_REQUEST, StatusCode::TOO_EARLY];
    status.is_server_error() || of_the_connection.contains(&status)
}

/// A URL as it may be shown: without the query, in which a key may stand, and without a user, a password and a fragment.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Where there is no host there can be neither.
    let _ = (url.set_username(""), url.set_password(None));
    url.to_string()
}

/// Where an answer that redirects leads, for its reason, as it may be [`shown`]; empty where it is none.
pub fn leads_to(answer: &Response) -> String {
    if !answer.status().is_redirection() {
        return String::new();
    }
    let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    match location.and_then(|location| answer.url().join(location).ok()) {
        Some(url) => format!(" (to {})", shown(&url)),
        None => " (to nowhere that it names)".to_owned(),
    }
}

/// Reads an answer to its end, so that its connection can be used again, and keeps its first `most` bytes as text. What
/// is much longer, or breaks off, is read no further. One that is no success loses what its server was told in confidence, where
/// [`send`](super::confided::send) sent the request.
pub async fn beginning(answer: Response, most: usize) -> String {
    let confided = answer.extensions().get::<Confided>().filter(|_| !answer.status().is_success()).cloned();
    let confided = confided.unwrap_or_default();
    let longest = confided.longest();
    let kept = first(answer, most.saturating_add(longest)).await;
    let is_cut = kept.len() > most;
    let mut text = confided.hide(String::from_utf8_lossy(&kept).into_owned());
    if is_cut {
        // A secret may be cut at the end, and was not known then.
        text.truncate(text.floor_char_boundary(text.len().saturating_sub(longest)));
    }
    text.truncate(text.floor_char_boundary(most));
    text
}

/// The first `most` bytes of an answer.
async fn first(mut answer: Response, most: usize) -> Vec<u8> {
    let coding = coding(&answer);
    let mut kept = Vec::new();
    while kept.len() < most {
        let Ok(Some(piece)) = answer.chunk().await else { break };
        let room = most - kept.len();
        kept.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    if let Some(coding) = coding {
        let mut plain = Vec::new();
        // What there is of it before it breaks off.
        let _ = expand(&kept, coding, most, &mut plain);
        kept = plain;
    }
    kept
}

/// The whole of an answer.
///
/// # Errors
/// It breaks off, or has more than `most` bytes.
pub async fn whole(mut answer: Response, most: usize) -> Result<Bytes, String> {
    let too_long = || format!("an answer of more than {most} bytes");
    let coding = coding(&answer);
    let mut all = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| reason(&error))? {
        if all.len() + piece.len() > most {
            return Err(too_long());
        }
        all.extend_from_slice(&piece);
    }
    // An answer without a body has nothing that could be expanded, whatever its head says of one.
    let Some(coding) = coding.filter(|_| !all.is_empty()) else { return Ok(all.into()) };
    let mut plain = Vec::new();
    let expanded = expand(&all, coding, most.saturating_add(1), &mut plain);
    expanded.map_err(|error| format!("its answer is no {}: {error}", coding.name()))?;
    if plain.len() > most { Err(too_long()) } else { Ok(plain.into()) }
}

/// How an answer is compressed: by what stands before a server, for nobody asks for that here.
fn coding(answer: &Response) -> Option<Coding> {
    let name = answer.headers().get(CONTENT_ENCODING)?.to_str().ok()?.trim().to_ascii_lowercase();
    match name.as_str() {
        "gzip" | "x-gzip" => Some(Coding::Gzip),
        "deflate" => Some(Coding::Deflate),
        "zstd" => Some(Coding::Zstd),
        _ => None,
    }
}

fn expand(packed: &[u8], coding: Coding, most: usize, plain: &mut Vec<u8>) -> io::Result<()> {
    coding.decoder(packed, WINDOW)?.take(most as u64).read_to_end(plain).map(drop)
}

#[cfg(test)]
mod tests;
