//! The settings of a filter.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::units::{Bytes, Span};

/// One filter: which plugin, with which settings, within which limits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FilterSettings {
    /// A bare name (`dissect`) is a stock plugin, which the binary holds; anything with a `/` or the ending `.wasm` is
    /// the path of a component.
    pub plugin: String,
    /// What the plugin itself is told; its README says which keys it knows.
    #[serde(default = "no_settings")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub settings: serde_json::Value,
    /// What one instance may use.
    #[serde(default)]
    pub limits: LimitSettings,
    /// What becomes of a record that the plugin rejects or cannot survive.
    #[serde(default)]
    pub on_error: OnError,
    /// Most instances of the plugin. A filter that keeps state across records asks for `1`, and its pipeline then has
    /// one worker. By default each worker has an instance of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub instances: Option<std::num::NonZeroUsize>,
    /// How much of WASI 0.2 the plugin finds.
    #[serde(default)]
    pub wasi: Wasi,
    /// What the plugin may reach beyond its records.
    #[serde(default)]
    pub allow: Allow,
}

impl FilterSettings {
    /// A filter that runs `plugin` with its defaults.
    pub fn of(plugin: &str) -> FilterSettings {
        FilterSettings {
            plugin: plugin.to_owned(),
            settings: no_settings(),
            limits: LimitSettings::default(),
            on_error: OnError::default(),
            instances: None,
            wasi: Wasi::default(),
            allow: Allow::default(),
        }
    }
}

fn no_settings() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// Limits of one instance, each on by default.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Most memory, summed over all memories and tables of the component.
    pub memory: Bytes,
    /// Longest time for one batch, to 10 ms.
    pub time: Span,
    /// Most bytes that it may answer for each byte handed in; 1 MiB comes on top, and is all with 0. Rows that it copies,
    /// and what it looks up in a table, may be as large.
    pub answer: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        LimitSettings { memory: Bytes(128 << 20), time: Span(Duration::from_secs(1)), answer: 8 }
    }
}

/// What becomes of a record that a filter rejects, or that its plugin cannot survive.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It goes to the dead letters, as it came to the filter, with the reason.
    #[default]
    DeadLetter,
    /// It goes on as it came, with the reason in `@error`.
    Pass,
    /// It is dropped, and counted.
    Drop,
}

/// How much of WASI 0.2 a plugin finds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Wasi {
    /// Clocks, randomness, and standard output and error into the log; nothing else but what `allow` grants.
    #[default]
    Empty,
    /// None of it: a plugin that imports WASI is refused.
    None,
}

/// What a plugin may reach beyond its records.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Folders that it may read, under the same path.
    pub read: Vec<PathBuf>,
    /// Names of environment variables that it may see.
    pub env: Vec<String>,
}

impl Allow {
    pub(super) fn is_empty(&self) -> bool {
        self.read.is_empty() && self.env.is_empty()
    }
}

/// A plugin does not take its settings.
#[derive(Debug, thiserror::Error)]
#[error("{plugin} refuses its settings: {reason}")]
pub struct Refused {
    plugin: String,
    reason: String,
}

impl Refused {
    /// What `plugin` said of its settings.
    pub fn new(plugin: &str, reason: String) -> Refused {
        Refused { plugin: plugin.to_owned(), reason }
    }

    /// The setting that it means, from the filter on (`settings.rules[0]`), where it says so: reasons made by the SDK
    /// name it, before a colon.
    pub fn key(&self) -> &str {
        let named = self.reason.split_whitespace().find(|word| word.starts_with("settings."));
        named.map_or("settings", |key| key.trim_end_matches(':'))
    }
}
