//! The settings of the filter, and the presets.

use flitch_sdk::Result;
pub use flitch_sdk::parse::Preset;
use flitch_sdk::parse::{Choice, Dash, OnMismatch, OnMissing, Policy};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The settings of `regex`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field that holds the text.
    pub field: String,
    /// A regular expression whose named groups, `(?<name>…)`, become fields.
    pub pattern: Option<String>,
    /// A pattern that is known by name.
    pub preset: Option<Preset>,
    /// The types of groups that are not text: `int`, `float`, `bool`, `request`.
    pub types: BTreeMap<String, String>,
    /// The path below which the fields are written; at the top if there is none.
    pub prefix: String,
    /// Whether the text stays in a record that matched.
    pub keep_source: bool,
    /// What becomes of a record whose text does not match.
    pub on_mismatch: OnMismatch,
    /// What becomes of a record without the text.
    pub on_missing: OnMissing,
    /// The field that says why a record that goes on did not match.
    pub error_field: Option<String>,
    /// What becomes of a field that is only `-`: `absent` in presets, `keep` in patterns.
    pub dash: Option<Dash>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            field: "message".to_owned(),
            pattern: None,
            preset: None,
            types: BTreeMap::new(),
            prefix: String::new(),
            keep_source: false,
            on_mismatch: OnMismatch::default(),
            on_missing: OnMissing::default(),
            error_field: None,
            dash: None,
        }
    }
}

/// The pattern of a preset. The delimiters are ASCII, so classes of bytes do; and at every byte there is one way to go on,
/// so that the groups are found in one pass.
pub(crate) fn pattern_of(preset: Preset) -> String {
    with_user(preset, "[^ ]*")
}

/// The pattern for the rare line whose user has spaces in the name, which takes two passes.
pub(crate) fn second_pattern_of(preset: Preset) -> String {
    with_user(preset, r"[^\[]*")
}

fn with_user(preset: Preset, user: &str) -> String {
    let identity = match preset {
        Preset::NginxCombined | Preset::NginxMain => "-",
        Preset::ApacheCombined | Preset::ApacheCommon => "(?<identity>[^ ]*)",
    };
    let quoted = match preset {
        Preset::NginxCombined | Preset::NginxMain => r#"[^"]*"#,
        Preset::ApacheCombined | Preset::ApacheCommon => r#"(?:[^"\\]|\\.)*"#,
    };
    let combined = format!(r#" "(?<referer>{quoted})" "(?<agent>{quoted})""#);
    let more = match preset {
        Preset::NginxCombined | Preset::ApacheCombined => combined,
        Preset::NginxMain => format!(r#"{combined} "(?<forwarded_for>{quoted})""#),
        Preset::ApacheCommon => String::new(),
    };
    format!(
        r#"(?s-u)\A(?<remote>[^ ]*) {identity} (?<user>{user}) \[(?<time>[^\]]*)\] "(?<request>{quoted})" (?<status>[0-9]+) (?<size>[0-9]+|-){more}\z"#
    )
}

/// What is left of the settings once the pattern is compiled.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    pub(crate) prefix: String,
    pub(crate) dash: Dash,
    preset: Option<Preset>,
}

impl Rest {
    /// A second pattern, with the same groups, for texts that the first one does not match.
    pub(crate) fn second_pattern(&self) -> Option<String> {
        self.preset.map(second_pattern_of)
    }

    /// The field of a group. Group names know no dots, so `a__b` stands for the path `a.b`.
    pub(crate) fn field_name(&self, group: &str) -> String {
        if self.preset.is_some() { group.to_owned() } else { group.replace("__", ".") }
    }
}

impl Settings {
    pub(crate) fn take_apart(self) -> Result<(String, BTreeMap<String, String>, Rest, Policy)> {
        let mut types = self.types;
        let choice = Choice::of(self.pattern, self.preset)?;
        let dash = self.dash.unwrap_or(choice.dash());
        let pattern = match choice {
            Choice::Pattern(pattern) => pattern,
            Choice::Preset(preset) => {
                for (name, kind) in [("request", "request"), ("status", "int"), ("size", "int")] {
                    types.entry(name.to_owned()).or_insert_with(|| kind.to_owned());
                }
                pattern_of(preset)
            }
        };
        let policy = Policy {
            field: self.field,
            keep_source: self.keep_source,
            on_mismatch: self.on_mismatch,
            on_missing: self.on_missing,
            error_field: self.error_field,
        };
        Ok((pattern, types, Rest { prefix: self.prefix, dash, preset: self.preset }, policy))
    }
}
