//! The record of a letter as MessagePack: numbers by their value, bytes as bin, and everything else as JSON has it.

use std::borrow::Cow;
use std::fmt;

use rmp::encode::{self, ValueWriteError};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::write::infallible;
use crate::batch::lossless;
use crate::batch::number::{Number, number};

/// A record holds what MessagePack cannot, or is too deep: a number that neither 64 bits nor float64 have exactly, or a
/// text that is no Unicode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit;

/// Members of an object as they stand, names without escapes.
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Members<'de>, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        d.deserialize_map(All)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Appends an object of a letter (see [`lossless`]) as a map, in which `depth` objects and arrays may lie inside each
/// other.
///
/// # Errors
/// It cannot be. What was appended is of no use then.
pub fn map(Members(members): &Members<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), Unfit> {
    infallible(encode::write_map_len(out, members.len().try_into().map_err(|_| Unfit)?));
    for (name, member) in members {
        // What is behind a mark is a part of the text.
        infallible(encode::write_str(out, &name[name.len() - lossless::unmarked(name.as_bytes()).len()..]));
        value(member.get(), depth, out)?;
    }
    Ok(())
}

fn value(json: &str, depth: usize, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let inner = || depth.checked_sub(1).ok_or(Unfit);
    match json.as_bytes() {
        [b'{', ..] => match lossless::read_bytes(json.as_bytes()) {
            Some((bytes, length)) if length == json.len() => infallible(encode::write_bin(out, &bytes)),
            _ => map(&serde_json::from_str(json).map_err(|_| Unfit)?, inner()?, out)?,
        },
        [b'[', ..] => {
            let inner = inner()?;
            let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| Unfit)?;
            infallible(encode::write_array_len(out, items.len().try_into().map_err(|_| Unfit)?));
            for item in items {
                value(item.get(), inner, out)?;
            }
        }
        [b'"', ..] => {
            let Name(text) = serde_json::from_str(json).map_err(|_| Unfit)?;
            infallible(encode::write_str(out, &text));
        }
        b"true" => infallible(encode::write_bool(out, true).map_err(ValueWriteError::InvalidMarkerWrite)),
        b"false" => infallible(encode::write_bool(out, false).map_err(ValueWriteError::InvalidMarkerWrite)),
        b"null" => infallible(encode::write_nil(out).map_err(ValueWriteError::InvalidMarkerWrite)),
        text => match (number(text), json.parse()) {
            (Ok((Number::Int(n), _)), _) => infallible(encode::write_sint(out, n)),
            (Ok((Number::Float(x), _)), _) => infallible(encode::write_f64(out, x)),
            (Ok((Number::Other, _)), Ok(n)) => infallible(encode::write_uint(out, n)),
            _ => return Err(Unfit),
        },
    }
    Ok(())
}
