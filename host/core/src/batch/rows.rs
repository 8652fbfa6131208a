//! One value at a time, for what looks at few rows: a dead letter's reason, a line in the log.
//!
//! What goes over all rows takes the arrays themselves.

use std::borrow::Cow;

use super::value::{Scalar, Value};
use super::{Column, Kind, convert};

impl<'a> Column<'a> {
    /// The value of a row; none where it is absent.
    pub fn value(self, row: usize) -> Option<Value<'a>> {
        convert::value(self.array(), Kind::of(self.field())?, self.place(row))
    }

    /// The value of a row by its own kind, also where the column holds several.
    pub fn scalar(self, row: usize) -> Option<Scalar<'a>> {
        convert::scalar(self.array(), Kind::of(self.field())?, self.place(row))
    }

    /// The value of a row as text: text as it is, bytes with U+FFFD for what is not UTF-8, all else as JSON writes it,
    /// without quotes. None where it is absent.
    pub fn text(self, row: usize) -> Option<Cow<'a, str>> {
        Some(match self.scalar(row)? {
            Scalar::Text(text) => text,
            Scalar::Json(text) if !text.starts_with('"') => text.into(),
            other => {
                let mut text = Vec::new();
                other.write_text(&mut text);
                String::from_utf8_lossy(&text).into_owned().into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::batch::builder::Builder;
    use crate::batch::constants::Constants;
    use crate::batch::decode::decode_line;
    use crate::batch::utf8::InvalidUtf8;

    #[test]
    fn a_value_of_any_kind_reads_as_text() {
        let mut builder = Builder::new();
        let line = r#"{"t":"x\"","i":-1,"f":0.5,"b":true,"j":[1],"o":{"in":{"ner":1}},"cut":"x\"\ud83d"}"#;
        decode_line(&mut builder, line.as_bytes()).expect("JSON");
        decode_line(&mut builder, br#"{"o.in":1}"#).expect("JSON");
        let constants = Constants::new().text("@tag", "tag").timestamp("@timestamp", 1);
        let records = builder.finish(InvalidUtf8::Replace, &constants).records;
        let cases = [
            ("t", "x\""),
            ("i", "-1"),
            ("f", "0.5"),
            ("b", "true"),
            ("j", "[1]"),
            ("cut", "x\"\u{fffd}"),
            ("@tag", "tag"),
            ("@timestamp", "1970-01-01T00:00:00.000000001Z"),
        ];
        for (path, text) in cases {
            let column = records.column(path).expect("a column");
            assert_eq!(column.text(0).as_deref(), Some(text), "{path}");
        }
        assert_eq!(records.column("t").and_then(|t| t.text(1)), None);
    }
}
