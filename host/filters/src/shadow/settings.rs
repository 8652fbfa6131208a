//! Which plugin runs beside a filter, on how much.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::guest::LimitSettings;
use crate::settings::FilterSettings;
use flitch_core::setting::wrong;

/// Most examples that a report may have.
pub const MAX_EXAMPLES: usize = 100;

/// A plugin that is tried beside a filter: it is given some of the same batches, and what it answers is compared and thrown
/// away. It costs processor time that nobody else wants, and the memory of one instance.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ShadowSettings {
    /// The plugin, as the filter's own: a stock plugin's name, or the path of a component.
    pub plugin: String,
    /// What it is told; without them, what the filter's own plugin is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub settings: Option<serde_json::Value>,
    /// Which part of the batches it is given, above 0 and up to 1.
    #[serde(default = "rate")]
    pub rate: f64,
    /// What its instance may use; without them, what an instance of the filter may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitSettings>,
    /// How many differences are shown with their values, 100 at most. Whoever reaches the admin listener reads them, and
    /// with them parts of records.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub examples: usize,
}

fn rate() -> f64 {
    0.1
}

impl ShadowSettings {
    /// What the shadow of `filter` is made of.
    ///
    /// # Errors
    /// A setting that is out of its range.
    pub fn filter(&self, filter: &FilterSettings) -> anyhow::Result<FilterSettings> {
        if !(self.rate > 0.0 && self.rate <= 1.0) {
            anyhow::bail!(wrong!("rate", ": {} is not above 0 and up to 1", self.rate));
        }
        if self.examples > MAX_EXAMPLES {
            anyhow::bail!(wrong!("examples", ": {} is more than {MAX_EXAMPLES}", self.examples));
        }
        Ok(FilterSettings {
            plugin: self.plugin.clone(),
            settings: self.settings.clone().unwrap_or_else(|| filter.settings.clone()),
            limits: self.limits.unwrap_or(filter.limits),
            shadow: None,
            ..filter.clone()
        })
    }
}
