//! The settings of the filter.

use serde::Deserialize;

flitch_sdk::parser_settings! {
    /// The settings of `syslog`.
    pub struct Settings {
        field: "message", keep_source: false, on_mismatch: Reject;
        /// The form of the messages.
        pub format: Format = Format::Auto,
        /// The zone of times that name none: `UTC`, an offset such as `+01:00`, or a name such as `Europe/Berlin`.
        pub time_zone: String = "UTC".to_owned(),
        /// How facility and severity are written.
        pub codes: Codes = Codes::Name,
        /// The field that gets the time; `@timestamp` is the event's own.
        pub target: String = "@timestamp".to_owned(),
        /// The path below which the other fields are written; at the top if there is none.
        pub prefix: String = String::new(),
    }
}

/// The form of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Whichever a message has.
    Auto,
    /// That of RFC 5424.
    Rfc5424,
    /// Those of RFC 3164.
    Rfc3164,
}

/// How facility and severity are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codes {
    /// By their names.
    Name,
    /// By their numbers.
    Number,
}
