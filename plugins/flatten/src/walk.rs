//! The values inside of the JSON texts of one record.

use crate::{Arrays, Settings};
use flitch_model::object::written;
use flitch_sdk::json::{Decoded, decode};
use flitch_sdk::{Value, path};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a record is made of, by its new names.
pub struct Walk<'a, 's> {
    settings: &'s Settings,
    pub pairs: Vec<(String, Decoded<'a>)>,
    /// Bytes of names that are left.
    left: usize,
    /// There were none left.
    pub is_too_much: bool,
}

impl<'a, 's> Walk<'a, 's> {
    /// Nothing yet, and room for names of so many bytes.
    pub fn new(settings: &'s Settings, left: usize) -> Self {
        Self { settings, pairs: Vec::new(), left, is_too_much: false }
    }

    /// Whether the value is made of others that get names of their own.
    pub fn goes_into(&self, text: &str) -> bool {
        let is_empty = |close| text[1..].trim_ascii_start().starts_with(close);
        match text.as_bytes().first() {
            Some(b'{') => !is_empty('}'),
            Some(b'[') => self.settings.arrays == Arrays::Index && !is_empty(']'),
            _ => false,
        }
    }

    /// A value of a record.
    pub fn leaf(&mut self, name: &str, value: Decoded<'a>) {
        match self.left.checked_sub(name.len()) {
            Some(left) => {
                self.left = left;
                self.pairs.push((name.to_owned(), value));
            }
            None => self.is_too_much = true,
        }
    }

    /// A JSON text, with all that lies in it.
    pub fn value(&mut self, name: &str, text: &'a str) {
        if self.is_too_much || !self.goes_into(text) {
            return self.leaf(name, decode(text));
        }
        let below = |member: &str| format!("{name}{}{member}", self.settings.separator);
        if text.starts_with('[') {
            let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) else {
                return self.leaf(name, decode(text));
            };
            for (number, element) in elements.into_iter().enumerate() {
                let below = below(&number.to_string());
                self.value(&below, element.get().trim_ascii());
            }
            return;
        }
        match members(text) {
            Some(members) => {
                for (member, value) in members {
                    let below = below(&member);
                    self.value(&below, value);
                }
            }
            None => self.leaf(name, decode(text)),
        }
    }

    /// The objects that stand at the top of the record without a column of their own, in the order of their names.
    pub fn objects_of(&self, rest: Option<Value<'a>>) -> Vec<Object<'a>> {
        let Some(Value::Json(text)) = rest else { return Vec::new() };
        let members = written(text).unwrap_or_default().into_iter();
        let objects = members.filter(|member| self.goes_into(member.value)).map(|member| {
            let path = member.path();
            Object { name: path::split(&path).concat(), path, text: member.value }
        });
        let mut objects: Vec<_> = objects.collect();
        objects.sort_by(|one, other| one.name.cmp(&other.name));
        objects
    }
}

/// An object without a column of its own.
pub struct Object<'a> {
    pub name: String,
    path: Cow<'a, str>,
    text: &'a str,
}

impl<'a> Object<'a> {
    /// Goes into it.
    pub fn walk(self, walk: &mut Walk<'a, '_>, removed: &mut Vec<Cow<'a, str>>) {
        walk.value(&self.name, self.text);
        removed.push(self.path);
    }
}

/// The members of an object, in order. None where it is none, or has a name that no text can be.
fn members(text: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(Cow<'de, str>, &'de str)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                members.push((name.0, value.get().trim_ascii()));
            }
            Ok(members)
        }
    }
    #[derive(serde::Deserialize)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::Deserializer::from_str(text).deserialize_map(Members).ok()
}
