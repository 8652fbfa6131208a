//! Fields of a given type, from pieces of text.

use crate::{BooleanBuilder, Column, Float64Builder, Int64Builder, TextBuilder, Value};
use flitch_model::number::{Number, number};
use serde::Deserialize;
use std::fmt;

/// The type of a field that is parsed out of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text as it is.
    #[default]
    Text,
    /// A signed 64-bit integer.
    Int,
    /// A 64-bit float.
    Float,
    /// `true` or `false`, `1` or `0`, `yes` or `no`, `on` or `off`, in any case.
    Bool,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Int, Self::Float, Self::Bool];

    /// The name, as it stands in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
        }
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// A text as a value of the type, or none where it is none.
    #[inline]
    pub fn read(self, text: &str) -> Option<Value<'_>> {
        match self {
            Self::Text => Some(Value::Text(text)),
            Self::Int => parse_int(text.as_bytes()).map(Value::Int64),
            // `nan`, `inf` and `1e999` are no numbers that a record can hold.
            Self::Float => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float64),
            Self::Bool => parse_bool(text).map(Value::Boolean),
        }
    }
}

/// A text as what it reads as: a number where JSON would write it so, `true` and `false` as booleans, all else as text.
/// What begins with a zero or a plus, as telephone numbers and parts of dates do, is text.
pub fn infer(text: &str) -> Value<'_> {
    match text.as_bytes() {
        b"true" => Value::Boolean(true),
        b"false" => Value::Boolean(false),
        bytes @ [b'-' | b'0'..=b'9', ..] => match number(bytes) {
            Ok((Number::Int(number), length)) if length == bytes.len() => Value::Int64(number),
            Ok((Number::Float(number), length)) if length == bytes.len() => Value::Float64(number),
            _ => Value::Text(text),
        },
        _ => Value::Text(text),
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Builds a column of one [`Kind`].
#[derive(Debug, Clone)]
pub enum TypedBuilder {
    /// Text.
    Text(TextBuilder),
    /// Integers.
    Int(Int64Builder),
    /// Floats.
    Float(Float64Builder),
    /// Booleans.
    Bool(BooleanBuilder),
}

impl TypedBuilder {
    /// A builder with room for `rows` rows of `bytes` bytes of text.
    pub fn new(kind: Kind, rows: usize, bytes: usize) -> Self {
        match kind {
            Kind::Text => Self::Text(TextBuilder::with_capacity(rows, bytes)),
            Kind::Int => Self::Int(Int64Builder::with_capacity(rows)),
            Kind::Float => Self::Float(Float64Builder::with_capacity(rows)),
            Kind::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
        }
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Int(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::Bool(_) => Kind::Bool,
        }
    }

    /// Reads the next row's value. False, and no row is added, when the text is none of the type.
    #[inline]
    #[must_use]
    pub fn push(&mut self, text: &str) -> bool {
        match self {
            Self::Text(builder) => builder.push(text),
            Self::Int(builder) => match Kind::Int.read(text) {
                Some(Value::Int64(number)) => builder.push(number),
                _ => return false,
            },
            Self::Float(builder) => match Kind::Float.read(text) {
                Some(Value::Float64(number)) => builder.push(number),
                _ => return false,
            },
            Self::Bool(builder) => match Kind::Bool.read(text) {
                Some(Value::Boolean(boolean)) => builder.push(boolean),
                _ => return false,
            },
        }
        true
    }

    /// The next row has no value.
    #[inline]
    pub fn push_absent(&mut self) {
        match self {
            Self::Text(builder) => builder.push_absent(),
            Self::Int(builder) => builder.push_absent(),
            Self::Float(builder) => builder.push_absent(),
            Self::Bool(builder) => builder.push_absent(),
        }
    }

    /// Forgets all rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        match self {
            Self::Text(builder) => builder.truncate(rows),
            Self::Int(builder) => builder.truncate(rows),
            Self::Float(builder) => builder.truncate(rows),
            Self::Bool(builder) => builder.truncate(rows),
        }
    }

    /// The column, under this name.
    pub fn finish(self, name: impl Into<String>) -> Column {
        match self {
            Self::Text(builder) => builder.finish(name),
            Self::Int(builder) => builder.finish(name),
            Self::Float(builder) => builder.finish(name),
            Self::Bool(builder) => builder.finish(name),
        }
    }
}

/// A decimal integer with an optional sign.
#[inline]
pub(crate) fn parse_int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    if digits.len() > 18 {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    if let Some(word) = word(digits) {
        let number = eight_digits(word)?;
        return Some(if negative { -number } else { number });
    }
    let mut number = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(if negative { -number } else { number })
}

/// One to eight digits as eight, the first in the lowest byte, with zeros before them.
#[inline]
fn word(digits: &[u8]) -> Option<u64> {
    let byte = |at: usize| u64::from(digits[at]) << (8 * at);
    let len = digits.len();
    let word = match digits {
        [] => return None,
        [_] | [_, _] | [_, _, _] => byte(0) | byte(len / 2) | byte(len - 1),
        _ if len <= 8 => {
            let (first, last) = (digits.first_chunk()?, digits.last_chunk()?);
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ => return None,
    };
    let zeros = 0x3030_3030_3030_3030_u64.checked_shr(8 * len as u32).unwrap_or(0);
    Some(word.checked_shl(8 * (8 - len) as u32).unwrap_or(word) | zeros)
}

/// The number that eight digits are; none where one of them is no digit.
#[inline]
pub(crate) fn eight_digits(word: u64) -> Option<i64> {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    if word & HIGH != ZEROS || (word + 0x0606_0606_0606_0606) & HIGH != ZEROS {
        return None;
    }
    // Digits side by side become numbers of two, then of four, then the whole.
    let twos = (word & !HIGH).wrapping_mul(10 * 256 + 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = twos.wrapping_mul(100 * 65_536 + 1) >> 16 & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000 * 4_294_967_296 + 1) >> 32) as i64)
}

fn parse_bool(text: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "1", "yes", "on"]) {
        Some(true)
    } else if is(["false", "0", "no", "off"]) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_to_the_last_one_that_fits() {
        for text in ["0", "-1", "+7", "123456789012345678", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(parse_int(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for digits in 1..=17 {
            let text = &"12345678901234567"[..digits];
            assert_eq!(parse_int(text.as_bytes()), text.parse().ok(), "{text}");
            for place in 0..digits {
                for byte in [b'/', b':', b'p', 0xb5] {
                    let mut wrong = text.as_bytes().to_vec();
                    wrong[place] = byte;
                    assert_eq!(parse_int(&wrong), None, "{wrong:?}");
                }
            }
        }
        for text in ["", "-", "+", "1x", " 1", "9223372036854775808", "1.0", "--1", "99999999999999999999999"]
        {
            assert_eq!(parse_int(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_no_json_number_can_be_is_no_float() {
        let mut builder = TypedBuilder::new(Kind::Float, 0, 0);
        for text in ["nan", "NaN", "inf", "-infinity", "1e999", "-1e999", ""] {
            assert!(!builder.push(text), "{text}");
        }
        assert!(builder.push("-1.5e3") && builder.push("1e-999"));
    }

    #[test]
    fn a_text_is_the_number_that_json_would_write_so() {
        for (text, value) in [
            ("5", Value::Int64(5)),
            ("-7", Value::Int64(-7)),
            ("2.50", Value::Float64(2.5)),
            ("1e3", Value::Float64(1000.0)),
            ("true", Value::Boolean(true)),
            ("false", Value::Boolean(false)),
        ] {
            assert_eq!(infer(text), value);
        }
        for text in
            ["", "-", "007", "+5", "1.", ".5", "0x10", "1e999", "5 ", "True", "nan", "10.0.0.1", "9.9.2026"]
        {
            assert_eq!(infer(text), Value::Text(text));
        }
    }

    #[test]
    fn a_text_of_another_type_adds_no_row() {
        for kind in [Kind::Int, Kind::Float, Kind::Bool] {
            let mut builder = TypedBuilder::new(kind, 0, 0);
            assert!(!builder.push("nothing"));
            assert!(builder.push("1"));
            builder.push_absent();
            let column = builder.finish("x");
            assert!(column.is_present(0) && !column.is_present(1));
        }
    }
}
