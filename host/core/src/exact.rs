//! JSON values of which nothing is lost, in the type of `serde_json`.
//!
//! That type holds numbers in 64 bits and texts in UTF-8. A record may have more: a number that neither 64 bits nor float64
//! hold exactly, and a text with half a surrogate pair. Here such a value is a text that begins with a mark, which is no
//! character that texts exchange (U+FDD0 to U+FDD2); a text that begins with one by itself gets one more.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::Value as Json;

use crate::batch::json::{unescape, write_escaped};
use crate::batch::number::{Number, number};

/// The name under which [`exactly`] asks for values of which nothing is lost.
pub const MARKER: &str = "$flitch::exact";

/// What follows is the text of a number, or of any other value that `serde_json` does not read.
const RAW: char = '\u{fdd0}';
/// What follows stands between the quotes of a JSON string.
const ESCAPED: char = '\u{fdd1}';
/// What follows is a text as it is.
const PLAIN: char = '\u{fdd2}';
const MARKS: [char; 3] = [RAW, ESCAPED, PLAIN];

/// The value of a JSON text.
///
/// # Errors
/// It is no JSON.
pub fn parse(text: &[u8]) -> Result<Json, serde_json::Error> {
    serde_json::from_slice(&marked(text))
}

/// The same of a text that this process has written. One that `serde_json` would not read is held as it is.
pub fn read(text: &[u8]) -> Json {
    parse(text).unwrap_or_else(|_| Json::String(format!("{RAW}{}", String::from_utf8_lossy(text).trim_end())))
}

/// A text with such values in it, or what `serde_json` writes of one, with each as JSON has it.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(MARKS) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARKS) {
        let (before, from) = rest.split_at(at);
        let quoted = begins_a_string(before).then(|| &rest[at - 1..]);
        let mut texts = quoted.map(|quoted| serde_json::Deserializer::from_str(quoted).into_iter::<String>());
        match texts.as_mut().and_then(|texts| Some((texts.next()?.ok()?, texts.byte_offset()))) {
            Some((marked, end)) => {
                out.push_str(&before[..at - 1]);
                out.push_str(&json_of(&marked));
                rest = &rest[at - 1 + end..];
            }
            None => {
                out.push_str(before);
                let mark = from.chars().next().map_or(0, char::len_utf8);
                // The name of a field stands in no quotes; all else is a text in which there is such a character.
                if !before.ends_with(['`', '.']) {
                    out.push_str(&from[..mark]);
                }
                rest = &from[mark..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The text of a number that is marked.
pub fn number_of(text: &str) -> Option<&str> {
    text.strip_prefix(RAW)
}

/// Whether a value has a text in it that UTF-8 cannot hold.
pub fn has_half_pairs(value: &Json) -> bool {
    let is_one = |text: &str| text.starts_with(ESCAPED);
    match value {
        Json::String(text) => is_one(text),
        Json::Array(all) => all.iter().any(has_half_pairs),
        Json::Object(all) => all.iter().any(|(name, value)| is_one(name) || has_half_pairs(value)),
        _ => false,
    }
}

/// A number as it is marked, where 64 bits do not hold it.
pub fn marked_number(text: &str) -> Option<String> {
    is_more_than_64_bits(text.as_bytes()).then(|| format!("{RAW}{text}"))
}

/// A text as it is marked, where it begins with a mark by itself.
pub fn marked_text(text: &str) -> Cow<'_, str> {
    if text.starts_with(MARKS) { Cow::Owned(format!("{PLAIN}{text}")) } else { Cow::Borrowed(text) }
}

/// The text that was marked so.
pub fn unmarked_text(text: &str) -> &str {
    text.strip_prefix(PLAIN).unwrap_or(text)
}

/// Reads a value, for `#[serde(deserialize_with)]`, of which nothing is lost where the configuration is what is read.
///
/// # Errors
/// It is no such value.
pub fn exactly<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    struct Inner<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Inner<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a value")
        }

        fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<T, D::Error> {
            T::deserialize(d)
        }
    }

    d.deserialize_newtype_struct(MARKER, Inner(std::marker::PhantomData))
}

/// Whether what follows is the inside of a JSON string.
fn begins_a_string(before: &str) -> bool {
    let is_escape = |before: &str| (before.len() - before.trim_end_matches('\\').len()) % 2 == 1;
    before.strip_suffix('"').is_some_and(|before| !is_escape(before))
}

/// What a marked text is as JSON.
fn json_of(text: &str) -> String {
    let mut all = text.chars();
    match all.next() {
        Some(RAW) => all.as_str().to_owned(),
        Some(ESCAPED) => format!("\"{}\"", all.as_str()),
        _ => Json::from(all.as_str()).to_string(),
    }
}

/// Whether a text is a JSON number, and one that neither a whole number of 64 bits nor float64 holds.
fn is_more_than_64_bits(text: &[u8]) -> bool {
    let is_whole = || std::str::from_utf8(text).is_ok_and(|text| text.parse::<u64>().is_ok());
    matches!(number(text), Ok((Number::Other, length)) if length == text.len()) && !is_whole()
}

/// A JSON text with marks on the values that need one.
fn marked(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let (mut at, mut done) = (0, 0);
    while let Some(byte) = text.get(at) {
        let length = match byte {
            b'"' => string(&text[at..]),
            b'-' | b'0'..=b'9' => number(&text[at..]).map_or(1, |(_, length)| length.max(1)),
            _ => {
                at += 1;
                continue;
            }
        };
        let token = &text[at..at + length];
        let with = match byte {
            b'"' => marked_string(token),
            _ => is_more_than_64_bits(token)
                .then(|| Json::from(format!("{RAW}{}", String::from_utf8_lossy(token))).to_string()),
        };
        if let Some(with) = with {
            out.extend_from_slice(&text[done..at]);
            out.extend_from_slice(with.as_bytes());
            done = at + length;
        }
        at += length;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[done..]);
    Cow::Owned(out)
}

/// How long the string at the head of a JSON text is.
fn string(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// A string with its mark, where it needs one.
fn marked_string(token: &[u8]) -> Option<String> {
    // Nearly all have neither an escape nor a mark.
    if !token.contains(&b'\\') && !token.starts_with(b"\"\xef\xb7") {
        return None;
    }
    let text = std::str::from_utf8(token).ok()?;
    match serde_json::from_str::<String>(text) {
        Ok(inside) if inside.starts_with(MARKS) => Some(Json::from(format!("{PLAIN}{inside}")).to_string()),
        Ok(_) => None,
        Err(_) => {
            let inside = escaped(text.strip_prefix('"')?.strip_suffix('"')?)?;
            Some(Json::from(format!("{ESCAPED}{inside}")).to_string())
        }
    }
}

/// The one form of what stands between the quotes of a string with half a surrogate pair in it.
fn escaped(inside: &str) -> Option<String> {
    let mut text = Vec::new();
    unescape(inside.as_bytes(), &mut text).ok()?;
    let (mut rest, mut out) = (&text[..], Vec::new());
    while let Err(error) = std::str::from_utf8(rest) {
        let (before, half) = rest.split_at(error.valid_up_to());
        write_escaped(before, &mut out);
        // Three bytes of WTF-8, of which the first is 0xed.
        let [_, middle, last, behind @ ..] = half else { return None };
        let code = 0xd000 | u16::from(middle & 0x3f) << 6 | u16::from(last & 0x3f);
        out.extend_from_slice(format!("\\u{code:04x}").as_bytes());
        rest = behind;
    }
    write_escaped(rest, &mut out);
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests;
