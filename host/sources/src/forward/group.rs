//! Groups of records, as Fluent Bit sends them for OpenTelemetry: a mark before the records holds what is the same for
//! all of them (`resource`, `scope`), and another mark ends the group.
//!
//! Source: Fluent Bit's `flb_log_event_encoder_group_init` and `flb_log_event_decoder.c`.

use super::entries::{self, BadEntry};
use flitch_core::batch::builder::Builder;
use flitch_core::net::forward::wire::{Cursor, Token};

/// Longest head of a group, in bytes. Each record of the group gets a copy of it.
const LONGEST: usize = 16 << 10;

/// What the records of a group have in common.
#[derive(Debug)]
pub struct Group {
    /// MessagePack names and values one after the other.
    fields: Box<[u8]>,
    /// How many fields these are.
    pairs: u32,
}

impl Group {
    /// The group that a mark begins whose body is this value; none where it brings no field. `scratch` is between two
    /// records, and is left as it is.
    pub fn read(body: &[u8], scratch: &mut Builder) -> Result<Option<Group>, BadEntry> {
        let wrong = |what: String| Err(BadEntry::Shape(format!("the head of a group of records {what}")));
        let mut cursor = Cursor::new(body, 0);
        let pairs = match cursor.token()? {
            Token::Map(pairs) => pairs,
            other => return wrong(format!("must be a map, not {}", other.name())),
        };
        let fields = &body[cursor.at()..];
        if fields.len() > LONGEST {
            return wrong(format!("is longer than {LONGEST} bytes; its records go on without it"));
        }
        let group = Group { fields: fields.into(), pairs };
        // What no record could take is said once here, and not for each of them.
        scratch.begin_record();
        let fits = group.write(scratch);
        scratch.cancel_record();
        fits?;
        Ok((pairs > 0).then_some(group))
    }

    /// Writes the fields into the record that `to` has begun.
    pub fn write(&self, to: &mut Builder) -> Result<(), BadEntry> {
        entries::fields_behind(&mut Cursor::new(&self.fields, 0), self.pairs, to)
    }
}

#[cfg(test)]
mod tests;
