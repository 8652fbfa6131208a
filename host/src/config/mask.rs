//! What of a configuration file is never shown: the values of secrets, also where their keys are misspelt, their
//! values have the wrong shape, or the file is no YAML.

use super::tree::{Entry, Location, Node, Value};

mod lines;
mod names;
mod urls;

use names::{Names, names};
pub use urls::secrets as secrets_in_urls;

/// Places of a file that matter to what of it is shown.
#[derive(Debug, Default)]
pub struct Marks {
    /// Values and keys that must not be shown.
    secrets: Vec<Location>,
    /// All values and keys.
    texts: Vec<Location>,
    /// Values with placeholders.
    placeholders: Vec<Location>,
    /// From the end of a secret's key to the begin of its value, if it has one: a tag or an anchor may stand there,
    /// which was meant as a part of the secret.
    gaps: Vec<(usize, Option<usize>)>,
}

/// Whether what stands under a key of this name is secret.
pub fn is_secret(key: &str) -> bool {
    names().is_secret(key)
}

/// Marks what is secret in a tree and in what was left out of it.
pub fn mark(root: &mut Node, dropped: &mut [Entry]) -> Marks {
    let mut marker = Marker { names: names(), marks: Marks::default() };
    marker.node(root, Under::Nothing);
    for entry in dropped {
        marker.entry(entry, Under::Nothing, false);
    }
    marker.marks
}

impl Marks {
    /// The text with stars for all that must not be shown.
    pub fn blacken(&self, text: &str) -> String {
        let gaps: Vec<Location> = self.gaps.iter().filter_map(|gap| gap_of(text, *gap)).collect();
        let text = blacken(&over(text, &gaps, stars), &self.secrets);
        let text = blacken_defaults(&text, &self.placeholders);
        let text = blacken(&text, &secrets_in_urls(&text));
        blacken_comments(&text, &self.texts, &self.secrets)
    }
}

/// A text that is no YAML with stars for all that is secret in it.
pub fn without_tree(text: &str) -> String {
    let text = lines::without_tree(text);
    blacken(&text, &secrets_in_urls(&text))
}

/// What a node stands under.
#[derive(Clone, Copy)]
enum Under {
    /// No key that has to do with secrets.
    Nothing,
    /// The key of a map that holds secrets: `auth`, `sasl`.
    Holder,
    /// The key of a secret; keys below it are secret too, but those of a map from names to secrets.
    Secret { keys: bool },
}

struct Marker {
    names: &'static Names,
    marks: Marks,
}

impl Marker {
    fn node(&mut self, node: &mut Node, under: Under) {
        let below = match under {
            Under::Secret { .. } => Under::Secret { keys: true },
            other => other,
        };
        match &mut node.value {
            Value::Scalar(scalar) => {
                self.marks.texts.push(node.location);
                if scalar.text.contains("${") {
                    self.marks.placeholders.push(node.location);
                }
                if !matches!(under, Under::Nothing) {
                    scalar.secret = true;
                    self.marks.secrets.push(node.location);
                }
            }
            Value::Seq(items) => items.iter_mut().for_each(|item| self.node(item, below)),
            Value::Map(entries) => {
                entries.iter_mut().fold(false, |is_behind, entry| self.entry(entry, under, is_behind));
            }
        }
    }

    /// An entry of a map. `is_behind` a secret: in `{ password: a,b }` the `b` is a key without a value. Answers
    /// whether it is one.
    fn entry(&mut self, entry: &mut Entry, under: Under, is_behind: bool) -> bool {
        let key = entry.key.as_str();
        let is_empty = match &entry.value.value {
            Value::Scalar(scalar) => scalar.plain && matches!(scalar.text.as_str(), "" | "~"),
            _ => false,
        };
        let (hides_key, below) = match under {
            Under::Secret { keys } => (keys, Under::Secret { keys: true }),
            _ if is_behind && is_empty => (true, Under::Secret { keys: true }),
            _ if self.names.is_secret(key) => (false, Under::Secret { keys: !self.names.is_map(key) }),
            Under::Nothing if self.names.is_holder(key) => (false, Under::Holder),
            Under::Nothing => (false, Under::Nothing),
            Under::Holder if self.names.is_plain(key) => (false, Under::Nothing),
            // `auth: { TOKEN }` is a key without a value.
            Under::Holder => (is_empty, Under::Secret { keys: true }),
        };
        let is_secret = matches!(below, Under::Secret { .. });
        self.marks.texts.push(entry.key_location);
        if hides_key {
            entry.secret = true;
            self.marks.secrets.push(entry.key_location);
        }
        if is_secret {
            let from = entry.key_location.end;
            let to = Some(entry.value.location.start).filter(|start| !is_empty && *start >= from);
            self.marks.gaps.push((from, to));
        }
        // An empty value stands where its key does, which may be shown.
        if !is_empty {
            self.node(&mut entry.value, below);
        }
        is_secret
    }
}

/// What stands between the colon behind a key and the value, or where a value would be.
fn gap_of(text: &str, (from, to): (usize, Option<usize>)) -> Option<Location> {
    let start = from + text.get(from..)?.find(':')? + 1;
    let end =
        to.unwrap_or_else(|| start + text[start..].find([',', '}', '\n']).unwrap_or(text.len() - start));
    (start < end).then_some(Location { start, end })
}

/// The text with stars at these places, of as many bytes as before, so that all places stay valid. Placeholders are
/// left, which give nothing away, but for their defaults.
pub fn blacken(text: &str, places: &[Location]) -> String {
    over(text, places, |value| {
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        while let Some((before, name, after)) = placeholder(rest) {
            out.push_str(&stars(before));
            out.push_str(name);
            rest = after;
        }
        out.push_str(&stars(rest));
        out
    })
}

/// The text with stars for the defaults of the placeholders at these places.
fn blacken_defaults(text: &str, places: &[Location]) -> String {
    over(text, places, |value| {
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        while let Some(begin) = rest.find("${") {
            let end = rest[begin..].find('}').map_or(rest.len(), |end| begin + end);
            let default = rest[begin..end].find(":-").map_or(end, |colon| begin + colon + 2);
            out.push_str(&rest[..default]);
            out.push_str(&stars(&rest[default..end]));
            rest = &rest[end..];
        }
        out + rest
    })
}

fn over(text: &str, places: &[Location], show: impl Fn(&str) -> String) -> String {
    let mut out = text.to_owned();
    for place in places {
        if let Some(value) = out.get(place.start..place.end) {
            let shown = show(value);
            out.replace_range(place.start..place.end, &shown);
        }
    }
    out
}

/// The first `${NAME}`, `${file:/path}` or `${base64:/path}` in a text, with what stands before and after it. Of `${NAME:-default}` it is
/// `${NAME:-`.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(begin) = text[from..].find("${").map(|place| from + place) {
        let inside = &text[begin + 2..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = inside.find(|c| !is_name(c)).unwrap_or(inside.len());
        let length = match &inside[name..] {
            rest if rest.starts_with('}') && name > 0 => Some(name + 1),
            rest if rest.starts_with(":-") && rest.contains('}') && name > 0 => Some(name + 2),
            _ if inside.starts_with("file:") || inside.starts_with("base64:") => {
                inside.find('}').map(|end| end + 1)
            }
            _ => None,
        };
        if let Some(length) = length {
            let end = begin + 2 + length;
            return Some((&text[..begin], &text[begin..end], &text[end..]));
        }
        from = begin + 2;
    }
    None
}

fn stars(text: &str) -> String {
    text.bytes().map(|b| if matches!(b, b'\n' | b'\r' | b' ') { b as char } else { '*' }).collect()
}

/// The text with stars in its comments where they name a secret, or stand behind one.
fn blacken_comments(text: &str, values: &[Location], secrets: &[Location]) -> String {
    let mut comments = String::with_capacity(text.len());
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let begins = |(place, _): &(usize, &str)| {
            let is_first = line[..*place].chars().next_back().is_none_or(char::is_whitespace);
            let at = start + place;
            is_first && !values.iter().any(|v| v.start <= at && at < v.end)
        };
        let at = line.match_indices('#').find(begins).map_or(line.len(), |(place, _)| place);
        let is_behind = secrets.iter().any(|s| s.start < start + at && s.end > start);
        comments.extend(line[..at].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        match is_behind {
            true => comments.push_str(&stars(&line[at..])),
            false => comments.push_str(&line[at..].replacen('#', " ", 1)),
        }
        start += line.len();
    }
    let masked = lines::without_tree(&comments);
    // As many bytes in all three; stars win.
    let mut out = text.as_bytes().to_vec();
    for (place, star) in masked.bytes().enumerate().filter(|(_, b)| *b == b'*') {
        out[place] = star;
    }
    String::from_utf8(out).unwrap_or_else(|_| stars(text))
}

#[cfg(test)]
mod tests;
