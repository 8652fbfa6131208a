//! The beginning of a body, for who keeps all of what he is given.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};

/// The first bytes of a body. What comes behind them is not read; and the length that a head claims, for which memory might be taken
/// before anything is there, is not told.
#[derive(Debug)]
pub struct Short<B> {
    body: B,
    left: usize,
}

impl<B> Short<B> {
    /// The first `most` bytes of `body`.
    pub fn new(body: B, most: usize) -> Short<B> {
        Short { body, left: most }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Short<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            Ok(frame?.map_data(|mut data| {
                data.truncate(self.left);
                self.left -= data.len();
                data
            }))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 || self.body.is_end_stream()
    }
}
