//! The settings of the filter.

use flitch_sdk::parse::Names;
use std::collections::BTreeMap;

flitch_sdk::parser_settings! {
    /// The settings of `grok`.
    pub struct Settings {
        field: "message", keep_source: false, on_mismatch: Reject;
        /// A pattern, or several that are tried in order.
        pub pattern: Names = Names::default(),
        /// Definitions by name.
        pub definitions: BTreeMap<String, String> = BTreeMap::new(),
        /// Types by field, for those that the patterns give none.
        pub types: BTreeMap<String, String> = BTreeMap::new(),
        /// The path below which the fields are written; at the top if there is none.
        pub prefix: String = String::new(),
    }
}
