//! The settings of the filter, with the names and defaults of Fluent Bit's.

use flitch_sdk::parse::Names;
use serde::Deserialize;

/// The settings of `lua`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The script.
    pub code: String,
    /// The function that is called for each record.
    pub call: String,
    /// Members whose numbers become whole, whatever the script made of them; names, or several in one text.
    pub type_int_key: Names,
    /// Members whose empty tables are arrays; names, or several in one text.
    pub type_array_key: Names,
    /// Whether a record on which the function fails goes on as it came; otherwise it is rejected.
    pub protected_mode: bool,
    /// Whether the function gets the time as a table of seconds and nanoseconds.
    pub time_as_table: bool,
    /// Whether the function sees null, as `flb_null`; otherwise such a member is not there.
    pub enable_flb_null: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            code: String::new(),
            call: String::new(),
            type_int_key: Names::default(),
            type_array_key: Names::default(),
            protected_mode: true,
            time_as_table: false,
            enable_flb_null: false,
        }
    }
}

/// The names, each by itself.
pub fn words(names: &Names) -> Vec<String> {
    names.0.iter().flat_map(|names| names.split_ascii_whitespace()).map(str::to_owned).collect()
}
