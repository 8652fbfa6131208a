//! What is wrong with a value, in words, with its place and a hint.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::elsewhere;
use crate::config::source::SHORTEST_HIDDEN;
use crate::config::tree::Location;

/// What to do with a key that a filter does not know.
const BELOW_SETTINGS: &str = "what the plugin itself is told stands below `settings`";

/// What is wrong with a value, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadError {
    /// What is wrong. Never holds a value from outside the file.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where.
    pub location: Location,
    /// The key that is missing, if that is what is wrong.
    pub(super) missing: Option<String>,
    /// What to say where the value must not be shown.
    masked: Option<String>,
    located: bool,
    /// The key that is not known, and those that are.
    unknown: Option<(String, Vec<&'static str>)>,
    /// Places of the maps and lists around it, the innermost first.
    pub(super) enclosing: Vec<Location>,
}

impl ReadError {
    /// Sets the place, unless a deeper one is set. `hidden` is the value's text where it must not be shown.
    pub(super) fn at(mut self, location: Location, hidden: Option<&str>) -> ReadError {
        if self.located {
            self.enclosing.push(location);
            return self;
        }
        self.located = true;
        self.location = location;
        if let Some(hidden) = hidden {
            self.message = match self.masked.take() {
                Some(masked) => masked,
                None => hide(&self.message, hidden),
            };
            self.help = self.help.map(|help| hide(&help, hidden));
        }
        self
    }

    /// Adds keys that are known in the same map beside those of the error.
    pub(super) fn also_known(mut self, more: &[&'static str]) -> ReadError {
        if let Some((key, mut known)) = self.unknown.take() {
            known.extend(more);
            self.help = suggest_key(&key, &known);
        }
        self
    }

    /// A number that would become another one.
    pub(super) fn rounded(text: &str) -> ReadError {
        let message = format!("`{text}` would become another number: neither 64 bits nor float64 hold it");
        ReadError::new(message, Some("put it in quotes: a text keeps its digits".to_owned()))
    }

    fn new(message: String, help: Option<String>) -> ReadError {
        ReadError { message, help, ..ReadError::default() }
    }
}

/// `text` without any trace of `secret`.
pub fn hide(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    let escaped = secret.escape_debug().to_string();
    without(&without(text, &escaped), secret)
}

/// `text` with stars for each `secret`. One of a few letters is a part of many words, which give nothing of it away.
fn without(text: &str, secret: &str) -> String {
    if secret.len() >= SHORTEST_HIDDEN {
        return text.replace(secret, "***");
    }
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let (first, last) = (is_letter(secret.chars().next()), is_letter(secret.chars().next_back()));
    let mut out = String::with_capacity(text.len());
    let mut shown = 0;
    for (start, _) in text.match_indices(secret) {
        let end = start + secret.len();
        let goes_on = first && is_letter(text[..start].chars().next_back());
        if goes_on || last && is_letter(text[end..].chars().next()) {
            continue;
        }
        out.push_str(&text[shown..start]);
        out.push_str("***");
        shown = end;
    }
    out + &text[shown..]
}

/// Names the kind of a value, without the value where `shown` is not set.
fn describe(found: &Unexpected<'_>, shown: bool) -> String {
    match found {
        Unexpected::Bool(b) if shown => format!("`{b}`"),
        Unexpected::Unsigned(n) if shown => format!("the number `{n}`"),
        Unexpected::Signed(n) if shown => format!("the number `{n}`"),
        Unexpected::Float(x) if shown => format!("the number `{x}`"),
        Unexpected::Str(s) if shown => format!("the text `{s}`"),
        Unexpected::Bool(_) => "a boolean".to_owned(),
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number".to_owned(),
        Unexpected::Str(_) => "other text".to_owned(),
        Unexpected::Unit => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        other => other.to_string(),
    }
}

/// serde's words for Rust's types, in words of the file.
fn expected(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    if let Some(rest) = text.strip_prefix("struct ").or(text.strip_prefix("enum ")) {
        let _: &str = rest;
        return "a map".to_owned();
    }
    match text.as_str() {
        "a string" | "a borrowed string" | "path string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" | "u64" | "usize" | "u128" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" | "i128" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        text if text.starts_with("a nonzero") => "a whole number, 1 or more".to_owned(),
        _ => text,
    }
}

/// How a value is written that is `wanted` and was written as something else.
fn other_shape(wanted: &str, found: &Unexpected<'_>) -> Option<&'static str> {
    Some(match (wanted, found) {
        ("a list", Unexpected::Str(_) | Unexpected::Map) => {
            "write it as a list: `[...]`, or one `- ` line for each"
        }
        ("a map", Unexpected::Seq) => {
            "write it as a map: `NAME: ...` in place of each `- `, or `{ NAME: ... }` in place of `[ ]`"
        }
        ("a map", Unexpected::Str(_)) => {
            "write it as a map: `KEY: VALUE` on a line for each, or `{ KEY: VALUE }`"
        }
        ("text", Unexpected::Map) => {
            "`{` begins a map in YAML: a text with `{...}` in it stands in quotes: \"logs.{@tag}\""
        }
        ("`true` or `false`", _) => "YAML 1.2 knows `true` and `false` alone, without quotes",
        _ => return None,
    })
}

/// "did you mean" where a name is near, and what there is.
pub fn suggest(wrong: &str, known: &[&str], what: &str) -> Option<String> {
    told(nearest(wrong, known), None, known, what)
}

/// The same for a key, which other collectors may have.
fn suggest_key(wrong: &str, known: &[&str]) -> Option<String> {
    let near = elsewhere::name(wrong, known);
    let otherwise = elsewhere::otherwise(wrong, known).filter(|_| near.is_none());
    let near = near.or_else(|| nearest(wrong, known).filter(|_| otherwise.is_none()));
    // Settings of a plugin that stand beside it.
    let beside = || (known.contains(&"plugin") && known.contains(&"settings")).then_some(BELOW_SETTINGS);
    told(near, otherwise.or_else(beside), known, "known keys")
}

/// What was meant, or what to do in its place, and what there is.
fn told(near: Option<&str>, otherwise: Option<&str>, known: &[&str], what: &str) -> Option<String> {
    if known.is_empty() {
        return None;
    }
    let first = match (near, otherwise) {
        (Some(near), _) => format!("did you mean `{near}`? "),
        (None, Some(otherwise)) => format!("{otherwise}; "),
        (None, None) => String::new(),
    };
    let mut sorted = known.to_vec();
    sorted.sort_unstable();
    Some(format!("{first}{what}: {}", sorted.join(", ")))
}

/// The name that was most likely meant.
pub fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = wrong.to_lowercase().replace('-', "_");
    let score = |name: &str| {
        let name = name.to_lowercase();
        let distance = strsim::osa_distance(&lower, &name);
        let close = distance <= 1 + name.len().max(lower.len()) / 4;
        let part = lower.len() >= 3 && (name.contains(&lower) || lower.contains(&name) && name.len() >= 3);
        (close || part).then_some((!close, distance))
    };
    known.iter().filter_map(|name| Some((score(name)?, *name))).min().map(|(_, name)| name)
}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> ReadError {
        ReadError::new(message.to_string(), None)
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> ReadError {
        let wanted = expected(wanted);
        let mut error = ReadError::new(format!("expected {wanted}, found {}", describe(&found, true)), None);
        error.masked = Some(format!("expected {wanted}, found {}", describe(&found, false)));
        error.help = other_shape(&wanted, &found).map(str::to_owned);
        error
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> ReadError {
        ReadError::invalid_type(found, wanted)
    }

    fn invalid_length(found: usize, wanted: &dyn Expected) -> ReadError {
        ReadError::new(format!("expected {}, found {found} values", expected(wanted)), None)
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> ReadError {
        let near = elsewhere::name(variant, known).or_else(|| nearest(variant, known));
        let mut error =
            ReadError::new(format!("`{variant}` is not known here"), told(near, None, known, "known"));
        error.masked = Some("this value is not known here".to_owned());
        error
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> ReadError {
        let help = suggest_key(key, known).or(Some("no key is known here".to_owned()));
        let mut error = ReadError::new(format!("unknown key `{key}`"), help);
        error.unknown = Some((key.to_owned(), known.to_vec()));
        error
    }

    fn missing_field(key: &'static str) -> ReadError {
        let mut error = ReadError::new(format!("the key `{key}` is missing"), None);
        error.missing = Some(key.to_owned());
        error
    }

    fn duplicate_field(key: &'static str) -> ReadError {
        ReadError::new(format!("the key `{key}` stands here a second time, under another name"), None)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

#[cfg(test)]
mod tests {
    use super::hide;

    #[test]
    fn a_short_secret_is_hidden_where_it_stands_alone_and_takes_no_word_apart() {
        assert_eq!(hide("a text `a`, a key and cat", "a"), "*** text `***`, *** key and cat");
        assert_eq!(hide("is=1 and 10, 1", "1"), "is=*** and 10, ***");
        assert_eq!(hide("x=y a=yb =y", "=y"), "x*** a=yb ***");
        assert_eq!(hide("long: hunter22", "hunter2"), "long: ***2");
        assert_eq!(hide("übel ü", "ü"), "übel ***");
    }
}
