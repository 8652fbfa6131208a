//! Sources that run.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::supervise::{Starting, keep};
use crate::pipeline::Inflow;
use flitch_core::inlet::Intake;
use flitch_core::telemetry::Part;
use flitch_sources::{Running, SourceContext};

/// How long a source that is left may take to let go of what it holds.
const FALLS: Duration = Duration::from_secs(1);

pub(super) struct Source {
    pub intake: Intake,
    pub stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Source {
    /// Keeps a source running, whose first start went like this.
    pub fn keep(flow: Inflow, first: anyhow::Result<Running>, part: Part) -> Source {
        let SourceContext { intake, stop, .. } = flow.context().clone();
        let start = move || -> Starting { Box::pin(flow.start()) };
        let task = keep(part, stop.clone(), first, start);
        Source { intake, stop, task }
    }

    /// Waits until it has ended, which is when its records are safe; one that has not at `deadline` is left.
    /// Answers whether it ended in time.
    pub async fn ended(&mut self, name: &str, deadline: Instant) -> bool {
        let in_time = match timeout_at(deadline, &mut self.task).await {
            Ok(Ok(Ok(()))) => {
                tracing::debug!(source = name, "stopped");
                true
            }
            Ok(Ok(Err(error))) => {
                tracing::error!(source = name, error = format!("{error:#}"), "the source failed");
                true
            }
            Ok(Err(error)) => {
                tracing::error!(source = name, %error, "the source panicked");
                true
            }
            Err(_) => false,
        };
        self.intake.close();
        if !in_time {
            self.task.abort();
            // What takes its place may want what it holds, such as its port. One that hangs in a call of the system holds up nobody.
            let _ = timeout(FALLS, &mut self.task).await;
            self.intake.leave();
            let left = self.intake.ledger().read().in_flight();
            tracing::warn!(
                source = name,
                records = left,
                "the drain timeout passed; what has not arrived is sent again if its source can"
            );
        }
        in_time
    }
}

#[cfg(test)]
mod tests;
