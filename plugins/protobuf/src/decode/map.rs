//! Maps.

use super::{Decoder, Slot};
use crate::schema::Kind;
use crate::wire::{Raw, signed};
use std::collections::BTreeMap;

/// What a pair has: the text of its key, and the slot of its value.
type Pairs<'a> = BTreeMap<String, Slot<'a>>;

impl Decoder<'_> {
    /// Writes a map, of whose pairs with one key the last one stays.
    pub(super) fn map(&mut self, entries: &[Raw<'_>], number: usize, depth: usize) -> Result<(), String> {
        let schema = self.schema;
        let entry = &schema.messages[number];
        let (Some(key), Some(value)) = (entry.find(1), entry.find(2)) else {
            return Err(format!("`{}` is no pair of a map", entry.name));
        };
        let mut pairs = Pairs::new();
        for entry in entries {
            let mut slots = self.slots(&[*entry], number)?;
            let value = std::mem::replace(&mut slots[value], Slot::None);
            pairs.insert(self.key(key, slots[key].last(), number)?, value);
        }
        let field = &entry.fields[value];
        self.out.push(b'{');
        for (place, (key, value)) in pairs.iter().enumerate() {
            if place > 0 {
                self.out.push(b',');
                self.check_size()?;
            }
            self.text(key);
            self.out.push(b':');
            match (field.kind, value.last()) {
                (Kind::Message(number), _) => self.message(value.all(), number, depth + 1)?,
                (_, Some(raw)) => self.scalar(field, raw)?,
                (_, None) => _ = self.default(field),
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn key(&self, place: usize, raw: Option<Raw<'_>>, number: usize) -> Result<String, String> {
        let field = &self.schema.messages[number].fields[place];
        Ok(match (field.kind, raw) {
            (Kind::String, None) => String::new(),
            (Kind::String, Some(Raw::Bytes(bytes))) => match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) if field.is_utf8 => return Err("a key that is not UTF-8".to_owned()),
                Err(_) => String::from_utf8_lossy(bytes).into_owned(),
            },
            (Kind::Bool, raw) => (!matches!(raw, None | Some(Raw::Varint(0)))).to_string(),
            (_, None) => "0".to_owned(),
            (Kind::Int64, Some(Raw::Varint(number))) => (number as i64).to_string(),
            (Kind::Int32, Some(Raw::Varint(number))) => (number as i32).to_string(),
            (Kind::Uint32, Some(Raw::Varint(number))) => (number as u32).to_string(),
            (Kind::Sint64, Some(Raw::Varint(number))) => signed(number).to_string(),
            (Kind::Sint32, Some(Raw::Varint(number))) => signed(u64::from(number as u32)).to_string(),
            (Kind::Sfixed64, Some(Raw::Fixed64(number))) => (number as i64).to_string(),
            (Kind::Sfixed32, Some(Raw::Fixed32(number))) => (number as i32).to_string(),
            (_, Some(Raw::Varint(number) | Raw::Fixed64(number))) => number.to_string(),
            (_, Some(Raw::Fixed32(number))) => number.to_string(),
            _ => return Err("a key that is no number and no text".to_owned()),
        })
    }
}
