//! Where threads that may block and tasks that may not meet.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::tasks;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the thread until `future` is finished. It must need no timer and no socket.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
    }
    let mut future = pin!(future);
    WAKER.with(|waker| {
        let mut cx = Context::from_waker(waker);
        loop {
            match future.as_mut().poll(&mut cx) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    })
}

/// Does something with files by [`tasks::aside`]. A panic of it is an error like one of the system's.
///
/// # Errors
/// That of `work`.
pub async fn io<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tasks::aside(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[test]
    fn a_thread_waits_for_what_another_does() {
        let token = CancellationToken::new();
        thread::scope(|scope| {
            scope.spawn(|| token.cancel());
            block_on(token.cancelled());
        });
        assert!(token.is_cancelled());
    }

    #[tokio::test]
    async fn what_is_done_elsewhere_ends_with_its_answer_its_error_or_its_panic() {
        assert_eq!(super::io(|| Ok(1)).await.unwrap(), 1);
        let full = || Err::<(), _>(io::ErrorKind::StorageFull.into());
        assert_eq!(super::io(full).await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        let panics = || -> io::Result<()> { panic!("of a bug") };
        assert!(super::io(panics).await.unwrap_err().to_string().contains("panicked"));
    }
}
