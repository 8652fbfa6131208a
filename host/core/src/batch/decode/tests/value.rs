//! A second, plain reader of JSON that keeps every value exactly, to compare with.

use std::collections::BTreeMap;

use crate::batch::number::Decimal;
use crate::batch::{Records, time};

#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    Word(&'static str),
    Number(Decimal),
    /// UTF-16, in which a lone surrogate has its place.
    Text(Vec<u16>),
    Time(i64),
    List(Vec<Value>),
    Object(BTreeMap<Vec<u16>, Value>),
}

impl Value {
    pub fn parse(text: &[u8]) -> Option<Value> {
        let mut reader = Reader { text: std::str::from_utf8(text).ok()?, depth: 0 };
        let value = reader.value()?;
        reader.space();
        reader.text.is_empty().then_some(value)
    }

    /// The value of a record, in which an RFC 3339 `@timestamp` counts by its instant, and what has no right to one of the
    /// host's names stands under another.
    pub fn of_record(text: &[u8]) -> Value {
        let mut value =
            Value::parse(text).unwrap_or_else(|| panic!("JSON: {}", String::from_utf8_lossy(text)));
        let Value::Object(members) = &mut value else { panic!("an object") };
        if let Some(Value::Text(at)) = members.get(&"@timestamp".encode_utf16().collect::<Vec<_>>())
            && let Some(ns) = String::from_utf16(at).ok().and_then(|t| time::parse(t.as_bytes()))
        {
            members.insert("@timestamp".encode_utf16().collect(), Value::Time(ns));
        }
        for name in ["@timestamp", "@tag"] {
            let is_right = |value: &Value| match value {
                Value::Time(_) => name == "@timestamp",
                Value::Text(text) => name == "@tag" && String::from_utf16(text).is_ok(),
                _ => false,
            };
            let name: Vec<u16> = name.encode_utf16().collect();
            if let Some(value) = members.remove(&name) {
                let free = if is_right(&value) { name } else { "_".encode_utf16().chain(name).collect() };
                members.insert(free, value);
            }
        }
        value
    }

    pub fn is_object(&self) -> bool {
        matches!(self, Value::Object(_))
    }
}

pub fn records_of(records: &Records) -> Vec<Value> {
    let out = records.ndjson();
    (0..records.rows()).map(|row| Value::of_record(out.row(row))).collect()
}

struct Reader<'a> {
    text: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.text = self.text.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, start: &str) -> bool {
        self.space();
        let rest = self.text.strip_prefix(start);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    fn value(&mut self) -> Option<Value> {
        for word in ["true", "false", "null"] {
            if self.take(word) {
                return Some(Value::Word(word));
            }
        }
        if self.take("\"") {
            return self.string().map(Value::Text);
        }
        if self.take("[") {
            return self.list("]", |reader| reader.value()).map(Value::List);
        }
        if self.take("{") {
            let members = self.list("}", |reader| {
                let name = if reader.take("\"") { reader.string()? } else { return None };
                if reader.take(":") { Some((name, reader.value()?)) } else { None }
            })?;
            return Some(Value::Object(members.into_iter().collect()));
        }
        let number = number_length(self.text)?;
        let (number, rest) = self.text.split_at(number);
        self.text = rest;
        Some(Value::Number(Decimal::of(number.as_bytes())))
    }

    fn list<T>(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.depth += 1;
        if self.depth > super::MAX_NESTING {
            return None;
        }
        let mut items = Vec::new();
        if !self.take(end) {
            loop {
                items.push(item(self)?);
                if self.take(end) {
                    break;
                }
                if !self.take(",") {
                    return None;
                }
            }
        }
        self.depth -= 1;
        Some(items)
    }

    fn string(&mut self) -> Option<Vec<u16>> {
        let mut units = Vec::new();
        let mut chars = self.text.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => units.push(match chars.next()? {
                    'u' => {
                        let digits: String = chars.by_ref().take(4).collect();
                        if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                            return None;
                        }
                        u16::from_str_radix(&digits, 16).ok()?
                    }
                    'b' => 8,
                    'f' => 12,
                    'n' => 10,
                    'r' => 13,
                    't' => 9,
                    char @ ('"' | '\\' | '/') => char as u16,
                    _ => return None,
                }),
                char if char < ' ' => return None,
                char => units.extend(char.encode_utf16(&mut [0; 2]).iter()),
            }
        }
        self.text = chars.as_str();
        Some(units)
    }
}

/// How long the number at the head of a text is, by the grammar of RFC 8259.
fn number_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || whole > 1 && bytes[at] == b'0' {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return None;
        }
        at += exponent;
    }
    Some(at)
}
