//! How failed writes are repeated.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::backoff::Backoff;
use flitch_core::units::Span;

/// How failed writes are repeated.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// The pause after the first failure; it doubles with each one after it.
    pub initial: Span,
    /// The longest pause.
    pub max: Span,
    /// How often a batch is written before its records become dead letters. Not set: until it goes through.
    #[schemars(range(min = 1))]
    pub attempts: Option<u32>,
    /// After so many failures in a row one write at a time probes the destination until one goes through.
    #[schemars(range(min = 1))]
    pub breaker_after: u32,
}

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings {
            initial: Span(Duration::from_millis(200)),
            max: Span(Duration::from_secs(30)),
            attempts: None,
            breaker_after: 5,
        }
    }
}

impl RetrySettings {
    /// The pause after this many failures in a row.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        Backoff { first: self.initial.0, longest: self.max.0 }.after(failures)
    }
}
