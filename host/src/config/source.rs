//! The configuration file as text and tree: reads it, keeps the places, and hides what is secret.

use std::path::Path;
use std::sync::Arc;

use miette::NamedSource;
use serde::Deserialize;

use super::de::{self, ReadError};
use super::interpolate::{Outside, interpolate};
use super::report::{ConfigError, Problem};
use super::tree::{self, Location, Node, Scalar, SyntaxError, Value};

/// Shorter values from outside the file are not searched for in messages: `1` is in every second one.
const SHORTEST_HIDDEN: usize = 4;

/// Parts of key names whose values are never shown.
const SECRET_KEYS: [&str; 9] = [
    "passw",
    "secret",
    "token",
    "connection_string",
    "connectionstring",
    "shared_key",
    "access_key",
    "account_key",
    "credential",
];

/// A configuration file that was read.
pub struct SourceFile {
    /// The text for reports, secrets blackened.
    shown: Arc<NamedSource<String>>,
    tree: Node,
    /// Values that must not be shown, the longest first.
    secrets: Vec<String>,
}

impl std::fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SourceFile({})", self.shown.name())
    }
}

impl SourceFile {
    /// Reads YAML and replaces the placeholders. `name` is how reports call the file.
    pub fn parse(name: &str, text: &str, outside: &Outside<'_>) -> Result<SourceFile, ConfigError> {
        let shown = |text: String| Arc::new(NamedSource::new(name, text));
        let mut tree = tree::parse(text).map_err(|error| {
            // Without a tree nobody knows what is secret: show the line up to the error, of its keys.
            problem(&shown(blacken_lines(text)), error)
        })?;
        if let Value::Map(entries) = &mut tree.value {
            entries.retain(|entry| !entry.key.starts_with("x-"));
        }
        let mut places = Vec::new();
        named_secrets(&tree, &mut places);
        let wrong = interpolate(&mut tree, text, outside);
        let shown = shown(blacken(text, &places));
        if !wrong.is_empty() {
            return Err(ConfigError { problems: wrong.into_iter().map(|e| problem(&shown, e)).collect() });
        }
        let mut file = SourceFile { shown, tree, secrets: Vec::new() };
        file.keep_secret(&places);
        Ok(file)
    }

    /// Reads the tree as a `T`. What it says is secret is hidden in all later reports.
    pub fn read<T: for<'t> Deserialize<'t>>(&mut self) -> Result<T, ConfigError> {
        let reading = de::read::<T>(&self.tree);
        let (value, places) = (reading.value, reading.secrets);
        self.shown = Arc::new(NamedSource::new(self.shown.name(), blacken(self.shown.inner(), &places)));
        self.keep_secret(&places);
        value.map_err(|mut errors| {
            errors.sort_by_key(|error| error.location);
            let problem = |e: ReadError| self.at_location(Some(e.location), e.message).help(e.help);
            ConfigError { problems: errors.into_iter().map(problem).collect() }
        })
    }

    fn keep_secret(&mut self, places: &[Location]) {
        collect_secrets(&self.tree, places, &mut self.secrets);
        self.secrets.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.secrets.dedup();
    }

    /// `text` without the secrets of this file.
    pub fn hide(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| de::hide(&text, secret))
    }

    /// The place of a path such as `pipelines.clicks.to[0].output`: of its value if that is a scalar, else of its
    /// key. Of a path that the file does not hold, the place of the longest part that it holds.
    pub fn locate(&self, path: &str) -> Option<Location> {
        let mut node = &self.tree;
        let mut place = None;
        let mut rest = path;
        while !rest.is_empty() {
            let Some((next, location, after)) = step(node, rest) else { break };
            place = Some(location);
            node = next;
            rest = after;
        }
        place
    }

    /// The place of the key at a path, where [`SourceFile::locate`] has that of its value.
    pub fn locate_key(&self, path: &str) -> Option<Location> {
        let (map, key) = path.rsplit_once('.').unwrap_or(("", path));
        let mut node = &self.tree;
        let mut rest = map;
        while !rest.is_empty() {
            let (next, _, after) = step(node, rest)?;
            node = next;
            rest = after;
        }
        node.entry(key).map(|entry| entry.key_location)
    }

    /// A problem at a path (see [`SourceFile::locate`]).
    pub fn at(&self, path: &str, message: impl AsRef<str>) -> Problem {
        self.at_location(self.locate(path), message)
    }

    /// A problem at a place.
    pub fn at_location(&self, location: Option<Location>, message: impl AsRef<str>) -> Problem {
        Problem::new(&self.shown, location, self.hide(message.as_ref()))
    }
}

/// A problem of a file that could not be read at all.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let name = path.display().to_string();
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "name the file with `-c FILE`; `flitch demo` prints one to begin with"
        }
        _ => "the file must be readable UTF-8 text",
    };
    let file = Arc::new(NamedSource::new(name, String::new()));
    Problem::new(&file, None, format!("cannot read the configuration: {error}")).help(help.to_owned())
}

fn problem(file: &Arc<NamedSource<String>>, error: SyntaxError) -> Problem {
    Problem::new(file, Some(error.location), error.message).help(error.help)
}

/// One step along a path: the node, its place, and the rest of the path.
fn step<'n, 'p>(node: &'n Node, path: &'p str) -> Option<(&'n Node, Location, &'p str)> {
    match &node.value {
        Value::Scalar(_) => None,
        Value::Seq(items) => {
            let (number, after) = path.strip_prefix('[')?.split_once(']')?;
            let item = items.get(number.parse::<usize>().ok()?)?;
            let end = item.location.end.min(item.location.start + 1);
            let place = match item.value {
                Value::Scalar(_) => item.location,
                _ => Location { start: item.location.start, end },
            };
            Some((item, place, after.strip_prefix('.').unwrap_or(after)))
        }
        Value::Map(entries) => {
            // Keys of settings may hold dots: the longest key wins.
            let fits = |key: &str| match path.strip_prefix(key)?.chars().next() {
                None | Some('.' | '[') => Some(key.len()),
                Some(_) => None,
            };
            let entry = entries.iter().filter(|e| fits(&e.key).is_some()).max_by_key(|e| e.key.len())?;
            let place = match entry.value.value {
                Value::Scalar(_) => entry.value.location,
                _ => entry.key_location,
            };
            let after = &path[entry.key.len()..];
            Some((&entry.value, place, after.strip_prefix('.').unwrap_or(after)))
        }
    }
}

/// Whether the values of a key are secret by its name.
fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    SECRET_KEYS.iter().any(|part| key.contains(part))
}

/// Places of literal values whose key says that they are secret.
fn named_secrets(node: &Node, places: &mut Vec<Location>) {
    match &node.value {
        Value::Scalar(_) => {}
        Value::Seq(items) => items.iter().for_each(|item| named_secrets(item, places)),
        Value::Map(entries) => entries.iter().for_each(|entry| match &entry.value.value {
            Value::Scalar(Scalar { text, .. }) if is_secret(&entry.key) && !text.starts_with("${") => {
                places.push(entry.value.location);
            }
            _ => named_secrets(&entry.value, places),
        }),
    }
}

/// Texts that must not be shown: those at `places`, and all that come from outside the file.
fn collect_secrets(node: &Node, places: &[Location], secrets: &mut Vec<String>) {
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| collect_secrets(item, places, secrets)),
        Value::Map(entries) => entries.iter().for_each(|e| collect_secrets(&e.value, places, secrets)),
        Value::Scalar(scalar) => {
            let hidden = scalar.interpolated || places.contains(&node.location);
            if hidden && scalar.text.len() >= SHORTEST_HIDDEN {
                secrets.push(scalar.text.clone());
            }
        }
    }
}

/// The text with stars at these places, unless a placeholder stands there, which gives nothing away.
fn blacken(text: &str, places: &[Location]) -> String {
    let mut out = text.to_owned();
    for place in places {
        let Some(value) = out.get(place.start..place.end) else { continue };
        if value.trim_start_matches(['"', '\'']).starts_with("${") {
            continue;
        }
        // As many bytes as before, so that all places stay valid.
        let stars: String =
            value.bytes().map(|b| if b == b'\n' || b == b' ' { b as char } else { '*' }).collect();
        out.replace_range(place.start..place.end, &stars);
    }
    out
}

/// The text with stars after every key that says that its value is secret, where no tree tells keys from values.
fn blacken_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.find(':') {
            Some(colon) if line.split(':').any(is_secret) => {
                out.push_str(&line[..=colon]);
                out.extend(line[colon + 1..].bytes().map(|b| match b {
                    b'\n' | b' ' | b'\r' => b as char,
                    _ => '*',
                }));
            }
            _ => out.push_str(line),
        }
    }
    out
}
