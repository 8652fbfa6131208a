//! The parts of a tree as serde wants them: maps, lists and enums.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::error::ReadError;
use super::{De, Part};
use crate::config::tree::{Entry, Location, Node};

/// The values of a list.
pub struct Items<'t, 'r> {
    list: De<'t, 'r>,
    rest: std::slice::Iter<'t, Node>,
}

impl<'t, 'r> Items<'t, 'r> {
    pub fn new(list: De<'t, 'r>, items: &'t [Node]) -> Items<'t, 'r> {
        Items { list, rest: items.iter() }
    }
}

impl<'t> SeqAccess<'t> for Items<'t, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        for item in self.rest.by_ref() {
            let de = self.list.child(item, super::head(item));
            if !de.reader.left_out.contains(&de.place()) {
                return de.locate(seed.deserialize(de)).map(Some);
            }
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The keys and values of a map.
pub struct Keys<'t, 'r> {
    map: De<'t, 'r>,
    rest: std::slice::Iter<'t, Entry>,
    /// A key that is read otherwise: `type`.
    skip: Option<&'static str>,
    current: Option<&'t Entry>,
}

impl<'t, 'r> Keys<'t, 'r> {
    pub fn new(map: De<'t, 'r>, entries: &'t [Entry]) -> Keys<'t, 'r> {
        Keys { map, rest: entries.iter(), skip: None, current: None }
    }
}

impl<'t> MapAccess<'t> for Keys<'t, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let map = self.map;
        for entry in self.rest.by_ref() {
            if !self.map.part.has(&entry.key) || self.skip == Some(entry.key.as_str()) {
                continue;
            }
            let left_out = &self.map.reader.left_out;
            if left_out.contains(&entry.key_location)
                || left_out.contains(&map.child(&entry.value, entry.key_location).place())
            {
                self.map.reader.lacking.borrow_mut().push((self.map.place(), entry.key.clone()));
                continue;
            }
            self.current = Some(entry);
            let key = BorrowedStrDeserializer::<ReadError>::new(&entry.key);
            return seed.deserialize(key).map(Some).map_err(|error| {
                let error = match map.part {
                    Part::Without(common) => error.also_known(common),
                    Part::All | Part::Only(_) => error,
                };
                error.at(entry.key_location, entry.secret.then_some(&entry.key))
            });
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        match self.current.take() {
            Some(entry) => {
                let value = self.map.child(&entry.value, entry.key_location);
                value.locate(seed.deserialize(value))
            }
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

/// The two halves of a split map.
pub struct Halves<'t, 'r>(pub std::array::IntoIter<De<'t, 'r>, 2>);

impl<'t> SeqAccess<'t> for Halves<'t, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        self.0.next().map(|half| seed.deserialize(half)).transpose()
    }
}

/// A variant of an enum: its name, and the map or value that it holds.
pub struct Variant<'t, 'r> {
    whole: De<'t, 'r>,
    name: &'t str,
    name_location: Location,
    name_hidden: bool,
    content: Content<'t, 'r>,
}

#[derive(Clone, Copy)]
enum Content<'t, 'r> {
    /// The name alone: `start`.
    Nothing,
    /// The rest of the map in which `type` stands.
    Rest(&'t [Entry]),
    /// The value of the only key: `at: 17`.
    Value(De<'t, 'r>),
}

impl<'t, 'r> Variant<'t, 'r> {
    /// A variant that is written as its name.
    pub fn unit(whole: De<'t, 'r>) -> Variant<'t, 'r> {
        let (name, hidden) = whole.scalar().map_or(("", false), |s| (s.text.as_str(), s.hidden().is_some()));
        let name_location = whole.node.location;
        Variant { whole, name, name_location, name_hidden: hidden, content: Content::Nothing }
    }

    /// The variant that a map holds: by its key `type`, or by its only key if that is a variant's name.
    pub fn find(
        whole: De<'t, 'r>,
        entries: &'t [Entry],
        variants: &'static [&'static str],
    ) -> Result<Variant<'t, 'r>, ReadError> {
        if let [entry] = entries
            && variants.contains(&entry.key.as_str())
        {
            let content = Content::Value(whole.child(&entry.value, entry.key_location));
            let name_location = entry.key_location;
            return Ok(Variant { whole, name: &entry.key, name_location, name_hidden: false, content });
        }
        let Some(entry) = whole.node.entry("type") else {
            let mut error: ReadError = de::Error::missing_field("type");
            error.help = Some(format!("one of {}", variants.join(", ")));
            return Err(error);
        };
        let value = whole.child(&entry.value, entry.key_location);
        let Some(scalar) = value.scalar() else {
            let error: ReadError = de::Error::custom("expected the name of a type");
            return Err(error.at(value.place(), None));
        };
        Ok(Variant {
            whole,
            name: &scalar.text,
            name_location: entry.value.location,
            name_hidden: scalar.hidden().is_some(),
            content: Content::Rest(entries),
        })
    }
}

impl<'t, 'r> EnumAccess<'t> for Variant<'t, 'r> {
    type Error = ReadError;
    type Variant = Variant<'t, 'r>;

    fn variant_seed<V: DeserializeSeed<'t>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let name = BorrowedStrDeserializer::<ReadError>::new(self.name);
        let hidden = self.name_hidden.then_some(self.name);
        let value = seed.deserialize(name).map_err(|e| e.at(self.name_location, hidden))?;
        Ok((value, self))
    }
}

impl<'t, 'r> Variant<'t, 'r> {
    fn keys(&self, entries: &'t [Entry]) -> Keys<'t, 'r> {
        Keys { map: self.whole, rest: entries.iter(), skip: Some("type"), current: None }
    }
}

impl<'t> VariantAccess<'t> for Variant<'t, '_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        let Content::Rest(entries) = self.content else { return Ok(()) };
        match entries.iter().find(|e| e.key != "type" && self.whole.part.has(&e.key)) {
            None => Ok(()),
            Some(entry) => {
                let error: ReadError = de::Error::unknown_field(&entry.key, &[]);
                let error = match self.whole.part {
                    Part::Without(common) => error.also_known(common),
                    Part::All | Part::Only(_) => error,
                };
                Err(error.at(entry.key_location, entry.secret.then_some(&entry.key)))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'t>>(self, seed: T) -> Result<T::Value, ReadError> {
        match self.content {
            Content::Value(value) => value.locate(seed.deserialize(value)),
            Content::Rest(entries) => {
                let keys = self.keys(entries);
                seed.deserialize(Tagged { map: self.whole, keys })
            }
            Content::Nothing => {
                // `type` alone, written short: `to: stdout`.
                let keys = self.keys(&[]);
                seed.deserialize(Tagged { map: self.whole, keys })
            }
        }
    }

    fn tuple_variant<V: Visitor<'t>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        match self.content {
            Content::Value(value) => de::Deserializer::deserialize_seq(value, visitor),
            _ => Err(de::Error::custom(format!("`{}` wants a list", self.name))),
        }
    }

    fn struct_variant<V: Visitor<'t>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.content {
            Content::Value(value) => de::Deserializer::deserialize_map(value, visitor),
            Content::Rest(entries) => self.whole.locate(visitor.visit_map(self.keys(entries))),
            Content::Nothing => self.whole.locate(visitor.visit_map(self.keys(&[]))),
        }
    }
}

/// What a variant with a key `type` holds: the other keys of the same map.
struct Tagged<'t, 'r> {
    map: De<'t, 'r>,
    keys: Keys<'t, 'r>,
}

impl<'de> de::Deserializer<'de> for Tagged<'de, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.map.locate(visitor.visit_map(self.keys))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}
