//! From the bytes of a connection to the records of its batches.

use std::fmt::Display;

use bytes::Buf;

use super::{End, Session};
use crate::forward::acks::Claim;
use crate::forward::gather::{Gather, Origin, Step};
use crate::forward::message::{self, Body, Message};
use flitch_core::net::expand::{Bounds, Expand};
use flitch_core::net::forward::wire::Fault;
use flitch_core::receipt::Verdict;

/// zstd frames may ask for a window of 2 to this many bytes: 16 MiB, twice what its level 19 uses.
const ZSTD_WINDOW: u32 = 24;
/// Why what stands behind the records of a message is not taken.
const BEHIND: &str = "a message goes on behind its records with something that is no options";

impl Session {
    /// Takes the messages in the buffer that are complete.
    pub(super) async fn messages(&mut self) -> Result<(), End> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.buffered = buffer.len();
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
        self.tell_faults();
        buffer.advance(start);
        self.buffered = 0;
        self.taken |= start > 0;
        self.pace.holds(buffer.len(), start > 0);
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
        if !self.place.is_known() {
            // It has given way to another client, which is told elsewhere.
            return Err(End::Quiet);
        }
        let (message, tag, chunk) = match message::parse(bytes, start, self.scanner.parts()) {
            Ok(message) => (Ok(message), message.tag, message.chunk),
            Err((reason, chunk)) => (Err(reason), &[][..], chunk),
        };
        let share = match chunk {
            None => None,
            Some(chunk) => match self.claim(tag, chunk).await? {
                Claim::New(share) => Some(share),
                Claim::Duplicate => {
                    self.hub.duplicates.increment(1);
                    return Ok(());
                }
            },
        };
        let branch = |gather: &mut Gather| {
            if let Some(share) = &share {
                gather.share(share.branch());
            }
        };
        match &message {
            Ok(Message { body: Body::Event(event), .. }) => _ = self.room_for(event.len()).await?,
            Ok(Message { body: Body::Entries(_), .. }) => {}
            Err(_) => _ = self.room_for(bytes.len() - start).await?,
        }
        let is_event = matches!(&message, Ok(Message { body: Body::Event(_), .. }));
        if is_event && share.is_some() && self.hub.cx.joiner.is_some() && !self.gather.is_empty() {
            // Each line is a batch of its own, so that it is answered as soon as it is held.
            self.flush().await?;
        }
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
                    root: share.as_ref().map(|share| self.hub.root.along(share.root())),
                };
                self.is_single = matches!(message.body, Body::Event(_)) && self.gather.rows() == 0;
                match message.body {
                    Body::Event(event) => self.event(origin, (event, message.metadata), &bytes[start..]),
                    Body::Entries(entries) => {
                        self.entries(origin, &message, entries, &branch).await?;
                        self.urgent = true;
                    }
                }
                if let Some(behind) = message.behind {
                    if self.room_for(behind.len()).await? {
                        branch(&mut self.gather);
                    }
                    self.gather.dead(BEHIND.to_owned(), behind);
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

    /// Claims a chunk for its records, which may have come before. Waits where the client does not read its answers, and
    /// where it cannot be said yet whether the chunk is new.
    async fn claim(&mut self, tag: &[u8], chunk: &[u8]) -> Result<Claim, End> {
        let mut room = match self.link.try_room(chunk) {
            Some(room) => room,
            None => {
                // What was gathered of this client may be what its answers wait for.
                self.flush().await?;
                let room = self.stop.run_until_cancelled(self.link.room(chunk)).await;
                room.flatten().ok_or(End::Quiet)?
            }
        };
        loop {
            let undecided = match self.hub.chunks.claim(&self.link, room, tag, chunk) {
                Ok(claim) => return Ok(claim),
                Err(undecided) => undecided,
            };
            self.flush().await?;
            room = self.stop.run_until_cancelled(undecided.decided()).await.ok_or(End::Quiet)?;
        }
    }

    fn event(&mut self, origin: Origin<'_>, event: (&[u8], Option<&[u8]>), message: &[u8]) {
        let partials = self.partials.as_mut().filter(|p| p.may_stand_in(event.0));
        match self.gather.event(origin, event, partials) {
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
        let (most, longest) = self.hub.settings.expansion();
        let unreadable = |why: &dyn Display| format!("the entries of a message cannot be read: {why}");
        let bounds = Bounds { zstd_window: ZSTD_WINDOW, most, longest };
        let expand = message.compression.map(|coding| Expand::new(entries, coding, bounds)).transpose();
        let mut expand = match expand {
            Ok(expand) => expand,
            Err(error) => {
                self.gather.dead(unreadable(&error), entries);
                return Ok(());
            }
        };
        let mut at = 0;
        loop {
            let more = match &expand {
                // What is expanded next, and as much again for the columns that are made of it.
                Some(expand) => expand.needs(at),
                None => entries.len().min(2 * self.hub.cx.cut.bytes),
            };
            if self.room_for(more).await? {
                branch(&mut self.gather);
            }
            if let Some(expand) = &mut expand {
                if let Err(error) = expand.advance(at) {
                    self.gather.dead(unreadable(&error), entries);
                    return Ok(());
                }
                at = 0;
            }
            let (window, last) = expand.as_ref().map_or((entries, true), |e| (e.window(), e.is_last()));
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
                        let rest = if expand.is_some() { entries } else { &entries[at..] };
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
