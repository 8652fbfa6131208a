//! An entry of `outputs`: the keys that all outputs have, and those of its type.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::de;
use flitch_core::batch::encode::{Encoder, Encoding, Format};
use flitch_core::buffers::BufferSettings;
use flitch_core::clock::Clock;
use flitch_core::setting::wrong;
use flitch_core::telemetry::Health;
use flitch_outputs::{Ledgers, Output, OutputContext, OutputSettings, RetrySettings};

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
        ledgers: &Ledgers,
    ) -> anyhow::Result<OutputContext> {
        ensure!(
            self.retry.attempts.is_none() || !self.kind.builds(),
            wrong!("retry.attempts", " is not for this type: an object is written until it goes through")
        );
        self.check_format()?;
        Ok(OutputContext {
            name: name.into(),
            encoder: Encoder::new(self.encoding.clone(), self.kind.framing())?,
            state_dir: data_dir.join("outputs").join(name),
            clock: clock.clone(),
            health: health.clone(),
            ledgers: ledgers.clone(),
        })
    }

    /// Whether records can be written in the format that is asked for.
    fn check_format(&self) -> anyhow::Result<()> {
        let (format, formats) = (self.encoding.format, self.kind.formats());
        let name = format.name();
        ensure!(
            !formats.is_empty() || format == Format::default(),
            wrong!(
                "encoding.format",
                ": this type has a form of its own for records, and writes no `{name}`"
            )
        );
        let known =
            formats.iter().map(|format| format!("`{}`", format.name())).collect::<Vec<_>>().join(", ");
        ensure!(
            formats.is_empty() || formats.contains(&format),
            wrong!("encoding.format", ": this type writes no `{name}`; it writes {known}")
        );
        Ok(())
    }

    /// Whether the output named `name` can be opened. Nothing is connected to and no file is made.
    ///
    /// # Errors
    /// As of [`OutputConfig::open`].
    pub fn check(&self, name: &str, data_dir: &Path) -> anyhow::Result<()> {
        self.kind.check(&self.context(
            name,
            data_dir,
            &Clock::system(),
            &Arc::default(),
            &Ledgers::apart(),
        )?)
    }

    /// Opens the output named `name`. No connection is made yet. `health` hears of what runs beside its writes and
    /// fails; `ledgers` finds the accounts of sources.
    ///
    /// # Errors
    /// The text names the key that is wrong.
    pub fn open(
        &self,
        name: &str,
        data_dir: &Path,
        clock: &Clock,
        health: &Arc<Health>,
        ledgers: &Ledgers,
    ) -> anyhow::Result<Arc<dyn Output>> {
        self.kind.open(&self.context(name, data_dir, clock, health, ledgers)?)
    }
}

/// What every output has.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Common {
    /// Whether this output may miss records: no position and no acknowledgement waits for it. What does not fit into its
    /// buffer, and what it has not taken `drain_timeout` after the end, is dropped and counted, and never sent again for
    /// its sake. `when_full: drop_newest` means the same; `when_full: block` beside it is refused.
    #[serde(default)]
    best_effort: bool,
    /// The buffer in front of it.
    #[serde(default)]
    buffer: BufferSettings,
    /// How records are written: the format, names, and which fields.
    #[serde(default)]
    encoding: Encoding,
    /// How writes that failed are repeated.
    #[serde(default)]
    retry: RetrySettings,
}

/// The keys of [`Common`].
const COMMON: &[&str] = &["best_effort", "buffer", "encoding", "retry"];

impl<'de> Deserialize<'de> for OutputConfig {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<OutputConfig, D::Error> {
        let (common, kind) = de::split::<D, Common, OutputSettings>(d, COMMON)?;
        let Common { best_effort, buffer, encoding, retry } = common;
        Ok(OutputConfig { kind, buffer, retry, encoding, best_effort })
    }
}

impl JsonSchema for OutputConfig {
    fn schema_name() -> Cow<'static, str> {
        "OutputConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let common = Common::json_schema(generator);
        let mut schema = OutputSettings::json_schema(generator);
        let properties = common.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let kinds = schema.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten();
        for kind in kinds {
            if let Some(own) = kind.get_mut("properties").and_then(Value::as_object_mut) {
                own.extend(properties.clone());
            }
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_keys_are_those_that_are_split_off() {
        let schema = schemars::schema_for!(Common);
        let keys: Vec<&String> = schema.get("properties").unwrap().as_object().unwrap().keys().collect();
        assert_eq!(keys, COMMON);
    }
}
