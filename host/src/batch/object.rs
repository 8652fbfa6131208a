//! Into an object that stayed one JSON text, and json columns that come from outside.

use std::borrow::Cow;

use arrow_array::StringArray;
use serde_json::value::RawValue;

use super::{decode, json, mixed};

/// Checks that each row is one JSON text, inside `depth` objects no deeper than a record may be. What is not in the form
/// that json columns have is written again in it: a text that spans lines (outputs write a record a line), white space
/// before it (see [`mixed`]), `1e-07`.
pub fn check(array: StringArray, depth: usize) -> Result<StringArray, String> {
    let mut all_plain = true;
    for (row, text) in array.iter().enumerate() {
        let Some(text) = text else { continue };
        let is_plain =
            decode::check_below(text.as_bytes(), depth).map_err(|e| format!("row {row} is not JSON: {e}"))?;
        all_plain &= is_plain && !needs_one_line(text);
    }
    if all_plain {
        return Ok(array);
    }
    Ok(array.iter().map(|text| text.map(rewritten)).collect())
}

fn needs_one_line(text: &str) -> bool {
    let marked = || mixed::time(text.as_bytes()).is_some() || mixed::bytes(text.as_bytes()).is_some();
    memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_some()
        || text.starts_with(|c: char| c.is_ascii_whitespace()) && !marked()
}

fn rewritten(text: &str) -> String {
    let text = if needs_one_line(text) { one_line(text).into() } else { Cow::Borrowed(text) };
    let mut out = Vec::with_capacity(text.len());
    json::write_with_plain_numbers(text.as_bytes(), &mut out);
    String::from_utf8(out).unwrap_or_else(|_| text.into_owned())
}

/// A valid JSON text without the white space between its tokens.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for c in text.chars() {
        if inside {
            (inside, escaped) = (escaped || c != '"', c == '\\' && !escaped);
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            inside = c == '"';
        }
        out.push(c);
    }
    out
}

/// A member of an object: its name as JSON has it, quotes and escapes included, and its value.
struct Member<'a> {
    name: &'a RawValue,
    value: Cow<'a, RawValue>,
}

impl Member<'_> {
    fn is(&self, name: &str) -> bool {
        serde_json::from_str::<Cow<'_, str>>(self.name.get()).is_ok_and(|own| own == name)
    }
}

/// The members of an object, in order. None where the text is no object.
fn members(text: &str) -> Option<Vec<Member<'_>>> {
    struct Visitor;
    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Vec<Member<'de>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((name, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                members.push(Member { name, value: Cow::Borrowed(value) });
            }
            Ok(members)
        }
    }
    if !text.trim_ascii_start().starts_with('{') {
        return None;
    }
    serde::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_str(text), Visitor).ok()
}

fn object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = "{".to_owned();
    for (name, value) in members {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(name);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    out
}

fn quoted(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len() + 2);
    json::write_string(name.as_bytes(), &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The value of a member of the object `text`; of several the last. None where there is none.
pub fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let found = members(text)?.into_iter().rev().find(|member| member.is(name))?;
    match found.value {
        Cow::Borrowed(value) => Some(value.get().trim_ascii()),
        Cow::Owned(_) => None,
    }
}

/// Takes the member at `names` out of the object `text`. None where there is no such member.
pub fn remove(text: &str, names: &[String]) -> Option<String> {
    let (first, rest) = names.split_first()?;
    let mut members = members(text)?;
    let place = members.iter().rposition(|member| member.is(first))?;
    if rest.is_empty() {
        members.retain(|member| !member.is(first));
    } else {
        let inner = remove(members[place].value.get(), rest)?;
        members[place].value = Cow::Owned(RawValue::from_string(inner).ok()?);
    }
    Some(object(members.iter().map(|m| (m.name.get(), m.value.get()))))
}

/// Writes the JSON text `value` at `names` into the object `text`, in the place of what stands there. None where
/// `text` is no object with members, so that nothing of it is to be kept.
pub fn set(text: &str, names: &[String], value: &str) -> Option<String> {
    let (first, rest) = names.split_first()?;
    let members = members(text).filter(|members| !members.is_empty())?;
    let old = members.iter().rposition(|member| member.is(first));
    let inner = match old {
        _ if rest.is_empty() => value.to_owned(),
        Some(place) => set(members[place].value.get(), rest, value).unwrap_or_else(|| nested(rest, value)),
        None => nested(rest, value),
    };
    let name = quoted(first);
    let kept = members.iter().enumerate().map(|(place, member)| {
        let value = if old == Some(place) { &*inner } else { member.value.get() };
        (member.name.get(), value)
    });
    let new = old.is_none().then_some((&*name, &*inner));
    Some(object(kept.chain(new)))
}

/// The members of both objects; where both have one of a name, that of `new`.
pub fn joined(old: &str, new: &str) -> String {
    let (Some(old), Some(new)) = (members(old), members(new)) else { return new.to_owned() };
    let mut named = std::collections::HashSet::with_hasher(ahash::RandomState::new());
    named.extend(new.iter().map(|member| member.name.get()));
    let kept = old.iter().filter(|member| !named.contains(member.name.get()));
    object(kept.chain(&new).map(|member| (member.name.get(), member.value.get())))
}

fn nested(names: &[String], value: &str) -> String {
    names
        .iter()
        .rev()
        .fold(value.to_owned(), |inner, name| object(std::iter::once((&*quoted(name), &*inner))))
}

#[cfg(test)]
mod tests;
