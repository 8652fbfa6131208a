//! Takes a text apart by the named groups of a regular expression.

mod settings;

use flitch_sdk::parse::{Becomes, Kind, NOWHERE, Part, Policy, Reader, Sinks, Span, below};
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result, bail, err};
use regex::bytes::CaptureLocations;
pub use settings::{Preset, Settings};

/// The filter.
#[derive(Debug)]
pub struct Regex {
    /// Over bytes, so that the presets can do without Unicode classes; groups that do not begin
    /// and end at characters are refused row by row.
    regex: regex::bytes::Regex,
    /// Tried where the first one does not match; it has the same groups.
    second: Option<regex::bytes::Regex>,
    locations: CaptureLocations,
    /// The groups that become fields, and their numbers.
    parts: Vec<Part>,
    groups: Vec<usize>,
    spans: Vec<Span>,
    settings: settings::Rest,
    policy: Policy,
}

impl ColumnFilter for Regex {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let (pattern, types, rest, policy) = settings.take_apart()?;
        let compile = |pattern: &str| {
            regex::bytes::Regex::new(pattern).map_err(|error| err!("settings.pattern: {error}"))
        };
        let regex = compile(&pattern)?;
        let second = rest.second_pattern().map(|pattern| compile(&pattern)).transpose()?;
        let mut parts = Vec::new();
        let mut groups = Vec::new();
        for (group, name) in regex.capture_names().enumerate() {
            let Some(name) = name else { continue };
            let becomes = match types.get(name).map(String::as_str) {
                None => Becomes::Field(Kind::Text),
                Some("request") => Becomes::Request,
                Some(kind) => Becomes::Field(Kind::named(kind).ok_or_else(|| {
                    err!("settings.types.{name}: there is no type `{kind}`; there are text, int, float, bool and request")
                })?),
            };
            parts.push(Part { name: rest.field_name(name), becomes });
            groups.push(group);
        }
        if parts.is_empty() {
            bail!("settings.pattern: there is no named group; write (?<name>…)");
        }
        if let Some(name) =
            types.keys().find(|name| !regex.capture_names().flatten().any(|group| group == *name))
        {
            bail!("settings.types.{name}: the pattern has no group of this name");
        }
        let names: Vec<String> =
            parts.iter().flat_map(Part::names).map(|name| below(&rest.prefix, name)).collect();
        policy.check(names.iter().map(String::as_str))?;
        Part::check_names(&parts, &rest.prefix)?;
        Ok(Self {
            locations: regex.capture_locations(),
            regex,
            second,
            parts,
            groups,
            spans: Vec::new(),
            settings: rest,
            policy,
        })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.policy.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let sinks = Sinks::new(&self.parts, batch.len(), self.settings.dash);
        let policy = self.policy.clone();
        let mut reader = Texts { filter: self, sinks };
        policy.run(batch, changes, &mut reader);
        let Texts { filter, sinks } = reader;
        sinks.finish(&filter.parts, &filter.settings.prefix, changes);
        Ok(())
    }
}

/// The texts of one batch.
struct Texts<'a> {
    filter: &'a mut Regex,
    sinks: Sinks,
}

impl Reader for Texts<'_> {
    fn read(&mut self, _row: usize, data: &str, from: usize, to: usize) -> Result<(), String> {
        let Regex { regex, second, locations, groups, spans, parts, .. } = &mut *self.filter;
        let text = &data[from..to];
        let mut matches =
            |regex: &regex::bytes::Regex| regex.captures_read(locations, text.as_bytes()).is_some();
        if !matches(regex) && !second.as_ref().is_some_and(matches) {
            return Err("the text does not match the pattern".to_owned());
        }
        spans.clear();
        for group in groups.iter() {
            spans.push(match locations.get(*group) {
                Some((start, end)) if text.is_char_boundary(start) && text.is_char_boundary(end) => {
                    (start, end)
                }
                Some(_) => return Err("a group of the pattern ends within a character".to_owned()),
                None => NOWHERE,
            });
        }
        let pushed = self.sinks.push(text, spans);
        pushed.map_err(|wrong| wrong.describe(parts, text, spans))
    }

    fn skip(&mut self) {
        self.sinks.push_absent();
    }
}

flitch_sdk::export!(Regex);
