//! Whatever comes as a request of OTLP.

use super::{Encoding, Logs};
use flitch_core::batch::Cut;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::fuzzing::{check_lines, value};

/// Reads bytes as a request, JSON where they begin so: what is taken of it can be written and read, and is the same in
/// batches of any size.
pub fn otlp(bytes: &[u8]) {
    let encoding = if bytes.first() == Some(&b'{') { Encoding::Json } else { Encoding::Protobuf };
    assert_eq!(records(encoding, bytes, usize::MAX), records(encoding, bytes, 1));
}

/// The records in batches of so many, as JSON, and how many were rejected; none where the request is refused.
fn records(encoding: Encoding, bytes: &[u8], rows: usize) -> Option<(Vec<serde_json::Value>, usize)> {
    let mut logs = Logs::new(encoding, bytes, 8 * bytes.len()).ok()?;
    let cut = Cut { rows, bytes: usize::MAX, ..Cut::default() };
    let (mut builder, mut all) = (Builder::new(), Vec::new());
    loop {
        let has_more = logs.fill(&mut builder, &cut);
        let text = builder.finish(InvalidUtf8::Replace, &Constants::new()).records.ndjson();
        check_lines(&text);
        all.extend((0..text.ends.len()).map(|row| value(text.row(row))));
        for bad in logs.take_bad() {
            // By itself it is as bad, and nothing else is in it.
            let alone = Logs::new(encoding, &bad.request, usize::MAX);
            let mut alone = alone.unwrap_or_else(|refused| panic!("{refused:?}"));
            alone.fill(&mut builder, &cut);
            assert_eq!((builder.rows(), alone.take_bad()), (0, vec![bad]));
        }
        if !has_more {
            return Some((all, logs.rejected().count));
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_of_the_corpus_holds_in_memory_of_its_size() {
        crate::memory::run_corpus("otlp", super::otlp);
    }
}
