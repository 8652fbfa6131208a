//! How parts end.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::apply::Made;
use super::{App, Output, Pipeline, apart};
use flitch_core::inlet::Handover;
use flitch_core::tasks;

/// How often it is looked whether workers have ended, where nothing can wait for them.
const LOOK: Duration = Duration::from_millis(10);

impl App {
    /// Stops the sources, lets everything on its way arrive, and ends all parts. What has not arrived after `timeout`
    /// is left: its sources send it again after the next start, where they can. Answers whether all of it arrived.
    pub async fn drain(mut self, timeout: Duration) -> bool {
        self.board.set_ready(false);
        let deadline = Instant::now() + timeout;
        let rushed: Vec<_> = self.outputs.values().map(|output| output.buffer.rush()).collect();
        for source in self.sources.values() {
            source.stop.cancel();
        }
        let mut in_time = true;
        for (name, mut source) in std::mem::take(&mut self.sources) {
            in_time &= source.ended(&name, deadline).await;
        }
        drop(rushed);
        let pipelines = std::mem::take(&mut self.pipelines).into_values().collect();
        let outputs = std::mem::take(&mut self.outputs).into_values().collect();
        let mut old = std::mem::take(&mut self.old);
        // What earlier reloads had to leave was sent again.
        while old.try_join_next().is_some() {}
        for made in std::mem::take(&mut *self.given_up.lock()) {
            old.spawn(discard(made));
        }
        let ends = async {
            while let Ok(Some(ended)) = timeout_at(deadline, old.join_next()).await {
                in_time &= ended.unwrap_or(false);
            }
            in_time &= old.is_empty();
            in_time &= finish(pipelines, outputs, deadline).await;
            // What filters remember of records that have arrived at last.
            let states = self.wiring.states.clone();
            let _ = tasks::aside(move || states.flush()).await;
            in_time
        };
        // Workers may wait for room among the dead letters.
        let give_up = async {
            tokio::time::sleep_until(deadline).await;
            self.wiring.dead_letters.give_up();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            in_time = ends => in_time,
            () = give_up => unreachable!("it waits for ever"),
        }
    }

    /// Stops parts that were made and never come into force, and waits for their end; so does a drain where this is given up.
    pub(super) async fn discard(&mut self, made: Made) {
        let (done, is_done) = oneshot::channel();
        self.old.spawn(async move {
            let ended = discard(made).await;
            let _ = done.send(());
            ended
        });
        let _ = is_done.await;
    }
}

/// Stops parts that were made and never came into force. What they hold is sent again, as their sources have heard.
async fn discard(made: Made) -> bool {
    let pipelines = made.pipelines.into_values().collect();
    finish(pipelines, made.outputs.into_values().collect(), Instant::now()).await;
    true
}

/// What a reload leaves behind.
pub(super) struct Old {
    /// The sources that have other pipelines now, each with the ends of those outputs that it wrote to and that others
    /// replace.
    pub handovers: Vec<(Handover, Vec<CancellationToken>)>,
    pub pipelines: Vec<Pipeline>,
    pub outputs: Vec<Output>,
}

impl Old {
    /// Lets pipelines and outputs finish what they hold, and their sources go on with those that replace them when
    /// that is done; leaves at `deadline` what is not delivered. Answers whether everything was.
    pub async fn finish(self, deadline: Instant) -> bool {
        let mut sources = JoinSet::new();
        // Nothing ever comes here: it ends when every source has let go.
        let (holds, mut let_go) = mpsc::channel::<Infallible>(1);
        for (handover, outputs) in self.handovers {
            let holds = holds.clone();
            sources.spawn(async move {
                let mut all_arrived = handover.let_go(deadline).await;
                drop(holds);
                for ended in outputs {
                    all_arrived &= timeout_at(deadline, ended.cancelled()).await.is_ok();
                }
                handover.open(all_arrived);
                all_arrived
            });
        }
        drop(holds);
        let None = let_go.recv().await;
        let mut in_time = finish(self.pipelines, self.outputs, deadline).await;
        while let Some(arrived) = sources.join_next().await {
            in_time &= arrived.unwrap_or(false);
        }
        in_time
    }
}

/// Ends pipelines when they have finished what they hold.
async fn ended(pipelines: Vec<Pipeline>) {
    for pipeline in &pipelines {
        pipeline.workers.close();
    }
    // Without a thread that waits for them, to wait would hold up all that they wait for.
    while tasks::are_to_be_had(1).is_err() && !pipelines.iter().all(|pipeline| pipeline.workers.have_ended())
    {
        tokio::time::sleep(LOOK).await;
    }
    apart(move || pipelines.into_iter().for_each(|pipeline| pipeline.workers.finish())).await;
}

/// Lets pipelines finish what they hold, then outputs; leaves what is not delivered at `deadline`. Answers whether
/// everything was delivered.
pub(super) async fn finish(pipelines: Vec<Pipeline>, outputs: Vec<Output>, deadline: Instant) -> bool {
    let leave = |outputs: &[Output]| {
        for output in outputs {
            output.leave.cancel();
            output.buffer.close();
        }
    };
    // Workers may wait for room in a buffer whose output is stuck: closing the buffers lets them go.
    let mut workers = tasks::joined(ended(pipelines));
    let mut in_time = true;
    let ended = match timeout_at(deadline, &mut workers).await {
        Ok(ended) => ended,
        Err(_) => {
            in_time = false;
            leave(&outputs);
            workers.await
        }
    };
    if let Err(error) = ended {
        tracing::error!(%error, "the end of a pipeline panicked");
    }
    outputs.iter().for_each(|output| output.buffer.close());
    for mut output in outputs {
        let ended = match timeout_at(deadline, &mut output.task).await {
            Ok(ended) => ended,
            Err(_) => {
                // What nobody waits for is dropped, and what is on disk goes on after the next start.
                in_time &= output.buffer.is_best_effort() || output.buffer.keeps();
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
