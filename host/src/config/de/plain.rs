//! What a scalar without quotes means.

use crate::config::tree::Scalar;

/// What a scalar is by YAML's core schema.
pub enum Plain {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Unsigned(u64),
    /// A whole number below 0.
    Signed(i64),
    /// Any other number.
    Float(f64),
    /// All else.
    Text,
}

/// What a scalar is; `typed` is set where the reader wants a number or a boolean, so that one from outside may be one in quotes.
pub fn resolve(scalar: &Scalar, typed: bool) -> Plain {
    let text = scalar.text.as_str();
    if !(scalar.plain || typed && scalar.interpolated) {
        return Plain::Text;
    }
    let found = match text {
        "" if scalar.interpolated => Plain::Text,
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "true" | "True" | "TRUE" => Plain::Bool(true),
        "false" | "False" | "FALSE" => Plain::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" => Plain::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Plain::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Plain::Float(f64::NAN),
        _ => number(text),
    };
    // What a variable holds may be a version (`1.10`) or a number of a house (`007`).
    let stays = typed || !scalar.interpolated || found.is_written_as(text);
    if stays { found } else { Plain::Text }
}

impl Plain {
    /// Whether a number would be written as this text.
    fn is_written_as(&self, text: &str) -> bool {
        match self {
            Plain::Unsigned(n) => n.to_string() == text,
            Plain::Signed(n) => n.to_string() == text,
            Plain::Float(x) => serde_json::Number::from_f64(*x).is_some_and(|x| x.to_string() == text),
            Plain::Null | Plain::Bool(_) | Plain::Text => true,
        }
    }
}

/// Whether float64 holds the whole number that a text is; and whether it is a number at all. Of a fraction nobody expects it.
pub fn holds(x: f64, text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']).trim_start_matches('0');
    let is_whole = digits.bytes().all(|b| b.is_ascii_digit());
    x.is_finite() && (!is_whole || format!("{:.0}", x.abs()) == digits)
}

/// A number as the core schema has them, or else a text.
fn number(text: &str) -> Plain {
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).map_or(Plain::Text, Plain::Unsigned);
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !unsigned.bytes().any(|b| b.is_ascii_digit())
        || !unsigned.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return Plain::Text;
    }
    if let Ok(n) = text.parse() {
        return Plain::Unsigned(n);
    }
    if let Ok(n) = text.parse() {
        return Plain::Signed(n);
    }
    text.parse().map_or(Plain::Text, Plain::Float)
}
