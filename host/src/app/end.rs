//! How parts end.

use std::time::Duration;

use super::{Output, Pipeline, Plan};

/// Tells how a source has ended.
pub(super) fn report(name: &str, ended: Result<anyhow::Result<()>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => tracing::debug!(source = name, "stopped"),
        Ok(Err(error)) => tracing::error!(source = name, error = format!("{error:#}"), "the source failed"),
        Err(error) => tracing::error!(source = name, %error, "the source panicked"),
    }
}

/// Stops the parts of a plan that never came into force.
pub(super) async fn discard(plan: Plan) {
    let pipelines = plan.pipelines.into_values().collect();
    finish(pipelines, plan.outputs.into_values().collect(), Duration::ZERO).await;
}

/// Lets pipelines finish what they hold, then outputs; leaves what is not delivered after `timeout`. Answers whether
/// everything was delivered.
pub(super) async fn finish(pipelines: Vec<Pipeline>, outputs: Vec<Output>, timeout: Duration) -> bool {
    let deadline = tokio::time::Instant::now() + timeout;
    let leave = |outputs: &[Output]| {
        for output in outputs {
            output.leave.cancel();
            output.buffer.close();
        }
    };
    // Workers may wait for room in a buffer whose output is stuck: closing the buffers lets them go.
    let mut workers = tokio::task::spawn_blocking(move || {
        pipelines.into_iter().for_each(|pipeline| pipeline.workers.finish());
    });
    let mut in_time = true;
    if tokio::time::timeout_at(deadline, &mut workers).await.is_err() {
        in_time = false;
        leave(&outputs);
        let _ = workers.await;
    }
    outputs.iter().for_each(|output| output.buffer.close());
    for mut output in outputs {
        let ended = match tokio::time::timeout_at(deadline, &mut output.task).await {
            Ok(ended) => ended,
            Err(_) => {
                // What nobody waits for is dropped.
                in_time &= output.buffer.is_best_effort();
                output.leave.cancel();
                output.task.await
            }
        };
        if let Err(error) = ended {
            tracing::error!(%error, "a delivery loop panicked");
        }
    }
    in_time
}
