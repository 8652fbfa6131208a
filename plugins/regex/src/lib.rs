//! Takes a text apart by the named groups of a regular expression.

mod direct;
mod matcher;
mod settings;

use flitch_sdk::parse::{Becomes, Found, Kind, NOWHERE, Part, Policy, Reader, Room, Sinks, below, foreign};
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result, bail, err};
use matcher::{Matcher, Places};
pub use settings::{Preset, Settings};

/// The filter.
#[derive(Debug)]
pub struct Regex {
    pattern: Matcher,
    /// Tried where the first one does not match; it has the same groups.
    second: Option<Matcher>,
    places: Places,
    /// The groups that become fields, and their numbers.
    parts: Vec<Part>,
    groups: Vec<usize>,
    room: Room,
    settings: settings::Rest,
    policy: Policy,
}

impl ColumnFilter for Regex {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let (pattern, types, rest, policy) = settings.take_apart()?;
        if let Some(why) = foreign(&pattern) {
            bail!("settings.pattern: {why}");
        }
        let compile =
            |pattern: &str| Matcher::new(pattern).map_err(|error| err!("settings.pattern: {error}"));
        let pattern = compile(&pattern)?;
        let second = rest.second_pattern().map(|pattern| compile(&pattern)).transpose()?;
        let mut parts = Vec::new();
        let mut groups = Vec::new();
        for (group, name) in pattern.names().enumerate() {
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
        if let Some(name) = types.keys().find(|name| !pattern.names().flatten().any(|group| group == *name)) {
            bail!("settings.types.{name}: the pattern has no group of this name");
        }
        let names: Vec<String> =
            parts.iter().flat_map(Part::names).map(|name| below(&rest.prefix, name)).collect();
        policy.check(names.iter().map(String::as_str))?;
        Part::check_names(&parts, &rest.prefix)?;
        Ok(Self {
            places: pattern.places(),
            pattern,
            second,
            parts,
            groups,
            room: Room::default(),
            settings: rest,
            policy,
        })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.policy.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let Self { pattern, second, places, parts, groups, room, settings, policy } = self;
        let sinks = Sinks::with_room(parts, batch, &policy.field, settings.dash, room);
        let mut reader = Texts { pattern, second: second.as_ref(), places, parts, groups, sinks };
        policy.run(batch, changes, &mut reader);
        *room = reader.sinks.finish(parts, &settings.prefix, changes);
        Ok(())
    }
}

/// The texts of one batch.
struct Texts<'a> {
    pattern: &'a Matcher,
    second: Option<&'a Matcher>,
    places: &'a mut Places,
    parts: &'a [Part],
    groups: &'a [usize],
    sinks: Sinks<'a>,
}

impl Reader for Texts<'_> {
    #[inline]
    fn read(&mut self, _row: usize, data: &str, from: usize, to: usize) -> Result<Found, String> {
        let Texts { pattern, second, places, parts, groups, sinks } = self;
        let mut matches = |pattern: &Matcher| pattern.find(data, from, to, places);
        if !matches(pattern) && !second.is_some_and(matches) {
            return Err("the text does not match the pattern".to_owned());
        }
        for (place, group) in sinks.row().iter_mut().zip(groups.iter()) {
            *place = match places.get(*group) {
                Some((start, end)) if data.is_char_boundary(start) && data.is_char_boundary(end) => {
                    (start, end)
                }
                Some(_) => return Err("a group of the pattern ends within a character".to_owned()),
                None => NOWHERE,
            };
        }
        let found = Found::at(sinks.row());
        let added = sinks.add(data);
        added.map_err(|wrong| wrong.describe(parts, data, sinks.row()))?;
        Ok(found)
    }

    fn skip(&mut self) {
        self.sinks.push_absent();
    }
}

flitch_sdk::export!(Regex);

#[cfg(test)]
mod tests;
