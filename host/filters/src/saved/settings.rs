//! How the state of a filter is kept.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::units::{Bytes, Span};

/// How what a filter remembers is kept, for a plugin that says what that is (`dedupe` and `throttle` of the stock ones).
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct StateSettings {
    /// Whether it outlives the instances: a new version of the plugin begins with it, and so does the next start.
    pub keep: bool,
    /// How often it is saved, at least 100 ms, where the filter has seen records since. What it learned since then is gone
    /// after a crash.
    pub interval: Span,
    /// Most bytes of the state of one instance. One that is larger is not kept.
    pub max_bytes: Bytes,
}

impl Default for StateSettings {
    fn default() -> Self {
        StateSettings { keep: true, interval: Span(Duration::from_secs(10)), max_bytes: Bytes(32 << 20) }
    }
}
