//! The settings of the filter.

use flitch_sdk::parse::{OnMismatch, OnMissing};
use serde::Deserialize;

/// The settings of `syslog`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field that holds the text.
    pub field: String,
    /// The form of the messages.
    pub format: Format,
    /// The zone of times that name none: `UTC`, an offset such as `+01:00`, or a name such as `Europe/Berlin`.
    pub time_zone: String,
    /// How facility and severity are written.
    pub codes: Codes,
    /// The field that gets the time; `@timestamp` is the event's own.
    pub target: String,
    /// The path below which the other fields are written; at the top if there is none.
    pub prefix: String,
    /// Whether the text stays in a record that was parsed.
    pub keep_source: bool,
    /// What becomes of a record whose text is no syslog message.
    pub on_mismatch: OnMismatch,
    /// What becomes of a record without the text.
    pub on_missing: OnMissing,
    /// The field that says why a record that goes on was not parsed.
    pub error_field: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            field: "message".to_owned(),
            format: Format::Auto,
            time_zone: "UTC".to_owned(),
            codes: Codes::Name,
            target: "@timestamp".to_owned(),
            prefix: String::new(),
            keep_source: false,
            on_mismatch: OnMismatch::default(),
            on_missing: OnMissing::default(),
            error_field: None,
        }
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
