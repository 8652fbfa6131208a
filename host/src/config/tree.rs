//! YAML as a tree that knows where every key and value stands in the file.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Tag};

mod hint;

pub use hint::OTHER_FORM;

/// A stretch of the file's text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands; of what an alias brings, where its anchor stands.
    pub location: Location,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text, a number, a boolean or nothing.
    Scalar(Scalar),
    /// A list.
    Seq(Vec<Node>),
    /// Keys with values, in the order of the file; no key stands twice.
    Map(Vec<Entry>),
}

/// A scalar as it was written; what it means depends on who reads it.
#[derive(Clone)]
pub struct Scalar {
    /// The text, after YAML's escapes and after interpolation.
    pub text: String,
    /// Written without quotes, so that it may be a number, a boolean or nothing.
    pub plain: bool,
    /// Part of the text comes from outside the file and must not be shown.
    pub interpolated: bool,
    /// The parts that come from outside.
    pub pieces: Vec<String>,
    /// It stands where secrets do, and must not be shown.
    pub secret: bool,
}

impl Scalar {
    /// The text, if it must not be shown.
    pub fn hidden(&self) -> Option<&str> {
        (self.interpolated || self.secret).then_some(&self.text)
    }
}

impl std::fmt::Debug for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.hidden().is_some() { f.write_str("***") } else { self.text.fmt(f) }
    }
}

/// A key of a map and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_location: Location,
    /// It stands where secrets do, and must not be shown.
    pub secret: bool,
    /// The value.
    pub value: Node,
}

/// What is wrong with the YAML itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where.
    pub location: Location,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Most nodes that aliases may add: a file of a few lines could otherwise fill the memory.
const MOST_ALIASED: usize = 10_000;
/// Most lists and maps within each other: each is a call on the stack.
const DEEPEST: usize = 100;

impl Node {
    /// The value under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.value)
    }

    /// The entry of `key`, if this is a map that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }

    /// Lists and maps within each other.
    fn depth(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(_) => 0,
            Value::Seq(items) => items.iter().map(Node::depth).max().unwrap_or(0),
            Value::Map(entries) => entries.iter().map(|e| e.value.depth()).max().unwrap_or(0),
        }
    }

    /// Nodes in this tree, itself included.
    fn count(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(_) => 0,
            Value::Seq(items) => items.iter().map(Node::count).sum(),
            Value::Map(entries) => entries.iter().map(|e| e.value.count()).sum(),
        }
    }
}

/// Reads one YAML document. An empty one is an empty map.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    parse_all(text).map(|(root, _)| root)
}

/// The same, with the entries that stand in the file and are not in the tree: those of merged maps that another key
/// wins over.
pub fn parse_all(text: &str) -> Result<(Node, Vec<Entry>), SyntaxError> {
    let (parser, anchors) = (Parser::new_from_str(text), HashMap::new());
    let mut reader = TreeReader { text, parser, anchors, aliased: 0, depth: 0, dropped: Vec::new() };
    Ok((reader.document()?, reader.dropped))
}

/// Whether a text has more than `most` keys and values, lists and maps among them; it is read no further than that, and kept
/// nowhere.
pub fn is_larger(text: &str, most: usize) -> bool {
    let values = |event: &Event<'_>| {
        matches!(
            event,
            Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..)
        )
    };
    let events = Parser::new_from_str(text).map_while(Result::ok);
    events.filter(|(event, _)| values(event)).take(most + 1).count() > most
}

struct TreeReader<'t> {
    text: &'t str,
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    depth: usize,
    dropped: Vec<Entry>,
}

fn wrong<T>(location: Location, message: impl Into<String>, help: &str) -> Result<T, SyntaxError> {
    let help = (!help.is_empty()).then(|| help.to_owned());
    Err(SyntaxError { location, message: message.into(), help })
}

impl<'t> TreeReader<'t> {
    fn next(&mut self) -> Result<Option<(Event<'t>, Location)>, SyntaxError> {
        match self.parser.next() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                let range = span.byte_range().unwrap_or(0..0);
                Ok(Some((event, Location { start: range.start, end: range.end })))
            }
            Some(Err(error)) => {
                let start = error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len());
                let end = self.text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
                let help = hint::hint(self.text, start, &error.info()).unwrap_or_default();
                wrong(Location { start, end }, format!("this is not YAML: {}", error.info()), &help)
            }
        }
    }

    fn document(&mut self) -> Result<Node, SyntaxError> {
        let mut root = None;
        while let Some((event, location)) = self.next()? {
            match event {
                Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_) => {
                    if root.is_some() {
                        return wrong(
                            location,
                            "a second document begins here",
                            "write one document in one file",
                        );
                    }
                    root = Some(self.node(event, location)?);
                }
                _ => {}
            }
        }
        let root = root.unwrap_or(Node { location: Location::default(), value: Value::Map(Vec::new()) });
        match &root.value {
            Value::Scalar(scalar) if scalar.plain && matches!(scalar.text.as_str(), "" | "~") => {
                Ok(Node { value: Value::Map(Vec::new()), ..root })
            }
            _ => Ok(root),
        }
    }

    fn node(&mut self, event: Event<'t>, location: Location) -> Result<Node, SyntaxError> {
        if self.depth == DEEPEST {
            return wrong(location, format!("this is nested deeper than {DEEPEST}"), "write it flatter");
        }
        self.depth += 1;
        let node = self.node_here(event, location);
        self.depth -= 1;
        node
    }

    fn node_here(&mut self, event: Event<'t>, location: Location) -> Result<Node, SyntaxError> {
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !forced_text(tag.as_deref(), location)?;
                let scalar = Scalar {
                    text: text.into_owned(),
                    plain,
                    interpolated: false,
                    pieces: Vec::new(),
                    secret: false,
                };
                (anchor, Node { location: self.trim(location), value: Value::Scalar(scalar) })
            }
            Event::SequenceStart(_, anchor, tag) => {
                forced_text(tag.as_deref(), location)?;
                let mut items = Vec::new();
                let end = loop {
                    match self.next()? {
                        Some((Event::SequenceEnd, end)) => break end,
                        Some((event, location)) => items.push(self.node(event, location)?),
                        None => return wrong(location, "this list has no end", ""),
                    }
                };
                let location = Location { start: location.start, end: end.end.max(location.end) };
                (anchor, Node { location, value: Value::Seq(items) })
            }
            Event::MappingStart(_, anchor, tag) => {
                forced_text(tag.as_deref(), location)?;
                let (entries, end) = self.entries(location)?;
                let location = Location { start: location.start, end: end.end.max(location.end) };
                (anchor, Node { location, value: Value::Map(entries) })
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return wrong(location, "this alias stands inside the value that it names", "");
                };
                if self.depth + node.depth() > DEEPEST {
                    return wrong(
                        location,
                        format!("this is nested deeper than {DEEPEST}"),
                        "write it flatter",
                    );
                }
                self.aliased += node.count();
                if self.aliased > MOST_ALIASED {
                    let message = format!("aliases add more than {MOST_ALIASED} values to this file");
                    return wrong(location, message, "use fewer aliases of large values");
                }
                return Ok(node);
            }
            other => return wrong(location, format!("unexpected {other:?}"), ""),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// A block scalar's span reaches into the line after it.
    fn trim(&self, location: Location) -> Location {
        let text = self.text.get(location.start..location.end).unwrap_or_default();
        Location { start: location.start, end: location.start + text.trim_end().len() }
    }

    fn entries(&mut self, start: Location) -> Result<(Vec<Entry>, Location), SyntaxError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys: HashSet<String> = HashSet::new();
        let mut merged: Vec<Entry> = Vec::new();
        loop {
            let (key, key_location) = match self.next()? {
                Some((Event::MappingEnd, end)) => {
                    let lost = merged.extract_if(.., |m| keys.contains(&m.key));
                    self.dropped.extend(lost);
                    entries.append(&mut merged);
                    return Ok((entries, end));
                }
                Some((Event::Scalar(text, ..), location)) => (text.into_owned(), self.trim(location)),
                Some((_, location)) => {
                    return wrong(location, "this key is not text", "write a name as the key");
                }
                None => return wrong(start, "this map has no end", ""),
            };
            let Some((event, location)) = self.next()? else {
                return wrong(key_location, "this key has no value", "");
            };
            let mut value = self.node(event, location)?;
            if value.location.start >= value.location.end {
                // An empty value stands nowhere: show its key.
                value.location = key_location;
            }
            if key == "<<" {
                merge(&mut merged, &mut self.dropped, value, key_location)?;
                continue;
            }
            if !keys.insert(key.clone())
                && let Some(first) = entries.iter().find(|e| e.key == key)
            {
                let line = 1 + self.text[..first.key_location.start].matches('\n').count();
                let message = format!("the key `{key}` stands here a second time");
                return wrong(
                    key_location,
                    message,
                    &format!("it stands in line {line} already: keep one of them"),
                );
            }
            entries.push(Entry { key, key_location, secret: false, value });
        }
    }
}

/// Adds what a merge key (`<<: *common`, or a list of such) brings; what comes first wins.
fn merge(
    merged: &mut Vec<Entry>,
    dropped: &mut Vec<Entry>,
    value: Node,
    location: Location,
) -> Result<(), SyntaxError> {
    match value.value {
        Value::Map(entries) => {
            for entry in entries {
                let is_new = merged.iter().all(|m| m.key != entry.key);
                if is_new { &mut *merged } else { &mut *dropped }.push(entry);
            }
            Ok(())
        }
        Value::Seq(items) => items.into_iter().try_for_each(|item| match item.value {
            Value::Map(_) => merge(merged, dropped, item, location),
            _ => wrong(location, "`<<` merges maps, and this list holds something else", ""),
        }),
        Value::Scalar(_) => {
            wrong(location, "`<<` merges a map, and this is none", "name a map: `<<: *anchor`")
        }
    }
}

/// Whether a tag says that a scalar is text; tags of other sets are refused.
fn forced_text(tag: Option<&Tag>, location: Location) -> Result<bool, SyntaxError> {
    match tag {
        None => Ok(false),
        Some(tag) => match tag.core_suffix() {
            Some(suffix) => Ok(suffix == "str"),
            None => {
                let help = "leave the tag out, or put the text into quotes if it is to begin with `!`";
                wrong(
                    location,
                    "what begins with `!` is a tag in YAML, and this one means nothing here",
                    help,
                )
            }
        },
    }
}

#[cfg(test)]
mod tests;
