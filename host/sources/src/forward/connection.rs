//! One connection: reads messages, hands their records on, and answers chunks when they are safe.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::entries::SCAN_DEPTH;
use super::gather::Gather;
use super::hub::{Alive, Hub};
use super::link::{self, Ended, Link, Peer};
use super::partial::{Faults, Partials};
use super::pool::{Hold, SMALL};
use super::strangers::Place;
use super::tags::Tags;
use flitch_core::batch::StreamId;
use flitch_core::buffers::Closed;
use flitch_core::clock::until;
use flitch_core::net::forward::wire::{Limits, Scanner};
use pace::Pace;

mod pace;
mod take;

/// Least and most bytes that are asked of the socket at once.
const READ: (usize, usize) = (8 << 10, 512 << 10);
/// A connection that has been silent for so long gives a large buffer back.
const IDLE: Duration = Duration::from_secs(1);
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

struct Session {
    hub: Arc<Hub>,
    stream: StreamId,
    room: Arc<Semaphore>,
    alive: Alive,
    link: Arc<Link>,
    /// Its place among the connections of the source.
    place: Arc<Place>,
    stop: CancellationToken,
    /// What its client is called in the log.
    peer: String,
    gather: Gather,
    partials: Option<Partials>,
    tags: Tags,
    buffer: BytesMut,
    /// Bytes of the buffer while the messages in it are taken.
    buffered: usize,
    /// What it may hold: the buffer and what was read from it and is not handed on.
    hold: Hold,
    /// When something came last, while it holds memory of the pool and the buffer is empty.
    heard: Option<Instant>,
    /// How fast the message comes of which a part is there.
    pace: Pace,
    /// A message was taken from the buffer since the last read.
    taken: bool,
    scanner: Scanner,
    limits: Limits,
    /// Bytes to ask for next.
    read: usize,
    /// The batch has entries that came as a batch: it is handed on when nothing more has arrived.
    urgent: bool,
    /// The last message was one event, and nothing stood ahead of it in the batch.
    is_single: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.link.close();
    }
}

/// Serves a connection until the client closes it, it breaks the protocol, or the source stops; `buffer` holds what
/// was read from it already.
pub async fn serve<S>(
    hub: Arc<Hub>,
    stream: S,
    buffer: BytesMut,
    peer: &Peer,
    place: Arc<Place>,
    alive: Alive,
) where
    S: AsyncRead + AsyncWrite + Send,
{
    let (reading, writing) = tokio::io::split(stream);
    let (link, answers) = Link::new(peer, hub.chunks.clone());
    let stop = hub.cx.stop.child_token();
    let reader = Session {
        stream: StreamId::next(),
        room: hub.room(),
        alive,
        link,
        place,
        stop: stop.clone(),
        gather: hub.gather(),
        partials: hub.partials(),
        peer: peer.shown.to_string(),
        tags: hub.tags(),
        buffer,
        buffered: 0,
        hold: hub.pool.hold(),
        heard: None,
        pace: Pace::default(),
        taken: false,
        scanner: Scanner::new(0),
        limits: Limits { bytes: hub.settings.max_message.0 as usize, depth: SCAN_DEPTH },
        read: READ.0,
        urgent: false,
        is_single: false,
        hub: hub.clone(),
    };
    let broken = |reason: &str| {
        hub.broken.increment(1);
        hub.warn(&peer.shown, &format!("the connection is closed: {reason}"));
    };
    let ended = CancellationToken::new();
    let read = async {
        if let End::Broken(reason) = reader.run(reading).await {
            broken(&reason);
        }
        ended.cancel();
    };
    let write = async {
        let acks = link::write_answers(writing, answers, &hub.acks);
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
            why = &mut acks => if why == Ended::Unread {
                broken("the client does not read the answers to its chunks");
            },
            () = in_time => {}
        }
        stop.cancel();
    };
    tokio::join!(read, write);
}

impl Session {
    async fn run<R: AsyncRead + Unpin>(mut self, mut from: R) -> End {
        let end = match self.read(&mut from).await {
            Ok(()) => End::Quiet,
            Err(end) => end,
        };
        self.link.close();
        if let Some(partials) = &mut self.partials {
            self.gather.ended_lines(|lines| partials.all(lines));
        }
        // A record does not go on in another connection.
        let ended = match self.flush().await {
            Ok(()) => self.hub.cx.end(self.stream).await,
            closed => closed,
        };
        match (ended, end) {
            (Err(closed), End::Quiet) => closed.into(),
            (_, end) => end,
        }
    }

    async fn read<R: AsyncRead + Unpin>(&mut self, from: &mut R) -> Result<(), End> {
        let stop = self.stop.clone();
        loop {
            self.messages().await?;
            self.is_in_time()?;
            if self.urgent || self.gather.is_awaited() {
                self.flush().await?;
            }
            self.share_lines().await?;
            let room = self.make_room();
            if !room && self.give_way().await? {
                continue;
            }
            let began = Instant::now();
            let patience = room.then(|| self.pace.patience(self.hold.is_large())).flatten();
            let deadlines = [
                self.gather.deadline(),
                self.partials.as_ref().and_then(Partials::deadline),
                self.heard.map(|heard| heard + IDLE),
                patience.map(|patience| began + patience),
            ];
            let deadline = deadlines.into_iter().flatten().min();
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.drain(from).await,
                read = listen(from, &mut self.buffer, &self.link), if room => match read {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(read) => {
                        // What this process could not run for (it was stopped, or its machine) is no fault of the client's.
                        let waited = began.elapsed();
                        self.pace.came(read, patience.map_or(waited, |patience| waited.min(patience)));
                        self.adapt(read);
                    }
                },
                () = self.hold.grow(READ.1), if !room => {}
                () = until(deadline) => {
                    self.link.is_unread();
                    if room {
                        self.pace.came(0, began.elapsed());
                    }
                    self.overdue().await?;
                }
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

    /// Bytes that it holds beside the buffer.
    fn beside(&self) -> usize {
        self.gather.memory() + self.lines()
    }

    /// Bytes of lines of which pieces are still to come.
    fn lines(&self) -> usize {
        self.partials.as_ref().map_or(0, Partials::memory)
    }

    /// Makes room in the buffer for what comes next. Answers false where that takes memory which is not to be had now.
    fn make_room(&mut self) -> bool {
        let beside = self.beside();
        let used = self.buffer.len() + beside;
        if std::mem::take(&mut self.taken) && self.hold.bytes() > used + 2 * READ.1 {
            // What a long message needed is for others now.
            let mut small = BytesMut::with_capacity(self.buffer.len() + self.read);
            small.extend_from_slice(&self.buffer);
            self.buffer = small;
            self.hold.shrink(used + self.read);
        }
        self.hold.reach(used + self.read);
        // Where memory is short, little is read at a time.
        let read = self.read.min(self.hold.bytes().saturating_sub(used));
        self.buffer.reserve(read);
        let idles = read > 0 && self.hold.is_large() && self.buffer.is_empty();
        self.heard = idles.then(|| self.heard.unwrap_or_else(Instant::now));
        read > 0
    }

    /// Waits until it may hold `more` bytes beside what it holds. Answers whether a batch was handed on for it.
    async fn room_for(&mut self, more: usize) -> Result<bool, End> {
        let mut gave = false;
        loop {
            let held = self.buffered + self.beside() + more;
            if self.hold.reach(held) {
                return Ok(gave);
            }
            if self.give_way().await? {
                gave = true;
                continue;
            }
            let step = held.saturating_sub(self.hold.bytes()).min(READ.1);
            self.hold.grow(step).await;
        }
    }

    /// Lets go of something that need not be held while memory is short. Answers whether there was anything.
    async fn give_way(&mut self) -> Result<bool, End> {
        if !self.gather.is_empty() {
            self.flush().await?;
            return Ok(true);
        }
        if let Some(partials) = &mut self.partials
            && partials.memory() > 0
        {
            self.gather.ended_lines(|lines| partials.end_oldest(lines));
            return Ok(true);
        }
        Ok(self.gather.forget())
    }

    /// Ends open lines that take memory which others wait for.
    async fn share_lines(&mut self) -> Result<(), End> {
        while self.lines() > SMALL / 2 && self.hub.pool.is_short() {
            self.give_way().await?;
        }
        Ok(())
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

    fn is_in_time(&self) -> Result<(), End> {
        match self.pace.is_too_slow(self.hold.is_large() && self.hub.pool.is_short()) {
            Some(reason) => Err(End::Broken(reason.to_owned())),
            None => Ok(()),
        }
    }

    async fn overdue(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.heard.is_some_and(|heard| now >= heard + IDLE) {
            self.buffer = BytesMut::new();
            self.read = READ.0;
            self.heard = None;
            if self.gather.is_empty() {
                self.gather.forget();
            }
            self.hold.shrink(self.beside());
        }
        self.is_in_time()?;
        if let Some(partials) = &mut self.partials {
            self.gather.ended_lines(|lines| partials.overdue(now, lines));
        }
        Ok(self.flush().await?)
    }

    fn tell_faults(&mut self) {
        let faults = self.partials.as_mut().map(Partials::take_faults);
        if let Some(faults) = faults.filter(|faults| *faults != Faults::default()) {
            self.hub.tell(&self.peer, faults);
        }
    }

    async fn flush(&mut self) -> Result<(), Closed> {
        self.tell_faults();
        self.urgent = false;
        match self.gather.finish() {
            Some(ready) => self.hub.send(ready, self.is_single, self.stream, &self.room, &self.alive).await,
            None => Ok(()),
        }
    }
}

/// Reads into `buffer`. While nothing is there `link` knows that all is read.
async fn listen<R: AsyncRead + Unpin>(
    from: &mut R,
    buffer: &mut BytesMut,
    link: &Arc<Link>,
) -> io::Result<usize> {
    let read = from.read_buf(buffer);
    tokio::pin!(read);
    let read = poll_fn(|cx| {
        let polled = read.as_mut().poll(cx);
        if polled.is_pending() {
            link.is_read();
        }
        polled
    });
    let read = read.await;
    link.is_unread();
    read
}

#[cfg(test)]
mod tests;
