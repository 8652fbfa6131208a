//! The outputs that a configuration can name.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Output;
use super::blackhole::{self, BlackholeSettings};
use super::deliver::RetrySettings;
use super::file::{self, FileSettings};
use super::kafka::{self, KafkaSettings};
use super::stdout::{self, StdoutSettings};
use crate::batch::encode::Encoding;
use crate::buffers::BufferSettings;
use crate::telemetry::Health;

/// Where records go, by `type`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(tag = "type")]
pub enum OutputSettings {
    /// Kafka topics: each record is one message, whose value is the record as JSON. Records of one stream and partition
    /// keep their order, but for those that are written again after a failure.
    Kafka(KafkaSettings),
    /// Files of NDJSON: a record a line.
    File(FileSettings),
    /// Standard output: a record a line, as JSON.
    Stdout(StdoutSettings),
    /// Nowhere: for tests and measurements.
    Blackhole(BlackholeSettings),
}

impl OutputSettings {
    /// Files and connections that it may hold open at once. (How many brokers there are is not known before.)
    pub fn descriptors(&self) -> u64 {
        match self {
            OutputSettings::Kafka(_) => 64,
            OutputSettings::File(_) => file::MOST_OPEN as u64 + 4,
            OutputSettings::Stdout(_) | OutputSettings::Blackhole(_) => 0,
        }
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
    /// How records are written: names, and which fields.
    pub encoding: Encoding,
    /// Whether no source waits for it; so it is too where its buffer drops what does not fit.
    pub best_effort: bool,
}

impl OutputConfig {
    /// Whether the output named `name` can be opened. Nothing is connected to and no file is made.
    ///
    /// # Errors
    /// As of [`OutputConfig::open`].
    pub fn check(&self, name: &str) -> anyhow::Result<()> {
        match &self.kind {
            OutputSettings::Kafka(settings) => kafka::check(name, settings),
            OutputSettings::File(settings) => {
                file::open(name, settings, &self.encoding, &Arc::default()).map(drop)
            }
            OutputSettings::Stdout(_) | OutputSettings::Blackhole(_) => Ok(()),
        }
    }

    /// Opens the output named `name`. No connection is made yet. `health` hears of what runs beside its writes and
    /// fails.
    ///
    /// # Errors
    /// The text names the key that is wrong.
    pub fn open(&self, name: &str, health: &Arc<Health>) -> anyhow::Result<Arc<dyn Output>> {
        let encoding = &self.encoding;
        Ok(match &self.kind {
            OutputSettings::Kafka(settings) => Arc::new(kafka::open(name, settings, encoding)?),
            OutputSettings::File(settings) => Arc::new(file::open(name, settings, encoding, health)?),
            OutputSettings::Stdout(settings) => Arc::new(stdout::open(settings, encoding)),
            OutputSettings::Blackhole(settings) => Arc::new(blackhole::open(settings, encoding)),
        })
    }
}
