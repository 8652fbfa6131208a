//! What messages are made of, from a set of file descriptors (`google/protobuf/descriptor.proto`).

mod features;
mod link;
mod read;

use crate::wire::Raw;
use std::collections::HashMap;

pub(crate) use link::camel;

/// All messages and enums that a descriptor set names.
#[derive(Debug, Default)]
pub struct Schema {
    /// The messages.
    pub messages: Vec<Message>,
    /// The enums.
    pub enums: Vec<Enum>,
    /// The messages by their full names.
    by_name: HashMap<String, usize>,
}

/// A message.
#[derive(Debug, Default)]
pub struct Message {
    /// Its full name, without a dot before it.
    pub name: String,
    /// Its fields, by their numbers.
    pub fields: Vec<Field>,
    /// Where a field of a small number stands in `fields`, plus one.
    small: Vec<u16>,
    /// What it means to everybody.
    pub known: Known,
    /// Whether it is a pair of a map.
    pub is_map_entry: bool,
    /// Where it stands in its file: the number of the message at the top, of the one in that, and so on.
    pub place: Vec<u32>,
}

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    /// Its number.
    pub number: u32,
    /// Its name as the member of a JSON object: quoted, with the colon.
    pub member: String,
    /// Its name, for reasons.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// How often.
    pub cardinality: Cardinality,
    /// Which of the alternatives of its message it is one of.
    pub oneof: Option<u32>,
    /// The default that the schema gives it.
    pub default: Option<String>,
    /// Whether a text that is not UTF-8 is an error.
    pub is_utf8: bool,
}

/// How often a field stands in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// Once at most, and a default does not count as being there.
    Implicit,
    /// Once at most.
    Explicit,
    /// Once.
    Required,
    /// Any number of times.
    Repeated,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    /// One of the enums, by its place.
    Enum(usize),
    /// One of the messages, by its place.
    Message(usize),
}

/// An enum.
#[derive(Debug, Default)]
pub struct Enum {
    /// Its full name.
    pub name: String,
    /// Its values, in the order of their numbers; of several names of a number the first one.
    pub values: Vec<(i32, String)>,
    /// The first value that the schema names.
    pub first: i32,
    /// Whether a number without a name is no value of it.
    pub is_closed: bool,
}

/// What some messages mean to everybody (`google/protobuf/*.proto`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Known {
    #[default]
    No,
    Any,
    Duration,
    FieldMask,
    ListValue,
    Struct,
    Timestamp,
    Value,
    /// One of the messages that hold one value, to tell it from none.
    Wrapper,
}

impl Known {
    fn of(name: &str) -> Self {
        match name.strip_prefix("google.protobuf.").unwrap_or_default() {
            "Any" => Self::Any,
            "Duration" => Self::Duration,
            "FieldMask" => Self::FieldMask,
            "ListValue" => Self::ListValue,
            "Struct" => Self::Struct,
            "Timestamp" => Self::Timestamp,
            "Value" => Self::Value,
            "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value"
            | "BoolValue" | "StringValue" | "BytesValue" => Self::Wrapper,
            _ => Self::No,
        }
    }
}

impl Schema {
    /// Reads a `FileDescriptorSet`. `by_json_name` says which names the fields have.
    ///
    /// # Errors
    /// The bytes are none, or a file names what is not in the set.
    pub fn read(set: &[u8], by_json_name: bool) -> Result<Self, String> {
        link::link(&read::files(set)?, by_json_name)
    }

    /// The message of this full name.
    pub fn message(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The names of all messages, in order.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.messages.iter().filter(|message| !message.is_map_entry).map(|m| m.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

impl Message {
    /// Where the field of this number stands.
    #[inline]
    pub fn find(&self, number: u32) -> Option<usize> {
        match self.small.get(number as usize) {
            Some(0) => None,
            Some(place) => Some(usize::from(*place) - 1),
            None => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }
}

impl Enum {
    /// The name of a number.
    pub fn value(&self, number: i32) -> Option<&str> {
        let place = self.values.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(&self.values[place].1)
    }
}

impl Kind {
    /// Whether a value of this kind may be written so.
    pub fn fits(self, raw: Raw<'_>) -> bool {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => matches!(raw, Raw::Fixed64(_)),
            Self::Float | Self::Fixed32 | Self::Sfixed32 => matches!(raw, Raw::Fixed32(_)),
            Self::String | Self::Bytes => matches!(raw, Raw::Bytes(_)),
            Self::Message(_) => matches!(raw, Raw::Bytes(_) | Raw::Group(_)),
            _ => matches!(raw, Raw::Varint(_)),
        }
    }

    /// Whether several of them may stand in one field's bytes.
    pub fn packs(self) -> bool {
        !matches!(self, Self::String | Self::Bytes | Self::Message(_))
    }
}

#[cfg(test)]
mod tests;
