//! A node that keeps documents in memory, and says of some what a real one says of others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flitch_core::net::connections::Connections;
use flitch_core::net::listen::{Client, Listener};
use flitch_core::net::serve::{Patience, STREAMS, Visit};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// What a test sees and sets.
#[derive(Default)]
pub struct State {
    /// By index and id.
    documents: BTreeMap<(String, String), Vec<u8>>,
    /// Bytes of requests, uncompressed, those refused included.
    pub sizes: Vec<usize>,
    pub encodings: Vec<Option<String>>,
    pub paths: Vec<String>,
    pub actions: Vec<Value>,
    pub headers: Vec<hyper::HeaderMap>,
    /// Statuses of the next answers to whole requests.
    pub statuses: VecDeque<u16>,
    /// How long it asks to wait; 7 seconds by 429 where it is not set.
    pub after: Option<String>,
    /// Whether what stands before it compresses its answers, though nobody asked.
    pub is_pressed: bool,
    /// Most bytes of a request.
    pub largest: usize,
    /// Patterns of templates that make data streams.
    pub patterns: Vec<String>,
    /// Whether it is one that takes no ids.
    pub takes_no_ids: bool,
    /// Ids that were busy once.
    busy: BTreeSet<String>,
}

#[derive(Clone)]
pub struct Fake {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub async fn start() -> Fake {
        let mut listener =
            Listener::tcp(&"127.0.0.1:0".parse().unwrap(), Ipv4Addr::LOCALHOST.into()).await.unwrap();
        let state = Arc::new(Mutex::new(State { largest: usize::MAX, ..State::default() }));
        let fake = Fake { address: listener.address().unwrap(), state: state.clone() };
        let connections = Connections::new("test", 64);
        flitch_core::tasks::client(async move {
            let long = Duration::from_secs(60);
            let serve = |client: Client, slot| {
                let patience = Patience { header: long, idle: long };
                let visit =
                    Visit { slot, patience, streams: STREAMS, stop: CancellationToken::new(), socket: None };
                let state = state.clone();
                async move {
                    let answer = move |request| answer(request, state.clone());
                    visit.serve(client.stream, None, answer).await;
                }
            };
            listener.serve(&connections, &CancellationToken::new(), serve).await;
        });
        fake
    }

    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub fn documents(&self) -> Vec<Vec<u8>> {
        self.state().documents.values().cloned().collect()
    }
}

/// The actions and documents of a bulk request.
pub fn documents(body: &[u8]) -> Vec<(Value, Vec<u8>)> {
    assert!(body.ends_with(b"\n"), "a body ends in a line feed");
    let lines: Vec<&[u8]> = body[..body.len() - 1].split(|byte| *byte == b'\n').collect();
    let pairs = lines.chunks(2).map(|pair| (serde_json::from_slice(pair[0]).unwrap(), pair[1].to_vec()));
    pairs.collect()
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut state = state.lock();
    let encoding = head.headers.get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
    let body = match encoding {
        None => body.to_vec(),
        Some(_) => {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut text).unwrap();
            text
        }
    };
    state.paths.push(head.uri.to_string());
    state.headers.push(head.headers);
    let (status, text) = match head.uri.path() {
        "/_data_stream/logs" | "/_ingest/pipeline/clean" => (404, json!({})),
        "/_index_template" => {
            let template = json!({ "index_patterns": state.patterns, "data_stream": {} });
            (200, json!({ "index_templates": [{ "name": "t", "index_template": template }] }))
        }
        path if path.ends_with("/_bulk") => {
            state.encodings.push(encoding);
            bulk(&body, &mut state)
        }
        path => panic!("nobody asks for {path}"),
    };
    let mut text = text.to_string().into_bytes();
    if state.is_pressed {
        let mut press = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        press.write_all(&text).unwrap();
        text = press.finish().unwrap();
    }
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status.try_into().unwrap();
    if state.is_pressed {
        answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    }
    if let Some(after) = state.after.as_deref().or((status == 429).then_some("7")) {
        answer.headers_mut().insert("retry-after", after.parse().unwrap());
    }
    answer
}

fn bulk(body: &[u8], state: &mut State) -> (u16, Value) {
    state.sizes.push(body.len());
    if let Some(status) = state.statuses.pop_front() {
        return (status, json!({ "not": "an answer" }));
    }
    if body.is_empty() {
        return (
            400,
            json!({ "error": { "type": "parse_exception", "reason": "request body is required" } }),
        );
    }
    if body.len() > state.largest {
        return (413, json!({}));
    }
    let items: Vec<Value> =
        documents(body).into_iter().map(|(action, document)| item(&action, document, state)).collect();
    let errors = items.iter().any(|item| item.to_string().contains("error"));
    (200, json!({ "errors": errors, "items": items }))
}

fn item(action: &Value, document: Vec<u8>, state: &mut State) -> Value {
    state.actions.push(action.clone());
    let (op, to) = action.as_object().unwrap().iter().next().unwrap();
    let own = || format!("own {}", state.actions.len());
    let (index, id) =
        (to["_index"].as_str().unwrap().to_owned(), to["_id"].as_str().map_or_else(own, str::to_owned));
    let text = String::from_utf8_lossy(&document).into_owned();
    let error = |status: u16, kind: &str, reason: &str| json!({ op: { "status": status, "error": { "type": kind, "reason": reason } } });
    let has = |what: &str| text.contains(what);
    if state.takes_no_ids && to["_id"].is_string() {
        let reason = "Document ID is not supported in create/index operation request";
        return error(400, "illegal_argument_exception", reason);
    }
    if has("wrong") {
        let cause = json!({ "type": "number_format_exception", "reason": "no number" });
        let error =
            json!({ "type": "mapper_parsing_exception", "reason": "failed to parse", "caused_by": cause });
        return json!({ op: { "status": 400, "error": error } });
    }
    if has("odd") {
        return json!({ op: { "status": 201, "failure_store": "used" } });
    }
    let is_known = state.documents.contains_key(&(index.clone(), id.clone()));
    let second = has("busy second") && (!id.contains('-') || is_known);
    if has("busy") && !second && state.busy.insert(id.clone()) {
        let status = if has("503") { 503 } else { 429 };
        return error(status, "rejected_execution_exception", "the queue is full");
    }
    if has("no index") {
        return error(404, "index_not_found_exception", "no such index [logs]");
    }
    if has("no right") {
        return error(403, "security_exception", "not allowed");
    }
    if has("blocked") {
        let reason = "index [logs] blocked by: [FORBIDDEN/8/index write (api)];";
        return error(403, "cluster_block_exception", reason);
    }
    if has("no pipeline") {
        return error(400, "illegal_argument_exception", "pipeline with id [clean] does not exist");
    }
    if op == "create" && is_known {
        return error(409, "version_conflict_engine_exception", "document already exists");
    }
    state.documents.insert((index, id), document);
    json!({ op: { "status": 201 } })
}
