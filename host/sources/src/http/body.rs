//! Takes in the body of a request: how much, how fast, and how far it may expand.

use std::io::{BufRead, BufReader, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use encoding_rs::{Decoder, Encoding};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, timeout};

use super::answer::Answer;
use flitch_core::net::budget::{Budget, Share};
use flitch_core::net::expand::Coding;

/// What a request takes at least, in bytes: its header, its answer, and what columns cost that hold a single record.
const LEAST: usize = 8 << 10;
/// How many times what has come is taken for a body that says that it is as long, so that little of it is moved.
const GROWTH: usize = 4;
/// The first piece of memory that a body expands into, in bytes. Each further one doubles it.
const FIRST: usize = 16 << 10;
/// The largest window of zstd, as a power of two: what RFC 9659 allows a content encoding. It is memory that a frame of
/// a few bytes can ask for.
const ZSTD_WINDOW: u32 = 23;
/// How often a body is looked after that does not come.
const LOOK: Duration = Duration::from_secs(1);
/// The pace that is asked for while memory is short, so that those who hold it do not keep it from others.
const PRESSED: Pace = Pace { wait: Duration::from_secs(2), rate: 64 << 10 };

/// Room for one request among those that are under way. Given back when it is dropped.
pub struct Room(Share);

impl Room {
    /// No room yet, of what all requests share, which has a piece for each byte. A larger request takes all of it.
    pub fn of(pending: &Budget) -> Room {
        Room(pending.share())
    }

    /// How many bytes have room.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Takes as much as makes room for `bytes` bytes in all.
    pub fn reach(&mut self, bytes: usize) -> Result<(), Answer> {
        let more = bytes.max(LEAST).min(self.0.budget().bytes()).saturating_sub(self.0.bytes());
        if self.0.try_take(more) { Ok(()) } else { Err(Answer::Full) }
    }

    /// Whether `bytes` bytes more would find room now.
    fn has(&self, bytes: usize) -> bool {
        self.0.budget().free() >= bytes.min(self.0.budget().bytes())
    }

    /// Whether less than half of all room is left.
    fn is_short(&self) -> bool {
        self.0.budget().free() < self.0.budget().bytes() / 2
    }
}

/// How fast a body must come.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The longest wait for a piece of it; and how much longer all of it may take than `rate` says.
    pub wait: Duration,
    /// Bytes per second.
    pub rate: u64,
}

impl Pace {
    /// Whether `bytes` bytes should have come in less than `elapsed`.
    fn is_behind(&self, elapsed: Duration, bytes: usize) -> bool {
        let behind = elapsed.saturating_sub(self.wait).as_secs_f64();
        behind > 0.0 && behind * self.rate as f64 > bytes as f64
    }
}

/// A body that remembers whether its end has come: hyper's own says so of one whose length was announced, but never of one that
/// came in chunks.
pub struct Arriving<B> {
    body: B,
    is_whole: bool,
}

impl<B> Arriving<B> {
    /// One of which nothing has been read.
    pub fn new(body: B) -> Arriving<B> {
        Arriving { body, is_whole: false }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Arriving<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.is_whole |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_whole || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads a body of at most `limit` bytes into `room`, which it takes as it comes.
pub async fn read<B>(body: &mut B, limit: usize, pace: Pace, room: &mut Room) -> Result<Bytes, Answer>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let too_large = || Answer::TooLarge(format!("the body is larger than {limit} bytes (`max_body`)"));
    let hint = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if hint > limit {
        return Err(too_large());
    }
    // A body that says how long it is needs not be read to be refused; but what has not come takes no room.
    if !room.has(hint) {
        return Err(Answer::Full);
    }
    room.reach(0)?;
    let mut first: Option<Bytes> = None;
    let mut whole: Vec<u8> = Vec::new();
    let mut waited = Duration::ZERO;
    loop {
        let length = whole.len() + first.as_ref().map_or(0, Bytes::len);
        let Some(frame) = next_frame(body, &mut waited, length, pace, room).await? else { break };
        let Ok(data) = frame.into_data() else { continue };
        let length = length + data.len();
        if length > limit {
            return Err(too_large());
        }
        room.reach(length)?;
        // Most bodies come in one piece, which needs no copy.
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            earlier => {
                if length > whole.capacity() {
                    let most = if hint >= length { hint } else { limit };
                    let capacity = length.max(most.min(GROWTH * length));
                    room.reach(capacity)?;
                    whole.reserve_exact(capacity - whole.len());
                }
                whole.extend_from_slice(&earlier.unwrap_or_default());
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.into()))
}

/// Waits for the next piece of a body of which `length` bytes have come while it was `waited` for. What the process itself could
/// not run for (it was stopped, or its machine) is no fault of the client's.
async fn next_frame<B>(
    body: &mut B,
    waited: &mut Duration,
    length: usize,
    pace: Pace,
    room: &Room,
) -> Result<Option<Frame<Bytes>>, Answer>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let before = *waited;
    loop {
        let (look, asked) = (LOOK.min(pace.wait), Instant::now());
        let frame = timeout(look, body.frame()).await;
        *waited += asked.elapsed().min(look);
        let elapsed = *waited;
        let is_short = room.is_short();
        let wait = if is_short { pace.wait.min(PRESSED.wait) } else { pace.wait };
        let is_behind = pace.is_behind(elapsed, length) || is_short && PRESSED.is_behind(elapsed, length);
        match frame {
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => {
                return Err(Answer::Unreadable { line: 1, reason: format!("the body ended early: {error}") });
            }
            _ if is_behind => return Err(Answer::TooSlow),
            Ok(Some(Ok(frame))) => return Ok(Some(frame)),
            Err(_) if elapsed - before >= wait => return Err(Answer::TooSlow),
            Err(_) => {}
        }
    }
}

/// Undoes the content encodings of a body, never growing past `limit` bytes, nor past `room`.
pub fn expand(codings: &[Coding], body: Bytes, limit: usize, room: &mut Room) -> Result<Bytes, Answer> {
    if codings.is_empty() || body.is_empty() {
        return Ok(body);
    }
    let mut reader: Box<dyn BufRead + Send + '_> = Box::new(&*body);
    // What was applied last is undone first.
    for coding in codings.iter().rev() {
        let decoder = coding.decoder(reader, ZSTD_WINDOW).map_err(|error| unreadable(*coding, &error))?;
        reader = Box::new(BufReader::new(decoder));
    }
    let mut expanded = Vec::new();
    loop {
        let room_for = expanded.capacity().max(FIRST).min(limit + 1 - expanded.len());
        room.reach(body.len() + expanded.capacity() + room_for)?;
        expanded.reserve_exact(room_for);
        let length = expanded.len();
        let read = reader.by_ref().take(room_for as u64).read_to_end(&mut expanded);
        read.map_err(|error| unreadable(codings[codings.len() - 1], &error))?;
        if expanded.len() > limit {
            let text = format!("the body expands to more than {limit} bytes (`max_expanded`)");
            return Err(Answer::TooLarge(text));
        }
        if expanded.len() < length + room_for {
            return Ok(expanded.into());
        }
    }
}

/// Turns text of another charset into UTF-8, never growing past `limit` bytes, nor past `room`. A byte order mark is
/// left out, and goes before what the header says (<https://encoding.spec.whatwg.org/#decode>).
pub fn recode(
    charset: &'static Encoding,
    raw: &[u8],
    limit: usize,
    room: &mut Room,
) -> Result<Bytes, Answer> {
    let too_large =
        || Answer::TooLarge(format!("the body is more than {limit} bytes of UTF-8 (`max_expanded`)"));
    let of_raw = room.bytes();
    let mut text = Vec::new();
    let grow = |text: &mut Vec<u8>, _: &Decoder, left: usize| {
        if text.len() > limit {
            return Err(too_large());
        }
        let more = text.len().max(left).max(FIRST);
        room.reach(of_raw + text.len() + more)?;
        text.reserve_exact(more);
        text.resize(text.len() + more, 0);
        Ok(())
    };
    let written = crate::recode::recode(&mut charset.new_decoder(), raw, true, &mut text, grow)?;
    if written > limit {
        return Err(too_large());
    }
    text.truncate(written);
    Ok(text.into())
}

fn unreadable(coding: Coding, error: &std::io::Error) -> Answer {
    Answer::Unreadable { line: 1, reason: format!("the body is no {}: {error}", coding.name()) }
}

#[cfg(test)]
mod tests;
