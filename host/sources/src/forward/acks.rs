//! Chunk ids: which are on their way, which are safe, and who waits for the answer.
//!
//! A client that hears no answer sends a chunk again, with the same id. A chunk whose answer was lost with its
//! connection is answered when it comes again, and not taken a second time. Nothing else tells that a chunk came
//! before: Fluent Bit's ids are hashes of the content, so that the same line twice is two chunks with one id. Hence an
//! id counts for its peer alone, and only once the connection is gone on which it came:
//!
//! | a chunk has the id of one that came before, from the same peer | it is |
//! |---|---|
//! | on the same connection | another chunk |
//! | on a connection that is gone, and its answer was not sent before that | the same chunk |
//! | on another connection | whichever it turns out to be: it waits until the first is answered, or gone |
//!
//! Records are numbered in their chunk, by its id and by how often the id was another chunk's before.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ahash::HashMap;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::link::Link;
use flitch_core::batch::origin::Root;
use flitch_core::net::forward::write::answer;
use flitch_core::receipt::Verdict;

/// Ids of which it is known how many chunks had them. Equal ids of chunks that differ follow each other closely: they are
/// digests of the content, its time included.
const TURNS: NonZeroUsize = NonZeroUsize::new(4096).expect("more than none");

/// What a connection tells its client.
#[derive(Debug)]
pub enum Reply {
    /// The chunk is safe: send this answer.
    Ack(Owed),
    /// The chunk must come again: close the connection, so that the client sends it again.
    Again(#[expect(dead_code, reason = "held until the reply is taken")] OwnedSemaphorePermit),
}

/// Names a chunk: a digest of its peer, its tag (some clients number their chunks by tag) and its id, so that whatever
/// clients send takes the same memory.
type Key = [u8; 16];

fn key(peer: &[u8], tag: &[u8], chunk: &[u8]) -> Key {
    let mut hash = Sha256::new();
    for part in [peer, tag] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(chunk);
    *hash.finalize().first_chunk().expect("a digest has 32 bytes")
}

/// The chunks that a source knows.
#[derive(Debug)]
pub struct Chunks {
    known: Mutex<Known>,
    capacity: usize,
}

#[derive(Debug)]
struct Known {
    /// Those that are not answered yet. Each has its place in the answers of a connection, which bounds them.
    open: HashMap<Key, Arc<Chunk>>,
    /// Those that are safe and whose answer was lost with a connection, the last ones of them.
    lost: lru::LruCache<Key, (), ahash::RandomState>,
    /// How many chunks came with an id, of the ids that came last.
    turns: lru::LruCache<Key, u64, ahash::RandomState>,
}

/// A chunk that is not answered yet.
#[derive(Debug)]
pub struct Chunk {
    key: Key,
    /// How many chunks came with this id before.
    turn: u64,
    state: Mutex<Fate>,
    /// Wakes those that wait to know whether they are the same chunk.
    decided: Notify,
}

#[derive(Debug)]
struct Fate {
    verdict: Option<Verdict>,
    /// The connection on which it came last.
    link: Arc<Link>,
    waiting: Vec<Waiting>,
    is_over: bool,
}

#[derive(Debug)]
struct Waiting {
    link: Arc<Link>,
    ack: Arc<[u8]>,
    room: OwnedSemaphorePermit,
}

impl Waiting {
    fn owed(self, chunk: &Arc<Chunk>) -> Owed {
        Owed { chunk: chunk.clone(), link: self.link, ack: self.ack, _room: self.room, written: false }
    }
}

/// What became of a chunk id that came in.
#[derive(Debug)]
pub enum Claim {
    /// It is new: its records are to be taken, and the share settled.
    New(Share),
    /// It came before: the answer is sent, or will be.
    Duplicate,
}

/// It cannot be said yet whether the chunk came before: the connection of one with the same id is open.
#[derive(Debug)]
pub struct Undecided {
    other: Arc<Chunk>,
    room: OwnedSemaphorePermit,
}

impl Undecided {
    /// Waits until it may be asked again, with the same room for the answer.
    pub async fn decided(self) -> OwnedSemaphorePermit {
        let decided = self.other.decided.notified();
        tokio::pin!(decided);
        decided.as_mut().enable();
        let (is_over, link) = {
            let state = self.other.state.lock();
            (state.is_over, state.link.clone())
        };
        if !is_over {
            tokio::select! {
                () = decided => {}
                () = link.closed() => {}
            }
        }
        self.room
    }
}

impl Chunks {
    /// Remembers at most `capacity` chunks whose answer was lost.
    pub fn new(capacity: usize) -> Arc<Chunks> {
        let lost = lru::LruCache::unbounded_with_hasher(ahash::RandomState::new());
        let turns = lru::LruCache::with_hasher(TURNS, ahash::RandomState::new());
        Arc::new(Chunks { known: Mutex::new(Known { open: HashMap::default(), lost, turns }), capacity })
    }

    /// Enters a chunk that has come in by `link`, `chunk` being its id as a MessagePack value and `room` the place that
    /// its answer takes. The answer is sent as soon as every share is settled.
    ///
    /// # Errors
    /// It cannot be said yet whether it is new.
    pub fn claim(
        self: &Arc<Self>,
        link: &Arc<Link>,
        room: OwnedSemaphorePermit,
        tag: &[u8],
        chunk: &[u8],
    ) -> Result<Claim, Undecided> {
        let key = key(link.peer(), tag, chunk);
        let waiting = Waiting { link: link.clone(), ack: answer(chunk), room };
        let mut known = self.known.lock();
        if let Some(other) = known.open.get(&key) {
            let mut state = other.state.lock();
            let is_same = !Arc::ptr_eq(&state.link, link);
            match state.verdict {
                Some(Verdict::Again) => {}
                _ if is_same && !state.link.is_closed() => {
                    return Err(Undecided { other: other.clone(), room: waiting.room });
                }
                None if is_same => {
                    state.link = link.clone();
                    state.waiting.push(waiting);
                    return Ok(Claim::Duplicate);
                }
                Some(Verdict::Safe) if is_same => {
                    state.link = link.clone();
                    let owed = waiting.owed(other);
                    drop(state);
                    drop(known);
                    link.send(Reply::Ack(owed));
                    return Ok(Claim::Duplicate);
                }
                _ => {}
            }
        }
        let is_lost = known.lost.pop(&key).is_some();
        let verdict = is_lost.then_some(Verdict::Safe);
        let (waiting, owing) = if is_lost { (Vec::new(), Some(waiting)) } else { (vec![waiting], None) };
        let state = Fate { verdict, link: link.clone(), waiting, is_over: false };
        let turn = if is_lost { 0 } else { known.take_turn(key) };
        let chunk = Arc::new(Chunk { key, turn, state: Mutex::new(state), decided: Notify::new() });
        known.open.insert(key, chunk.clone());
        drop(known);
        if let Some(waiting) = owing {
            link.send(Reply::Ack(waiting.owed(&chunk)));
            return Ok(Claim::Duplicate);
        }
        let ticket = Ticket { chunk, chunks: self.clone(), again: AtomicBool::new(false) };
        Ok(Claim::New(Share { ticket: Arc::new(ticket), settled: false }))
    }

    /// How many chunks are on their way.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.known.lock().open.values().filter(|chunk| chunk.state.lock().verdict.is_none()).count()
    }

    /// How many chunks it knows: on their way or not answered, and lost ones.
    #[cfg(test)]
    pub fn known(&self) -> (usize, usize) {
        let known = self.known.lock();
        (known.open.len(), known.lost.len())
    }

    /// The answer of a chunk has reached the client of `link`, or is lost with it. Nothing happens where the chunk has
    /// come by another connection since.
    pub(super) fn end(&self, chunk: &Arc<Chunk>, link: &Arc<Link>, is_answered: bool) {
        let mut known = self.known.lock();
        if !Arc::ptr_eq(&chunk.state.lock().link, link) {
            return;
        }
        if !is_answered && self.capacity > 0 {
            known.lost.put(chunk.key, ());
            while known.lost.len() > self.capacity {
                known.lost.pop_lru();
            }
        }
        known.close(chunk);
    }
}

impl Known {
    /// How many chunks came with this id before.
    fn take_turn(&mut self, key: Key) -> u64 {
        let next = self.turns.get_or_insert_mut(key, || 0);
        *next += 1;
        *next - 1
    }

    /// A chunk is to come again: it is the same one then.
    fn give_back_turn(&mut self, chunk: &Chunk) {
        if let Some(next) = self.turns.peek_mut(&chunk.key).filter(|next| **next == chunk.turn + 1) {
            *next = chunk.turn;
        }
    }

    /// Takes a chunk out of those that are open.
    fn close(&mut self, chunk: &Arc<Chunk>) {
        if self.open.get(&chunk.key).is_some_and(|open| Arc::ptr_eq(open, chunk)) {
            self.open.remove(&chunk.key);
        }
        chunk.state.lock().is_over = true;
        chunk.decided.notify_waiters();
    }
}

/// An answer that is to be sent. One that falls without a word is lost, and its chunk remembered as such.
#[derive(Debug)]
pub struct Owed {
    chunk: Arc<Chunk>,
    link: Arc<Link>,
    ack: Arc<[u8]>,
    _room: OwnedSemaphorePermit,
    written: bool,
}

impl Owed {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.ack
    }

    /// The connection has taken it.
    pub fn written(mut self) {
        self.written = true;
        self.link.wrote(&self.chunk);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if !self.written {
            self.link.chunks().end(&self.chunk, &self.link, false);
        }
    }
}

#[derive(Debug)]
struct Ticket {
    chunk: Arc<Chunk>,
    chunks: Arc<Chunks>,
    again: AtomicBool,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let verdict = if *self.again.get_mut() { Verdict::Again } else { Verdict::Safe };
        let waiting = {
            let mut state = self.chunk.state.lock();
            state.verdict = Some(verdict);
            std::mem::take(&mut state.waiting)
        };
        if verdict == Verdict::Again {
            let mut known = self.chunks.known.lock();
            known.close(&self.chunk);
            known.give_back_turn(&self.chunk);
        }
        for waiting in waiting {
            let link = waiting.link.clone();
            link.send(match verdict {
                Verdict::Safe => Reply::Ack(waiting.owed(&self.chunk)),
                Verdict::Again => Reply::Again(waiting.room),
            });
        }
    }
}

/// A part of a chunk whose verdict is open. The chunk is safe when every share is settled as safe; a share that is
/// dropped without a word means *send again*.
#[derive(Debug)]
#[must_use = "a share that is dropped unsettled makes the client send the chunk again"]
pub struct Share {
    ticket: Arc<Ticket>,
    settled: bool,
}

impl Share {
    /// One more share of the same chunk.
    pub fn branch(&self) -> Share {
        Share { ticket: self.ticket.clone(), settled: false }
    }

    /// What the records of the chunk are numbered in.
    pub fn root(&self) -> Root {
        let chunk = &self.ticket.chunk;
        match chunk.turn {
            0 => Root::from_bytes(chunk.key),
            turn => Root::from_bytes(chunk.key).part(turn),
        }
    }

    /// Enters the verdict of this part.
    pub fn settle(mut self, verdict: Verdict) {
        self.settled = verdict == Verdict::Safe;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if !self.settled {
            self.ticket.again.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests;
