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

/// Units as people write them out, and their short form.
const WORDS: &[(&str, &str)] = &[
    ("microsecond", "us"),
    ("millisecond", "ms"),
    ("sec", "s"),
    ("second", "s"),
    ("min", "m"),
    ("minute", "m"),
    ("hour", "h"),
    ("day", "d"),
];

/// Splits `250ms` into 250 and `ms`.
fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

/// What was meant by a size that names no unit, or one in other letters: `64M`, `64mb`.
fn meant(number: &str, unit: &str) -> Option<String> {
    let upper = unit.to_uppercase();
    let prefix = upper.strip_suffix("IB").or(upper.strip_suffix('B')).unwrap_or(&upper);
    let (binary, decimal) = match prefix {
        "K" => ("KiB", "kB"),
        "M" => ("MiB", "MB"),
        "G" => ("GiB", "GB"),
        _ => return None,
    };
    Some(match upper.len() {
        1 => format!("write {number}{binary} or {number}{decimal}"),
        2 => format!("write {number}{decimal}"),
        _ => format!("write {number}{binary}"),
    })
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let wrong = || {
            let split =
                number_and_unit(text).map(|(_, unit)| text.trim().split_at(text.trim().len() - unit.len()));
            let help = split.and_then(|(number, unit)| meant(number.trim(), unit));
            let help = help.unwrap_or("write a number with a unit, such as 16MiB".to_owned());
            format!("`{text}` is no size: {help} (the units are B, kB, MB, GB, KiB, MiB and GiB)")
        };
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
        let wrong = || {
            format!(
                "`{text}` is no time: write a number with a unit, such as 250ms (the units are us, ms, s, m, h and d)"
            )
        };
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let singular = unit.strip_suffix('s').unwrap_or(unit);
        let unit = WORDS.iter().find(|(word, _)| *word == singular).map_or(unit, |(_, short)| short);
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

/// A size or a time of the configuration.
pub trait Unit: FromStr<Err = String> {
    /// What may stand where one is wanted.
    const EXPECTED: &str;

    /// What a number without a unit means, if it means anything.
    fn from_number(number: u64) -> Option<Self>;

    /// Whether it is nothing.
    fn is_zero(&self) -> bool;
}

impl Unit for Bytes {
    const EXPECTED: &str = "a size such as 16MiB";

    fn from_number(number: u64) -> Option<Bytes> {
        Some(Bytes(number))
    }

    fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Unit for Span {
    const EXPECTED: &str = "a time with a unit, such as 250ms";

    fn from_number(number: u64) -> Option<Span> {
        (number == 0).then_some(Span(Duration::ZERO))
    }

    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

/// Reads a size or a time of which nothing means something, for `#[serde(deserialize_with)]`. All others are refused
/// when they are 0: a limit of nothing lets nothing through, and an interval of nothing never ends.
pub fn or_zero<'de, D: Deserializer<'de>, T: Unit>(d: D) -> Result<T, D::Error> {
    d.deserialize_any(UnitVisitor { expecting: T::EXPECTED, from_number: T::from_number })
}

fn more_than_zero<'de, D: Deserializer<'de>, T: Unit>(d: D) -> Result<T, D::Error> {
    let value: T = or_zero(d)?;
    match value.is_zero() {
        true => Err(serde::de::Error::custom("it must be more than 0")),
        false => Ok(value),
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Bytes, D::Error> {
        more_than_zero(d)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Span, D::Error> {
        more_than_zero(d)
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
            "pattern": "^[0-9.]+ *(us|ms|s|m|h|d|(microsecond|millisecond|sec|second|min|minute|hour|day)s?)$",
        })
    }
}

#[cfg(test)]
mod tests;
