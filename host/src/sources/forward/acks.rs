//! Chunk ids: which are on their way, which are safe, and who waits for the answer.
//!
//! A client that hears no answer sends a chunk again, with the same id. A chunk that is safe is answered at once and
//! not taken a second time; one that is still on its way is answered together with the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::receipt::Verdict;

/// What a connection tells its client.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// The chunk is safe: send this answer.
    Ack(Arc<[u8]>),
    /// The chunk must come again: close the connection, so that the client sends it again.
    Again,
}

/// Where the replies of a connection go.
pub type Replies = mpsc::UnboundedSender<Reply>;

/// The answer to a chunk id: `{"ack": <the id as it came>}`. `chunk` is the MessagePack value.
pub fn answer(chunk: &[u8]) -> Arc<[u8]> {
    [b"\x81\xa3ack", chunk].concat().into()
}

type Key = Box<[u8]>;

/// Tag and id together, for some clients number their chunks by tag.
fn key(tag: &[u8], chunk: &[u8]) -> Key {
    [&(tag.len() as u32).to_be_bytes(), tag, chunk].concat().into()
}

/// The chunks that a source remembers: the last ones seen, on their way or safe.
#[derive(Debug)]
pub struct Chunks {
    known: Mutex<lru::LruCache<Key, Arc<Chunk>, ahash::RandomState>>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Chunk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    verdict: Option<Verdict>,
    waiting: Vec<(Replies, Arc<[u8]>)>,
}

/// What became of a chunk id that came in.
#[derive(Debug)]
pub enum Claim {
    /// It is new: its records are to be taken, and the share settled.
    New(Share),
    /// It came before: the answer is sent, or will be.
    Duplicate,
}

impl Chunks {
    /// Remembers at most `capacity` chunks.
    pub fn new(capacity: usize) -> Arc<Chunks> {
        let known = lru::LruCache::unbounded_with_hasher(ahash::RandomState::new());
        Arc::new(Chunks { known: Mutex::new(known), capacity })
    }

    /// Enters a chunk that has come in, `chunk` being its id as a MessagePack value. The answer goes to `replies` as
    /// soon as every share is settled.
    pub fn claim(self: &Arc<Self>, tag: &[u8], chunk: &[u8], replies: &Replies) -> Claim {
        let key = key(tag, chunk);
        let ack = answer(chunk);
        let mut known = self.known.lock();
        if let Some(chunk) = known.get(&key) {
            let mut state = chunk.state.lock();
            match state.verdict {
                None => {
                    state.waiting.push((replies.clone(), ack));
                    return Claim::Duplicate;
                }
                Some(Verdict::Safe) => {
                    // A connection that is gone needs no answer.
                    let _ = replies.send(Reply::Ack(ack));
                    return Claim::Duplicate;
                }
                Some(Verdict::Again) => {}
            }
        }
        let waiting = vec![(replies.clone(), ack)];
        let chunk = Arc::new(Chunk { state: Mutex::new(State { verdict: None, waiting }) });
        if self.capacity > 0 {
            known.put(key.clone(), chunk.clone());
            while known.len() > self.capacity {
                known.pop_lru();
            }
        }
        let ticket = Ticket { chunk, key, chunks: self.clone(), again: AtomicBool::new(false) };
        Claim::New(Share { ticket: Arc::new(ticket), settled: false })
    }

    /// How many chunks are on their way.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.known.lock().iter().filter(|(_, chunk)| chunk.state.lock().verdict.is_none()).count()
    }

    fn forget(&self, key: &Key, chunk: &Arc<Chunk>) {
        let mut known = self.known.lock();
        if known.peek(key).is_some_and(|c| Arc::ptr_eq(c, chunk)) {
            known.pop(key);
        }
    }
}

#[derive(Debug)]
struct Ticket {
    chunk: Arc<Chunk>,
    key: Key,
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
            self.chunks.forget(&self.key, &self.chunk);
        }
        for (replies, ack) in waiting {
            let reply = if verdict == Verdict::Safe { Reply::Ack(ack) } else { Reply::Again };
            // A connection that is gone needs no answer.
            let _ = replies.send(reply);
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
