//! Takes a text apart by patterns with names.

mod expand;
mod library;
mod ruby;
mod settings;

use expand::{Definitions, type_of};
use flitch_sdk::parse::{Becomes, Dash, Found, Kind, NOWHERE, Part, Policy, Reader, Sinks, below};
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result, bail, err};
use regex::{CaptureLocations, Regex, RegexBuilder};
pub use settings::Settings;

/// Most bytes of a compiled pattern.
const MAX_COMPILED: usize = 16 << 20;

/// The filter.
#[derive(Debug)]
pub struct Grok {
    patterns: Vec<Pattern>,
    /// The fields of all patterns.
    parts: Vec<Part>,
    prefix: String,
    policy: Policy,
}

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    locations: CaptureLocations,
    /// The groups that become fields, each with the number of its part.
    groups: Vec<(usize, usize)>,
}

impl ColumnFilter for Grok {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        if settings.pattern.0.is_empty() {
            bail!("settings: `pattern` is missing");
        }
        let policy = settings.policy();
        let definitions = Definitions::new(settings.definitions);
        let mut parts = Vec::new();
        let mut patterns = Vec::new();
        for (number, text) in settings.pattern.0.iter().enumerate() {
            let pattern = Pattern::new(text, &definitions, &settings.types, &mut parts);
            patterns.push(pattern.map_err(|error| error.at(format_args!("settings.pattern[{number}]")))?);
        }
        if let Some(name) = settings.types.keys().find(|name| !parts.iter().any(|part| part.name == **name)) {
            bail!("settings.types.{name}: no pattern has a field of this name");
        }
        let names: Vec<String> = parts.iter().map(|part| below(&settings.prefix, &part.name)).collect();
        policy.check(names.iter().map(String::as_str))?;
        Part::check_names(&parts, &settings.prefix)?;
        Ok(Self { patterns, parts, prefix: settings.prefix, policy })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.policy.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let sinks = Sinks::new(&self.parts, batch, &self.policy.field, Dash::Keep);
        let policy = self.policy.clone();
        let mut reader = Texts { filter: self, sinks };
        policy.run(batch, changes, &mut reader);
        let Texts { filter, sinks } = reader;
        sinks.finish(&filter.parts, &filter.prefix, changes);
        Ok(())
    }
}

impl Pattern {
    /// Compiles a pattern, and adds the fields that it brings to `parts`.
    fn new(
        text: &str,
        definitions: &Definitions,
        types: &std::collections::BTreeMap<String, String>,
        parts: &mut Vec<Part>,
    ) -> Result<Self> {
        let expanded = definitions.expand(text)?;
        let regex = RegexBuilder::new(&expanded.regex).size_limit(MAX_COMPILED).build();
        let regex = regex.map_err(|error| err!("{}", told(&error)))?;
        let mut groups = Vec::new();
        for (group, name) in regex.capture_names().enumerate() {
            let Some(name) = name else { continue };
            let (name, kind) = expanded.field(name);
            let kind = match (kind, types.get(&name)) {
                (Some(kind), _) => kind,
                (None, Some(kind)) => type_of(&name, kind)?,
                (None, None) => Kind::Text,
            };
            let becomes = Becomes::Field(kind);
            let part = match parts.iter().position(|part| part.name == name) {
                Some(part) if parts[part].becomes != becomes => bail!("the field `{name}` has two types"),
                Some(part) => part,
                None => {
                    parts.push(Part { name, becomes });
                    parts.len() - 1
                }
            };
            groups.push((group, part));
        }
        if groups.is_empty() {
            bail!("it has no field; write %{{NAME:field}}");
        }
        Ok(Self { locations: regex.capture_locations(), regex, groups })
    }
}

/// What is wrong with an expanded pattern, which the operator has not written, and with which part of it.
fn told(error: &regex::Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    let reason = lines.last().copied().unwrap_or_default().trim_start_matches("error: ");
    let [_, pattern, marks, _] = lines[..] else { return reason.to_owned() };
    let start = marks.chars().take_while(|mark| *mark != '^').count();
    let part: String = pattern.chars().skip(start).take(marks.chars().count() - start).collect();
    // One sign alone does not say where it is.
    if part.len() < 2 { reason.to_owned() } else { format!("`{part}`: {reason}") }
}

/// The texts of one batch.
struct Texts<'a> {
    filter: &'a mut Grok,
    sinks: Sinks<'a>,
}

impl Reader for Texts<'_> {
    fn read(&mut self, _row: usize, data: &str, from: usize, to: usize) -> Result<Found, String> {
        let Grok { patterns, parts, .. } = &mut *self.filter;
        let text = &data[from..to];
        let count = patterns.len();
        let matching = patterns
            .iter_mut()
            .find_map(|one| one.regex.captures_read(&mut one.locations, text).is_some().then_some(one));
        let Some(Pattern { locations, groups, .. }) = matching else {
            return Err(match count {
                1 => "the text does not match the pattern".to_owned(),
                count => format!("the text matches none of the {count} patterns"),
            });
        };
        let row = self.sinks.row();
        row.fill(NOWHERE);
        for (group, part) in groups {
            if row[*part] == NOWHERE
                && let Some(span) = locations.get(*group)
            {
                row[*part] = span;
            }
        }
        let found = Found::at(row);
        let added = self.sinks.add(text);
        added.map_err(|wrong| wrong.describe(parts, text, self.sinks.row()))?;
        Ok(found)
    }

    fn skip(&mut self) {
        self.sinks.push_absent();
    }
}

flitch_sdk::export!(Grok);

#[cfg(test)]
mod tests;
