//! Objects as one JSON text: into those that stayed one, and out of those whose members are columns.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::json::{quoted, unescape};
use crate::path;

mod whole;

pub use whole::Whole;

/// A member of an object: its name as JSON has it, quotes and escapes included, and its value.
struct Member<'a> {
    name: &'a RawValue,
    value: Cow<'a, RawValue>,
}

impl<'a> Member<'a> {
    fn written(self) -> Option<Written<'a>> {
        match self.value {
            Cow::Borrowed(value) => {
                Some(Written { name: self.name.get().trim_ascii(), value: value.get().trim_ascii() })
            }
            Cow::Owned(_) => None,
        }
    }

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

/// A member of an object as it is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'a> {
    /// The name, with its quotes and escapes.
    pub name: &'a str,
    /// The value, without white space around it.
    pub value: &'a str,
}

impl<'a> Written<'a> {
    /// The path of the member in the object: one for all ways in which JSON can write the name.
    pub fn path(&self) -> Cow<'a, str> {
        let inside = &self.name[1..self.name.len() - 1];
        if !inside.bytes().any(|byte| matches!(byte, b'\\' | b'.')) {
            return Cow::Borrowed(inside);
        }
        let mut name = Vec::with_capacity(inside.len());
        let mut whole = String::with_capacity(inside.len() + 4);
        match unescape(inside.as_bytes(), &mut name) {
            Ok(_) => path::push_name(&mut whole, &name, true),
            // No JSON has such a name.
            Err(_) => path::push_text(&mut whole, inside, true),
        }
        Cow::Owned(whole)
    }
}

/// The members of the object `text`, in order. None where it is no object.
pub fn written(text: &str) -> Option<Vec<Written<'_>>> {
    members(text)?.into_iter().map(Member::written).collect()
}

/// The object of these members, in order.
pub fn of_written<'a>(members: impl IntoIterator<Item = Written<'a>>) -> String {
    object(members.into_iter().map(|member| (member.name, member.value)))
}

/// Of the members of two objects, given with their paths, those that both together have, each name once: that of `new` where both
/// have it, and of several in one object the last.
pub fn joined<'a>(
    old: &[(Cow<'_, str>, Written<'a>)],
    new: &[(Cow<'_, str>, Written<'a>)],
) -> Vec<Written<'a>> {
    let all = || old.iter().chain(new);
    let last: HashMap<&str, usize> = all().enumerate().map(|(place, (path, _))| (&**path, place)).collect();
    let is_last = |place: usize, path: &str| last.get(path) == Some(&place);
    let kept = all().enumerate().filter(|(place, (path, _))| is_last(*place, path));
    kept.map(|(_, (_, member))| *member).collect()
}

fn nested(names: &[String], value: &str) -> String {
    names
        .iter()
        .rev()
        .fold(value.to_owned(), |inner, name| object(std::iter::once((&*quoted(name), &*inner))))
}

#[cfg(test)]
mod tests;
