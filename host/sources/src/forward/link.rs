//! The way back to a client: the answers that a connection owes, bounded, and whether the client is still there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::acks::{Chunk, Chunks, Reply};

/// Bytes that the chunks of a connection which are not answered may take: on their way, or with an answer that the
/// client does not read. It is read no further while they are so many.
const ANSWERS: usize = 128 << 10;
/// Bytes that such a chunk counts for beside its id.
const CHUNK: usize = 384;
/// A client that reads nothing of its answers for so long is gone, or means harm.
const UNREAD: Duration = Duration::from_secs(30);
/// Answers that are written at once.
const AT_ONCE: usize = 256;

/// Names the sender of chunks: the address without its port, and what the client calls itself in the handshake.
#[derive(Clone, Debug)]
pub struct Peer {
    /// As the log shows it.
    pub shown: String,
    /// What stays the same when the client connects again.
    pub identity: Vec<u8>,
}

impl Peer {
    /// A client at this address; `shown` has the port as well.
    pub fn new(shown: String, address: &str) -> Peer {
        Peer { shown, identity: address.as_bytes().to_vec() }
    }

    /// The same client, which calls itself so.
    pub fn named(mut self, hostname: &[u8]) -> Peer {
        self.identity.push(0);
        self.identity.extend_from_slice(hostname);
        self
    }
}

/// What a connection and its chunks know of each other.
#[derive(Debug)]
pub struct Link {
    peer: Vec<u8>,
    chunks: Arc<Chunks>,
    replies: mpsc::Sender<Reply>,
    room: Arc<Semaphore>,
    /// All that has come is read, and no end was among it.
    quiet: AtomicBool,
    closed: CancellationToken,
    /// Chunks whose answer is written, and of which it is not known yet whether the client was still there.
    written: Mutex<Vec<Arc<Chunk>>>,
}

impl Link {
    /// The link of a new connection, and the replies that it is to send.
    pub fn new(peer: &Peer, chunks: Arc<Chunks>) -> (Arc<Link>, mpsc::Receiver<Reply>) {
        // Every reply has its room, so that the channel is never full.
        let (replies, answers) = mpsc::channel(ANSWERS / CHUNK);
        let link = Link {
            peer: peer.identity.clone(),
            chunks,
            replies,
            room: Arc::new(Semaphore::new(ANSWERS)),
            quiet: AtomicBool::new(false),
            closed: CancellationToken::new(),
            written: Mutex::default(),
        };
        (Arc::new(link), answers)
    }

    /// What names the client.
    pub fn peer(&self) -> &[u8] {
        &self.peer
    }

    /// The chunks of its source.
    pub fn chunks(&self) -> &Arc<Chunks> {
        &self.chunks
    }

    /// Room for the answer to one more chunk with this id, if there is any now.
    pub fn try_room(&self, id: &[u8]) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_many_owned(needs(id)).ok()
    }

    /// The same as soon as there is some.
    pub async fn room(&self, id: &[u8]) -> Option<OwnedSemaphorePermit> {
        self.room.clone().acquire_many_owned(needs(id)).await.ok()
    }

    /// Sends a reply; one to a connection that is gone falls.
    pub fn send(&self, reply: Reply) {
        let _ = self.replies.try_send(reply);
    }

    /// The connection has taken the answer of a chunk.
    pub(super) fn wrote(self: &Arc<Self>, chunk: &Arc<Chunk>) {
        self.written.lock().push(chunk.clone());
        if self.is_closed() {
            self.end_written(false);
        } else if self.quiet.load(Ordering::SeqCst) {
            self.end_written(true);
        }
    }

    /// All that has come is read: a client whose end is not among it was there when the answers before were written.
    pub fn is_read(self: &Arc<Self>) {
        self.quiet.store(true, Ordering::SeqCst);
        self.end_written(true);
    }

    /// More has come, and is to be looked at.
    pub fn is_unread(&self) {
        self.quiet.store(false, Ordering::SeqCst);
    }

    /// The client is gone. Answers of which it is not known that they reached it are lost.
    pub fn close(self: &Arc<Self>) {
        self.closed.cancel();
        self.end_written(false);
    }

    fn end_written(self: &Arc<Self>, are_answered: bool) {
        let written = std::mem::take(&mut *self.written.lock());
        for chunk in written {
            self.chunks.end(&chunk, self, are_answered);
        }
    }

    /// Whether the client is gone.
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Waits until the client is gone.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

fn needs(id: &[u8]) -> u32 {
    (CHUNK + id.len()) as u32
}

/// Why no more answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// None can come any more, a chunk must come again, or the client is gone.
    Quiet,
    /// The client does not read them.
    Unread,
}

/// Writes the answers in the order in which chunks settle, and counts them in `acks`.
pub async fn write_answers<W: AsyncWrite + Unpin>(
    mut to: W,
    mut replies: mpsc::Receiver<Reply>,
    acks: &metrics::Counter,
) -> Ended {
    let mut taken = Vec::new();
    let mut text = Vec::new();
    while replies.recv_many(&mut taken, AT_ONCE).await > 0 {
        let mut again = false;
        for reply in &taken {
            match reply {
                Reply::Ack(owed) => text.extend_from_slice(owed.bytes()),
                Reply::Again(_) => again = true,
            }
        }
        if let Err(ended) = write(&mut to, &text).await {
            return ended;
        }
        text.clear();
        for reply in taken.drain(..) {
            if let Reply::Ack(owed) = reply {
                owed.written();
                acks.increment(1);
            }
        }
        if again {
            break;
        }
    }
    // The client may be gone already.
    let _ = timeout(UNREAD, to.shutdown()).await;
    Ended::Quiet
}

/// Writes all of it, as long as the client takes a part of it now and then.
async fn write<W: AsyncWrite + Unpin>(to: &mut W, mut text: &[u8]) -> Result<(), Ended> {
    while !text.is_empty() {
        match timeout(UNREAD, to.write(text)).await {
            Ok(Ok(written @ 1..)) => text = &text[written..],
            Ok(_) => return Err(Ended::Quiet),
            Err(_) => return Err(Ended::Unread),
        }
    }
    match timeout(UNREAD, to.flush()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ended::Quiet),
        Err(_) => Err(Ended::Unread),
    }
}
