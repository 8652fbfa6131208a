//! Changes values of the file where they stand, and leaves all else as it is: comments, order, layout.
//!
//! Not everything can be changed so: what an anchor or a placeholder brings stands elsewhere. Who edits reads the new text
//! again, and looks whether it says what it should.

use flitch_core::exact::{self, exactly};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::de;
use super::tree::{Entry, Node, Value};
pub use list::{Fate, ListChange};
use yaml::{flow, map, quoted};

mod list;
mod members;
mod yaml;

/// Why a value cannot be changed where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed(pub &'static str);

const ANCHOR: Fixed = Fixed("it stands at an anchor (`&name`), and not here");
const OUTSIDE: Fixed = Fixed("a placeholder (`${...}`) stands for it");
const COMMENTS: Fixed = Fixed("comments stand between its entries");
const LAYOUT: Fixed = Fixed("it is laid out in a way that is not understood");

/// Changes to a text.
#[derive(Debug)]
pub struct Editor<'t> {
    text: &'t str,
    /// What is replaced, by its first byte and the one past its last, and what by.
    edits: Vec<(usize, usize, String)>,
}

impl<'t> Editor<'t> {
    /// Changes nothing yet.
    pub fn new(text: &'t str) -> Editor<'t> {
        Editor { text, edits: Vec::new() }
    }

    /// The text with all changes.
    pub fn done(mut self) -> String {
        self.edits.sort_by_key(|(start, ..)| *start);
        let mut text = String::with_capacity(self.text.len());
        let mut from = 0;
        for (start, end, with) in &self.edits {
            text.push_str(&self.text[from.min(*start)..*start]);
            text.push_str(with);
            from = from.max(*end);
        }
        text + &self.text[from..]
    }

    /// Replaces a stretch of the text.
    pub fn replace(&mut self, start: usize, end: usize, with: impl Into<String>) {
        self.edits.push((start, end, with.into()));
    }

    /// Makes a value another one, and touches the parts alone that differ.
    pub fn value(&mut self, node: &Node, new: &Json) -> Result<(), Fixed> {
        if is(node, new) {
            return Ok(());
        }
        match (&node.value, new) {
            (Value::Map(entries), Json::Object(members)) if self.members(node, entries, members)? => Ok(()),
            (Value::Seq(items), Json::Array(values)) if items.len() == values.len() => {
                self.is_here(node)?;
                items.iter().zip(values).try_for_each(|(item, value)| self.value(item, value))
            }
            _ => {
                let with = self.written(node, new)?;
                self.replace(node.location.start, self.end(node), with);
                Ok(())
            }
        }
    }

    /// A value in the place of a node.
    fn written(&self, node: &Node, new: &Json) -> Result<String, Fixed> {
        self.is_here(node)?;
        if has_outside(node) {
            return Err(OUTSIDE);
        }
        if !matches!(node.value, Value::Scalar(_)) {
            self.has_no_comment(node.location.start, self.end(node))?;
        }
        Ok(match (new, &node.value) {
            (Json::String(text), Value::Scalar(_))
                if self.text[node.location.start..].starts_with('"') && exact::number_of(text).is_none() =>
            {
                let text = exact::unmarked_text(text);
                quoted(&text.replace("${", "$${"))
            }
            // The fields that were there stay in their order.
            (Json::Object(members), Value::Map(entries)) => {
                let kept = entries.iter().filter_map(|entry| members.get_key_value(&entry.key));
                let is_new = |name: &String| entries.iter().all(|entry| entry.key != *name);
                map(kept.chain(members.iter().filter(|(name, _)| is_new(name))))
            }
            _ => flow(new),
        })
    }

    /// Whether all of a node stands at its place in the file, as it is.
    fn is_here(&self, node: &Node) -> Result<(), Fixed> {
        let start = node.location.start;
        let parts: Vec<usize> = match &node.value {
            Value::Scalar(scalar) => {
                let raw = self.text.get(start..node.location.end).unwrap_or_default();
                let is_one_line = raw.starts_with(['"', '\'']) || raw.replace("$${", "${") == scalar.text;
                return if is_one_line || scalar.interpolated { Ok(()) } else { Err(LAYOUT) };
            }
            Value::Seq(items) => {
                // Of two at one place one stands at the anchor of the other.
                let places: Vec<usize> = items.iter().map(|item| item.location.start).collect();
                if !places.is_sorted_by(|one, next| one < next) {
                    return Err(ANCHOR);
                }
                places
            }
            Value::Map(entries) => {
                entries.iter().flat_map(|e| [e.key_location.start, e.value.location.start]).collect()
            }
        };
        let begins_here = !self.text[start..].starts_with(['&', '!']);
        let in_order = parts.is_sorted() && parts.first().is_none_or(|first| *first >= start);
        if begins_here && in_order { Ok(()) } else { Err(ANCHOR) }
    }

    /// One past the last byte of a node. (The parser has a list or map without brackets end where the next begins.)
    fn end(&self, node: &Node) -> usize {
        let last = match &node.value {
            _ if self.text[node.location.start..].starts_with(['[', '{']) => None,
            Value::Scalar(_) => None,
            Value::Seq(items) => items.last().map(|item| self.end(item)),
            Value::Map(entries) => entries.last().map(|entry| self.end(&entry.value)),
        };
        last.unwrap_or(node.location.end)
    }

    /// Whether a stretch has no comment that would go with it. (What only looks like one counts, too.)
    fn has_no_comment(&self, start: usize, end: usize) -> Result<(), Fixed> {
        let text = self.text.get(start..end).ok_or(ANCHOR)?;
        let is_comment = |(place, _): (usize, &str)| text[..place].ends_with([' ', '\t', '\n']) || place == 0;
        if text.match_indices('#').any(is_comment) { Err(COMMENTS) } else { Ok(()) }
    }

    /// The place behind the colon of an entry.
    fn after_colon(&self, entry: &Entry) -> Result<usize, Fixed> {
        let end = entry.key_location.end;
        let between = self.text.get(end..entry.value.location.start).ok_or(ANCHOR)?;
        let colon = between.find(':').filter(|_| !between.contains('#')).ok_or(LAYOUT)?;
        Ok(end + colon + 1)
    }

    /// Where the line begins with the dash of an entry, and what stands before it there.
    fn dash(&self, item: &Node) -> Result<(usize, &'t str), Fixed> {
        let before = self.text[..item.location.start].trim_end();
        let dash = before.strip_suffix('-').ok_or(LAYOUT)?.len();
        let indent = self.indent(dash).ok_or(LAYOUT)?;
        Ok((dash - indent.len(), indent))
    }

    /// What stands before a place in its line, if that is nothing but spaces.
    fn indent(&self, place: usize) -> Option<&'t str> {
        let before = &self.text[self.line_start(place)..place];
        before.bytes().all(|byte| byte == b' ').then_some(before)
    }

    fn line_start(&self, place: usize) -> usize {
        self.text[..place].rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn line_end(&self, place: usize) -> usize {
        self.text[place..].find('\n').map_or(self.text.len(), |newline| place + newline)
    }
}

/// A value of which nothing is lost.
struct Exact(Json);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Exact, D::Error> {
        exactly(d).map(Exact)
    }
}

/// Whether a node is this value.
fn is(node: &Node, value: &Json) -> bool {
    de::read::<Exact>(node).value.is_ok_and(|Exact(is)| is == *value)
}

/// Whether the value stands at this entry: an alias stands before its key, and an empty value nowhere.
fn own_value(entry: &Entry) -> Result<(), Fixed> {
    if entry.value.location.start > entry.key_location.start { Ok(()) } else { Err(ANCHOR) }
}

/// Whether anything in a node comes from outside the file.
fn has_outside(node: &Node) -> bool {
    match &node.value {
        Value::Scalar(scalar) => scalar.interpolated,
        Value::Seq(items) => items.iter().any(has_outside),
        Value::Map(entries) => entries.iter().any(|entry| has_outside(&entry.value)),
    }
}

#[cfg(test)]
mod tests;
