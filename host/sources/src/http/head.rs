//! The head of a request: whether its records are taken in, and how the body is to be read.

use base64::Engine;
use encoding_rs::Encoding as Charset;
use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;

use super::answer::Answer;
use super::content::{self, Form};
use super::otlp::Encoding;
use super::{HttpAuth, Shared};
use crate::MOST_TAG;
use flitch_core::net::expand::Coding;

/// Whether a request may bring records, by its method, its path and its credentials. Where it is none that does, its answer.
pub fn admit(parts: &Parts, shared: &Shared) -> Result<Option<Answer>, Answer> {
    let draining = shared.cx.stop.is_cancelled();
    match (&parts.method, parts.uri.path()) {
        (&Method::POST, _) => {}
        (&Method::GET | &Method::HEAD, "/health") if draining => return Err(Answer::Draining),
        (&Method::GET | &Method::HEAD, "/health") => return Ok(Some(Answer::Healthy)),
        (&Method::GET | &Method::HEAD, _) => return Err(Answer::NotFound),
        (_, "/health") => return Err(Answer::NotAllowed("GET, HEAD, POST")),
        _ => return Err(Answer::NotAllowed("POST")),
    }
    if shared.settings.auth.as_ref().is_some_and(|auth| !is_allowed(auth, &parts.headers)) {
        return Err(Answer::Unauthorized);
    }
    if draining { Err(Answer::Draining) } else { Ok(None) }
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

/// What it says of the records and of the body.
pub struct Head {
    pub tag: String,
    pub form: Form,
    /// As they were applied.
    pub codings: Vec<Coding>,
    /// None for UTF-8.
    pub charset: Option<&'static Charset>,
}

impl Head {
    /// What the body must not be read without; `held` is what its content type says.
    pub fn of(parts: &Parts, held: Result<Form, Answer>, shared: &Shared) -> Result<Head, Answer> {
        // The path of OTLP is none of a tag.
        let path = if matches!(held, Ok(Form::Otlp(_))) { "/" } else { parts.uri.path() };
        let tag = tag_of(path, shared);
        if tag.len() > MOST_TAG {
            return Err(Answer::LongTag(MOST_TAG));
        }
        let form = held?;
        let codings = content::codings(&parts.headers)?;
        let charset = match form {
            Form::Text | Form::Otlp(Encoding::Json) => content::charset(&parts.headers)?,
            Form::MessagePack | Form::Otlp(Encoding::Protobuf) => None,
        };
        Ok(Head { tag, form, codings, charset })
    }
}

/// `/app/web` is the tag `app.web`; `/` the one of the settings.
fn tag_of(path: &str, shared: &Shared) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return shared.settings.tag.clone().unwrap_or_else(|| shared.cx.name.to_string());
    }
    percent_decode_str(path).decode_utf8_lossy().replace('/', ".")
}
