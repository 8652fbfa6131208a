//! The settings of the filter, with the names and defaults of Vector's transform `remap`.

use serde::Deserialize;

/// The settings of `vrl`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The program.
    pub source: String,
    /// The zone of times that name none: `UTC` or a name such as `Europe/Berlin`.
    pub timezone: String,
    /// Whether a record on which the program fails is dropped; otherwise it goes on as it came.
    pub drop_on_error: bool,
    /// Whether a record on which the program aborts is dropped; otherwise it goes on as it came.
    pub drop_on_abort: bool,
    /// Whether what is dropped is rejected instead, so that the host's `on_error` decides about it.
    pub reroute_dropped: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            source: String::new(),
            timezone: "UTC".to_owned(),
            drop_on_error: false,
            drop_on_abort: true,
            reroute_dropped: false,
        }
    }
}
