//! Into an object that stayed one JSON text.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;

use crate::json::quoted;

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
    let named: HashSet<&str> = new.iter().map(|member| member.name.get()).collect();
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
