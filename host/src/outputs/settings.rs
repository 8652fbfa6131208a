//! The outputs that a configuration can name.

use std::path::Path;
use std::sync::Arc;

use super::deliver::RetrySettings;
use super::{Output, OutputContext, OutputKind};
use crate::batch::encode::{Encoder, Encoding};
use crate::buffers::BufferSettings;
use crate::clock::Clock;
use crate::kinds::kinds;
use crate::telemetry::Health;

kinds! {
    /// Where records go, by `type`.
    pub enum OutputSettings: OutputKind, kept by crate::outputs::contract::keep {
        Kafka(kafka::KafkaSettings),
        File(file::FileSettings),
        Stdout(stdout::StdoutSettings),
        Blackhole(blackhole::BlackholeSettings),
    }
}

/// One entry of `outputs`: where records go, and what every output has.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputConfig {
    /// The keys of its `type`.
    pub kind: OutputSettings,
    /// The buffer in front of it.
    pub buffer: BufferSettings,
    /// How failed writes are repeated.
    pub retry: RetrySettings,
    /// How records are written: the format, names, and which fields.
    pub encoding: Encoding,
    /// Whether no source waits for it; so it is too where its buffer drops what does not fit.
    pub best_effort: bool,
}

impl OutputConfig {
    /// What the output named `name` is given, where `data_dir` is the folder of all that flitch keeps.
    fn context(
        &self,
        name: &str,
        data_dir: &Path,
        clock: &Clock,
        health: &Arc<Health>,
    ) -> anyhow::Result<OutputContext> {
        Ok(OutputContext {
            name: name.into(),
            encoder: Encoder::new(self.encoding.clone(), self.kind.framing())?,
            state_dir: data_dir.join("outputs").join(name),
            clock: clock.clone(),
            health: health.clone(),
        })
    }

    /// Whether the output named `name` can be opened. Nothing is connected to and no file is made.
    ///
    /// # Errors
    /// As of [`OutputConfig::open`].
    pub fn check(&self, name: &str, data_dir: &Path) -> anyhow::Result<()> {
        self.kind.check(&self.context(name, data_dir, &Clock::system(), &Arc::default())?)
    }

    /// Opens the output named `name`. No connection is made yet. `health` hears of what runs beside its writes and
    /// fails.
    ///
    /// # Errors
    /// The text names the key that is wrong.
    pub fn open(
        &self,
        name: &str,
        data_dir: &Path,
        clock: &Clock,
        health: &Arc<Health>,
    ) -> anyhow::Result<Arc<dyn Output>> {
        self.kind.open(&self.context(name, data_dir, clock, health)?)
    }
}
