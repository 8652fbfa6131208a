//! The whole way of a record, wired on one page, in the order in which the record meets the stages.
//!
//! Wires hang from the end to the front: a pipeline needs the buffers of its outputs, and a source the inlets of its
//! pipelines. What starts and ends these parts is [`app`](crate::app).

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::OutputConfig;
use flitch_core::batch::Cut;
use flitch_core::buffers::{Buffer, BufferContext};
use flitch_core::clock::Clock;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::inlet::{Inlet, Intake};
use flitch_core::receipt::Ledger;
use flitch_core::router::{Route, Router};
use flitch_core::setting::wrong;
use flitch_core::telemetry::health::Ailment;
use flitch_core::telemetry::{Health, Tally};
use flitch_filters::{Program, States, Workers};
use flitch_outputs::{Ledgers, Output, RetrySettings};
use flitch_sources::{Running, SourceContext, SourceSettings};

mod settings;

pub use settings::{PipelineSettings, RouteSettings};

/// The buffers by the names of their outputs.
pub type Buffers = BTreeMap<Arc<str>, Buffer>;

/// What the stages of all pipelines share.
#[derive(Clone)]
pub struct Wiring {
    /// Where parts tell that they have failed.
    pub health: Arc<Health>,
    /// Where records go that no stage can take further.
    pub dead_letters: DeadLetters,
    /// What buffers on disk need.
    pub buffers: BufferContext,
    /// What filters remember.
    pub states: Arc<States>,
    /// The folder of everything that flitch keeps.
    pub data_dir: PathBuf,
    /// The time of day.
    pub clock: Clock,
}

impl Wiring {
    /// Stages 1 and 2. The source takes records in and cuts them into batches; its intake hands each of them to all of
    /// `inlets` with a share of one receipt, which tells the source when it is safe, and enters it into `ledger`.
    pub fn inflow(
        &self,
        name: &Arc<str>,
        settings: &SourceSettings,
        cut: Cut,
        inlets: Vec<Inlet>,
        ledger: Arc<Ledger>,
    ) -> Inflow {
        let stop = CancellationToken::new();
        let cx = SourceContext {
            name: name.clone(),
            intake: Intake::new(ledger, inlets, stop.clone()),
            joiner: None,
            cut,
            state_dir: self.data_dir.join("sources").join(&**name),
            dead_letters: self.dead_letters.clone(),
            clock: self.clock.clone(),
            health: self.health.clone(),
            stop,
        };
        Inflow { settings: settings.clone(), cx }
    }

    /// Stages 3 and 4. Workers take batches from the inlet, run the filters of `program` over them and hand them, in
    /// order, to the router, which puts each record into the buffer of every output whose condition holds.
    ///
    /// # Errors
    /// The threads cannot be started.
    pub fn chain(
        &self,
        name: &str,
        settings: &PipelineSettings,
        program: Arc<Program>,
        buffers: &Buffers,
    ) -> io::Result<Workers> {
        let route = |to: &RouteSettings| Route::to(buffers[&*to.output].clone()).when(to.when.clone());
        let router = Router::new(settings.to.iter().map(route).collect(), Tally::dropped_by_route(name))
            .of_pipeline(name);
        Workers::start(name, program, settings.workers(), Arc::new(router), &self.states, &self.health)
    }

    /// Stages 5, 6 and 7. The delivery loop takes batches from the buffer to the output until each record is there or
    /// among the dead letters, and settles their receipts.
    ///
    /// # Errors
    /// The output or its buffer cannot be opened; the text names the key that is wrong.
    pub fn outflow(&self, name: &str, config: &OutputConfig) -> anyhow::Result<Outflow> {
        let ledgers = Ledgers(self.buffers.ledgers.clone());
        let output = config.open(name, &self.data_dir, &self.clock, &self.health, &ledgers)?;
        let dropped = Tally::dropped_by_route(name);
        let buffer = Buffer::open(name, &config.buffer, config.best_effort, dropped, &self.buffers)
            .map_err(|error| error.context(wrong!("buffer", " cannot be opened")))?;
        Ok(Outflow {
            name: name.into(),
            output,
            buffer,
            retry: config.retry.clone(),
            dead_letters: self.dead_letters.clone(),
            health: self.health.clone(),
            leave: CancellationToken::new(),
        })
    }
}

/// A source, to be started as often as it must be.
pub struct Inflow {
    settings: SourceSettings,
    cx: SourceContext,
}

impl Inflow {
    /// What its runs are given.
    pub fn context(&self) -> &SourceContext {
        &self.cx
    }

    /// Begins a run, from the position that is known to be safe. What is left of it when it ends, such as connections,
    /// is told to stop, and sends in vain: the next run may have its clients.
    ///
    /// # Errors
    /// The source cannot start.
    pub fn start(&self) -> impl Future<Output = anyhow::Result<Running>> + Send + 'static {
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
        async move {
            let running = flitch_sources::start(&*settings, cx).await?;
            let run = async move {
                let _over = over;
                running.await?;
                anyhow::ensure!(stop.is_cancelled(), "it ended though nobody asked it to");
                Ok(())
            };
            Ok(Box::pin(run) as Running)
        }
    }
}

/// An output behind its buffer, whose delivery loop is to be started as often as it must be.
pub struct Outflow {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The buffer in front of it.
    pub buffer: Buffer,
    /// Cancelled to leave what is not delivered.
    pub leave: CancellationToken,
    /// Where its records go.
    pub output: Arc<dyn Output>,
    /// How failed writes are repeated.
    pub retry: RetrySettings,
    /// Where records go that it does not take.
    pub dead_letters: DeadLetters,
    /// Where it tells what keeps writes from going through.
    pub health: Arc<Health>,
}

impl Outflow {
    /// Begins to deliver; ends when the buffer is closed and empty, or the rest is to be left.
    pub fn start(&self) -> Running {
        let delivery = flitch_outputs::deliver(
            self.name.clone(),
            self.output.clone(),
            self.buffer.clone(),
            self.retry.clone(),
            self.dead_letters.clone(),
            Ailment::of(&self.health, "output", &self.name),
            self.leave.clone(),
        );
        Box::pin(async move {
            delivery.await;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
