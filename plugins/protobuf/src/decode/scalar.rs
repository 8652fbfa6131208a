//! Numbers, texts and bytes.

use super::Decoder;
use crate::schema::{Field, Kind};
use crate::wire::{Raw, signed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flitch_model::json::write_string;
use flitch_model::number::{write_float, write_int};

impl Decoder<'_> {
    /// Writes a value that is no message.
    pub(super) fn scalar(&mut self, field: &Field, raw: Raw<'_>) -> Result<(), String> {
        match (field.kind, raw) {
            (Kind::Int64, Raw::Varint(number)) => self.int(number as i64),
            (Kind::Int32, Raw::Varint(number)) => self.int(i64::from(number as i32)),
            (Kind::Uint64, Raw::Varint(number)) => self.uint(number),
            (Kind::Uint32, Raw::Varint(number)) => self.uint(u64::from(number as u32)),
            (Kind::Sint64, Raw::Varint(number)) => self.int(signed(number)),
            (Kind::Sint32, Raw::Varint(number)) => self.int(signed(u64::from(number as u32))),
            (Kind::Bool, Raw::Varint(number)) => self.bool(number != 0),
            (Kind::Enum(one), Raw::Varint(number)) => self.enumerated(one, number as i32),
            (Kind::Fixed64, Raw::Fixed64(number)) => self.uint(number),
            (Kind::Sfixed64, Raw::Fixed64(number)) => self.int(number as i64),
            (Kind::Double, Raw::Fixed64(bits)) => self.double(f64::from_bits(bits)),
            (Kind::Fixed32, Raw::Fixed32(number)) => self.uint(u64::from(number)),
            (Kind::Sfixed32, Raw::Fixed32(number)) => self.int(i64::from(number as i32)),
            (Kind::Float, Raw::Fixed32(bits)) => self.float(f32::from_bits(bits)),
            (Kind::Bytes, Raw::Bytes(bytes)) => self.bytes(bytes),
            (Kind::String, Raw::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => self.text(text),
                Err(_) if field.is_utf8 => return Err("a text that is not UTF-8".to_owned()),
                Err(_) => self.text(&String::from_utf8_lossy(bytes)),
            },
            _ => return Err("a value of another type".to_owned()),
        }
        Ok(())
    }

    /// Writes the default of a field. Answers false where it has none: it is a message.
    pub(super) fn default(&mut self, field: &Field) -> bool {
        let text = field.default.as_deref();
        match (field.kind, text) {
            (Kind::Message(_), _) => return false,
            (Kind::Double | Kind::Float, text) => {
                self.double(text.and_then(|text| text.parse().ok()).unwrap_or(0.0));
            }
            (Kind::Bool, text) => self.bool(text == Some("true")),
            (Kind::String, text) => self.text(text.unwrap_or_default()),
            (Kind::Bytes, text) => self.bytes(&unescaped(text.unwrap_or_default())),
            (Kind::Enum(one), text) => {
                let values = &self.schema.enums[one];
                let named = text
                    .and_then(|text| values.values.iter().find(|(_, name)| name == text))
                    .map(|(n, _)| *n);
                self.enumerated(one, named.unwrap_or(values.first));
            }
            // As the compiler of the language wrote it: a whole number.
            (_, text) => self.out.extend_from_slice(text.unwrap_or("0").as_bytes()),
        }
        true
    }

    pub(super) fn int(&mut self, number: i64) {
        write_int(number, &mut self.out);
    }

    fn uint(&mut self, number: u64) {
        match i64::try_from(number) {
            Ok(number) => self.int(number),
            Err(_) => self.out.extend_from_slice(number.to_string().as_bytes()),
        }
    }

    fn bool(&mut self, is: bool) {
        self.out.extend_from_slice(if is { b"true" } else { b"false" });
    }

    /// Also a whole number with its `.0`: a field is of one type in all records.
    pub(super) fn double(&mut self, number: f64) {
        if number.is_finite() { write_float(number, &mut self.out) } else { self.no_number(number) }
    }

    /// With the digits that tell it from other floats of 32 bits, and no more.
    fn float(&mut self, number: f32) {
        match number.is_finite() {
            true => write_float(number.to_string().parse().unwrap_or_default(), &mut self.out),
            false => self.no_number(number.into()),
        }
    }

    fn no_number(&mut self, number: f64) {
        let name: &[u8] = match number {
            number if number.is_nan() => b"\"NaN\"",
            f64::INFINITY => b"\"Infinity\"",
            _ => b"\"-Infinity\"",
        };
        self.out.extend_from_slice(name);
    }

    pub(super) fn text(&mut self, text: &str) {
        write_string(text.as_bytes(), &mut self.out);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let text = STANDARD.encode(bytes);
        self.text(&text);
    }

    fn enumerated(&mut self, one: usize, number: i32) {
        let schema = self.schema;
        let one = &schema.enums[one];
        if one.name == "google.protobuf.NullValue" {
            self.out.extend_from_slice(b"null");
            return;
        }
        match one.value(number) {
            Some(name) if !self.show.enum_numbers => self.text(name),
            _ => self.int(number.into()),
        }
    }
}

/// The bytes of a default, in which C's escapes stand for what is not ASCII.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let [escape, tail @ ..] = rest else { break };
        rest = tail;
        match escape {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'0'..=b'7' => {
                let more = rest.iter().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                let digits = rest[..more]
                    .iter()
                    .fold(u32::from(escape - b'0'), |number, digit| number * 8 + u32::from(digit - b'0'));
                bytes.push(digits as u8);
                rest = &rest[more..];
            }
            other => bytes.push(*other),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes_of_a_default_are_read() {
        assert_eq!(unescaped(r"a\001\377\n\\\'"), b"a\x01\xff\n\\'");
        assert_eq!(unescaped(r"\0017"), b"\x017");
    }
}
