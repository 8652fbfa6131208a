//! How messages stand in the bytes of a field.

use crate::wire::{Wire, signed};
use serde::Deserialize;

/// Most places that the header of a schema registry may have.
const MAX_PLACES: usize = 64;

/// How messages stand in the bytes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// The bytes are one message.
    None,
    /// One after the other, each behind its length.
    LengthDelimited,
    /// One, behind the header that clients of Confluent's schema registry write.
    Confluent,
}

impl Framing {
    /// The messages in these bytes. `place` is where the message stands in its file.
    ///
    /// # Errors
    /// They are not framed so.
    pub fn messages<'a>(self, bytes: &'a [u8], place: &[u32]) -> Result<Vec<&'a [u8]>, String> {
        let mut wire = Wire::new(bytes);
        match self {
            Self::None => Ok(vec![bytes]),
            Self::LengthDelimited => {
                let mut messages = Vec::new();
                while !wire.is_at_end() {
                    let message = wire.delimited();
                    messages.push(message.map_err(|wrong| format!("message {}: {wrong}", messages.len()))?);
                }
                if messages.is_empty() { Err("there is no message in it".to_owned()) } else { Ok(messages) }
            }
            Self::Confluent => {
                // https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/#wire-format
                let Some(([0, _, _, _, _], rest)) = bytes.split_first_chunk() else {
                    return Err(
                        "it has no header of a schema registry: a zero byte and four of a number".to_owned()
                    );
                };
                wire = Wire::new(rest);
                // A count and so many places; no places stand for the first message.
                let count = signed(wire.varint()?);
                let Ok(count @ 0..=MAX_PLACES) = usize::try_from(count) else {
                    return Err(format!("the header of a schema registry has {count} places"));
                };
                let mut places = Vec::new();
                for _ in 0..count {
                    places.push(signed(wire.varint()?));
                }
                if places.is_empty() {
                    places.push(0);
                }
                if !places.iter().copied().eq(place.iter().map(|place| i64::from(*place))) {
                    return Err(format!(
                        "it is of another message of its schema: {places:?}, and not {place:?}"
                    ));
                }
                Ok(vec![wire.rest()])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stand_behind_their_lengths() {
        let framing = Framing::LengthDelimited;
        assert_eq!(framing.messages(&[2, 8, 1, 0, 1, 7], &[0]), Ok(vec![&[8, 1][..], &[], &[7]]));
        assert_eq!(
            framing.messages(&[0, 3, 1], &[0]),
            Err("message 1: 3 bytes should follow, and there are 1".to_owned())
        );
        assert_eq!(framing.messages(&[], &[0]), Err("there is no message in it".to_owned()));
    }

    #[test]
    fn a_header_of_a_registry_says_which_message_it_is() {
        let framing = Framing::Confluent;
        assert_eq!(framing.messages(&[0, 0, 0, 0, 9, 0, 8, 1], &[0]), Ok(vec![&[8, 1][..]]));
        assert_eq!(framing.messages(&[0, 0, 0, 0, 9, 4, 2, 4, 8, 1], &[1, 2]), Ok(vec![&[8, 1][..]]));
        for bytes in [
            &[][..],
            &[1, 0, 0, 0, 9, 0],
            &[0, 0, 0, 0],
            &[0, 0, 0, 0, 9, 0xfe, 0xff, 0x7f],
            &[0, 0, 0, 0, 9, 3],
        ] {
            assert!(framing.messages(bytes, &[0]).is_err(), "{bytes:?}");
        }
        let other = framing.messages(&[0, 0, 0, 0, 9, 2, 2, 8], &[0]);
        assert_eq!(other, Err("it is of another message of its schema: [1], and not [0]".to_owned()));
    }
}
