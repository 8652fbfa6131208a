//! What `make fuzz` feeds with bytes that nobody would send in good faith, and what must hold whatever they are.
//!
//! A target panics where something does not hold. Those of the other crates lie beside what they try; `fuzz/corpus` has
//! cases for each of them, among them all that ever broke one, and a test beside each target runs them.

use std::collections::HashSet;

use crate::batch::builder::Builder;
use crate::batch::constants::Constants;
use crate::batch::decode::{decode_line, decode_lossless_line};
use crate::batch::encode::{ndjson, ndjson_lossless};
use crate::batch::utf8::InvalidUtf8;
use crate::batch::{Encoded, Records, object};

/// Reads NDJSON and writes it again, as outputs do and as dead letters do: what is written reads back as the same, and
/// what becomes of a line does not depend on those beside it.
pub fn json(bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    for lossless in [false, true] {
        let read = |builder: &mut Builder, line: &[u8]| match lossless {
            true => decode_lossless_line(builder, line).is_ok(),
            false => decode_line(builder, line).is_ok(),
        };
        let write = |records: &Records| if lossless { ndjson_lossless(records) } else { ndjson(records) };
        let mut all = Builder::new();
        let mut alone = Vec::new();
        for line in &lines {
            let taken = read(&mut all, line);
            let mut one = Builder::new();
            assert_eq!(read(&mut one, line), taken, "a line is a record or none, whatever stands before it");
            if taken {
                alone.push(write(&finish(one)));
            }
        }
        let whole = write(&finish(all));
        assert_eq!(whole.ends.len(), alone.len());
        for (row, alone) in alone.iter().enumerate() {
            let text = whole.row(row);
            same(alone.row(0), text, "a record becomes the same alone as among others");
            let value: &serde_json::value::RawValue = serde_json::from_slice(text)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)));
            assert!(value.get().starts_with('{'));
            let mut again = Builder::new();
            assert!(read(&mut again, text), "what is written can be read: {}", String::from_utf8_lossy(text));
            same(write(&finish(again)).row(0), text, "what is read again is written the same");
        }
    }
}

fn finish(mut builder: Builder) -> Records {
    builder.finish(InvalidUtf8::Bytes, &Constants::new()).records
}

/// A record as JSON, whose members have no order. Where it is deeper than serde_json goes, or has a lone surrogate, its
/// bytes in an order that does not tell that of the members.
pub fn value(text: &[u8]) -> serde_json::Value {
    serde_json::from_slice(text).unwrap_or_else(|_| {
        let mut bytes = text.to_vec();
        bytes.sort_unstable();
        String::from_utf8_lossy(&bytes).into()
    })
}

fn same(one: &[u8], other: &[u8], what: &str) {
    assert!(
        value(one) == value(other),
        "{what}:\n{}\n{}",
        String::from_utf8_lossy(one),
        String::from_utf8_lossy(other)
    );
}

/// Checks that each row of a text is a record that can be read.
pub fn check_lines(text: &Encoded) {
    for row in 0..text.ends.len() {
        let line = text.row(row);
        let mut builder = Builder::new();
        if let Err(error) = decode_line(&mut builder, line) {
            panic!("{error}: {}", String::from_utf8_lossy(line));
        }
    }
}

/// Panics where a name stands twice at the top of a record. Readers of JSON take the last value, and would hide the other.
pub fn check_names(text: &Encoded) {
    for row in 0..text.ends.len() {
        let line = std::str::from_utf8(text.row(row)).expect("what is written is UTF-8");
        let members = object::written(line).expect("an object");
        let names: HashSet<_> = members.iter().map(|member| member.path()).collect();
        assert_eq!(names.len(), members.len(), "a name stands twice in {line}");
    }
}

/// Bytes that are asked for one after the other; zeros where there are none left.
#[derive(Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.byte() as usize % end.max(1)
    }

    /// So many bytes, or as many as there are.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// A few bytes.
    pub fn some(&mut self) -> &'a [u8] {
        let count = self.byte();
        self.take(count as usize)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_of_the_corpus_holds_in_memory_of_its_size() {
        crate::memory::run_corpus("json", super::json);
    }
}
