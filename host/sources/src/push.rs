//! Handing on batches from a thread that cannot wait for the pipelines.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use flitch_core::buffers::Closed;

use crate::bell::Bell;

type Waiting = Pin<Box<dyn Future<Output = Result<(), Closed>> + Send>>;

/// A batch on its way into the pipelines, if there is one.
pub(crate) struct Push {
    waiting: Option<Waiting>,
    waker: Waker,
}

impl Push {
    /// None is on its way. The bell rings when there may be room for one that waits.
    pub fn new(bell: &Arc<Bell>) -> Push {
        Push { waiting: None, waker: bell.waker() }
    }

    /// Whether one waits for room: nothing may be sent before it has found it.
    pub fn is_blocked(&self) -> bool {
        self.waiting.is_some()
    }

    /// Sends the next one.
    pub fn begin(
        &mut self,
        batch: impl Future<Output = Result<(), Closed>> + Send + 'static,
    ) -> Result<(), Closed> {
        debug_assert!(!self.is_blocked(), "the one before it has not found room");
        self.waiting = Some(Box::pin(batch));
        self.go_on()
    }

    /// Tries again to hand on the one that waits.
    pub fn go_on(&mut self) -> Result<(), Closed> {
        let Some(waiting) = &mut self.waiting else { return Ok(()) };
        match waiting.as_mut().poll(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => Ok(()),
            Poll::Ready(done) => {
                self.waiting = None;
                done
            }
        }
    }
}
