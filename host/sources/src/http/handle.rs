//! One request, from its header to its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, EXPECT, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, Version};
use tokio::sync::{SemaphorePermit, oneshot};
use tokio::time::timeout;

use super::answer::Answer;
use super::body::Arriving;
use super::content::Form;
use super::head::{Head, admit};
use super::otlp::{self, Bad};
use super::{AckWhen, Shared, body, content, decode};
use flitch_core::batch::origin::{Origins, Root};
use flitch_core::batch::{Records, StreamId};
use flitch_core::dead_letter;
use flitch_core::receipt::{self, Verdict};
use flitch_core::tasks;

/// Bytes of a body that is read to its end when it is refused, and how long that may take.
const SMALL: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a body may take to come when the source is to stop.
const LAST: Duration = Duration::from_secs(2);
/// Bytes of a body that take about a millisecond to read into columns.
const LONG: usize = 256 << 10;

/// Answers one request.
pub async fn handle(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let version = request.version();
    let (parts, body) = request.into_parts();
    let mut body = Arriving::new(body);
    let held = match shared.settings.otlp && otlp::is_at(parts.uri.path()) {
        true => content::otlp(&parts.headers),
        false => content::form(&parts.headers),
    };
    let encoding = match held {
        Ok(Form::Otlp(encoding)) => Some(encoding),
        _ => None,
    };
    let answer = match take(&parts, &mut body, held, shared).await {
        Ok(answer) => answer,
        Err(refused) => {
            let is_last = shared.cx.stop.is_cancelled();
            if !is_last {
                pass_over(&parts.headers, &mut body).await;
            }
            refused
        }
    };
    let mut response = match encoding {
        Some(encoding) => answer.respond_by_otlp(encoding),
        None => answer.respond(),
    };
    if !body.is_end_stream() && version < Version::HTTP_2 {
        // The rest of the body stands in the way of another request.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    shared.answers.count(response.status());
    response
}

/// Reads the rest of a small body that is refused, so that the connection can be used again.
async fn pass_over(headers: &HeaderMap, body: &mut Arriving<Incoming>) {
    if headers.contains_key(EXPECT) || body.size_hint().lower() > SMALL {
        return;
    }
    let rest = async {
        let mut passed = 0;
        // One in chunks does not say how much of it comes.
        while passed <= SMALL
            && let Some(Ok(frame)) = body.frame().await
        {
            passed += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
    };
    // It is over one way or another.
    let _ = timeout(PATIENCE, rest).await;
}

/// Waits until the source is to stop, and a while longer for bodies that are on their way. A client whose body is not whole then
/// was never answered, and sends it again.
async fn is_late(shared: &Shared) {
    shared.cx.stop.cancelled().await;
    tokio::time::sleep(LAST).await;
}

/// The body as it came.
async fn arrived(
    body: &mut Arriving<Incoming>,
    room: &mut body::Room,
    shared: &Shared,
) -> Result<Bytes, Answer> {
    let settings = &shared.settings;
    let pace = body::Pace { wait: settings.read_timeout.0, rate: settings.min_rate.0 };
    tokio::select! {
        biased;
        raw = body::read(body, settings.max_body.0 as usize, pace, room) => raw,
        () = is_late(shared) => Err(Answer::Draining),
    }
}

/// Takes in what a request brings, batch by batch.
async fn take(
    parts: &Parts,
    body: &mut Arriving<Incoming>,
    held: Result<Form, Answer>,
    shared: &Shared,
) -> Result<Answer, Answer> {
    if let Some(answer) = admit(parts, shared)? {
        return Ok(answer);
    }
    let Head { tag, form, codings, charset } = Head::of(parts, held, shared)?;
    if shared.cx.intake.is_full() {
        return Err(Answer::Full);
    }
    let (settings, headers) = (&shared.settings, &parts.headers);
    let mut room = body::Room::of(&shared.pending);
    let raw = arrived(body, &mut room, shared).await?;
    let bytes = raw.len();
    let takes_long = bytes > LONG || !codings.is_empty() || charset.is_some();
    let mut hand = hand(shared).await;
    let limit = settings.max_expanded.0 as usize;
    let expand = || {
        let text = body::expand(&codings, raw, limit, &mut room)?;
        match charset.or_else(|| content::marked(form, &text)) {
            Some(charset) => body::recode(charset, &text, limit, &mut room),
            None => Ok(text),
        }
    };
    let text = apart(takes_long, expand)?;
    let reading = decode::Reading::new(shared, &tag);
    let batches = apart(takes_long, || decode::Batches::new(form, headers, &text, reading, reading.beside()));
    let mut batches = batches?;
    let root = idempotency_key(headers).map(|key| root(&shared.cx.name, &tag, key, &text));
    let mut sent = Sent { shared, root, bytes, records: 0, told: Vec::new(), stream: stream_of(shared) };
    let of_body = room.bytes();
    while let Some(batch) = apart(takes_long, || batches.next())? {
        let bad = batches.take_bad();
        if batch.rows() > 0 {
            sent.send(batch).await?;
        }
        // Others have their turn between two batches.
        drop(hand);
        if !bad.is_empty() {
            let bytes = bad.iter().map(|bad| bad.request.len()).sum();
            // Some of the request may be taken already.
            room.reach(of_body + bytes).map_err(|_| Answer::SendAgain)?;
            sent.bury(bad, bytes).await?;
        }
        hand = self::hand(shared).await;
    }
    drop(hand);
    let rejected = batches.rejected();
    drop(batches);
    sent.end().await?;
    // Memory of the records is what their pipelines answer for; the room is kept until they are safe.
    drop(text);
    let answer = sent.answer().await?;
    match (rejected.count, answer) {
        (1.., Answer::Safe(records) | Answer::Accepted(records)) => Ok(Answer::Partly(records, rejected)),
        (_, answer) => Ok(answer),
    }
}

/// The right to hold a batch that is not handed on yet.
async fn hand(shared: &Shared) -> SemaphorePermit<'_> {
    shared.hands.acquire().await.expect("the semaphore is never closed")
}

/// Does work; while another thread takes over the tasks of this one, where it takes long.
fn apart<T>(takes_long: bool, work: impl FnOnce() -> T) -> T {
    if takes_long { tasks::in_place(work) } else { work() }
}

/// What names a request for good, where its client says so
/// (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).
fn idempotency_key(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get("idempotency-key").map(HeaderValue::as_bytes).filter(|key| !key.is_empty())
}

/// What the records of a request are numbered in. A client that uses a key again for another body loses nothing by it.
fn root(source: &str, tag: &str, key: &[u8], text: &[u8]) -> Root {
    Root::of("http", &[source.as_bytes(), tag.as_bytes(), key, text])
}

/// The batches of a request that are handed on.
struct Sent<'a> {
    shared: &'a Shared,
    /// Where it has a name.
    root: Option<Root>,
    /// Bytes of the body that no batch stands for yet.
    bytes: usize,
    records: usize,
    told: Vec<oneshot::Receiver<Verdict>>,
    stream: StreamId,
}

/// Requests have no order among each other; but where lines are joined they are those of one request.
fn stream_of(shared: &Shared) -> StreamId {
    if shared.cx.joiner.is_some() { StreamId::next() } else { StreamId::UNORDERED }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        // Of a request that ended before its end.
        self.shared.cx.forget(self.stream);
    }
}

impl Sent<'_> {
    /// Hands on one more, which waits while the pipelines are full.
    async fn send(&mut self, batch: Records) -> Result<(), Answer> {
        let cx = &self.shared.cx;
        let (tell, told) = oneshot::channel();
        let batch = match self.root {
            Some(root) => {
                let origins = Origins::counted(root, self.records as u64, batch.rows());
                batch.with_origins(Some(origins))
            }
            None => batch,
        };
        self.records += batch.rows();
        let bytes = std::mem::take(&mut self.bytes);
        let sent = cx.send(Arc::new(batch), bytes, self.stream, |verdict| {
            // The client may have gone; then nobody waits for the verdict.
            let _ = tell.send(verdict);
        });
        sent.await.map_err(|_| self.closed())?;
        if self.shared.settings.ack == AckWhen::Settled {
            self.told.push(told);
        }
        Ok(())
    }

    /// Nothing more comes of the request.
    async fn end(&self) -> Result<(), Answer> {
        self.shared.cx.end(self.stream).await.map_err(|_| self.closed())
    }

    fn closed(&self) -> Answer {
        if self.shared.cx.stop.is_cancelled() { Answer::Draining } else { Answer::SendAgain }
    }

    /// Puts records that cannot be read among the dead letters, and waits until they are there.
    async fn bury(&mut self, bad: Vec<Bad>, bytes: usize) -> Result<(), Answer> {
        let Shared { cx, dead, .. } = self.shared;
        let count = bad.len();
        // The answer waits for it, and tells the client.
        let receipt = receipt::issue(cx.intake.ledger(), count, bytes, |_| {});
        let (letters, source, bad) = (cx.dead_letters.clone(), cx.name.clone(), Arc::new(bad));
        let write =
            move || letters.raw("source", &source, bad.iter().map(|bad| (&*bad.reason, &*bad.request)));
        if !dead_letter::until_written(&cx.dead_letters, &cx.name, &cx.stop, write).await {
            return Err(Answer::Draining);
        }
        dead.add(count, bytes);
        receipt.dead_lettered();
        Ok(())
    }

    /// Waits for the receipts, where the settings say so.
    async fn answer(mut self) -> Result<Answer, Answer> {
        if self.shared.settings.ack == AckWhen::Accepted {
            return Ok(Answer::Accepted(self.records));
        }
        for told in std::mem::take(&mut self.told) {
            if told.await != Ok(Verdict::Safe) {
                return Err(Answer::SendAgain);
            }
        }
        Ok(Answer::Safe(self.records))
    }
}
