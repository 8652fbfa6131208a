//! Outputs that run: each behind its buffer, with the loop that empties it.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::supervise::{Starting, supervise};
use crate::pipeline::Outflow;
use flitch_core::buffers::Buffer;
use flitch_core::tasks;
use flitch_core::telemetry::Part;

pub(super) struct Output {
    pub buffer: Buffer,
    /// Cancelled to leave what is not delivered.
    pub leave: CancellationToken,
    /// Cancelled when it holds nothing more.
    pub ended: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Output {
    /// Starts the loop that empties the buffer, once the output that it replaces has ended, which cancels `before`: two
    /// of them would break the order, and get into each other's files.
    pub fn start(flow: Outflow, part: Part, before: Option<CancellationToken>) -> Output {
        let (buffer, leave, ended) = (flow.buffer.clone(), flow.leave.clone(), CancellationToken::new());
        let task = tasks::joined(run(flow, part, before, ended.clone()));
        Output { buffer, leave, ended, task }
    }
}

/// Delivers until the buffer is closed and empty, or the rest is to be left; begins when the output `before` it has
/// ended. Cancels `ended` at the end.
async fn run(flow: Outflow, part: Part, before: Option<CancellationToken>, ended: CancellationToken) {
    let _ended = ended.drop_guard();
    if let Some(before) = before {
        tokio::select! { () = before.cancelled() => {}, () = flow.leave.cancelled() => {} }
    }
    let again = || -> Starting {
        let running = flow.start();
        Box::pin(async move { Ok(running) })
    };
    if let Err(error) = supervise(part, flow.leave.clone(), Ok(flow.start()), again).await {
        tracing::error!(output = &*flow.name, %error, "the delivery loop failed while it was to end");
    }
    // What is left goes back to its sources now, and not when the last of them lets go of the buffer.
    flow.buffer.leave();
    flow.buffer.ended().await;
}

#[cfg(test)]
mod tests;
