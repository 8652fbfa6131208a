//! Elasticsearch and OpenSearch, by bulk requests.
//!
//! A write makes the documents of its parcel ([`body`]), sends them in requests of bounded size to a node that is well
//! ([`crate::nodes`]), and reads from the answers what became of each ([`answer`]). Of the protocol: `POST /_bulk` takes NDJSON,
//! pairs of an action and a document, and answers 200 with an item for each, in order, also where some are refused.

mod answer;
mod auth;
mod body;
mod ecs;
mod probe;
mod settings;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};
use tokio::sync::Semaphore;

use self::answer::{FILTER, Fate, Rules, fates, is_of_documents, said};
use self::auth::Auth;
pub use self::auth::AuthSettings;
use self::body::{Doc, Form, Id};
pub use self::settings::{Compression, ElasticsearchSettings, Op};
use crate::nodes::{Node, Nodes};
use crate::{Answer, Output, OutputContext, OutputKind, Parcel, Refusal, Wants, WriteError, Written};
use flitch_core::batch::encode::{Encoder, Encoding, Format, Framing, Naming};
use flitch_core::batch::template::Template;
use flitch_core::batch::{TAG, TIMESTAMP};
use flitch_core::blocking;
use flitch_core::clock::Clock;
use flitch_core::net::http_client::{
    self, beginning, is_of_the_moment, leads_to, reason, retry_after, whole,
};
use flitch_core::net::http_head;
use flitch_core::net::tls::Renewed;
use flitch_core::net::upload::Uploads;
use flitch_core::setting::wrong;
use flitch_core::telemetry::{Metric, Quiet};

/// Requests under way at once.
const WRITES: usize = 4;
/// Longest time for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const MOST: usize = 64 << 20;
/// How hard gzip tries: the quickest, which makes logs a fifth to a tenth as long.
const LEVEL: u32 = 1;

/// See [`ElasticsearchSettings`].
struct Elasticsearch {
    settings: ElasticsearchSettings,
    form: Form,
    rules: Rules,
    urls: Vec<Url>,
    nodes: Nodes,
    client: Renewed<Client>,
    uploads: Uploads,
    auth: Auth,
    name: Arc<str>,
    clock: Clock,
    /// Taken by each request: what waits by itself comes beside the writes that are allowed.
    turns: Semaphore,
    /// The documents that were there already.
    there: Told,
    /// The documents that went to the failure store of their data stream.
    aside: Told,
}

/// Documents of which more is said than that their records are delivered: counted, and told of once a minute.
struct Told {
    counter: metrics::Counter,
    said: Quiet,
}

impl Told {
    fn of(metric: Metric, output: &str) -> Told {
        Told { counter: metric.counter(&[("output", output)]), said: Quiet::a_minute() }
    }

    /// Counts documents. Answers whether they are to be told of.
    fn add(&self, documents: u64) -> bool {
        if documents == 0 {
            return false;
        }
        self.counter.increment(documents);
        self.said.may_say()
    }
}

impl OutputKind for ElasticsearchSettings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        Ok(Arc::new(open(self, cx)?))
    }

    fn formats(&self) -> &'static [Format] {
        &[Format::Ndjson]
    }

    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn descriptors(&self) -> u64 {
        (WRITES * self.nodes.len().max(1)) as u64
    }
}

fn open(settings: &ElasticsearchSettings, cx: &OutputContext) -> anyhow::Result<Elasticsearch> {
    settings.verify()?;
    let encoding = cx.encoder.encoding();
    let encoder = if settings.ecs { ecs::named(encoding)? } else { cx.encoder.clone() };
    anyhow::ensure!(
        !settings.data_stream || ecs::has_time(encoder.encoding()),
        wrong!("encoding", " leaves out `@timestamp`, or names it otherwise, and a data stream needs it")
    );
    let urls = settings.urls()?;
    let (timeout, proxy) = (settings.timeout.0, http_head::proxy(settings.proxy.as_ref())?);
    let client = Renewed::new(settings.client_tls(&urls)?, move |tls| {
        http_client::client(http_client::Settings {
            tls,
            proxy: proxy.clone(),
            connect_timeout: CONNECT,
            timeout,
            keep: true,
        })
    })?;
    let node = |url: &Url| Node { name: url.to_string(), weight: 1, standby: false };
    let is_one = |template: &Template| template.constant().is_some();
    Ok(Elasticsearch {
        form: Form {
            op: settings.op,
            index: settings.index.clone(),
            id: id(settings)?,
            routing: settings.routing.clone(),
            pipeline: settings.pipeline.clone(),
            encoder,
        },
        rules: Rules {
            op: settings.op,
            one_index: is_one(&settings.index),
            one_pipeline: settings.pipeline.as_ref().is_some_and(is_one),
        },
        nodes: Nodes::new(&cx.name, urls.iter().map(node).collect()),
        urls,
        client,
        uploads: Uploads::new(timeout),
        auth: Auth::new(settings.auth.as_ref())?,
        name: cx.name.clone(),
        clock: cx.clock.clone(),
        turns: Semaphore::new(WRITES),
        there: Told::of(Metric::DocumentsThere, &cx.name),
        aside: Told::of(Metric::DocumentsAside, &cx.name),
        settings: settings.clone(),
    })
}

/// What ids are made of.
fn id(settings: &ElasticsearchSettings) -> anyhow::Result<Id> {
    if settings.auto_id {
        return Ok(Id::Auto);
    }
    let fields = &settings.id_fields;
    if fields.is_empty() {
        return Ok(settings.id.clone().map_or(Id::Origin, Id::Template));
    }
    let has = |name: &str| Naming::Own(fields.iter().any(|field| field == name));
    let (timestamp, tag) = (has(TIMESTAMP), has(TAG));
    let encoding = Encoding { timestamp, tag, only: fields.clone(), ..Encoding::default() };
    Ok(Id::Hash(Encoder::new(encoding, Framing::Messages)?))
}

/// What a node said to a bulk request as a whole.
enum Said {
    /// It has looked at each of the documents.
    Items(Bytes),
    /// It takes no request like this one, which a smaller one may not be.
    Refused(String),
}

/// Why a node gave no answer that tells of the documents.
struct Failure {
    error: WriteError,
    /// Whether another node may do better.
    elsewhere: bool,
}

impl Elasticsearch {
    async fn send(&self, parcel: &Parcel) -> Result<Written, WriteError> {
        let mut written = Written::default();
        let body = self.form.body(parcel, &mut written.refused);
        let mut pieces = body.cut(self.settings.max_bytes.0 as usize);
        let (mut again, mut trouble): (Vec<u32>, Option<WriteError>) = (Vec::new(), None);
        let (mut there, mut aside, mut is_answered) = (0, 0, false);
        while let Some(piece) = pieces.pop_front() {
            let docs = &body.docs[piece.clone()];
            let fates = match self.request(body.text(&piece)).await {
                Ok(Said::Items(answer)) => {
                    is_answered = true;
                    fates(&answer, docs.len(), self.rules)
                }
                Ok(Said::Refused(_)) if docs.len() > 1 => {
                    let middle = piece.start + docs.len() / 2;
                    pieces.push_front(middle..piece.end);
                    pieces.push_front(piece.start..middle);
                    continue;
                }
                Ok(Said::Refused(reason)) => Ok(Some(vec![Fate::Refused(reason)])),
                Err(error) => Err(error),
            };
            match fates {
                Ok(None) => written.bytes += docs.iter().map(|doc| u64::from(doc.length)).sum::<u64>(),
                Ok(Some(fates)) => {
                    for (doc, fate) in docs.iter().zip(fates) {
                        there += u64::from(matches!(fate, Fate::There));
                        aside += u64::from(matches!(fate, Fate::Aside));
                        settle(doc, fate, &mut written, &mut again, &mut trouble);
                    }
                }
                Err(error) => {
                    trouble = Some(error);
                    again.extend(docs.iter().map(|doc| doc.row));
                    let left = pieces.drain(..).flat_map(|piece| &body.docs[piece]);
                    again.extend(left.map(|doc| doc.row));
                }
            }
        }
        self.tell(there, aside);
        let is_none_decided = written.bytes == 0 && there + aside == 0 && written.refused.is_empty();
        let is_of_one = |error: &WriteError| {
            is_answered && again.len() == 1 && !matches!(error, WriteError::Denied { .. })
        };
        if let Some(error) = trouble.take_if(|error| is_none_decided && !is_of_one(error)) {
            // It says something of the node, the index or the rights to it.
            return Err(error);
        }
        again.sort_unstable();
        written.refused.sort_unstable_by_key(|refusal| refusal.row);
        written.again = trouble.filter(|_| !again.is_empty()).map(|error| (again, error));
        Ok(written)
    }

    /// Tells of documents that were there before, so that their records changed nothing, and of those that their data stream has
    /// refused and keeps beside itself.
    fn tell(&self, there: u64, aside: u64) {
        if self.there.add(there) {
            tracing::info!(
                output = %self.name, documents = there,
                "documents were there already and stay as they are; their records count as delivered"
            );
        }
        if self.aside.add(aside) {
            tracing::warn!(
                output = %self.name, documents = aside,
                "documents were refused by their data stream and are in its failure store, where searches do not find them; \
                 their records count as delivered"
            );
        }
    }

    /// Sends a body to a node that is well, and to the next one where that one does not answer.
    async fn request(&self, body: Bytes) -> Result<Said, WriteError> {
        let _turn = self.turns.acquire().await;
        let body = match self.settings.compression {
            Compression::None => body,
            Compression::Gzip => compressed(body).await?,
        };
        let mut tried = Vec::new();
        let mut last = None;
        while let Some(turn) = self.nodes.pick(&tried) {
            match self.ask(&self.urls[turn.place()], &body).await {
                Err(failure) if failure.elsewhere => {
                    tried.push(turn.place());
                    turn.failed(&failure.error.to_string(), failure.error.after());
                    last = Some(failure.error);
                }
                said => {
                    turn.succeeded();
                    return said.map_err(|failure| failure.error);
                }
            }
        }
        Err(last.unwrap_or_else(|| WriteError::Unreachable { reason: "there is no node".to_owned() }))
    }

    async fn ask(&self, node: &Url, body: &Bytes) -> Result<Said, Failure> {
        let answer = self.bulk(node, body).await?;
        let status = answer.status();
        let after = retry_after(answer.headers(), self.clock.now());
        let led = leads_to(&answer);
        if status.is_success() {
            let text = whole(answer, MOST).await;
            let failure = |reason| Failure { error: WriteError::Unreachable { reason }, elsewhere: true };
            return text.map(Said::Items).map_err(failure);
        }
        // A node that hangs up before it has all of the request may cut its answer off with it: the status is enough.
        let text = beginning(answer, MOST).await.into_bytes();
        let reason = said(status.as_u16(), &text) + &led;
        let failure = |error, elsewhere| Err(Failure { error, elsewhere });
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => Ok(Said::Refused(reason)),
            // What stands before a node, or listens in its place, knows nothing of records.
            StatusCode::BAD_REQUEST if is_of_documents(status.as_u16(), &text) => Ok(Said::Refused(reason)),
            StatusCode::TOO_MANY_REQUESTS => failure(WriteError::Busy { after, reason }, false),
            _ if is_of_the_moment(status) && after.is_some() => {
                failure(WriteError::Busy { after, reason }, true)
            }
            _ if is_of_the_moment(status) => failure(WriteError::Unreachable { reason }, true),
            // Credentials, rights, a path at which nobody takes documents, an answer that sends us elsewhere.
            _ => failure(WriteError::Denied { reason }, false),
        }
    }

    /// A bulk request.
    async fn bulk(&self, node: &Url, body: &Bytes) -> Result<Response, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        if self.settings.compression == Compression::Gzip && !body.is_empty() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        self.call(Method::POST, node, &format!("_bulk?{FILTER}"), headers, body.clone()).await
    }

    /// A request below the address of a node.
    async fn call(
        &self,
        method: Method,
        node: &Url,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, Failure> {
        let unreachable = |reason| Failure { error: WriteError::Unreachable { reason }, elsewhere: true };
        let url = node.join(path).map_err(|error| unreachable(error.to_string()))?;
        let signed = self.auth.put(&method, &url, &mut headers, &body).await;
        signed.map_err(|error| Failure { error, elsewhere: false })?;
        let request = self.client.get().request(method, url).headers(headers);
        self.uploads
            .send(request, body)
            .await
            .map_err(|error| unreachable(format!("{node}: {}", reason(&error))))
    }
}

/// Enters what became of a document.
fn settle(
    doc: &Doc,
    fate: Fate,
    written: &mut Written,
    again: &mut Vec<u32>,
    trouble: &mut Option<WriteError>,
) {
    match fate {
        Fate::Safe | Fate::There | Fate::Aside => written.bytes += u64::from(doc.length),
        Fate::Refused(reason) => written.refused.push(Refusal { row: doc.row, reason: reason.into() }),
        Fate::Again(error) => {
            again.push(doc.row);
            // Of several the one that an operator must see.
            if !matches!(trouble, Some(WriteError::Denied { .. })) {
                *trouble = Some(error);
            }
        }
    }
}

async fn compressed(body: Bytes) -> Result<Bytes, WriteError> {
    let press = move || {
        let mut press = GzEncoder::new(Vec::with_capacity(body.len() / 4), Level::new(LEVEL));
        press.write_all(&body)?;
        press.finish()
    };
    let pressed = blocking::io(press).await;
    pressed.map(Bytes::from).map_err(|error| WriteError::Unreachable { reason: error.to_string() })
}

impl Output for Elasticsearch {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        Box::pin(self.send(parcel))
    }

    fn wants(&self) -> Option<Wants> {
        let settings = &self.settings;
        Some(Wants::one(settings.max_bytes.0 as usize, settings.max_records, settings.max_age.0))
    }

    fn concurrency(&self) -> usize {
        WRITES
    }

    /// Documents that are there stay as they are, whatever comes when; with `op: index` the last one counts.
    fn tells_apart(&self) -> bool {
        self.settings.op == Op::Create
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.look())
    }
}

#[cfg(test)]
mod tests;
