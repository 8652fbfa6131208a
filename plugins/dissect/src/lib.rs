//! Takes a text apart at its delimiters, a whole column at a time.

mod pattern;

pub use flitch_sdk::parse::Preset;
use flitch_sdk::parse::{
    Choice, Dash, Found, OnMismatch, OnMissing, Part, Policy, Reader, Room, Sinks, below,
};
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result};
use pattern::Pattern;
use serde::Deserialize;

/// The settings of `dissect`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field that holds the text.
    pub field: String,
    /// Fields and the delimiters between them, as in `%{host} [%{time}] %{status:int}`.
    pub pattern: Option<String>,
    /// A pattern that is known by name.
    pub preset: Option<Preset>,
    /// The path below which the fields are written; at the top if there is none.
    pub prefix: String,
    /// Whether the text stays in a record that was taken apart.
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
            prefix: String::new(),
            keep_source: false,
            on_mismatch: OnMismatch::default(),
            on_missing: OnMissing::default(),
            error_field: None,
            dash: None,
        }
    }
}

/// The pattern of a preset.
fn pattern_of(preset: Preset) -> &'static str {
    match preset {
        Preset::NginxCombined => {
            r#"%{remote} - %{user} [%{time}] "%{request:request}" %{status:int} %{size:int} "%{referer}" "%{agent}""#
        }
        Preset::NginxMain => {
            r#"%{remote} - %{user} [%{time}] "%{request:request}" %{status:int} %{size:int} "%{referer}" "%{agent}" "%{forwarded_for}""#
        }
        Preset::ApacheCombined => {
            r#"%{remote} %{identity} %{user} [%{time}] "%{request:request}" %{status:int} %{size:int} "%{referer}" "%{agent}""#
        }
        Preset::ApacheCommon => {
            r#"%{remote} %{identity} %{user} [%{time}] "%{request:request}" %{status:int} %{size:int}"#
        }
    }
}

/// The filter.
#[derive(Debug)]
pub struct Dissect {
    pattern: Pattern,
    prefix: String,
    dash: Dash,
    policy: Policy,
    room: Room,
}

impl ColumnFilter for Dissect {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let choice = Choice::of(settings.pattern, settings.preset)?;
        let text = match &choice {
            Choice::Pattern(pattern) => pattern,
            Choice::Preset(preset) => pattern_of(*preset),
        };
        let pattern = Pattern::new(text).map_err(|error| error.at("settings.pattern"))?;
        let policy = Policy {
            field: settings.field,
            keep_source: settings.keep_source,
            on_mismatch: settings.on_mismatch,
            on_missing: settings.on_missing,
            error_field: settings.error_field,
        };
        let names: Vec<String> =
            pattern.parts.iter().flat_map(Part::names).map(|name| below(&settings.prefix, name)).collect();
        policy.check(names.iter().map(String::as_str))?;
        Part::check_names(&pattern.parts, &settings.prefix)?;
        Ok(Self {
            pattern,
            prefix: settings.prefix,
            dash: settings.dash.unwrap_or(choice.dash()),
            policy,
            room: Room::default(),
        })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.policy.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let parts = &self.pattern.parts;
        let sinks = Sinks::with_room(parts, batch, &self.policy.field, self.dash, &self.room);
        let mut reader = Lines { pattern: &self.pattern, sinks };
        self.policy.run(batch, changes, &mut reader);
        self.room = reader.sinks.finish(parts, &self.prefix, changes);
        Ok(())
    }
}

/// The lines of one batch.
struct Lines<'a> {
    pattern: &'a Pattern,
    sinks: Sinks<'a>,
}

impl Reader for Lines<'_> {
    #[inline]
    fn read(&mut self, _row: usize, data: &str, from: usize, to: usize) -> Result<Found, String> {
        let split = self.pattern.split(data.as_bytes(), from, to, self.sinks.row());
        split.map_err(|mismatch| self.pattern.describe(mismatch))?;
        let added = self.sinks.add(data);
        added.map_err(|wrong| wrong.describe(&self.pattern.parts, data, self.sinks.row()))?;
        Ok(Found::Something)
    }

    fn skip(&mut self) {
        self.sinks.push_absent();
    }
}

flitch_sdk::export!(Dissect);

#[cfg(test)]
mod tests;
