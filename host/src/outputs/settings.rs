//! The outputs that a configuration can name.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Output;
use super::blackhole::{self, BlackholeSettings};
use super::deliver::RetrySettings;
use super::kafka::{self, KafkaSettings};
use crate::buffers::BufferSettings;

/// Where records go, by `type`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(tag = "type")]
pub enum OutputSettings {
    /// Kafka topics.
    Kafka(KafkaSettings),
    /// Nowhere: for tests and measurements.
    Blackhole(BlackholeSettings),
}

impl OutputSettings {
    /// Opens the output named `name`. No connection is made yet; an error names the key that is wrong.
    pub fn open(&self, name: &str) -> anyhow::Result<Arc<dyn Output>> {
        Ok(match self {
            OutputSettings::Kafka(settings) => Arc::new(kafka::open(name, settings)?),
            OutputSettings::Blackhole(settings) => Arc::new(blackhole::open(settings)),
        })
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
}
