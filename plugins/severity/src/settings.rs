//! The settings of the filter.

use crate::level::{Level, Numbers};
use flitch_sdk::Value;
use flitch_sdk::parse::{Names, OnMismatch, OnMissing};
use serde::Deserialize;

/// The settings of `severity`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field that holds the severity, or several; the first that a record has decides.
    pub field: Names,
    /// Whose numbers there are.
    pub numbers: Option<Numbers>,
    /// The field that gets the level.
    pub target: String,
    /// How it is written.
    pub format: Format,
    /// Records of a lower level are dropped.
    pub drop_below: Option<Level>,
    /// The level of a record that has none.
    pub default: Option<Level>,
    /// Whether the field stays in a record whose severity was read.
    pub keep_source: bool,
    /// What becomes of a record whose value is no severity.
    pub on_mismatch: OnMismatch,
    /// What becomes of a record with none of the fields.
    pub on_missing: OnMissing,
    /// The field that says why the severity of a record that goes on was not read.
    pub error_field: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            field: ["level", "severity", "lvl", "loglevel", "log_level", "levelname"].into(),
            numbers: None,
            target: "severity".to_owned(),
            format: Format::Level,
            drop_below: None,
            default: None,
            keep_source: false,
            on_mismatch: OnMismatch::Pass,
            on_missing: OnMissing::Pass,
            error_field: None,
        }
    }
}

/// How a level is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// By its name.
    Level,
    /// By its name among the six of OpenTelemetry.
    Otel,
    /// By its number in OpenTelemetry.
    OtelNumber,
    /// By its name in syslog.
    Syslog,
    /// By its number in syslog.
    SyslogNumber,
}

impl Format {
    /// Whether it is text.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Level | Self::Otel | Self::Syslog)
    }

    /// A level in this format.
    pub fn value(self, level: Level) -> Value<'static> {
        match self {
            Self::Level => Value::Text(level.name()),
            Self::Otel => Value::Text(level.otel()),
            Self::OtelNumber => Value::Int64(level.otel_number()),
            Self::Syslog => Value::Text(level.syslog()),
            Self::SyslogNumber => Value::Int64(level.syslog_number()),
        }
    }
}
