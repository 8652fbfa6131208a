use std::sync::Arc;

use base64::Engine;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, Response};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

use super::answer::Answer;
use super::{AckWhen, HttpAuth, HttpCodec, Shared, body, decode};
use crate::batch::{Records, StreamId};
use crate::receipt::Verdict;

/// Bytes of a body that take about a millisecond to read into columns.
const LONG: usize = 256 << 10;

/// Answers one request.
pub async fn handle(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    take(request, shared).await.unwrap_or_else(|refused| refused).respond()
}

async fn take(request: Request<Incoming>, shared: &Shared) -> Result<Answer, Answer> {
    let draining = shared.cx.stop.is_cancelled();
    let path = request.uri().path();
    if request.method() == Method::GET {
        return match path {
            "/health" if draining => Err(Answer::Draining),
            "/health" => Ok(Answer::Healthy),
            _ => Err(Answer::NotFound),
        };
    }
    if request.method() != Method::POST {
        return Err(Answer::NotAllowed);
    }
    if let Some(auth) = &shared.settings.auth
        && !is_allowed(auth, request.headers())
    {
        return Err(Answer::Unauthorized);
    }
    if draining {
        return Err(Answer::Draining);
    }
    let tag = tag_of(path, shared);
    if shared.cx.intake.is_full() {
        return Err(Answer::Full);
    }
    let (parts, incoming) = request.into_parts();
    let limit = shared.settings.max_body.0 as usize;
    let mut room = body::Room::new(&shared.pending, shared.settings.most_pending());
    let raw = body::read(incoming, limit, shared.settings.read_timeout.0, &mut room).await?;
    let bytes = raw.len();
    let headers = &parts.headers;
    let takes_long = bytes > LONG || headers.contains_key(CONTENT_ENCODING);
    let read = || {
        let text = body::expand(headers, raw, shared.settings.max_expanded.0 as usize, &mut room)?;
        let codec = codec(shared.settings.codec, headers, &text);
        decode::decode(codec, &text, &tag, shared)
    };
    let batches = if takes_long { apart(read)? } else { read()? };
    send(batches, bytes, shared).await
}

/// Does work while another thread takes over the tasks of this one.
fn apart<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        // There is no other thread.
        _ => work(),
    }
}

/// `/app/web` is the tag `app.web`; `/` the one of the settings.
fn tag_of(path: &str, shared: &Shared) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return shared.settings.tag.clone().unwrap_or_else(|| shared.cx.name.to_string());
    }
    percent_decoded(path).replace('/', ".")
}

fn percent_decoded(text: &str) -> String {
    let hex = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                out.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = tail;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether the request carries one of the tokens, or one of the users' passwords. Compared in constant time.
fn is_allowed(auth: &HttpAuth, headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()) else { return false };
    let Some((scheme, credentials)) = value.split_once(' ') else { return false };
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return auth.bearer.iter().fold(false, |found, token| found | token.matches(credentials));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return false;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(credentials);
    let Some(decoded) = decoded.ok().and_then(|d| String::from_utf8(d).ok()) else { return false };
    let Some((user, password)) = decoded.split_once(':') else { return false };
    auth.basic.get(user).is_some_and(|expected| expected.matches(password))
}

fn codec(codec: HttpCodec, headers: &HeaderMap, text: &[u8]) -> HttpCodec {
    if codec != HttpCodec::Auto {
        return codec;
    }
    let named = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let named = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let begins_as_json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    match named.as_str() {
        name if name.contains("json") => HttpCodec::Json,
        name if name.starts_with("text/") => HttpCodec::Lines,
        // curl --data says that whatever it sends is a form.
        _ if begins_as_json => HttpCodec::Json,
        _ => HttpCodec::Lines,
    }
}

/// Hands the batches on and waits for their receipts, where the settings say so.
async fn send(batches: Vec<Records>, bytes: usize, shared: &Shared) -> Result<Answer, Answer> {
    let records: usize = batches.iter().map(Records::rows).sum();
    let mut settled = Vec::with_capacity(batches.len());
    let mut bytes = bytes;
    for batch in batches {
        let (tell, told) = oneshot::channel();
        let sent = shared.cx.intake.send(
            Arc::new(batch),
            std::mem::take(&mut bytes),
            StreamId::UNORDERED,
            |verdict| {
                // The client may have gone; then nobody waits for the verdict.
                let _ = tell.send(verdict);
            },
        );
        sent.await.map_err(|_| Answer::Draining)?;
        settled.push(told);
    }
    if shared.settings.ack == AckWhen::Accepted {
        return Ok(Answer::Accepted(records));
    }
    for told in settled {
        if told.await != Ok(Verdict::Safe) {
            return Err(Answer::SendAgain);
        }
    }
    Ok(Answer::Safe(records))
}
