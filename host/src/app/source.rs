//! Sources: which of them a reload stops and starts, and how.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::plan::Plan;
use super::supervise::{Starting, supervise};
use super::{App, AppError};
use crate::batch::Cut;
use crate::clock::Clock;
use crate::config::Config;
use crate::filters::Inlet;
use crate::sources::{Intake, Running, SourceContext, SourceSettings};
use crate::telemetry::{Exporter, Part};

pub(super) struct Source {
    settings: SourceSettings,
    cut: Cut,
    pub intake: Intake,
    pub stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

/// What a source was started with.
struct Before {
    name: Arc<str>,
    settings: SourceSettings,
    cut: Cut,
    inlets: Vec<Inlet>,
}

impl Source {
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

impl App {
    /// Starts the sources that are new, and replaces those whose settings changed: the old ones are stopped first,
    /// since both may want the same address or the same checkpoints, and come back if a new one cannot start.
    pub(super) async fn sources_for(&mut self, config: &Config, plan: &Plan) -> Result<(), AppError> {
        let cut = config.batch.cut();
        // What no pipeline reads from is not started: its records would come back for ever.
        let read = |name: &str| !self.inlets(config, plan, name).is_empty();
        let wanted: Vec<_> = config.sources.iter().filter(|(name, _)| read(name)).collect();
        let stands = |name: &str, source: &Source| {
            let same = |settings: &SourceSettings| *settings == source.settings && cut == source.cut;
            wanted.iter().any(|(wanted, settings)| *wanted == name && same(settings))
        };
        let leaving = self.sources.iter().filter(|(name, source)| !stands(name, source));
        let leaving: Vec<Arc<str>> = leaving.map(|(name, _)| name.clone()).collect();
        let before = self.stop(&leaving).await;
        let mut begun: Vec<Arc<str>> = Vec::new();
        for (name, settings) in wanted {
            if self.sources.contains_key(&**name) {
                continue;
            }
            let name: Arc<str> = name.as_str().into();
            let inlets = self.inlets(config, plan, &name);
            match self.start_source(&name, settings, cut, inlets).await {
                Ok(source) => {
                    self.sources.insert(name.clone(), source);
                    begun.push(name);
                }
                Err(error) => {
                    // Those outputs would begin when the ones that now go on have ended.
                    plan.outputs.values().for_each(|output| output.leave.cancel());
                    self.stop(&begun).await;
                    self.restore(before).await;
                    return Err(AppError { path: format!("sources.{name}"), error });
                }
            }
        }
        Ok(())
    }

    /// Stops sources, and waits until their records are safe, for at most the drain timeout. Answers how to start them
    /// again. Where it is given up in between, those that have not ended are still there.
    async fn stop(&mut self, names: &[Arc<str>]) -> Vec<Before> {
        for source in names.iter().filter_map(|name| self.sources.get(name)) {
            source.stop.cancel();
        }
        // An output that is stuck may be what the new configuration mends.
        let deadline = Instant::now() + self.config.drain_timeout.0;
        let mut stopped = Vec::new();
        for name in names {
            let Some(source) = self.sources.get_mut(name) else { continue };
            source.ended(name, deadline).await;
            if let Some(Source { settings, cut, intake, .. }) = self.sources.remove(name) {
                stopped.push(Before { name: name.clone(), settings, cut, inlets: intake.inlets() });
            }
        }
        stopped
    }

    /// Puts sources back to what they were before a configuration that is refused. One that cannot start is tried again
    /// until it can.
    async fn restore(&mut self, stopped: Vec<Before>) {
        for Before { name, settings, cut, inlets } in stopped {
            let runs = self.runs(&name, &settings, cut, inlets);
            let first = runs.start().await;
            self.sources.insert(name, self.source(settings, runs, first));
        }
    }

    /// Starts a source.
    ///
    /// # Errors
    /// It cannot start.
    async fn start_source(
        &self,
        name: &Arc<str>,
        settings: &SourceSettings,
        cut: Cut,
        inlets: Vec<Inlet>,
    ) -> anyhow::Result<Source> {
        let runs = self.runs(name, settings, cut, inlets);
        let running = runs.start().await?;
        Ok(self.source(settings.clone(), runs, Ok(running)))
    }

    /// What the runs of a source are started with.
    fn runs(&self, name: &Arc<str>, settings: &SourceSettings, cut: Cut, inlets: Vec<Inlet>) -> Runs {
        let stop = CancellationToken::new();
        let cx = SourceContext {
            name: name.clone(),
            intake: Intake::new(Exporter::get().ledger(name), inlets, stop.clone()),
            cut,
            state_dir: self.config.data_dir.join("sources").join(&**name),
            dead_letters: self.dead_letters.clone(),
            clock: Clock::system(),
            stop,
        };
        Runs { settings: settings.clone(), cx }
    }

    /// Keeps a source running, whose first start went like this.
    fn source(&self, settings: SourceSettings, runs: Runs, first: anyhow::Result<Running>) -> Source {
        let SourceContext { name, cut, intake, stop, .. } = runs.cx.clone();
        let part = Part::new(self.board.health(), "source", &name);
        let task = tokio::spawn(supervise(part, stop.clone(), first, move || runs.start()));
        Source { settings, cut, intake, stop, task }
    }
}

/// Starts a source, as often as it must be.
struct Runs {
    settings: SourceSettings,
    cx: SourceContext,
}

impl Runs {
    /// Begins a run, from the position that is known to be safe. What is left of it when it ends, such as connections,
    /// is told to stop, and sends in vain: the next run may have its clients.
    fn start(&self) -> Starting {
        struct Over(Intake);
        impl Drop for Over {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let intake = self.cx.intake.run();
        let stop = intake.stop().clone();
        let (settings, over) = (self.settings.clone(), Over(intake.clone()));
        let cx = SourceContext { intake, stop: stop.clone(), ..self.cx.clone() };
        Box::pin(async move {
            let running = settings.start(cx).await?;
            let run = async move {
                let _over = over;
                running.await?;
                anyhow::ensure!(stop.is_cancelled(), "it ended though nobody asked it to");
                Ok(())
            };
            Ok(Box::pin(run) as Running)
        })
    }
}
