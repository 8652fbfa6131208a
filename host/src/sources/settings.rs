//! The sources that a configuration can name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::{self, FileSettings};
use super::forward::{self, ForwardSettings};
use super::generator::{self, GeneratorSettings};
use super::http::{self, HttpSettings};
use super::{Running, SourceContext};
use crate::net::address::Endpoint;

/// Where records come from, by `type`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(tag = "type")]
pub enum SourceSettings {
    /// Lines of files that grow.
    File(FileSettings),
    /// The Fluent forward protocol: Docker, Fluentd, Fluent Bit.
    Forward(ForwardSettings),
    /// Records that clients post over HTTP.
    Http(HttpSettings),
    /// Seeded records, for demos and measurements.
    Generator(GeneratorSettings),
}

impl SourceSettings {
    /// Binds or opens what the source reads from; the future that is answered runs it.
    ///
    /// # Errors
    /// Something that the settings name is not there or cannot be bound.
    pub async fn start(self, cx: SourceContext) -> anyhow::Result<Running> {
        match self {
            SourceSettings::File(settings) => file::start(settings, cx).await,
            SourceSettings::Forward(settings) => forward::start(settings, cx).await,
            SourceSettings::Http(settings) => http::start(settings, cx).await,
            SourceSettings::Generator(settings) => generator::start(settings, cx).await,
        }
    }

    /// Whether the settings make sense together, as far as can be told without a start.
    ///
    /// # Errors
    /// What contradicts what, or is missing.
    pub fn check(&self) -> anyhow::Result<()> {
        match self {
            SourceSettings::File(settings) => settings.check(),
            SourceSettings::Forward(settings) => settings.check(),
            SourceSettings::Http(settings) => settings.check(),
            SourceSettings::Generator(_) => Ok(()),
        }
    }

    /// What is odd about settings that make sense, each with its key: `include[0]`.
    pub fn warnings(&self) -> Vec<(String, String)> {
        match self {
            SourceSettings::File(settings) => settings.warnings(),
            SourceSettings::Forward(_) | SourceSettings::Http(_) | SourceSettings::Generator(_) => Vec::new(),
        }
    }

    /// Where it listens. A port alone is on every address of the machine.
    pub fn listens(&self) -> Vec<Endpoint> {
        match self {
            SourceSettings::Forward(settings) => settings.listen.iter().cloned().collect(),
            SourceSettings::Http(settings) => vec![Endpoint::Tcp(settings.listen.clone())],
            SourceSettings::File(_) | SourceSettings::Generator(_) => Vec::new(),
        }
    }

    /// Files and connections that it may hold open at once.
    pub fn descriptors(&self) -> u64 {
        // Beside connections and files there are listeners, a client that waits for its turn, a checkpoint, a watch.
        let beside = 16;
        match self {
            SourceSettings::File(settings) => settings.max_open_files as u64 + beside,
            SourceSettings::Forward(settings) => settings.max_connections as u64 + beside,
            SourceSettings::Http(settings) => settings.max_connections as u64 + beside,
            SourceSettings::Generator(_) => 0,
        }
    }
}
