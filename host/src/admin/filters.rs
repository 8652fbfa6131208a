//! `POST /api/filters/{name}/swap`: somebody wants what a plugin's file holds now to be in force, and to know what comes
//! of it. `POST /api/filters/{name}/rollback`: somebody wants what was in force before.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, HeaderValue, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::hosts::Hosts;
use super::{JSON, StatusBoard, TEXT, json, respond};
use crate::app::{Applied, Command, Control, Refused};

/// Why nothing is swapped.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal(pub StatusCode, pub String);

/// What a request asks of a filter, or why it may not; none where it asks for something else.
pub fn asked<B>(request: &Request<B>, hosts: &Hosts) -> Option<Result<Command, Refusal>> {
    let (name, action) = request.uri().path().strip_prefix("/api/filters/")?.rsplit_once('/')?;
    let command: fn(String) -> Command = match action {
        "swap" => Command::Swap,
        "rollback" => Command::Rollback,
        _ => return None,
    };
    Some(posted(request, hosts).map(|()| command(decoded(name))))
}

/// Whether a request may have something done.
pub fn posted<B>(request: &Request<B>, hosts: &Hosts) -> Result<(), Refusal> {
    if let Err(refused) = hosts.check(request) {
        return Err(Refusal(StatusCode::MISDIRECTED_REQUEST, refused));
    }
    if request.method() != Method::POST {
        return Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "only POST is answered\n".to_owned()));
    }
    // A browser sends it with every POST of a page, and nobody else does.
    if request.headers().contains_key(ORIGIN) {
        return Err(Refusal(StatusCode::FORBIDDEN, "no web page may touch filters\n".to_owned()));
    }
    Ok(())
}

impl Refusal {
    /// The answer to who asked.
    pub fn respond(self) -> Response<Full<Bytes>> {
        let Refusal(status, why) = self;
        let mut response = respond(status, TEXT, why);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// A name as it stands in a URL.
pub fn decoded(name: &str) -> String {
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// How a filter and its shadow agree; 404 where there is no such filter, or it has no shadow.
pub fn diff(name: &str, board: &StatusBoard) -> Response<Full<Bytes>> {
    match board.diff(name) {
        Ok(diff) => json(&diff),
        Err(reason) => {
            respond(StatusCode::NOT_FOUND, JSON, json!({"filter": name, "reason": reason}).to_string())
        }
    }
}

/// Has the filter swapped or put back, and says what came of it: 200 where what is asked for is in force, 409 where it
/// cannot be used and what runs goes on, 404 where there is no such filter, 503 while flitch ends.
pub async fn change(asked: Result<Command, Refusal>, control: &Control) -> Response<Full<Bytes>> {
    let command = match asked {
        Ok(command) => command,
        Err(refusal) => return refusal.respond(),
    };
    let (name, done) = match &command {
        Command::Rollback(name) => (name.clone(), "rolled_back"),
        Command::Swap(name) => (name.clone(), "swapped"),
        Command::Reload
        | Command::Refresh(_)
        | Command::Renew
        | Command::Manage(_)
        | Command::Install(_)
        | Command::Forget(_)
        | Command::Restart => (String::new(), "reloaded"),
    };
    let failed =
        |reason: &str| (StatusCode::CONFLICT, json!({"filter": name, "result": "failed", "reason": reason}));
    let (status, body) = match control.ask(command).await {
        Ok(Applied { changed, kept }) => match kept.iter().find(|kept| kept.filter == name) {
            Some(kept) => failed(&kept.reason),
            None => {
                let is_changed = changed.iter().any(|changed| **changed == *name);
                let result = if is_changed { done } else { "unchanged" };
                (StatusCode::OK, json!({"filter": name, "result": result}))
            }
        },
        Err(Refused::Config { line, .. }) => failed(&line),
        Err(error @ Refused::NothingBefore(_)) => failed(&error.to_string()),
        Err(error @ Refused::Unknown { .. }) => {
            (StatusCode::NOT_FOUND, json!({"filter": name, "result": "unknown", "reason": error.to_string()}))
        }
        Err(error @ Refused::Ending) => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({"filter": name, "result": "ending", "reason": error.to_string()}),
        ),
    };
    respond(status, JSON, body.to_string())
}
