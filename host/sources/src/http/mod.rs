//! The HTTP source: `POST /` and `POST /{tag}`, and `POST /v1/logs` of OTLP, answered when the records are safe.
//!
//! A request is taken as a whole or not at all: what cannot be read is named in the answer, by line, and then no
//! record of the request has been taken. (Of OTLP the client is told of a record instead, and it is a dead letter.)

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use answer::{Answer, Answers};

use super::multiline::JoinSettings;
use super::{ALL, BESIDE, ChangedValues, Running, Sample, SourceContext, SourceKind, Starting};
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::net::address::{Address, Endpoint};
use flitch_core::net::budget::Budget;
use flitch_core::net::connections::{Connections, Slot};
use flitch_core::net::listen::{Client, Listener, Stream, socket_of};
use flitch_core::net::serve::{Patience, STREAMS, Visit};
use flitch_core::net::tls::{Acceptor, TlsSettings};
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;
use flitch_core::telemetry::Tally;
use flitch_core::units::{Bytes, Span};

mod answer;
mod body;
mod content;
mod decode;
mod entries;
mod handle;
mod head;
pub mod otlp;
mod sample;

/// Takes records that clients post.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Where to listen: `host:port`, or a port, which is on every address of the machine then.
    pub listen: Address,
    /// The tag of records that are posted to `/`; the source's name where this is not set. A path is a tag:
    /// `POST /app/web` has the tag `app.web`.
    #[serde(default)]
    pub tag: Option<String>,
    /// How to read a body: `auto` goes by the content type, and where that does not say JSON by how the body begins.
    /// `application/msgpack` is read in any case, as events one behind the other (Fluent Bit's output `http` with
    /// `format msgpack`); content types of what else is no text are answered by 415, and so is a body that is compressed and
    /// does not say so by `Content-Encoding`.
    /// Text in the charset that the content type names (`text/plain; charset=iso-8859-1`) is turned into UTF-8, and so is
    /// UTF-16 that begins with its byte order mark, whatever the content type says.
    #[serde(default)]
    pub codec: HttpCodec,
    /// Whether `POST /v1/logs` takes logs of OpenTelemetry (OTLP/HTTP, protobuf and JSON). Their records have the names of
    /// its data model: `body`, `attributes`, `severity_text`, `resource`, `scope` and so on, and the tag of `/`. Ids are
    /// written in hexadecimal, also where JSON brings them in base64; what is no id stays as it is. What has another content
    /// type than `application/x-protobuf` or `application/json` is answered by 415 at that path.
    #[serde(default = "yes")]
    pub otlp: bool,
    /// When to answer: `settled` (200 when the records are safe at their outputs) or `accepted` (202 at once).
    #[serde(default)]
    pub ack: AckWhen,
    /// Largest body as it comes over the wire; larger is answered by 413.
    #[serde(default = "max_body")]
    pub max_body: Bytes,
    /// Largest body after decompression; larger is answered by 413.
    #[serde(default = "max_expanded")]
    pub max_expanded: Bytes,
    /// Most bytes of all requests that are under way, as they are and as they expand, 8 KiB at least for each; past
    /// that they are answered by 429.
    #[serde(default = "max_pending")]
    pub max_pending: Bytes,
    /// Longest wait for the next piece of a body; after it the answer is 408, and 503 to a client of OTLP, which would not send
    /// again after a 408.
    #[serde(default = "read_timeout")]
    pub read_timeout: Span,
    /// The slowest that a body may come, in bytes a second, once `read_timeout` has passed; slower is answered by 408.
    /// While more than half of `max_pending` is in use, bodies must come at 64 KiB a second.
    #[serde(default = "min_rate")]
    pub min_rate: Bytes,
    /// Longest time from the start of a connection to the end of its first header; the TLS handshake falls into it.
    #[serde(default = "header_timeout")]
    pub header_timeout: Span,
    /// How long a connection may wait for its next request.
    #[serde(default = "idle_timeout")]
    pub idle_timeout: Span,
    /// Most connections at a time. Further clients wait, and connections that have nothing under way are closed for
    /// them, the one that has waited longest first.
    #[schemars(range(min = 1, max = 65535))]
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// Who may post. Without it, anybody who reaches the port.
    #[serde(default)]
    pub auth: Option<HttpAuth>,
    /// Serves TLS.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Joins the records of a request that are lines of one, such as those of a stack trace.
    #[serde(default)]
    pub multiline: Option<JoinSettings>,
    /// What becomes of text that is not UTF-8.
    #[serde(default)]
    pub invalid_utf8: InvalidUtf8,
}

fn yes() -> bool {
    true
}

fn max_body() -> Bytes {
    Bytes(16 << 20)
}

fn max_expanded() -> Bytes {
    Bytes(64 << 20)
}

fn max_pending() -> Bytes {
    Bytes(64 << 20)
}

fn read_timeout() -> Span {
    Span(Duration::from_secs(30))
}

fn min_rate() -> Bytes {
    Bytes(1 << 10)
}

fn header_timeout() -> Span {
    Span(Duration::from_secs(10))
}

fn idle_timeout() -> Span {
    Span(Duration::from_secs(75))
}

fn max_connections() -> usize {
    1024
}

impl SourceKind for HttpSettings {
    fn start(&self, cx: SourceContext) -> Starting {
        Box::pin(start(self.clone(), cx))
    }

    fn check(&self) -> anyhow::Result<()> {
        self.multiline.as_ref().map_or(Ok(()), JoinSettings::check)?;
        self.tls.as_ref().map(TlsSettings::acceptor).transpose()?;
        let Some(auth) = &self.auth else { return Ok(()) };
        anyhow::ensure!(
            !auth.bearer.is_empty() || !auth.basic.is_empty(),
            wrong!("auth", " names no token and no user, so nobody could post")
        );
        // A variable that is empty must not open the door.
        anyhow::ensure!(
            auth.bearer.iter().all(|token| !token.expose().is_empty()),
            wrong!("auth.bearer", ": a token is empty")
        );
        for (user, password) in &auth.basic {
            anyhow::ensure!(
                !password.expose().is_empty(),
                wrong!("auth.basic.{user}", ": the password is empty")
            );
        }
        Ok(())
    }

    fn multiline(&self) -> Option<&JoinSettings> {
        self.multiline.as_ref()
    }

    fn listens(&self) -> Vec<Endpoint> {
        vec![Endpoint::Tcp(self.listen.clone())]
    }

    fn tag(&self) -> Option<String> {
        self.tag.clone()
    }

    fn reads_text(&self) -> bool {
        true
    }

    fn sample(&self, texts: &[&[u8]], beside: &Constants) -> anyhow::Result<Sample> {
        sample::sample(self, texts, beside)
    }

    fn descriptors(&self) -> u64 {
        self.max_connections as u64 + BESIDE
    }
}

/// How the body of a request is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpCodec {
    /// JSON where the content type says so or the body begins with `{` or with an array of objects (white space and a
    /// byte order mark before it do not count), otherwise lines of text.
    #[default]
    Auto,
    /// One object, an array of objects, or objects one after the other (NDJSON).
    Json,
    /// A record per line that is not empty, the line in the field `message`.
    Lines,
}

/// When a request is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AckWhen {
    /// When every record is safe.
    #[default]
    Settled,
    /// When the records are read and handed on; those that the outputs do not take by a crash are lost.
    Accepted,
}

/// Who may post. Either way opens the door.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpAuth {
    /// Tokens of `Authorization: Bearer`.
    pub bearer: Vec<Secret>,
    /// Users and passwords of `Authorization: Basic`.
    pub basic: std::collections::BTreeMap<String, Secret>,
}

/// What the handlers of all connections share.
struct Shared {
    settings: HttpSettings,
    cx: SourceContext,
    /// Bytes of bodies that may yet be taken in.
    pending: Budget,
    /// Requests that may yet be made batches of: as each holds a batch, and what its decoder needs, until the pipelines
    /// take it, they are no more than keep the processors busy.
    hands: Semaphore,
    answers: Answers,
    changed: ChangedValues,
    dead: Tally,
}

fn hands() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8))
}

/// Binds the listener; the future serves it.
async fn start(settings: HttpSettings, cx: SourceContext) -> anyhow::Result<Running> {
    settings.check()?;
    let listen = &settings.listen;
    let bound = Listener::tcp(listen, ALL).await;
    let listener = bound.with_context(|| wrong!("listen", ": cannot listen on {listen}"))?;
    serve(listener, settings, cx)
}

fn serve(mut listener: Listener, settings: HttpSettings, cx: SourceContext) -> anyhow::Result<Running> {
    let tls = settings.tls.as_ref().map(TlsSettings::acceptor).transpose()?.map(Arc::new);
    tracing::info!(source = %cx.name, address = %listener, "listening for HTTP");
    let open = || Connections::new(&cx.name, settings.max_connections);
    let (connections, late) = (open(), open());
    let pending = Budget::new(settings.max_pending.0 as usize, 1);
    let (hands, answers) = (Semaphore::new(hands()), Answers::new(&cx.name));
    let changed = ChangedValues::new(&cx.name);
    let dead = Tally::dead_lettered("source", &cx.name);
    let shared = Arc::new(Shared { settings, cx, pending, hands, answers, changed, dead });
    Ok(Box::pin(async move {
        let stop = shared.cx.stop.clone();
        let greet = |client: Client, slot| {
            let (shared, tls) = (shared.clone(), tls.clone());
            async move { welcome(client.stream, slot, tls.as_deref(), shared).await }
        };
        listener.serve(&connections, &stop, greet).await;
        // Who comes until the last connection has ended is told so, on connections that nobody waits for.
        let for_ever = CancellationToken::new();
        let tell_all = listener.serve(&late, &for_ever, greet);
        tokio::select! {
            () = connections.ended() => Ok(()),
            () = tell_all => unreachable!("it listens for ever"),
        }
    }))
}

async fn welcome(stream: Stream, slot: Slot, tls: Option<&Acceptor>, shared: Arc<Shared>) {
    let settings = &shared.settings;
    let patience = Patience { header: settings.header_timeout.0, idle: settings.idle_timeout.0 };
    let socket = Some(socket_of(&stream));
    let visit = Visit { slot, patience, streams: STREAMS, stop: shared.cx.stop.clone(), socket };
    let answer = move |request| {
        let shared = shared.clone();
        async move { handle::handle(request, &shared).await }
    };
    visit.serve(stream, tls, answer).await;
}

#[cfg(test)]
mod tests;
