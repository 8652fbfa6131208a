//! What requests are answered.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use super::otlp::{Encoding, Rejected, reply};
use flitch_core::telemetry::Metric;

/// The content encodings that are undone.
const ENCODINGS: &str = "gzip, zstd, deflate";

/// What a client is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: so many records are safe.
    Safe(usize),
    /// 202: so many records are taken in.
    Accepted(usize),
    /// 200: so many records are safe, or taken in, and others could not be read.
    Partly(usize, Rejected),
    /// 200 of `/health`.
    Healthy,
    /// 400: the body cannot be read; no record was taken.
    Unreadable {
        /// The line, counted from 1; 0 where the body has none.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// 401: no credentials, or wrong ones.
    Unauthorized,
    /// 404, with what there is.
    NotFound,
    /// 405, with the methods that there are.
    NotAllowed(&'static str),
    /// 408: the body did not come.
    TooSlow,
    /// 413, with the limit that was passed.
    TooLarge(String),
    /// 414: the tag in the path is longer than so many bytes.
    LongTag(usize),
    /// 415: a content encoding that is not known.
    UnknownEncoding(String),
    /// 415: what the body holds, by its header, is not read here.
    Unsupported(String),
    /// 429: the pipeline is full, try again.
    Full,
    /// 503 while draining.
    Draining,
    /// 503: the records did not get through, send them again.
    SendAgain,
}

impl Answer {
    fn status(&self) -> StatusCode {
        match self {
            Answer::Safe(_) | Answer::Partly(..) | Answer::Healthy => StatusCode::OK,
            Answer::Accepted(_) => StatusCode::ACCEPTED,
            Answer::Unreadable { .. } => StatusCode::BAD_REQUEST,
            Answer::Unauthorized => StatusCode::UNAUTHORIZED,
            Answer::NotFound => StatusCode::NOT_FOUND,
            Answer::NotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Answer::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Answer::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Answer::LongTag(_) => StatusCode::URI_TOO_LONG,
            Answer::UnknownEncoding(_) | Answer::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Answer::Full => StatusCode::TOO_MANY_REQUESTS,
            Answer::Draining | Answer::SendAgain => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The same to a client that speaks OTLP. It sends again what was answered by 429, 502, 503 or 504, and gives up all else
    /// (OTLP specification, "Retryable Response Codes"); what came too slowly is as good as it was.
    fn status_by_otlp(&self) -> StatusCode {
        match self {
            Answer::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
            other => other.status(),
        }
    }

    fn body(&self) -> serde_json::Value {
        use serde_json::json;
        let error = |text: &str| json!({ "error": text, "taken": 0 });
        match self {
            Answer::Safe(records) | Answer::Accepted(records) => json!({ "taken": records }),
            Answer::Partly(records, rejected) => {
                json!({ "taken": records, "rejected": rejected.count, "error": rejected.reason })
            }
            Answer::Healthy => json!({ "status": "ok" }),
            Answer::Unreadable { line: 0, reason } => error(reason),
            Answer::Unreadable { line, reason } => json!({ "error": reason, "line": line, "taken": 0 }),
            Answer::Unauthorized => error("credentials are missing or wrong"),
            Answer::NotFound => error("POST records to / or /{tag}; GET /health"),
            Answer::NotAllowed(_) => error("only POST takes records"),
            Answer::TooSlow => error("the body did not come in time"),
            Answer::TooLarge(text) | Answer::Unsupported(text) => error(text),
            Answer::LongTag(most) => error(&format!("a tag has at most {most} bytes")),
            Answer::UnknownEncoding(name) => {
                error(&format!("content encoding `{name}` is not known: use {ENCODINGS}"))
            }
            Answer::Full => error("the pipeline is full: send again later"),
            Answer::Draining => error("flitch is stopping: send again later"),
            Answer::SendAgain => error("the records are not safe: send again"),
        }
    }

    /// What is wrong, where something is.
    pub fn reason(&self) -> String {
        self.body()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// The response to a client that speaks OTLP.
    pub fn respond_by_otlp(self, encoding: Encoding) -> Response<Full<Bytes>> {
        let mut response = match &self {
            Answer::Safe(_) | Answer::Accepted(_) => reply::taken(encoding, &Rejected::default()),
            Answer::Partly(_, rejected) => reply::taken(encoding, rejected),
            other => reply::refused(encoding, other.status_by_otlp(), &other.reason()),
        };
        self.put_headers(&mut response);
        response
    }

    /// The HTTP response.
    pub fn respond(self) -> Response<Full<Bytes>> {
        let mut text = self.body().to_string();
        text.push('\n');
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = self.status();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.put_headers(&mut response);
        response
    }

    /// Headers that go with a status.
    fn put_headers(&self, response: &mut Response<Full<Bytes>>) {
        let headers = response.headers_mut();
        match self {
            Answer::Full | Answer::Draining | Answer::SendAgain => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Answer::Unauthorized => {
                let realms = HeaderValue::from_static("Basic realm=\"flitch\", Bearer realm=\"flitch\"");
                headers.insert(WWW_AUTHENTICATE, realms);
            }
            Answer::NotAllowed(methods) => {
                headers.insert(ALLOW, HeaderValue::from_static(methods));
            }
            Answer::UnknownEncoding(_) => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(ENCODINGS));
            }
            _ => {}
        }
    }
}

/// Counts answers by their status.
pub struct Answers(Vec<(StatusCode, metrics::Counter)>);

impl Answers {
    /// Counters of `source` for every status that an [`Answer`] can have.
    pub fn new(source: &str) -> Answers {
        let all = [200, 202, 400, 401, 404, 405, 408, 413, 414, 415, 429, 503];
        let count = |code: &u16| {
            let labels = [("source", source), ("status", &*code.to_string())];
            Some((StatusCode::from_u16(*code).ok()?, Metric::HttpAnswers.counter(&labels)))
        };
        Answers(all.iter().filter_map(count).collect())
    }

    /// Counts one.
    pub fn count(&self, status: StatusCode) {
        let counter = self.0.iter().find(|(code, _)| *code == status);
        debug_assert!(counter.is_some(), "{status} is not among those that are counted");
        counter.iter().for_each(|(_, counter)| counter.increment(1));
    }
}
