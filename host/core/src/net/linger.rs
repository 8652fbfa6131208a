//! An early answer that its client hears: what it still sends is read for a while before the connection is closed.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a client may be silent before its connection is closed.
const SILENCE: Duration = Duration::from_secs(2);
/// How long it may go on sending.
const ALL: Duration = Duration::from_secs(20);

/// A stream that reads on when it is shut down, until its client has closed it too.
///
/// A socket that is closed with bytes unread resets the connection, which takes an answer out of the hands of a client
/// that was still sending. What is read then is thrown away; it is bounded by time.
pub struct Lingering<S> {
    stream: S,
    end: Option<End>,
}

struct End {
    at: Instant,
    silence: Pin<Box<Sleep>>,
}

impl<S> Lingering<S> {
    pub fn new(stream: S) -> Lingering<S> {
        Lingering { stream, end: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Lingering { stream, end } = &mut *self;
        let mut stream = Pin::new(stream);
        let end = match end {
            Some(end) => end,
            None => {
                // A client that has gone needs not be waited for.
                if ready!(stream.as_mut().poll_shutdown(cx)).is_err() {
                    return Poll::Ready(Ok(()));
                }
                let now = Instant::now();
                end.insert(End { at: now + ALL, silence: Box::pin(sleep_until(now + SILENCE)) })
            }
        };
        loop {
            let mut space = [MaybeUninit::uninit(); 4096];
            let mut rest = ReadBuf::uninit(&mut space);
            match stream.as_mut().poll_read(cx, &mut rest) {
                Poll::Ready(Ok(())) if !rest.filled().is_empty() => {
                    let now = Instant::now();
                    if now >= end.at {
                        return Poll::Ready(Ok(()));
                    }
                    end.silence.as_mut().reset(now + SILENCE);
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return end.silence.as_mut().poll(cx).map(Ok),
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
