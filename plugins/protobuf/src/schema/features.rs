//! What an edition of the language, and the options beside it, say of fields and enums
//! (<https://protobuf.dev/editions/features/>).

use crate::wire::{Raw, Wire};

/// The first edition that says all of this by features: 2023.
const FIRST: u64 = 1000;

/// What holds for a file, a message, a field or an enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Whether a default does not count as being there.
    pub is_implicit: bool,
    /// Whether the field has to be there.
    pub is_required: bool,
    /// Whether a number without a name is no value of an enum.
    pub is_closed: bool,
    /// Whether a text that is not UTF-8 is an error.
    pub is_utf8: bool,
}

impl Features {
    /// What holds for a file that says nothing else.
    ///
    /// # Errors
    /// There is no such syntax.
    pub fn of(syntax: &str, edition: u64) -> Result<Self, String> {
        let (is_implicit, is_closed, is_utf8) = match (syntax, edition) {
            ("" | "proto2", 0) => (false, true, false),
            ("proto3", 0) => (true, false, true),
            ("editions", FIRST..) => (false, false, true),
            (syntax, edition) => {
                return Err(format!("there is no syntax {syntax:?} of edition {edition}"));
            }
        };
        Ok(Self { is_implicit, is_required: false, is_closed, is_utf8 })
    }

    /// The same where a `FeatureSet` says otherwise.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn overlaid(mut self, set: Option<&[u8]>) -> Result<Self, String> {
        let mut wire = Wire::new(set.unwrap_or_default());
        while let Some((number, raw)) = wire.field()? {
            match (number, raw) {
                (1, Raw::Varint(presence)) => {
                    self.is_implicit = presence == 2;
                    self.is_required = presence == 3;
                }
                (2, Raw::Varint(kind)) => self.is_closed = kind == 2,
                (4, Raw::Varint(validation)) => self.is_utf8 = validation != 3,
                _ => {}
            }
        }
        Ok(self)
    }
}
