//! Texts with fields in them: `{host}-{status}`.

use flitch_sdk::json::Decoded;
use flitch_sdk::{Column, Result, Value, bail, json, time};
use std::fmt::Write;

/// A template, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Fields, each with the text before it.
    parts: Vec<(String, String)>,
    end: String,
}

impl Template {
    /// Takes a template apart.
    ///
    /// # Errors
    /// When braces do not match.
    pub fn new(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
            } else if brace == "}" {
                bail!("{text:?}: a brace closes that was not opened; write }}}} for a brace itself");
            } else if let Some((field, after)) = rest.split_once('}') {
                if field.is_empty() || field.contains('{') {
                    bail!("{text:?}: {{{field}}} names no field; write {{{{ for a brace itself");
                }
                parts.push((std::mem::take(&mut literal), field.to_owned()));
                rest = after;
            } else {
                bail!("{text:?}: {{{rest} has no closing brace; write {{{{ for a brace itself");
            }
        }
        literal.push_str(rest);
        Ok(Self { parts, end: literal })
    }

    /// The fields that it names.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|(_, field)| field.as_str())
    }

    /// Writes the text of row `row` into `text`, whose fields are in `columns`. The field that
    /// is missing, if one is; it counts as empty.
    pub fn write(&self, columns: &[Option<&Column>], row: usize, text: &mut String) -> Option<&str> {
        text.clear();
        let mut missing = None;
        for ((literal, field), column) in self.parts.iter().zip(columns) {
            text.push_str(literal);
            match column.and_then(|column| column.value(row)) {
                Some(value) => write_value(value, text),
                None => missing = missing.or(Some(field.as_str())),
            }
        }
        text.push_str(&self.end);
        missing
    }
}

/// A value as it reads within a text.
pub fn write_value(value: Value<'_>, text: &mut String) {
    match Decoded::from(value) {
        Decoded::Text(value) => text.push_str(&value),
        Decoded::Bytes(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
        Decoded::Other(Value::Text(value)) => text.push_str(value),
        Decoded::Other(Value::Bytes(bytes)) => text.push_str(&String::from_utf8_lossy(bytes)),
        Decoded::Other(Value::Int64(number)) => drop(write!(text, "{number}")),
        Decoded::Other(Value::Timestamp(nanos)) => text.push_str(&time::format_rfc3339(nanos)),
        Decoded::Other(value) => text.push_str(&json::text_of(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_brace_is_a_brace() {
        let template = Template::new("{{{a}}}-{b.c}{{}}").expect("a template");
        assert_eq!(template.fields().collect::<Vec<_>>(), ["a", "b.c"]);
        let mut text = String::new();
        assert_eq!(template.write(&[None, None], 0, &mut text), Some("a"));
        assert_eq!(text, "{}-{}");
    }

    #[test]
    fn braces_that_do_not_match_are_refused() {
        for (text, reason) in [
            ("a}", "\"a}\": a brace closes that was not opened; write }} for a brace itself"),
            ("{a", "\"{a\": {a has no closing brace; write {{ for a brace itself"),
            ("{}", "\"{}\": {} names no field; write {{ for a brace itself"),
        ] {
            assert_eq!(Template::new(text).expect_err(text).to_string(), reason);
        }
    }
}
