//! Bodies of requests to servers that may answer before they have all of it.
//!
//! A server that finds a request too large says so by 413 as soon as it knows, and hangs up on what still comes. Whoever goes on
//! writing finds a connection that is cut, and may never look at the answer, which says what is to be done. So bodies are handed
//! over in pieces, between which the connection is read; and where one was cut all the same, the next of that size waits a moment
//! behind its head, by which nearly every server knows how long the body is to be.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use reqwest::{RequestBuilder, Response};
use tokio::time::Sleep;

use super::confided;

/// Bytes that are handed over before the connection is read again.
const PIECE: usize = 32 << 10;
/// How long a server has to refuse a request by its head, where requests have time for that.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends requests with bodies, and knows of which size one was cut.
#[derive(Debug)]
pub struct Uploads {
    /// Bytes of the shortest body that was cut while it was sent, since one of as many went through.
    cut: AtomicUsize,
    /// How long a server has to refuse a request by its head.
    pause: Duration,
}

impl Uploads {
    /// For requests that take no longer than `timeout`.
    pub fn new(timeout: Duration) -> Uploads {
        Uploads { cut: AtomicUsize::new(usize::MAX), pause: PAUSE.min(timeout / 4) }
    }

    /// Sends a request with this body.
    ///
    /// # Errors
    /// As of [`RequestBuilder::send`].
    pub async fn send(&self, request: RequestBuilder, body: Bytes) -> Result<Response, reqwest::Error> {
        let length = body.len();
        let waits = length >= self.cut.load(Ordering::Acquire);
        let pause = waits.then(|| Box::pin(tokio::time::sleep(self.pause)));
        let pieces = Pieces { left: body, pause, rests: false };
        let answer = confided::send(request.body(reqwest::Body::wrap(pieces))).await;
        match &answer {
            Err(error) if length > PIECE && !error.is_connect() && !error.is_timeout() => {
                self.cut.fetch_min(length, Ordering::AcqRel);
            }
            Ok(answer) if waits && answer.status().is_success() => {
                self.cut.store(usize::MAX, Ordering::Release);
            }
            _ => {}
        }
        answer
    }
}

/// A body in pieces.
struct Pieces {
    left: Bytes,
    /// What is waited for before the first piece.
    pause: Option<Pin<Box<Sleep>>>,
    /// The connection is to be read before the next piece.
    rests: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = PIECE.min(self.left.len());
        let piece = self.left.split_to(piece);
        self.rests = true;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

#[cfg(test)]
mod tests;
