//! From the bytes of a message to the text of a JSON object, as the language's JSON mapping has it
//! (<https://protobuf.dev/programming-guides/json/>); but whole numbers of 64 bits are numbers, and exact.

mod known;
mod map;
mod scalar;

use crate::schema::{Cardinality, Field, Kind, Known, Schema};
use crate::wire::{Raw, Wire};

/// Most messages within one another, as in the libraries of the language.
const MAX_DEPTH: usize = 100;

/// Most bytes of JSON that one message may become. What a schema adds to it (names, defaults) is in no relation to the
/// bytes of the message.
const MAX_TEXT: usize = 8 << 20;

/// How values are shown.
#[derive(Debug, Clone, Copy)]
pub struct Show {
    /// Enums by their numbers, and not by their names.
    pub enum_numbers: bool,
    /// Fields that a message lacks.
    pub defaults: Defaults,
}

/// Which of the fields that a message lacks are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Defaults {
    /// None.
    None,
    /// Those of which nobody can tell whether they are there: without presence, repeated, maps.
    Implicit,
    /// Those as well that have presence, but messages and alternatives.
    All,
}

/// Decodes messages of one schema.
#[derive(Debug)]
pub struct Decoder<'s> {
    schema: &'s Schema,
    show: Show,
    /// The text so far.
    out: Vec<u8>,
    /// How many fields there were that the schema does not know, numbers without a name of closed enums among them.
    pub unknown: u64,
}

/// What a message has of a field.
#[derive(Debug, Clone)]
enum Slot<'a> {
    None,
    One(Raw<'a>),
    Many(Vec<Raw<'a>>),
}

impl<'a> Slot<'a> {
    fn all(&self) -> &[Raw<'a>] {
        match self {
            Self::None => &[],
            Self::One(raw) => std::slice::from_ref(raw),
            Self::Many(all) => all,
        }
    }

    fn push(&mut self, raw: Raw<'a>) {
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(raw),
            Self::One(first) => Self::Many(vec![first, raw]),
            Self::Many(mut all) => {
                all.push(raw);
                Self::Many(all)
            }
        };
    }

    fn last(&self) -> Option<Raw<'a>> {
        self.all().last().copied()
    }
}

/// The fields of one message, each with the slot of its place.
type Slots<'a> = Vec<Slot<'a>>;

impl<'s> Decoder<'s> {
    /// A decoder that has read nothing yet.
    pub fn new(schema: &'s Schema, show: Show) -> Self {
        Self { schema, show, out: Vec::new(), unknown: 0 }
    }

    /// The JSON object that the bytes of message `number` are.
    ///
    /// # Errors
    /// Where they are none, and why.
    pub fn decode(&mut self, bytes: &[u8], number: usize) -> Result<&str, String> {
        self.out.clear();
        self.message(&[Raw::Bytes(bytes)], number, 0)?;
        std::str::from_utf8(&self.out).map_err(|_| "it makes no UTF-8".to_owned())
    }

    /// Writes a message, of which there may be several parts: what comes later is added to what came before.
    fn message(&mut self, parts: &[Raw<'_>], number: usize, depth: usize) -> Result<(), String> {
        if depth == MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} messages within one another"));
        }
        self.check_size()?;
        let slots = self.slots(parts, number)?;
        match self.schema.messages[number].known {
            Known::No => {
                self.out.push(b'{');
                self.members(&slots, number, depth)?;
                self.out.push(b'}');
                Ok(())
            }
            known => self.known(known, &slots, number, depth),
        }
    }

    /// Sorts what a message holds by its fields.
    fn slots<'a>(&mut self, parts: &[Raw<'a>], number: usize) -> Result<Slots<'a>, String> {
        let message = &self.schema.messages[number];
        let mut slots = vec![Slot::None; message.fields.len()];
        for part in parts {
            let (Raw::Bytes(bytes) | Raw::Group(bytes)) = *part else { continue };
            let mut wire = Wire::new(bytes);
            while let Some((number, raw)) = wire.field()? {
                let Some(place) = message.find(number) else {
                    self.unknown += 1;
                    continue;
                };
                let field = &message.fields[place];
                if self.take(field, raw, &mut slots[place])?
                    && let Some(oneof) = field.oneof
                {
                    // Of alternatives the last one counts.
                    for (other, slot) in slots.iter_mut().enumerate() {
                        if other != place && message.fields[other].oneof == Some(oneof) {
                            *slot = Slot::None;
                        }
                    }
                }
            }
        }
        Ok(slots)
    }

    /// Puts a value into its field's slot. Answers whether it is one.
    fn take<'a>(&mut self, field: &Field, raw: Raw<'a>, slot: &mut Slot<'a>) -> Result<bool, String> {
        let is_repeated = field.cardinality == Cardinality::Repeated;
        if !field.kind.fits(raw) {
            return match raw {
                Raw::Bytes(packed) if is_repeated && field.kind.packs() => {
                    self.packed(field, packed, slot).map_err(|wrong| format!("{}: {wrong}", field.name))?;
                    Ok(true)
                }
                _ => {
                    self.unknown += 1;
                    Ok(false)
                }
            };
        }
        if self.is_no_value(field.kind, raw) {
            self.unknown += 1;
            return Ok(false);
        }
        match field.kind {
            Kind::Message(_) => slot.push(raw),
            _ if is_repeated => slot.push(raw),
            _ => *slot = Slot::One(raw),
        }
        Ok(true)
    }

    fn packed<'a>(&mut self, field: &Field, bytes: &'a [u8], slot: &mut Slot<'a>) -> Result<(), String> {
        let mut wire = Wire::new(bytes);
        while !wire.is_at_end() {
            let raw = match field.kind {
                Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => wire.fixed64().map(Raw::Fixed64),
                Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => wire.fixed32().map(Raw::Fixed32),
                _ => wire.varint().map(Raw::Varint),
            }?;
            if self.is_no_value(field.kind, raw) {
                self.unknown += 1;
            } else {
                slot.push(raw);
            }
        }
        Ok(())
    }

    /// Whether a number is no value of a closed enum.
    fn is_no_value(&self, kind: Kind, raw: Raw<'_>) -> bool {
        match (kind, raw) {
            (Kind::Enum(number), Raw::Varint(value)) => {
                let one = &self.schema.enums[number];
                one.is_closed && one.value(value as i32).is_none()
            }
            _ => false,
        }
    }

    /// Writes the members of a message, without its braces.
    fn members(&mut self, slots: &Slots<'_>, number: usize, depth: usize) -> Result<(), String> {
        let schema = self.schema;
        let mut comma = !self.out.ends_with(b"{");
        for (field, slot) in schema.messages[number].fields.iter().zip(slots) {
            let before = self.out.len();
            if comma {
                self.out.push(b',');
            }
            self.out.extend_from_slice(field.member.as_bytes());
            let is_shown = self.field(field, slot, depth).map_err(|wrong| within(&field.name, &wrong))?;
            if is_shown {
                comma = true;
            } else {
                self.out.truncate(before);
            }
        }
        Ok(())
    }

    /// Writes what a message has of a field. Answers whether it is to be shown.
    fn field(&mut self, field: &Field, slot: &Slot<'_>, depth: usize) -> Result<bool, String> {
        let schema = self.schema;
        if field.cardinality == Cardinality::Repeated {
            let all = slot.all();
            let defaults = all.is_empty() && self.show.defaults != Defaults::None;
            return match field.kind {
                Kind::Message(entry) if schema.messages[entry].is_map_entry => {
                    self.map(all, entry, depth)?;
                    Ok(!all.is_empty() || defaults)
                }
                _ => {
                    self.list(field, all, depth)?;
                    Ok(!all.is_empty() || defaults)
                }
            };
        }
        match (slot.last(), field.kind) {
            (Some(_), Kind::Message(number)) => self.message(slot.all(), number, depth + 1)?,
            (Some(raw), _) => {
                if field.cardinality == Cardinality::Implicit && is_zero(raw) {
                    return Ok(self.show.defaults != Defaults::None && self.default(field));
                }
                self.scalar(field, raw)?;
            }
            (None, _) => {
                return match (field.cardinality, self.show.defaults) {
                    (Cardinality::Required, _) => Err("it is missing".to_owned()),
                    (Cardinality::Implicit, Defaults::Implicit | Defaults::All) => Ok(self.default(field)),
                    (Cardinality::Explicit, Defaults::All) if field.oneof.is_none() => {
                        Ok(self.default(field))
                    }
                    _ => Ok(false),
                };
            }
        }
        Ok(true)
    }

    fn check_size(&self) -> Result<(), String> {
        match self.out.len() {
            ..=MAX_TEXT => Ok(()),
            _ => Err(format!("it makes more than {} MiB of text", MAX_TEXT >> 20)),
        }
    }

    fn list(&mut self, field: &Field, all: &[Raw<'_>], depth: usize) -> Result<(), String> {
        self.out.push(b'[');
        for (place, raw) in all.iter().enumerate() {
            if place > 0 {
                self.out.push(b',');
                self.check_size()?;
            }
            match field.kind {
                Kind::Message(number) => self.message(&[*raw], number, depth + 1)?,
                _ => self.scalar(field, *raw)?,
            }
        }
        self.out.push(b']');
        Ok(())
    }
}

/// A reason with the path of fields before it.
fn within(name: &str, wrong: &str) -> String {
    match wrong.strip_prefix('`') {
        Some(inner) => format!("`{name}.{inner}"),
        None => format!("`{name}`: {wrong}"),
    }
}

/// Whether a value is the default of its type.
fn is_zero(raw: Raw<'_>) -> bool {
    match raw {
        Raw::Varint(number) | Raw::Fixed64(number) => number == 0,
        Raw::Fixed32(number) => number == 0,
        Raw::Bytes(bytes) | Raw::Group(bytes) => bytes.is_empty(),
    }
}

#[cfg(test)]
mod tests;
