//! Takes a text apart at its delimiters, a whole column at a time.

mod pattern;
mod scan;
mod sinks;

use flitch_sdk::parse::{OnMismatch, OnMissing, Policy, Rows, Source};
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result, View, bail};
use pattern::{Mismatch, Pattern, Span};
use serde::Deserialize;
use sinks::Sinks;

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

/// What becomes of a field that is only `-`, as servers write what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dash {
    /// The record lacks the field.
    Absent,
    /// It stays as it is.
    Keep,
}

/// Patterns known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// nginx's `combined`, which is its default.
    NginxCombined,
    /// Apache's `combined`.
    ApacheCombined,
    /// Apache's `common`.
    ApacheCommon,
}

impl Preset {
    /// The pattern.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::NginxCombined => {
                r#"%{remote} - %{user} [%{time}] "%{request:request}" %{status:int} %{size:int} "%{referer}" "%{agent}""#
            }
            Self::ApacheCombined => {
                r#"%{remote} %{identity} %{user} [%{time}] "%{request:request}" %{status:int} %{size:int} "%{referer}" "%{agent}""#
            }
            Self::ApacheCommon => {
                r#"%{remote} %{identity} %{user} [%{time}] "%{request:request}" %{status:int} %{size:int}"#
            }
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
    spans: Vec<Span>,
}

impl ColumnFilter for Dissect {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let (text, dash) = match (&settings.pattern, settings.preset) {
            (Some(pattern), None) => (pattern.as_str(), Dash::Keep),
            (None, Some(preset)) => (preset.pattern(), Dash::Absent),
            (None, None) => bail!("settings: `pattern` or `preset` is missing"),
            (Some(_), Some(_)) => bail!("settings: `pattern` and `preset` exclude each other"),
        };
        let pattern = Pattern::new(text).map_err(|error| error.at("settings.pattern"))?;
        Ok(Self {
            spans: Vec::with_capacity(pattern.parts.len()),
            pattern,
            prefix: settings.prefix,
            dash: settings.dash.unwrap_or(dash),
            policy: Policy {
                field: settings.field,
                keep_source: settings.keep_source,
                on_mismatch: settings.on_mismatch,
                on_missing: settings.on_missing,
                error_field: settings.error_field,
            },
        })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.policy.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let batch = Pass {
            pattern: &self.pattern,
            spans: &mut self.spans,
            sinks: Sinks::new(&self.pattern, batch.len(), self.dash),
            rows: Rows::new(&self.policy),
            changes,
            number: 0,
        }
        .over(batch, &self.policy.field);
        batch.rows.finish(batch.changes);
        batch.sinks.finish(&self.pattern, &self.prefix, batch.changes);
        Ok(())
    }
}

/// One pass over a batch.
struct Pass<'a> {
    pattern: &'a Pattern,
    spans: &'a mut Vec<Span>,
    sinks: Sinks,
    rows: Rows<'a>,
    changes: &'a mut Changes,
    /// The row that comes next.
    number: usize,
}

impl Pass<'_> {
    fn over(mut self, batch: &Batch, field: &str) -> Self {
        match batch.column(field).map(flitch_sdk::Column::view) {
            Some(View::Text(column)) => {
                let mut start = 0;
                for (row, end) in column.ends().iter().enumerate() {
                    let end = *end as usize;
                    if column.is_present(row) {
                        self.text(column.data(), start, end);
                    } else {
                        self.missing();
                    }
                    start = end;
                }
            }
            Some(view) => {
                for row in 0..batch.len() {
                    match Source::of(&view, row) {
                        Source::Absent => self.missing(),
                        Source::Text(text) => self.text(&text, 0, text.len()),
                        Source::Other(what) => self.mismatched(format!("the field `{field}` is {what}")),
                    }
                }
            }
            None => (0..batch.len()).for_each(|_| self.missing()),
        }
        self
    }

    #[inline]
    fn text(&mut self, data: &str, from: usize, to: usize) {
        match self.pattern.split(data.as_bytes(), from, to, self.spans) {
            Ok(()) => match self.sinks.push(data, self.spans) {
                Ok(()) => {
                    self.rows.matched();
                    self.number += 1;
                }
                Err(part) => {
                    let (from, to) = self.spans[part];
                    self.wrong_type(part, &data[from..to]);
                }
            },
            Err(mismatch) => self.no_match(mismatch),
        }
    }

    #[cold]
    fn wrong_type(&mut self, part: usize, text: &str) {
        let part = &self.pattern.parts[part];
        let pattern::Becomes::Column(kind) = part.becomes else { return };
        let excerpt = flitch_sdk::parse::excerpt(text);
        self.mismatched(format!("`{}` is {excerpt}, which is no {kind}", part.name));
    }

    #[cold]
    fn no_match(&mut self, mismatch: Mismatch) {
        self.mismatched(self.pattern.describe(mismatch));
    }

    #[cold]
    fn mismatched(&mut self, reason: String) {
        if self.rows.mismatched(self.changes, self.number, reason) {
            self.sinks.push_absent();
        }
        self.number += 1;
    }

    #[cold]
    fn missing(&mut self) {
        if self.rows.missing(self.changes, self.number) {
            self.sinks.push_absent();
        }
        self.number += 1;
    }
}

flitch_sdk::export!(Dissect);
