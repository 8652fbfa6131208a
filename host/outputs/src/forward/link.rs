//! A connection to a server: chunks go out in the order in which they are handed over, acknowledgements come back in any.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use flitch_core::net::dial::Stream;
use flitch_core::net::forward::client::chunk;
use flitch_core::net::forward::handshake::LIMITS;
use flitch_core::net::forward::wire::Scanner;
use flitch_core::tasks;

/// Chunks that wait to be written to a connection, and are not acknowledged yet.
const WAITING: usize = 16;

/// A connection.
pub(super) struct Link {
    letters: mpsc::Sender<Letter>,
}

/// A chunk on its way.
pub(super) struct Letter {
    pub message: Bytes,
    /// The id to wait for; none where no acknowledgement is wanted.
    pub id: Option<String>,
    pub done: oneshot::Sender<Result<(), Lost>>,
}

/// What became of a chunk that was not delivered, so far as can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No byte of it was sent.
    Unsent,
    /// It may have arrived.
    Broken(Arc<str>),
    /// The server wants none.
    Denied(Arc<str>),
}

/// How long a connection waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For an acknowledgement, or for the kernel to take a chunk.
    pub ack: Duration,
    /// For the next chunk.
    pub idle: Duration,
}

/// How a connection ended.
enum End {
    /// With nothing under way.
    Quiet,
    Broken(String),
    Denied(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Broken(error.to_string())
    }
}

impl Link {
    /// Takes a connection into service until `stop`.
    pub fn open(stream: Box<dyn Stream>, patience: Patience, stop: CancellationToken) -> Link {
        let (letters, incoming) = mpsc::channel(WAITING);
        tasks::client(async move {
            stop.run_until_cancelled(serve(stream, incoming, patience)).await;
        });
        Link { letters }
    }

    /// Hands a chunk over. It is given back where the connection is closed.
    pub async fn put(&self, letter: Letter) -> Result<(), Letter> {
        self.letters.send(letter).await.map_err(|refused| refused.0)
    }
}

/// Chunks that are under way, the oldest first.
#[derive(Default)]
struct Pending {
    queue: Mutex<VecDeque<Awaited>>,
    emptied: Notify,
}

struct Awaited {
    id: Option<String>,
    due: Instant,
    done: oneshot::Sender<Result<(), Lost>>,
}

impl Pending {
    fn push(&self, awaited: Awaited) {
        self.queue.lock().push_back(awaited);
    }

    fn due(&self) -> Option<Instant> {
        self.queue.lock().front().map(|oldest| oldest.due)
    }

    fn is_empty(&self) -> bool {
        self.queue.lock().is_empty()
    }

    /// The oldest chunk of this id is safe. Answers whether there is one.
    fn answered(&self, id: Option<&str>) -> bool {
        let mut queue = self.queue.lock();
        let Some(place) = queue.iter().position(|awaited| awaited.id.as_deref() == id) else { return false };
        // Whoever gave it up does not wait any more.
        let _ = queue.remove(place).map(|awaited| awaited.done.send(Ok(())));
        if queue.is_empty() {
            self.emptied.notify_one();
        }
        true
    }

    /// Waits until nothing is under way.
    async fn emptied(&self) {
        while !self.is_empty() {
            self.emptied.notified().await;
        }
    }
}

async fn serve(stream: Box<dyn Stream>, mut incoming: mpsc::Receiver<Letter>, patience: Patience) {
    let (reader, writer) = tokio::io::split(stream);
    let pending = Pending::default();
    let end = tokio::select! {
        biased;
        end = listen(reader, &pending, patience.ack) => end,
        end = talk(writer, &mut incoming, &pending, patience) => end.unwrap_or_else(End::from),
    };
    incoming.close();
    let lost = match end {
        End::Quiet => Lost::Broken("the connection was closed".into()),
        End::Broken(why) => Lost::Broken(why.into()),
        End::Denied(why) => Lost::Denied(why.into()),
    };
    for awaited in pending.queue.lock().drain(..) {
        let _ = awaited.done.send(Err(lost.clone()));
    }
    let rest = if let Lost::Denied(_) = lost { lost } else { Lost::Unsent };
    while let Ok(letter) = incoming.try_recv() {
        let _ = letter.done.send(Err(rest.clone()));
    }
}

/// Writes chunks until there will be no more, or there was none for a while.
async fn talk(
    mut writer: impl AsyncWrite + Unpin,
    incoming: &mut mpsc::Receiver<Letter>,
    pending: &Pending,
    patience: Patience,
) -> io::Result<End> {
    loop {
        let letter = match timeout(patience.idle, incoming.recv()).await {
            Ok(Some(letter)) => letter,
            Ok(None) => break,
            Err(_) if !pending.is_empty() => continue,
            Err(_) => {
                // One may have been handed over in this moment.
                incoming.close();
                continue;
            }
        };
        if letter.done.is_closed() {
            continue;
        }
        let wants_none = letter.id.is_none();
        pending.push(Awaited { id: letter.id, due: Instant::now() + patience.ack, done: letter.done });
        writer.write_all(&letter.message).await?;
        writer.flush().await?;
        if wants_none {
            pending.answered(None);
        }
    }
    pending.emptied().await;
    writer.shutdown().await?;
    Ok(End::Quiet)
}

/// Reads acknowledgements until the connection ends, or one does not come in time.
async fn listen(mut reader: impl AsyncRead + Unpin, pending: &Pending, patience: Duration) -> End {
    let mut buffer = BytesMut::new();
    let mut scanner = Scanner::new(0);
    loop {
        // One that is handed over meanwhile is looked for at the next turn: late by so long at most.
        let due = pending.due().unwrap_or_else(|| Instant::now() + patience);
        let read = tokio::select! {
            read = reader.read_buf(&mut buffer) => read,
            () = sleep_until(due) => match pending.due() {
                Some(due) if due <= Instant::now() => {
                    return End::Broken(format!("no answer to a chunk within {} s", patience.as_secs_f64()));
                }
                _ => continue,
            },
        };
        match read {
            Ok(0) if pending.is_empty() => return End::Quiet,
            Ok(0) => return End::Broken("it closed the connection before its answer".to_owned()),
            Ok(_) => {}
            Err(error) => return error.into(),
        }
        loop {
            let end = match scanner.advance(&buffer, LIMITS) {
                Ok(Some(end)) => end,
                Ok(None) => break,
                Err(fault) => return End::Denied(format!("its answer cannot be read: {fault}")),
            };
            match chunk(&buffer[..end]) {
                Ok(id) if pending.answered(Some(&id)) => {}
                Ok(_) => return End::Denied("it acknowledges a chunk that it was not sent".to_owned()),
                Err(error) => return End::Denied(error.to_string()),
            }
            buffer.advance(end);
            scanner.restart(0);
        }
    }
}
