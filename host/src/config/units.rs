//! Sizes and times as people write them: `16MiB`, `250ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A size in bytes: a whole number with `B`, `kB`, `MB`, `GB`, `KiB`, `MiB` or `GiB`, or without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A span of time: a number with `us`, `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

const BYTES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("kB", 1_000),
    ("B", 1),
];

const SPANS: &[(&str, u64)] = &[
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Splits `250ms` into 250 and `ms`.
fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let wrong = || format!("`{text}` is no size: write a number with a unit, such as 16MiB");
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let factor = match unit {
            "" => 1,
            _ => BYTES.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
        };
        Ok(Bytes((number * factor as f64) as u64))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let wrong = || format!("`{text}` is no time: write a number with a unit, such as 250ms");
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let factor = SPANS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
        Ok(Span(Duration::from_nanos((number * factor as f64) as u64)))
    }
}

/// Writes `value` in the largest unit that divides it.
fn write(f: &mut fmt::Formatter<'_>, units: &[(&str, u64)], value: u64, zero: &str) -> fmt::Result {
    if value == 0 {
        return f.write_str(zero);
    }
    let mut fits: Vec<_> = units.iter().filter(|(_, factor)| value.is_multiple_of(*factor)).collect();
    fits.sort_by_key(|(_, factor)| *factor);
    match fits.last() {
        Some((name, factor)) => write!(f, "{}{name}", value / factor),
        None => write!(f, "{value}"),
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, BYTES, self.0, "0")
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, SPANS, self.0.as_nanos() as u64, "0s")
    }
}

/// A string in a unit, or a bare number where `from_number` takes one.
struct UnitVisitor<T> {
    expecting: &'static str,
    from_number: fn(u64) -> Option<T>,
}

impl<T: FromStr<Err = String>> serde::de::Visitor<'_> for UnitVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        let wrong = || E::invalid_type(serde::de::Unexpected::Unsigned(number), &self.expecting);
        (self.from_number)(number).ok_or_else(wrong)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Signed(number), &self.expecting)),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Bytes, D::Error> {
        d.deserialize_any(UnitVisitor { expecting: "a size such as 16MiB", from_number: |n| Some(Bytes(n)) })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Span, D::Error> {
        let from_number = |n| (n == 0).then_some(Span(Duration::ZERO));
        d.deserialize_any(UnitVisitor { expecting: "a time with a unit, such as 250ms", from_number })
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl schemars::JsonSchema for Bytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A size: a number with B, kB, MB, GB, KiB, MiB or GiB",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^[0-9.]+ *(B|kB|KB|MB|GB|KiB|MiB|GiB)?$" },
            ],
        })
    }
}

impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A time: a number with us, ms, s, m, h or d",
            "type": "string",
            "pattern": "^[0-9.]+ *(us|ms|s|m|h|d)$",
        })
    }
}

#[cfg(test)]
mod tests;
