//! One connection: reads messages, hands their records on, and answers chunks when they are safe.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::acks::{Claim, Replies, Reply};
use super::entries::SCAN_DEPTH;
use super::gather::{Gather, Origin, Step};
use super::hub::{Alive, Hub};
use super::inflate::Inflate;
use super::message::{self, Body, Compression, Message};
use super::partial::Partials;
use super::pool::Hold;
use super::tags::Tags;
use super::wire::{Fault, Limits, Scanner};
use crate::batch::StreamId;
use crate::buffers::Closed;
use crate::receipt::Verdict;

/// Least and most bytes that are asked of the socket at once.
const READ: (usize, usize) = (8 << 10, 512 << 10);
/// A connection that has been silent for so long gives a large buffer back.
const IDLE: Duration = Duration::from_secs(1);
/// A connection that has been silent for so long within a large message is closed, if others wait for its memory.
const STALLED: Duration = Duration::from_secs(30);
/// How long a connection whose client has stopped sending stays open for the answers.
const LINGER: Duration = Duration::from_secs(10);
/// Most reads from a connection when the source stops.
const DRAIN: usize = 64;

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The client has closed it, or the source stops.
    Quiet,
    /// What comes is not the protocol.
    Broken(String),
    /// The pipelines take nothing more.
    Closed,
}

impl From<Closed> for End {
    fn from(_: Closed) -> End {
        End::Closed
    }
}

struct Reader {
    hub: Arc<Hub>,
    stream: StreamId,
    room: Arc<Semaphore>,
    alive: Alive,
    replies: Replies,
    gather: Gather,
    partials: Option<Partials>,
    tags: Tags,
    buffer: BytesMut,
    /// What `buffer` may hold.
    hold: Hold,
    /// When something came last, while the buffer is a large one.
    heard: Option<Instant>,
    /// A message was taken from the buffer since the last read.
    taken: bool,
    scanner: Scanner,
    limits: Limits,
    /// Bytes to ask for next.
    read: usize,
    /// The batch has entries that came as a batch: it is handed on when nothing more has arrived.
    urgent: bool,
}

/// Serves a connection until the client closes it, it breaks the protocol, or the source stops; `buffer` holds what
/// was read from it already.
pub async fn serve<S>(hub: Arc<Hub>, stream: S, buffer: BytesMut, peer: &str, alive: Alive)
where
    S: AsyncRead + AsyncWrite + Send,
{
    let (reading, writing) = tokio::io::split(stream);
    let (replies, answers) = mpsc::unbounded_channel();
    let stop = hub.cx.stop.child_token();
    let reader = Reader {
        stream: StreamId::next(),
        room: hub.room(),
        alive,
        replies,
        gather: hub.gather(),
        partials: hub.partials(),
        tags: hub.tags(),
        buffer,
        hold: hub.pool.hold(),
        heard: None,
        taken: false,
        scanner: Scanner::new(0),
        limits: Limits { bytes: hub.settings.max_message.0 as usize, depth: SCAN_DEPTH },
        read: READ.0,
        urgent: false,
        hub: hub.clone(),
    };
    let ended = CancellationToken::new();
    let read = async {
        if let End::Broken(reason) = reader.run(reading, &stop).await {
            hub.broken.increment(1);
            hub.warn(peer, &format!("the connection is closed: {reason}"));
        }
        ended.cancel();
    };
    let write = async {
        let acks = write_answers(writing, answers, &hub.acks);
        tokio::pin!(acks);
        let in_time = async {
            ended.cancelled().await;
            // A source that stops waits for its receipts; a client that is gone does not wait for answers.
            if !hub.cx.stop.is_cancelled() {
                tokio::select! {
                    () = tokio::time::sleep(LINGER) => {}
                    () = hub.cx.stop.cancelled() => std::future::pending().await,
                }
            } else {
                std::future::pending().await
            }
        };
        tokio::select! {
            () = &mut acks => {}
            () = in_time => {}
        }
        stop.cancel();
    };
    tokio::join!(read, write);
}

/// Writes the answers in the order in which chunks settle; ends when none can come, when a chunk must come again,
/// or when the client is gone.
async fn write_answers<W: AsyncWrite + Unpin>(
    mut to: W,
    mut answers: mpsc::UnboundedReceiver<Reply>,
    count: &metrics::Counter,
) {
    let mut replies = Vec::new();
    let mut text = Vec::new();
    while answers.recv_many(&mut replies, 256).await > 0 {
        let (mut acks, mut again) = (0, false);
        for reply in replies.drain(..) {
            match reply {
                Reply::Ack(ack) => {
                    text.extend_from_slice(&ack);
                    acks += 1;
                }
                Reply::Again => again = true,
            }
        }
        if to.write_all(&text).await.is_err() || to.flush().await.is_err() {
            return;
        }
        text.clear();
        count.increment(acks);
        if again {
            break;
        }
    }
    // The client may be gone already.
    let _ = to.shutdown().await;
}

impl Reader {
    async fn run<R: AsyncRead + Unpin>(mut self, mut from: R, stop: &CancellationToken) -> End {
        let end = match self.read(&mut from, stop).await {
            Ok(()) => End::Quiet,
            Err(end) => end,
        };
        if let Some(partials) = &mut self.partials {
            self.gather.ended_lines(|lines| partials.all(lines));
        }
        match (self.flush().await, end) {
            (Err(closed), End::Quiet) => closed.into(),
            (_, end) => end,
        }
    }

    async fn read<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut R,
        stop: &CancellationToken,
    ) -> Result<(), End> {
        loop {
            self.messages().await?;
            if self.urgent || self.gather.is_awaited() {
                self.flush().await?;
            }
            let room = self.make_room();
            let deadlines = [
                self.gather.deadline(),
                self.partials.as_ref().and_then(Partials::deadline),
                self.heard.map(|heard| heard + self.patience()),
            ];
            let deadline = deadlines.into_iter().flatten().min();
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.drain(from).await,
                read = from.read_buf(&mut self.buffer), if room => match read {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(read) => self.adapt(read),
                },
                () = self.hold.grow(READ.1), if !room => {}
                () = at(deadline) => self.overdue().await?,
            }
        }
    }

    /// Takes what has arrived already, for a client that asks for no answer does not send it again.
    async fn drain<R: AsyncRead + Unpin>(&mut self, from: &mut R) -> Result<(), End> {
        for _ in 0..DRAIN {
            if !self.make_room() {
                return Ok(());
            }
            let read = tokio::select! {
                biased;
                read = from.read_buf(&mut self.buffer) => read,
                () = std::future::ready(()) => return Ok(()),
            };
            match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(_) => self.messages().await?,
            }
        }
        Ok(())
    }

    /// Makes room in the buffer for what comes next. Answers false where that takes memory which is not to be had now.
    fn make_room(&mut self) -> bool {
        let used = self.buffer.len();
        if std::mem::take(&mut self.taken) && self.hold.bytes() > used + 2 * READ.1 {
            // What a long message needed is for others now.
            let mut small = BytesMut::with_capacity(used + self.read);
            small.extend_from_slice(&self.buffer);
            self.buffer = small;
            self.hold.shrink(used + self.read);
        }
        self.hold.reach(used + self.read);
        // Where memory is short, little is read at a time.
        let read = self.read.min(self.hold.bytes().saturating_sub(used));
        self.buffer.reserve(read);
        let listens = read > 0 && self.hold.is_large();
        self.heard = listens.then(|| self.heard.unwrap_or_else(Instant::now));
        read > 0
    }

    /// How long a connection with a large buffer may be silent.
    fn patience(&self) -> Duration {
        if self.buffer.is_empty() { IDLE } else { STALLED }
    }

    /// Asks for more where the socket had as much as was asked for, and for less where it had little.
    fn adapt(&mut self, read: usize) {
        self.heard = None;
        if read >= self.read {
            self.read = (2 * self.read).min(READ.1);
        } else if read < self.read / 8 {
            self.read = (self.read / 2).max(READ.0);
        }
    }

    async fn overdue(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.heard.is_some_and(|heard| now >= heard + self.patience()) {
            if self.buffer.is_empty() {
                self.buffer = BytesMut::new();
                self.hold.shrink(0);
                self.read = READ.0;
            } else if self.hub.pool.is_short() {
                let why = "within a large message nothing came for long, and others need its memory";
                return Err(End::Broken(format!("{why} (`max_buffered`)")));
            }
            self.heard = None;
        }
        if let Some(partials) = &mut self.partials {
            self.gather.ended_lines(|lines| partials.overdue(now, lines));
        }
        Ok(self.flush().await?)
    }

    async fn flush(&mut self) -> Result<(), Closed> {
        self.urgent = false;
        match self.gather.finish() {
            Some(ready) => self.hub.send(ready, self.stream, &self.room, &self.alive).await,
            None => Ok(()),
        }
    }

    /// Takes the messages in the buffer that are complete.
    async fn messages(&mut self) -> Result<(), End> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut start = 0;
        let end = loop {
            let Some(first) = buffer.get(start) else { break Ok(()) };
            if let Some(reason) = foreign(*first) {
                break Err(End::Broken(reason.to_owned()));
            }
            match self.scanner.advance(&buffer, self.limits) {
                Ok(None) => break Ok(()),
                Ok(Some(end)) => {
                    if let Err(end) = self.message(&buffer[..end], start).await {
                        break Err(end);
                    }
                    self.scanner.restart(end);
                    start = end;
                }
                Err(Fault::Long(most)) => {
                    break Err(End::Broken(format!(
                        "a message is longer than {most} bytes; `max_message` may be raised"
                    )));
                }
                Err(fault) => break Err(End::Broken(format!("a message cannot be read: {fault}"))),
            }
        };
        buffer.advance(start);
        self.taken |= start > 0;
        self.scanner.shift(start);
        self.buffer = buffer;
        end
    }

    /// Takes the message that starts at `start` and ends with `bytes`.
    async fn message(&mut self, bytes: &[u8], start: usize) -> Result<(), End> {
        const NIL: u8 = 0xc0;
        if bytes[start] == NIL {
            return Ok(());
        }
        let (message, tag, chunk) = match message::parse(bytes, start, self.scanner.parts()) {
            Ok(message) => (Ok(message), message.tag, message.chunk),
            Err((reason, chunk)) => (Err(reason), &[][..], chunk),
        };
        let share = match chunk.map(|chunk| self.hub.chunks.claim(tag, chunk, &self.replies)) {
            Some(Claim::Duplicate) => {
                self.hub.duplicates.increment(1);
                return Ok(());
            }
            Some(Claim::New(share)) => Some(share),
            None => None,
        };
        let branch = |gather: &mut Gather| {
            if let Some(share) = &share {
                gather.share(share.branch());
            }
        };
        branch(&mut self.gather);
        match message {
            Err(reason) => self.gather.dead(format!("a message is not taken: {reason}"), &bytes[start..]),
            Ok(message) => {
                let tag = message.tag;
                let tags = self.tags.clone();
                let origin = Origin {
                    raw_tag: tag,
                    tag: &tags.of(tag),
                    now: self.hub.cx.clock.now(),
                    answered: share.is_some(),
                };
                match message.body {
                    Body::Event(event) => self.event(origin, event, &bytes[start..]),
                    Body::Entries(entries) => {
                        self.entries(origin, &message, entries, &branch).await?;
                        self.urgent = true;
                    }
                }
            }
        }
        if let Some(share) = share {
            share.settle(Verdict::Safe);
        }
        let many = self.urgent && self.gather.rows() >= self.hub.cx.cut.rows / 2;
        if many || self.gather.is_full() {
            self.flush().await?;
        }
        Ok(())
    }

    fn event(&mut self, origin: Origin<'_>, event: &[u8], message: &[u8]) {
        let partials = self.partials.as_mut().filter(|p| p.may_stand_in(event));
        match self.gather.event(origin, event, 0, partials) {
            Ok(_) => self.gather.came(message.len()),
            Err(reason) => self.gather.dead(reason.to_string(), message),
        }
    }

    async fn entries(
        &mut self,
        origin: Origin<'_>,
        message: &Message<'_>,
        entries: &[u8],
        branch: &impl Fn(&mut Gather),
    ) -> Result<(), End> {
        self.gather.begin_message();
        let most = self.hub.settings.max_expanded.0 as usize;
        let unreadable =
            |why: &dyn std::fmt::Display| format!("the entries of a message cannot be read: {why}");
        let mut inflate = match message.compression {
            Compression::None => None,
            compression => match Inflate::new(entries, compression, most) {
                Ok(inflate) => Some(inflate),
                Err(error) => {
                    self.gather.dead(unreadable(&error), entries);
                    return Ok(());
                }
            },
        };
        let mut at = 0;
        loop {
            if let Some(inflate) = &mut inflate {
                if let Err(error) = inflate.advance(at) {
                    self.gather.dead(unreadable(&error), entries);
                    return Ok(());
                }
                at = 0;
            }
            let (window, last) = inflate.as_ref().map_or((entries, true), |i| (i.window(), i.is_last()));
            let joins = self.partials.as_ref().is_some_and(|p| p.may_stand_in(window));
            loop {
                let partials = self.partials.as_mut().filter(|_| joins);
                match self.gather.entries(origin, window, &mut at, last, partials) {
                    Step::Full => {
                        self.flush().await?;
                        branch(&mut self.gather);
                        // A long message must not keep the other connections of this thread waiting.
                        tokio::task::consume_budget().await;
                    }
                    Step::Drained => break,
                    Step::Broken(fault) => {
                        let rest = if inflate.is_some() { entries } else { &entries[at..] };
                        self.gather.dead(unreadable(&fault), rest);
                        return Ok(());
                    }
                }
            }
            if last {
                return Ok(());
            }
        }
    }
}

/// Why the first byte of a message is none of the protocol's.
fn foreign(first: u8) -> Option<&'static str> {
    match first {
        0x90..=0x9f | 0xdc | 0xdd | 0xc0 => None,
        b'{' | b'[' => Some("it sends JSON; the forward protocol is taken as MessagePack only"),
        0x16 => Some("it speaks TLS, and this listener has none: set `tls`"),
        b'G' | b'P' | b'H' | b'D' | b'O' => {
            Some("it speaks HTTP, not the forward protocol: use a source of type http")
        }
        _ => Some("it does not speak the forward protocol: a message is a MessagePack array"),
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
