//! Serving HTTP/1 and HTTP/2 on one connection, for no longer than its client has something to say.

use std::convert::Infallible;
use std::future::Future;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::connections::{LetGo, Slot};
use super::linger::Lingering;
use super::tls::Acceptor;

/// Most bytes that are read ahead on a connection of HTTP/1; a header must fit.
const READ_AHEAD: usize = 64 << 10;
/// Most bytes that a client of HTTP/2 may send ahead of the handlers: on one stream, and on all of a connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;
/// Requests that a client may have under way on a connection of HTTP/2, where each is charged for what it holds.
pub const STREAMS: u32 = 64;
/// Time between two questions of HTTP/2 whether the client is still there, and the time that it has for the answer.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(20);
/// A look that comes so much too late says that the process, or the machine, stood still. That is not held against clients:
/// their time begins anew.
const STALL: Duration = Duration::from_secs(1);
/// A client that has closed its half may wait for its answer, or be gone: nothing tells which. So it is answered within so long
/// after that, or up to twice as long, and no later.
const HALF: Duration = Duration::from_secs(10);
/// How long a client that waits is given to hear that its connection ends.
const PARTING: Duration = Duration::from_secs(1);

/// How long a client is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the start of the connection, TLS handshake included, to the end of the first header.
    pub header: Duration,
    /// From an answer to the end of the next header, when nothing else is under way.
    pub idle: Duration,
}

/// A client that has come.
pub struct Visit {
    /// What its connection holds.
    pub slot: Slot,
    /// How long it is waited for.
    pub patience: Patience,
    /// Most requests that it may have under way by HTTP/2. An answer is held until the client takes it.
    pub streams: u32,
    /// Cancelled when its requests are to be the last. One that comes after that gets one answer.
    pub stop: CancellationToken,
    /// The socket of the stream that is served, by which it shows that the client has closed its half.
    pub socket: Option<RawFd>,
}

impl Visit {
    /// Answers the requests of the client until it goes, says nothing for too long, or is asked to leave.
    pub async fn serve<S, A, F, B>(self, stream: S, tls: Option<&Acceptor>, answer: A)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let Visit { slot, patience, streams, stop, socket } = self;
        let is_late = stop.is_cancelled();
        let patience = if is_late { Patience { idle: PARTING, ..patience } } else { patience };
        let activity = Arc::new(Activity::new(slot));
        let Some(tls) = tls else {
            return activity.serve(stream, Terms { patience, streams, stop, is_late, socket }, answer).await;
        };
        let slot = &activity.slot;
        let shaken = tokio::select! {
            biased;
            shaken = tls.accept(stream) => shaken,
            () = stop.cancelled(), if !is_late => return,
            () = tokio::time::sleep(patience.header) => return slot.let_go(LetGo::Silent),
            () = slot.leave() => return slot.let_go(LetGo::Room),
        };
        match shaken {
            Ok(stream) => {
                let terms = Terms { patience, streams, stop, is_late, socket };
                activity.clone().serve(stream, terms, answer).await;
            }
            Err(error) => tracing::debug!(%error, "no TLS handshake"),
        }
    }
}

/// How a client is served.
struct Terms {
    patience: Patience,
    streams: u32,
    stop: CancellationToken,
    /// Whether it came after the stop.
    is_late: bool,
    socket: Option<RawFd>,
}

/// What is under way on a connection.
struct Activity {
    slot: Slot,
    state: Mutex<Doing>,
}

struct Doing {
    under_way: usize,
    /// Whether a request has come.
    spoke: bool,
    /// Since when nothing is under way, if nothing is.
    since: Instant,
}

impl Activity {
    fn new(slot: Slot) -> Activity {
        slot.rest();
        Activity { slot, state: Mutex::new(Doing { under_way: 0, spoke: false, since: Instant::now() }) }
    }

    fn begin(self: &Arc<Self>) -> UnderWay {
        let mut state = self.state.lock();
        state.spoke = true;
        state.under_way += 1;
        if state.under_way == 1 {
            self.slot.work();
        }
        UnderWay(self.clone())
    }

    /// When the client is let go if it says nothing; none while something is under way.
    fn end(&self, patience: &Patience) -> Option<Instant> {
        let state = self.state.lock();
        let wait = if state.spoke { patience.idle } else { patience.header };
        (state.under_way == 0).then(|| state.since + wait)
    }

    async fn serve<S, A, F, B>(self: Arc<Self>, stream: S, terms: Terms, answer: A)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let Terms { mut patience, streams, stop, is_late, socket } = terms;
        let activity = self.clone();
        let service = hyper::service::service_fn(move |request| {
            let under_way = activity.begin();
            let answered = answer(request);
            async move {
                let answer = answered.await;
                drop(under_way);
                Ok::<_, Infallible>(answer)
            }
        });
        let server = server(is_late, streams);
        let stream = TokioIo::new(Lingering::new(stream));
        let mut connection = std::pin::pin!(server.serve_connection(stream, service));
        let mut is_last = is_late;
        let mut is_half = false;
        loop {
            // What is under way has no end of its own, so it is looked at again.
            let look = self.end(&patience).unwrap_or_else(|| Instant::now() + HALF);
            tokio::select! {
                biased;
                served = connection.as_mut() => {
                    if let Err(error) = served {
                        tracing::debug!(%error, "an HTTP connection ended early");
                    }
                    return;
                }
                () = stop.cancelled(), if !is_last => {
                    is_last = true;
                    connection.as_mut().graceful_shutdown();
                    patience = Patience { header: PARTING, idle: PARTING };
                    self.state.lock().since = Instant::now();
                }
                () = self.slot.leave() => {
                    if self.end(&patience).is_some() {
                        return self.slot.let_go(LetGo::Room);
                    }
                }
                () = sleep_until(look) => {
                    let now = Instant::now();
                    if now - look > STALL {
                        // What came meanwhile is not read yet, and the client may have stood still as well.
                        self.state.lock().since = now;
                        continue;
                    }
                    match self.end(&patience) {
                        Some(end) if end <= now => break,
                        Some(_) => {}
                        None if is_half => {
                            tracing::debug!("a client of HTTP has closed its half, and is not answered in time");
                            return;
                        }
                        // Its stream is in the connection, which is still there.
                        None => is_half = socket.is_some_and(|socket| unsafe { has_closed_its_half(socket) }),
                    }
                }
            }
        }
        if !is_last {
            self.slot.let_go(LetGo::Silent);
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(PARTING, connection).await;
    }
}

/// Whether the client has closed its half of a connection.
///
/// # Safety
/// The socket is open.
unsafe fn has_closed_its_half(socket: RawFd) -> bool {
    // SAFETY: as above.
    let socket = unsafe { BorrowedFd::borrow_raw(socket) };
    let mut asked = [PollFd::new(&socket, PollFlags::RDHUP)];
    poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
}

/// A request under way, until it is answered or given up.
struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.under_way -= 1;
        if state.under_way == 0 {
            state.since = Instant::now();
            self.0.slot.rest();
        }
    }
}

fn server(is_late: bool, streams: u32) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    // The time for a header is ours to watch: that of hyper begins when the version of HTTP is known. Who has closed their half waits
    // for the answer all the same (RFC 9112, section 9.6).
    server.http1().half_close(true).keep_alive(!is_late).header_read_timeout(None).max_buf_size(READ_AHEAD);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    server
}

#[cfg(test)]
mod tests;
