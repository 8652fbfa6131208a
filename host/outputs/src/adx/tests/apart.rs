use std::collections::BTreeSet;

use super::*;
use crate::staging::read_table;
use flitch_core::batch::encode::Encoding;

/// The ways in which records come to the cluster.
const QUEUED: &str = r#""mode": "queued""#;
const STREAMED: &str = r#""mode": "streaming""#;

fn csv() -> Encoding {
    let columns = ["n", "line"].map(str::to_owned).to_vec();
    Encoding { format: Format::Csv, columns, ..Encoding::default() }
}

/// The numbers of records whose line has `part` in it.
fn with(part: &str, count: i64) -> Vec<i64> {
    (0..count).filter(|n| format!("<line {n}, ").contains(part)).collect()
}

fn parquet() -> Encoding {
    Encoding { format: Format::Parquet, ..Encoding::default() }
}

impl Bench {
    /// Delivers `count` records to a cluster that refuses those with `part`, and checks what becomes of each.
    async fn sorts_out(&self, part: &str, code: &'static str, count: i64, more: &str, encoding: Encoding) {
        self.kusto.state().refuses = Some((part.as_bytes().to_vec(), code, "Permanent"));
        for from in (0..count).step_by(100) {
            self.push(numbered(from, 100)).await;
        }
        let is_csv = encoding == csv();
        let cx = crate::contract::context_with(encoding, Framing::Lines);
        let accounts = self.finish_with(&format!("{TO}, {more}"), &cx).await;
        let bad = with(part, count);
        let mut dead: Vec<i64> =
            self.dead().iter().map(|letter| letter["record"]["n"].as_i64().unwrap()).collect();
        dead.sort_unstable();
        assert_eq!(dead, bad, "{more}");
        let bad: BTreeSet<i64> = bad.into_iter().collect();
        let dead_lettered = bad.len() as u64;
        assert_eq!(
            (accounts.delivered, accounts.dead_lettered),
            (count as u64 - dead_lettered, dead_lettered)
        );
        let number = |line: &String| match is_csv {
            true => line.split(',').next().unwrap().parse().unwrap(),
            false => serde_json::from_str::<Value>(line).unwrap()["n"].as_i64().unwrap(),
        };
        let mut found: Vec<i64> = self.kusto.lines("db", "t").iter().map(number).collect();
        found.sort_unstable();
        let good: Vec<i64> = (0..count).filter(|n| !bad.contains(n)).collect();
        let is_exact = code != "PartiallySucceeded";
        if is_exact {
            assert_eq!(found, good, "each once: {more}");
        } else {
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), good.into_iter().collect(), "{more}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_a_record_does_not_depend_on_those_in_its_blob() {
    // One of a thousand, at its begin, in its middle, at its end; ten; eleven side by side.
    for part in ["<line 0,", "<line 500,", "<line 999,", "99, ", "<line 70"] {
        for (way, rest, encoding) in [
            (QUEUED, true, Encoding::default()),
            (QUEUED, false, Encoding::default()),
            (STREAMED, true, Encoding::default()),
            (QUEUED, true, csv()),
            (QUEUED, true, parquet()),
        ] {
            let bench = Bench::new();
            bench.kusto.state().rest = rest;
            bench.kusto.state().reads_tables = Some(Box::new(|file| read_table(file).concat()));
            let code = "Stream_DynamicPropertyBagTooLarge";
            bench.sorts_out(part, code, 1000, way, encoding).await;
            assert!(bench.dead().iter().all(|letter| letter["reason"].as_str().unwrap().contains(code)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_records_are_found_among_bad_ones_however_many_these_are() {
    // All of them, and 271 of a thousand.
    for (part, count) in [("line", 300), ("1", 1000)] {
        let bench = Bench::new();
        bench.sorts_out(part, "Stream_ClosingQuoteMissing", count, STREAMED, Encoding::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_in_part_or_not_at_all_is_cut_until_the_bad_records_stand_alone() {
    for (code, rest) in [("PartiallySucceeded", true), ("PartiallySucceeded", false), ("Skipped", true)] {
        let bench = Bench::new();
        bench.kusto.state().rest = rest;
        bench.sorts_out("99, ", code, 1000, QUEUED, Encoding::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_nobody_knows_is_told_of_no_record_that_was_not_refused_by_itself() {
    for way in [QUEUED, STREAMED] {
        let bench = Bench::new();
        bench.sorts_out("<line 42,", "General_BadRequest", 1000, way, Encoding::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_marked_by_its_content_and_cut_is_in_the_table_once() {
    let bench = Bench::new();
    let more = r#""ingest_by": true"#;
    bench.sorts_out("99, ", "Stream_InputStreamTooLarge", 1000, more, Encoding::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_in_a_parquet_file_keeps_its_kind_whatever_the_others_have() {
    use flitch_core::batch::builder::Builder;
    use flitch_core::batch::constants::Constants;
    use flitch_core::batch::decode::decode_line;
    use flitch_core::batch::utf8::InvalidUtf8;
    let values = ["5", "\"five\"", "0.5", "true", "[5]", "null", "9007199254740993", "\"x\""];
    for rest in [true, false] {
        let bench = Bench::new();
        bench.kusto.state().rest = rest;
        bench.kusto.state().reads_tables = Some(Box::new(|file| read_table(file).concat()));
        for from in (0..400).step_by(100) {
            let mut builder = Builder::new();
            for n in from..from + 100 {
                let line = format!(r#"{{"n":{n},"value":{}}}"#, values[n as usize % values.len()]);
                decode_line(&mut builder, line.as_bytes()).expect("JSON");
            }
            bench.push(Arc::new(builder.finish(InvalidUtf8::Replace, &Constants::new()).records)).await;
        }
        let cx = crate::contract::context_with(parquet(), Framing::Lines);
        let accounts = bench.finish_with(TO, &cx).await;
        assert_eq!((accounts.delivered, bench.numbers()), (400, all(400)));
        // Numbers that float64 holds, larger ones, texts, booleans and lists have a file each.
        assert_eq!(bench.kusto.blobs(), 5);
        for line in bench.kusto.lines("db", "t") {
            let row: Value = serde_json::from_str(&line).unwrap();
            let expected: Value =
                serde_json::from_str(values[row["n"].as_u64().unwrap() as usize % values.len()]).unwrap();
            let found = row.get("value").cloned().unwrap_or_default();
            let is_same = found == expected || expected.is_number() && found.as_f64() == expected.as_f64();
            assert!(is_same, "{found} and not {expected}");
        }
        let state = bench.kusto.state();
        if !rest {
            let more = &state.messages[0]["AdditionalProperties"];
            assert_eq!(
                (&more["format"], &more["ingestionMappingType"]),
                (&json!("parquet"), &json!("Parquet"))
            );
            assert!(state.messages[0]["BlobPath"].as_str().unwrap().contains("__flitch.parquet?"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_of_which_kusto_makes_no_row_is_a_dead_letter_and_not_lost() {
    use arrow_array::{ArrayRef, StringArray};
    let bench = Bench::new();
    let column: (_, ArrayRef) = (
        Arc::new(flitch_core::batch::Kind::Text.field("line")),
        Arc::new(StringArray::from(vec!["one", "", "two"])),
    );
    bench.push(Arc::new(Records::of(3, vec![column], vec![]).unwrap())).await;
    let text = Encoding { format: Format::Text, field: Some("line".to_owned()), ..Encoding::default() };
    let cx = crate::contract::context_with(text, Framing::Lines);
    let accounts = bench.finish_with(TO, &cx).await;
    assert_eq!((accounts.delivered, accounts.dead_lettered), (2, 1));
    assert_eq!(bench.kusto.lines("db", "t"), ["one", "two"]);
    assert!(bench.dead()[0]["reason"].as_str().unwrap().contains("is empty"));
}
