//! Outputs: each with its buffer and the loop that empties it.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::App;
use super::supervise::{Starting, supervise};
use crate::buffers::MemoryBuffer;
use crate::dead_letter::DeadLetters;
use crate::outputs::{self, OutputConfig, RetrySettings};
use crate::sources::Running;
use crate::telemetry::{Part, Tally};

pub(super) struct Output {
    pub config: OutputConfig,
    pub buffer: Arc<MemoryBuffer>,
    /// Cancelled to leave what is not delivered.
    pub leave: CancellationToken,
    /// Cancelled when it holds nothing more.
    pub ended: CancellationToken,
    pub task: JoinHandle<()>,
}

impl App {
    /// Opens an output and starts the loop that empties its buffer, once the one that it replaces has ended: two of
    /// them would break the order, and get into each other's files.
    pub(super) fn open_output(&self, name: &str, config: &OutputConfig) -> anyhow::Result<Output> {
        let output = config.open(name)?;
        let buffer = MemoryBuffer::new(&config.buffer, Tally::dropped_by_route(name));
        let buffer = Arc::new(buffer.in_front_of(name, config.best_effort));
        let (leave, ended) = (CancellationToken::new(), CancellationToken::new());
        let delivery = Delivery {
            name: name.into(),
            output,
            buffer: buffer.clone(),
            retry: config.retry.clone(),
            dead_letters: self.dead_letters.clone(),
            leave: leave.clone(),
        };
        let part = Part::new(self.board.health(), "output", name);
        let before = self.outputs.get(name).map(|before| before.ended.clone());
        let task = tokio::spawn(delivery.run(part, before, ended.clone()));
        Ok(Output { config: config.clone(), buffer, leave, ended, task })
    }
}

/// What the loop of an output is started with, as often as it must be.
struct Delivery {
    name: Arc<str>,
    output: Arc<dyn outputs::Output>,
    buffer: Arc<MemoryBuffer>,
    retry: RetrySettings,
    dead_letters: DeadLetters,
    leave: CancellationToken,
}

impl Delivery {
    fn start(&self) -> Running {
        let delivery = outputs::deliver(
            self.name.clone(),
            self.output.clone(),
            self.buffer.clone(),
            self.retry.clone(),
            self.dead_letters.clone(),
            self.leave.clone(),
        );
        Box::pin(async move {
            delivery.await;
            Ok(())
        })
    }

    /// Delivers until the buffer is closed and empty, or the rest is to be left; begins when the output `before` it has
    /// ended. Cancels `ended` at the end.
    async fn run(self, part: Part, before: Option<CancellationToken>, ended: CancellationToken) {
        let _ended = ended.drop_guard();
        if let Some(before) = before {
            tokio::select! { () = before.cancelled() => {}, () = self.leave.cancelled() => {} }
        }
        let again = || -> Starting {
            let running = self.start();
            Box::pin(async move { Ok(running) })
        };
        if let Err(error) = supervise(part, self.leave.clone(), Ok(self.start()), again).await {
            tracing::error!(output = &*self.name, %error, "the delivery loop failed while it was to end");
        }
        // What is left goes back to its sources now, and not when the last of them lets go of the buffer.
        self.buffer.close();
        while self.buffer.try_pop().is_some() {}
    }
}

#[cfg(test)]
mod tests;
