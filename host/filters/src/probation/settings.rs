//! The settings of a probation.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::units::{Span, or_zero};

/// How long a new generation of the filter is measured against the one before, and what it may be worse by: beyond that
/// the old one returns by itself, and runs again what the new one rejected.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ProbationSettings {
    /// How long it lasts; `0s` for none.
    #[serde(deserialize_with = "or_zero")]
    pub r#for: Span,
    /// How many more of the records, as a fraction, it may not survive: trap over, spin on, answer nonsense to. Three are
    /// nobody's doing.
    #[schemars(range(min = 0, max = 1))]
    pub faults: f64,
    /// How many more of the records, as a fraction, it may reject: with `0.05` and a tenth rejected before, 15 of 100. Nine
    /// are nobody's doing.
    #[schemars(range(min = 0, max = 1))]
    pub rejected: f64,
    /// How many times as much time of the processor it may take for a record, compared over batches of about the same size.
    #[schemars(range(min = 1))]
    pub time: f64,
}

impl Default for ProbationSettings {
    fn default() -> Self {
        ProbationSettings { r#for: Span(Duration::from_secs(60)), faults: 0.001, rejected: 0.05, time: 3.0 }
    }
}

#[cfg(test)]
mod tests;
