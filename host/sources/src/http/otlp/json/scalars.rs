//! Texts, numbers, bytes and ids, each of which JSON of protobuf has in several forms. A reader takes them all.
//!
//! Source: <https://protobuf.dev/programming-guides/json/>.

use std::borrow::Cow;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::{Broken, hexadecimal};
use flitch_core::batch::builder::Builder;
use flitch_core::batch::{json, number};

/// Bytes may be written with padding or without.
const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

pub fn wrong(name: &[u8]) -> Broken {
    Broken::new(format!("`{}` has a value of another type", name.escape_ascii()))
}

/// What a text says, borrowed where it has no escapes; and whether half of a surrogate pair is in it, which UTF-8 cannot hold.
fn read<'a>(json: &'a [u8], name: &[u8]) -> Result<(Cow<'a, [u8]>, bool), Broken> {
    let inside = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let inside = inside.ok_or_else(|| wrong(name))?;
    if memchr::memchr(b'\\', inside).is_none() {
        return Ok((Cow::Borrowed(inside), false));
    }
    let mut text = Vec::with_capacity(inside.len());
    let is_lone = json::unescape(inside, &mut text).map_err(|_| wrong(name))?;
    Ok((Cow::Owned(text), is_lone))
}

/// What a text says; in WTF-8 where it has half of a surrogate pair.
pub fn string<'a>(json: &'a [u8], name: &[u8]) -> Result<Cow<'a, [u8]>, Broken> {
    read(json, name).map(|(text, _)| text)
}

/// Writes a text. With half of a surrogate pair in it, it stays the JSON that it is, as in any other JSON.
pub fn put_text(json: &[u8], name: &[u8], to: &mut Builder) -> Result<(), Broken> {
    match read(json, name)? {
        (text, false) => to.text(&text),
        (_, true) => to.json_bytes(json),
    }
    Ok(())
}

/// Writes a text that is not empty as this field.
pub fn text(field: &[u8], json: &[u8], name: &[u8], to: &mut Builder) -> Result<(), Broken> {
    if json != b"\"\"" {
        to.key(field);
        put_text(json, name, to)?;
    }
    Ok(())
}

/// A number as it is written, with quotes around it or without.
fn digits<'a>(json: &'a [u8], name: &[u8]) -> Result<Cow<'a, [u8]>, Broken> {
    if json.starts_with(b"\"") { string(json, name) } else { Ok(Cow::Borrowed(json)) }
}

/// A whole number of 64 bits, which may have a fraction of zeros, or an exponent.
pub fn whole<T: FromStr + TryFrom<i128>>(json: &[u8], name: &[u8]) -> Result<T, Broken> {
    let digits = digits(json, name)?;
    let plain = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok());
    plain
        .or_else(|| T::try_from(exact(&digits)?).ok())
        .ok_or_else(|| Broken::new(format!("`{}` is no whole number of 64 bits", name.escape_ascii())))
}

/// What a number in the grammar of JSON is, where it is whole, digit by digit: float64 would round it.
fn exact(text: &[u8]) -> Option<i128> {
    if !is_number(text) {
        return None;
    }
    let end = text.iter().position(|b| matches!(b, b'e' | b'E'));
    let (mantissa, exponent) = end.map_or((text, &b"0"[..]), |end| (&text[..end], &text[end + 1..]));
    let exponent: i64 = std::str::from_utf8(exponent).ok()?.parse().ok()?;
    let unsigned = mantissa.strip_prefix(b"-").unwrap_or(mantissa);
    let point = unsigned.iter().position(|b| *b == b'.').unwrap_or(unsigned.len());
    // Digits that stand before the point once the exponent has moved it.
    let mut before = exponent.saturating_add(point as i64);
    let mut number: i128 = 0;
    for digit in unsigned.iter().filter(|b| **b != b'.').map(|b| i128::from(b - b'0')) {
        match before {
            1.. => number = number.checked_mul(10)?.checked_add(digit)?,
            _ if digit != 0 => return None,
            _ => {}
        }
        before -= 1;
    }
    while before > 0 && number != 0 {
        number = number.checked_mul(10)?;
        before -= 1;
    }
    Some(if mantissa.len() > unsigned.len() { -number } else { number })
}

fn is_number(text: &[u8]) -> bool {
    number::number(text).is_ok_and(|(_, length)| length == text.len())
}

/// Writes a float64. A number that is too large for it keeps its digits, as in any other JSON.
pub fn put_double(json: &[u8], name: &[u8], to: &mut Builder) -> Result<(), Broken> {
    let digits = digits(json, name)?;
    // `NaN` and `Infinity` are read so too.
    let value = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse::<f64>().ok());
    match value.ok_or_else(|| wrong(name))? {
        value if value.is_infinite() && is_number(&digits) => to.json_bytes(&digits),
        value => to.float(value),
    }
    Ok(())
}

/// The number of a severity, which may be written as its name.
pub fn severity(json: &[u8], name: &[u8]) -> Result<i64, Broken> {
    const LEVELS: [&[u8]; 6] = [b"TRACE", b"DEBUG", b"INFO", b"WARN", b"ERROR", b"FATAL"];
    let text = digits(json, name)?;
    let Some(called) = text.strip_prefix(b"SEVERITY_NUMBER_") else { return whole(json, name) };
    if called == b"UNSPECIFIED" {
        return Ok(0);
    }
    let mut levels = LEVELS.iter().zip((1..).step_by(4));
    let number = levels.find_map(|(level, first)| {
        Some(match called.strip_prefix(*level)? {
            b"" => first,
            b"2" => first + 1,
            b"3" => first + 2,
            b"4" => first + 3,
            _ => return None,
        })
    });
    number.ok_or_else(|| Broken::new(format!("`{}` names no severity", name.escape_ascii())))
}

/// The bytes that a text stands for, in the usual alphabet of base64 or in that of URLs.
pub fn bytes(json: &[u8], name: &[u8]) -> Result<Vec<u8>, Broken> {
    base64(&string(json, name)?).ok_or_else(|| wrong(name))
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let is_of_urls = memchr::memchr2(b'-', b'_', text).is_some();
    if is_of_urls { URL_SAFE.decode(text).ok() } else { STANDARD.decode(text).ok() }
}

/// Writes an id of so many bytes, in hexadecimal. OTLP has it so, and plain JSON of protobuf as base64. What is neither stays as
/// it stands: it is no reason to lose a record.
pub fn id(field: &[u8], length: usize, json: &[u8], name: &[u8], to: &mut Builder) -> Result<(), Broken> {
    let written = string(json, name)?;
    if written.len() == 2 * length && written.iter().all(u8::is_ascii_hexdigit) {
        to.key(field);
        match written.iter().any(u8::is_ascii_uppercase) {
            true => to.text(&written.to_ascii_lowercase()),
            false => to.text(&written),
        }
        return Ok(());
    }
    // Only with its padding, lest a short word be taken for one.
    if written.len() == length.div_ceil(3) * 4
        && let Some(bytes) = base64(&written).filter(|bytes| bytes.len() == length)
    {
        hexadecimal(field, &bytes, to);
        return Ok(());
    }
    text(field, json, name, to)
}
