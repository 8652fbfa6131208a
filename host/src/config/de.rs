//! A serde deserializer over the tree, whose errors know where they stand.
//!
//! It is written by hand because it differs from those of the YAML crates in three points. An enum is read from a map with a key `type`, without the buffering that
//! makes serde lose the place. A value of one type that was written as another is taken where nothing can be lost
//! (`tag: 17` is the text `17`). And after an error it reads again without the wrong value, so that one run tells
//! all that is wrong.

use std::cell::RefCell;
use std::collections::HashSet;

use serde::Deserialize;
use serde::de::{self, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::tree::{Location, Node, Scalar, Value};
use flitch_core::{exact, secret};

mod elsewhere;
mod error;
mod parts;
mod plain;

pub use error::{ReadError, hide, nearest, suggest};
use parts::{Items, Keys, Variant};
use plain::{Plain, holds, resolve};

/// The name with which [`split`] asks for the two halves of a map.
const SPLIT: &str = "$flitch::split";

/// Most errors that one run tells.
const MOST_ERRORS: usize = super::report::MOST_TOLD;

/// A value read from a tree, or all that is wrong with it; and the places of its secrets.
pub struct Reading<T> {
    /// The value.
    pub value: Result<T, Vec<ReadError>>,
    /// Where values stand that must not be shown.
    pub secrets: Vec<Location>,
}

/// Reads `node` as a `T`.
pub fn read<'t, T: Deserialize<'t>>(node: &'t Node) -> Reading<T> {
    let mut reader = Findings::default();
    let mut errors: Vec<ReadError> = Vec::new();
    let value = loop {
        let de = De { node, head: head(node), reader: &reader, part: Part::All, exact: false };
        let error = match T::deserialize(de) {
            Ok(value) if errors.is_empty() => break Ok(value),
            Ok(_) => break Err(errors),
            Err(error) => error,
        };
        // Leaves out what is wrong, or what encloses it where that was left out before, and goes on.
        let follows = error.missing.as_deref().is_some_and(|key| reader.lacks(error.location, key));
        let mut places = std::iter::once(error.location).chain(error.enclosing.iter().copied());
        let told = follows || reader.left_out.contains(&error.location);
        let goes_on = places.any(|place| reader.left_out.insert(place));
        if !told || errors.is_empty() {
            errors.push(error);
        }
        if !goes_on || errors.len() >= MOST_ERRORS {
            break Err(errors);
        }
    };
    Reading { value, secrets: reader.secrets.into_inner() }
}

/// Reads a map in two parts: the keys of `common` as a `C`, all others as an `R`.
pub fn split<'de, D, C, R>(d: D, common: &'static [&'static str]) -> Result<(C, R), D::Error>
where
    D: serde::Deserializer<'de>,
    C: Deserialize<'de>,
    R: Deserialize<'de>,
{
    struct Halves<C, R>(std::marker::PhantomData<(C, R)>);

    impl<'de, C: Deserialize<'de>, R: Deserialize<'de>> Visitor<'de> for Halves<C, R> {
        type Value = (C, R);

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a map")
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut halves: A) -> Result<(C, R), A::Error> {
            let lacking = || de::Error::custom("only the reader of the configuration splits maps");
            let rest = halves.next_element()?.ok_or_else(lacking)?;
            Ok((halves.next_element()?.ok_or_else(lacking)?, rest))
        }
    }

    d.deserialize_struct(SPLIT, common, Halves(std::marker::PhantomData))
}

/// Where an error about a whole node is shown: its first character, unless it is a scalar.
fn head(node: &Node) -> Location {
    match node.value {
        Value::Scalar(_) => node.location,
        _ => Location { start: node.location.start, end: node.location.start + 1 },
    }
}

#[derive(Default)]
struct Findings {
    /// Places of keys and values that were wrong in an earlier pass.
    left_out: HashSet<Location>,
    secrets: RefCell<Vec<Location>>,
    /// Keys that were left out, with the head of their map.
    lacking: RefCell<Vec<(Location, String)>>,
}

impl Findings {
    /// Whether the map at `head` lacks `key` only because its value, or a key that was meant for it, was left out.
    fn lacks(&self, head: Location, key: &str) -> bool {
        let lacking = self.lacking.borrow();
        let meant =
            |k: &str| k == key || elsewhere::name(k, &[key]).is_some() || nearest(k, &[key]).is_some();
        lacking.iter().any(|(h, k)| *h == head && meant(k))
    }
}

/// Which keys of a map are read.
#[derive(Clone, Copy)]
enum Part {
    All,
    Only(&'static [&'static str]),
    Without(&'static [&'static str]),
}

impl Part {
    fn has(self, key: &str) -> bool {
        match self {
            Part::All => true,
            Part::Only(keys) => keys.contains(&key),
            Part::Without(keys) => !keys.contains(&key),
        }
    }
}

/// One node on its way into a value.
#[derive(Clone, Copy)]
struct De<'t, 'r> {
    node: &'t Node,
    /// Where errors about the node as a whole are shown: its key, if it has one.
    head: Location,
    reader: &'r Findings,
    part: Part,
    /// Whether numbers and texts are marked where `serde_json` would lose something of them: see [`exact`].
    exact: bool,
}

impl<'t, 'r> De<'t, 'r> {
    fn child(self, node: &'t Node, head: Location) -> De<'t, 'r> {
        De { node, head, part: Part::All, ..self }
    }

    /// The place of this node for errors.
    fn place(self) -> Location {
        match self.node.value {
            Value::Scalar(_) => self.node.location,
            _ => self.head,
        }
    }

    fn scalar(self) -> Option<&'t Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Puts the place on an error that has none, and takes the value out of its text where it must not be shown.
    fn locate<T>(self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        result.map_err(|error| error.at(self.place(), self.scalar().and_then(Scalar::hidden)))
    }

    /// Reads a value by its own looks; `typed` is set where the reader wants a number or a boolean, so that
    /// `"${PORT}"` can be one despite its quotes.
    fn any<V: Visitor<'t>>(self, visitor: V, typed: bool) -> Result<V::Value, ReadError> {
        let result = match &self.node.value {
            Value::Seq(items) => visitor.visit_seq(Items::new(self, items)),
            Value::Map(entries) => visitor.visit_map(Keys::new(self, entries)),
            Value::Scalar(scalar) => match resolve(scalar, typed) {
                Plain::Null => visitor.visit_unit(),
                Plain::Bool(b) => visitor.visit_bool(b),
                Plain::Unsigned(n) => visitor.visit_u64(n),
                Plain::Signed(n) => visitor.visit_i64(n),
                Plain::Float(x) => match exact::marked_number(&scalar.text).filter(|_| self.exact) {
                    Some(marked) => visitor.visit_string(marked),
                    None if !typed && !holds(x, &scalar.text) => Err(ReadError::rounded(&scalar.text)),
                    None => visitor.visit_f64(x),
                },
                Plain::Text if self.exact => visitor.visit_str(&exact::marked_text(&scalar.text)),
                Plain::Text => visitor.visit_borrowed_str(&scalar.text),
            },
        };
        self.locate(result)
    }

    fn text<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.scalar() {
            Some(scalar) if !matches!(resolve(scalar, false), Plain::Null) => {
                self.locate(visitor.visit_borrowed_str(&scalar.text))
            }
            _ => self.any(visitor, false),
        }
    }

    fn is_null(self) -> bool {
        self.scalar().is_some_and(|s| matches!(resolve(s, false), Plain::Null))
    }
}

macro_rules! typed {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.any(visitor, true)
        })*
    };
}

macro_rules! textual {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.text(visitor)
        })*
    };
}

impl<'de> de::Deserializer<'de> for De<'de, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.any(visitor, false)
    }

    typed! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64
    }

    textual! { deserialize_char deserialize_str deserialize_string deserialize_identifier }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name == secret::MARKER {
            self.reader.secrets.borrow_mut().push(self.node.location);
        }
        visitor.visit_newtype_struct(De { exact: self.exact || name == exact::MARKER, ..self })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        // `admin:` with nothing below it: everything by default.
        if self.is_null() {
            return self.locate(visitor.visit_map(Keys::new(self, &[])));
        }
        // serde would take a list for the fields of a struct in their order.
        if let Value::Seq(_) = self.node.value {
            return self.locate(Err(de::Error::invalid_type(Unexpected::Seq, &"a map")));
        }
        self.any(visitor, false)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name != SPLIT {
            return self.deserialize_map(visitor);
        }
        match &self.node.value {
            Value::Map(_) => {
                let halves =
                    [De { part: Part::Without(fields), ..self }, De { part: Part::Only(fields), ..self }];
                visitor.visit_seq(parts::Halves(halves.into_iter()))
            }
            // A list would be taken for the halves.
            Value::Seq(_) => self.locate(Err(de::Error::invalid_type(Unexpected::Seq, &"a map"))),
            Value::Scalar(_) => self.any(visitor, false),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let result = match &self.node.value {
            Value::Scalar(_) if !self.is_null() => visitor.visit_enum(Variant::unit(self)),
            Value::Map(entries) => match Variant::find(self, entries, variants) {
                Ok(variant) => visitor.visit_enum(variant),
                Err(error) => Err(error),
            },
            _ => {
                let found = if self.is_null() { Unexpected::Unit } else { Unexpected::Seq };
                let known = variants.join(", ");
                Err(de::Error::invalid_type(found, &format!("one of {known}").as_str()))
            }
        };
        self.locate(result)
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct seq tuple tuple_struct ignored_any }
}

#[cfg(test)]
mod tests;
