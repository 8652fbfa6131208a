//! What an instance of a plugin may use and reach.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::units::{Bytes, Span};

/// Limits of one instance, each on by default.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Most memory, summed over all memories and tables of the component.
    pub memory: Bytes,
    /// Most time of the processor for one batch, to 10 ms; what it sleeps counts as well.
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
    /// Whether it reaches nothing.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.env.is_empty()
    }
}
