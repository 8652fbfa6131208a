//! The configuration file as text and tree: reads it, keeps the places, and hides what is secret.

use std::collections::HashSet;
use std::path::{Component, Path};
use std::string::FromUtf8Error;
use std::sync::Arc;

use miette::NamedSource;
use serde::Deserialize;

use super::de::{self, ReadError};
use super::interpolate::{Outside, Permits, interpolate};
use super::mask;
use super::range::{self, OutOfRange};
use super::report::{ConfigError, Problem};
use super::tree::{self, Location, Node, SyntaxError, Value};

/// Shorter values from outside the file are not searched for in messages: `1` is in every second one.
pub(super) const SHORTEST_HIDDEN: usize = 4;

/// A configuration file that was read.
#[derive(Clone)]
pub struct SourceFile {
    /// The text for reports, secrets blackened.
    shown: Arc<NamedSource<String>>,
    /// The text as it is.
    text: String,
    tree: Node,
    /// Values that must not be shown, as they are and as they are quoted, the longest first.
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
        SourceFile::parse_with(name, text, outside, &|_| Ok(()))
    }

    /// The same with the placeholders alone that `permits` lets through.
    pub fn parse_with(
        name: &str,
        text: &str,
        outside: &Outside<'_>,
        permits: &Permits<'_>,
    ) -> Result<SourceFile, ConfigError> {
        let named = |shown: String| Arc::new(NamedSource::new(name, shown));
        let (mut tree, mut dropped) =
            tree::parse_all(text).map_err(|error| problem(&named(mask::without_tree(text)), text, error))?;
        if let Value::Scalar(_) = tree.value {
            let start = tree.location.start;
            let error = SyntaxError {
                location: Location { start, end: start + 1 },
                message: "the file is one text, without a key".to_owned(),
                help: Some(tree::OTHER_FORM.to_owned()),
            };
            return Err(problem(&named(mask::without_tree(text)), text, error).into());
        }
        let marks = mask::mark(&mut tree, &mut dropped);
        if let Value::Map(entries) = &mut tree.value {
            entries.retain(|entry| !entry.key.starts_with("x-"));
        }
        let wrong = interpolate(&mut tree, text, outside, permits);
        let shown = named(marks.blacken(text));
        if !wrong.is_empty() {
            let problems = wrong.into_iter().map(|error| problem(&shown, text, error)).collect();
            return Err(ConfigError { problems });
        }
        let mut file = SourceFile { shown, text: text.to_owned(), tree, secrets: Vec::new() };
        file.keep_secret(&[]);
        Ok(file)
    }

    /// Reads the tree as a `T`. What it says is secret is hidden in all later reports.
    pub fn read<T: for<'t> Deserialize<'t>>(&mut self) -> Result<T, ConfigError> {
        let reading = de::read::<T>(&self.tree);
        let (value, places) = (reading.value, reading.secrets);
        let shown = mask::blacken(self.shown.inner(), &places);
        self.shown = Arc::new(NamedSource::new(self.shown.name(), shown));
        self.keep_secret(&places);
        value.map_err(|mut errors| {
            errors.sort_by_key(|error| error.location);
            let problem = |e: ReadError| {
                let help = e.help.map(|help| self.hide_at(Some(e.location), &help));
                self.at_location(Some(e.location), e.message).help(help)
            };
            ConfigError { problems: errors.into_iter().map(problem).collect() }
        })
    }

    fn keep_secret(&mut self, places: &[Location]) {
        collect_secrets(&self.tree, &places.iter().copied().collect(), &mut self.secrets);
        self.secrets.retain(|text| text.len() >= SHORTEST_HIDDEN);
        // As it stands in a message that quotes it.
        let escaped = |text: &String| Some(text.escape_debug().to_string()).filter(|escaped| escaped != text);
        let escaped: Vec<String> = self.secrets.iter().filter_map(escaped).collect();
        self.secrets.extend(escaped);
        self.secrets.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.secrets.dedup();
    }

    /// What the file holds, placeholders replaced.
    pub fn tree(&self) -> &Node {
        &self.tree
    }

    /// The text as it is, secrets and all.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The files that placeholders name, as they name them.
    pub fn placed(&self) -> Vec<&str> {
        let after = |mark: &'static str| self.text.split(mark).skip(1);
        let named = after("${file:").chain(after("${base64:"));
        named.filter_map(|rest| rest.split_once('}')).map(|(path, _)| path).collect()
    }

    /// The text of the file with stars for what is secret, placeholders as they stand in it.
    pub fn shown(&self) -> &str {
        self.shown.inner()
    }

    /// `text` without the secrets of this file.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        // There may be thousands, and hardly one of them stands in the text.
        for secret in &self.secrets {
            if hidden.contains(secret.as_str()) {
                hidden = hidden.replace(secret.as_str(), "***");
            }
        }
        hidden
    }

    /// Numbers that are out of their range.
    pub fn out_of_range(&self) -> Vec<Problem> {
        let problem = |wrong: OutOfRange| self.at_location(Some(wrong.location), wrong.message);
        range::check(&self.tree).into_iter().map(problem).collect()
    }

    /// The place of a path such as `pipelines.clicks.to[0].output`: of its value if that is a scalar, else of its
    /// key. Of a path that the file does not hold, the place of the longest part that it holds.
    pub fn locate(&self, path: &str) -> Option<Location> {
        self.walk(path).0.map(|step| step.place)
    }

    /// The place of the key at a path, where [`SourceFile::locate`] has that of its value.
    pub fn locate_key(&self, path: &str) -> Option<Location> {
        let (last, is_whole) = self.walk(path);
        last.filter(|_| is_whole)?.key
    }

    /// Goes along a path as far as the file holds it: the last step, and whether it led to the path's end.
    fn walk(&self, path: &str) -> (Option<Step<'_>>, bool) {
        let mut last: Option<Step<'_>> = None;
        let mut rest = Some(path).filter(|path| !path.is_empty());
        while let Some(path) = rest {
            let Some((next, after)) = step(last.as_ref().map_or(&self.tree, |step| step.node), path) else {
                return (last, false);
            };
            last = Some(next);
            rest = after;
        }
        (last, true)
    }

    /// A problem at a path (see [`SourceFile::locate`]).
    pub fn at(&self, path: &str, message: impl AsRef<str>) -> Problem {
        self.at_location(self.locate(path), message)
    }

    /// A problem at a place.
    pub fn at_location(&self, location: Option<Location>, message: impl AsRef<str>) -> Problem {
        Problem::new(&self.shown, location, self.hide_at(location, message.as_ref()))
    }

    /// `text`, which is about a place, without the secrets of this file.
    fn hide_at(&self, location: Option<Location>, text: &str) -> String {
        hide_masked(&self.shown, &self.text, location, &self.hide(text))
    }
}

/// A problem of a file that could not be read at all.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let name = path.display().to_string();
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "name the file with `-c FILE`; `flitch demo` prints one to begin with"
        }
        std::io::ErrorKind::Unsupported => "start with a file for a configuration that can be read again",
        _ => "the file must be readable UTF-8 text",
    };
    let file = Arc::new(NamedSource::new(name, String::new()));
    Problem::new(&file, None, format!("cannot read the configuration: {error}")).help(help.to_owned())
}

/// A problem of a file that is no text in UTF-8.
pub fn undecodable(path: &Path, error: &FromUtf8Error) -> Problem {
    let start = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes());
    let file = Arc::new(NamedSource::new(path.display().to_string(), mask::without_tree(&text)));
    let location = Location { start, end: start + char::REPLACEMENT_CHARACTER.len_utf8() };
    let message =
        format!("the file is not UTF-8 text: the byte 0x{:02X} stands here", error.as_bytes()[start]);
    let charset = match error.as_bytes() {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => ("utf-16", "UTF-16"),
        _ => ("latin1", "Latin-1"),
    };
    let help =
        format!("save it as UTF-8; `iconv -f {} -t utf-8 FILE` prints a file of {} so", charset.0, charset.1);
    Problem::new(&file, Some(location), message).help(help)
}

/// A problem of a file whose text is `text`.
fn problem(file: &Arc<NamedSource<String>>, text: &str, error: SyntaxError) -> Problem {
    let place = Some(error.location);
    let hide = |words: &str| hide_masked(file, text, place, words);
    Problem::new(file, place, hide(&error.message)).help(error.help.map(|help| hide(&help)))
}

/// `words` about a place of the file, without what stands at the place where that is not shown. (However short it is,
/// unlike secrets that are searched for in all messages.)
fn hide_masked(file: &NamedSource<String>, text: &str, place: Option<Location>, words: &str) -> String {
    let at = |text: &'_ str| place.and_then(|p| text.get(p.start..p.end)).map(str::to_owned);
    match (at(text), at(file.inner())) {
        (Some(raw), Some(shown)) if raw != shown => {
            let plain = raw.trim_matches(['"', '\'']);
            de::hide(&de::hide(words, &raw), plain)
        }
        _ => words.to_owned(),
    }
}

/// One step along a path.
struct Step<'n> {
    node: &'n Node,
    /// Where to point at.
    place: Location,
    /// Where its key stands, in a map.
    key: Option<Location>,
}

/// One step along a path, and the rest of the path, if there is more of it.
fn step<'n, 'p>(node: &'n Node, path: &'p str) -> Option<(Step<'n>, Option<&'p str>)> {
    let rest = |after: &'p str| (!after.is_empty()).then(|| after.strip_prefix('.').unwrap_or(after));
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
            Some((Step { node: item, place, key: None }, rest(after)))
        }
        Value::Map(entries) => {
            // Keys of settings, and names that are wrong, may hold dots: the longest key wins.
            let fits = |key: &str| match path.strip_prefix(key)?.chars().next() {
                None | Some('.' | '[') => Some(key.len()),
                Some(_) => None,
            };
            let entry = entries.iter().filter(|e| fits(&e.key).is_some()).max_by_key(|e| e.key.len())?;
            let place = match entry.value.value {
                Value::Scalar(_) => entry.value.location,
                _ => entry.key_location,
            };
            let next = Step { node: &entry.value, place, key: Some(entry.key_location) };
            Some((next, rest(&path[entry.key.len()..])))
        }
    }
}

/// Whether a value from outside the file is the path of a file, without which nobody knows what cannot be read: the folder in
/// which it begins is there, which is not so of a key in base64 that begins with a slash.
fn is_path(text: &str) -> bool {
    let mut parts = Path::new(text).components();
    match (parts.next(), parts.next()) {
        (Some(Component::CurDir | Component::ParentDir), Some(_)) => true,
        (Some(Component::RootDir), Some(first)) => Path::new("/").join(first).is_dir(),
        _ => false,
    }
}

/// Texts that must not be shown: those at `places`, where secrets stand, and all that come from outside the file, but for
/// paths.
fn collect_secrets(node: &Node, places: &HashSet<Location>, secrets: &mut Vec<String>) {
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| collect_secrets(item, places, secrets)),
        Value::Map(entries) => entries.iter().for_each(|entry| {
            if entry.secret {
                secrets.push(entry.key.clone());
            }
            collect_secrets(&entry.value, places, secrets);
        }),
        Value::Scalar(scalar) => {
            let is_secret = scalar.secret || places.contains(&node.location);
            if is_secret || (scalar.interpolated && !is_path(&scalar.text)) {
                secrets.extend(scalar.pieces.iter().cloned());
                secrets.push(scalar.text.clone());
            }
            for login in mask::secrets_in_urls(&scalar.text) {
                let login = &scalar.text[login.start..login.end];
                match login.split_once(':') {
                    Some((_, password)) => secrets.extend([login.to_owned(), password.to_owned()]),
                    // A name may be a word of any message, elsewhere.
                    None => secrets.push(format!("{login}@")),
                }
            }
        }
    }
}
