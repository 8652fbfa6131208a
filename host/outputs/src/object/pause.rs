//! How long a store, or who gives out tokens for it, asks to be left alone. The libraries of stores keep the heads of answers to
//! themselves, and ask in the task in which they were asked: so what stands there goes by the task.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::WriteError;
use flitch_core::clock::Clock;
use flitch_core::net::http_client::{is_of_the_moment, retry_after};

tokio::task_local! {
    /// What the last answer in this task asked for.
    static ASKED: Cell<Option<Duration>>;
}

/// Does what may fail over a store, whose errors tell then how long it asked to wait.
pub(crate) async fn heeding<T>(work: impl Future<Output = Result<T, WriteError>>) -> Result<T, WriteError> {
    let heard = async {
        let done = work.await;
        (done, ASKED.with(Cell::get))
    };
    let (done, after) = ASKED.scope(Cell::new(None), heard).await;
    done.map_err(|error| match (error, after) {
        (WriteError::Busy { reason, .. } | WriteError::Unreachable { reason }, Some(_)) => {
            WriteError::Busy { after, reason }
        }
        (error, _) => error,
    })
}

/// Hears an answer, or that there was none.
pub(super) fn hear(answer: Option<(StatusCode, &HeaderMap)>) {
    let asks = |status: StatusCode| status == StatusCode::TOO_MANY_REQUESTS || is_of_the_moment(status);
    let answer = answer.filter(|(status, _)| asks(*status));
    note(answer.and_then(|(_, headers)| retry_after(headers, Clock::system().now())));
}

/// Notes what was asked for elsewhere.
pub(crate) fn note(after: Option<Duration>) {
    // Out of such work nobody wants to know.
    let _ = ASKED.try_with(|asked| asked.set(after));
}

#[cfg(test)]
mod tests;
