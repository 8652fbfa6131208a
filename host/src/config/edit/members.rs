//! Maps, of which members come and go.

use serde_json::{Map, Value as Json};

use super::super::tree::{Entry, Node, Value};
use super::yaml::{flow, scalar};
use super::{COMMENTS, Editor, Fixed, LAYOUT, own_value};

impl Editor<'_> {
    /// Makes a map have these members, line by line where it is written in lines. Answers false where nothing of it stays,
    /// and where members of one in braces come or go.
    pub(super) fn members(
        &mut self,
        map: &Node,
        entries: &[Entry],
        members: &Map<String, Json>,
    ) -> Result<bool, Fixed> {
        self.is_here(map)?;
        let stays = |entry: &&Entry| members.contains_key(&entry.key);
        let new: Vec<_> =
            members.iter().filter(|(name, _)| entries.iter().all(|entry| entry.key != **name)).collect();
        let is_same = new.is_empty() && entries.iter().all(|entry| members.contains_key(&entry.key));
        let Some(last) = entries.iter().rfind(stays) else { return Ok(is_same) };
        if !is_same && self.text[map.location.start..].starts_with('{') {
            return Ok(false);
        }
        for (place, entry) in entries.iter().enumerate() {
            match members.get(&entry.key) {
                Some(value) if super::is(&entry.value, value) => {}
                Some(value) => {
                    own_value(entry)?;
                    self.value(&entry.value, value)?;
                }
                None => self.remove(entry, entries[place + 1..].iter().find(stays))?,
            }
        }
        if !new.is_empty() {
            let start = last.key_location.start;
            let indent = " ".repeat(start - self.line_start(start));
            let lines: String = new
                .iter()
                .map(|(name, value)| format!("\n{indent}{}: {}", scalar(name), flow(value)))
                .collect();
            let place = self.line_end(self.end_of(last));
            self.replace(place, place, lines);
        }
        Ok(true)
    }

    /// Takes an entry out of a map that is written in lines; `next` is the one behind it that stays.
    fn remove(&mut self, entry: &Entry, next: Option<&Entry>) -> Result<(), Fixed> {
        let start = entry.key_location.start;
        if let Some(indent) = self.indent(start) {
            let end = (self.line_end(self.end_of(entry)) + 1).min(self.text.len());
            self.replace(start - indent.len(), end, "");
            return Ok(());
        }
        // It stands behind the dash of a list: the next one takes its place.
        let next = next.ok_or(LAYOUT)?.key_location.start;
        let lines = self.text.get(self.line_end(self.end_of(entry))..next).ok_or(LAYOUT)?;
        if lines.contains('#') {
            return Err(COMMENTS);
        }
        self.replace(start, next, "");
        Ok(())
    }

    /// One past the last byte of an entry.
    fn end_of(&self, entry: &Entry) -> usize {
        entry.key_location.end.max(if own_value(entry).is_ok() { self.end(&entry.value) } else { 0 })
    }

    /// Adds a list under a new key of a map.
    pub fn add(&mut self, map: &Node, key: &str, list: &[Json]) -> Result<(), Fixed> {
        let Value::Map(entries) = &map.value else { return Err(LAYOUT) };
        self.is_here(map)?;
        let own = entries.iter().filter(|entry| entry.key_location.start >= map.location.start);
        let last = own.max_by_key(|entry| entry.key_location.start).ok_or(LAYOUT)?;
        let end = last.key_location.end.max(self.end(&last.value));
        if self.text[map.location.start..].starts_with('{') {
            let all: Vec<String> = list.iter().map(flow).collect();
            self.replace(end, end, format!(", {key}: [{}]", all.join(", ")));
        } else {
            let indent = self.indent(last.key_location.start).ok_or(LAYOUT)?;
            let lines: String = list.iter().map(|new| format!("\n{indent}  - {}", flow(new))).collect();
            let place = self.line_end(end);
            self.replace(place, place, format!("\n{indent}{key}:{lines}"));
        }
        Ok(())
    }
}
