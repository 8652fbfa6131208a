//! Whatever a guest answers.

use arrow_array::Array;

use super::changes;
use super::guest::answer::{Answer, Known};
use super::guest::bindings::exports::flitch::filter::filter::Removal;
use super::guest::bindings::{BlobsResult, Changes, ColumnResult, Rejection, ValuesResult};
use super::guest::limits::Bounds;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Records, merge};
use flitch_core::fuzzing::{Bytes, check_lines, check_names};

/// What is there before: values of each kind, objects, and a json column.
const RECORDS: [&str; 5] = [
    r#"{"message":"one","n":1,"f":0.5,"b":true,"o":{"p":"x","q":{"r":2}}}"#,
    r#"{"message":"zwei \u00fc","n":2.5,"list":[1,2],"o":{"p":null}}"#,
    r#"{"o":"scalar","list":{"in":{"ner":1}}}"#,
    r#"{"message":"\ud800","d":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"x":1}}}}}}}}}}"#,
    "{}",
];
const NAMES: [&str; 14] = [
    "message",
    "n",
    "o",
    "o.p",
    "o.q.r",
    "list",
    "list.in",
    "@timestamp",
    "@tag",
    "@rest",
    "new",
    "new.below",
    "a\\.b",
    "",
];

/// Reads bytes as the answer to a batch. It is refused, or its columns are what Arrow says that columns are, and the
/// records that it makes can be written and read.
pub fn answers(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let rows = bytes.below(RECORDS.len() + 1);
    let records = records(rows);
    let changes = changes_of(&mut bytes, rows);
    let Ok(answer) = Answer::check(changes, rows, &mut Known::default()) else { return };
    for column in &answer.set {
        column.array.to_data().validate_full().expect("a column that Arrow takes");
        assert_eq!(column.array.len(), answer.rows);
    }
    let Answer { take, set, remove, .. } = answer;
    let bounds = Bounds { bytes: 1 << 20, ..Bounds::none() };
    let Ok(changed) = changes::apply(&records, take.as_deref(), set, &remove, &bounds) else { return };
    for column in changed.iter() {
        column.array().to_data().validate_full().expect("a column that Arrow takes");
    }
    check_lines(&changed.ndjson());
    check_names(&changed.ndjson());
    assert_eq!(changed.ndjson().ends.len(), answer.rows);
    let both = merge::concat(&[changed, records]).expect("parts that can be joined");
    check_lines(&both.ndjson());
}

fn records(rows: usize) -> Records {
    let mut builder = Builder::new();
    for line in &RECORDS[..rows] {
        decode_line(&mut builder, line.as_bytes()).expect("JSON");
    }
    let constants = Constants::new().timestamp("@timestamp", 0).text("@tag", "t").text("host.name", "h");
    builder.finish(InvalidUtf8::Replace, &constants).records
}

fn changes_of(bytes: &mut Bytes<'_>, rows: usize) -> Changes {
    let take = (bytes.below(3) == 0).then(|| {
        let count = bytes.below(2 * rows + 2);
        (0..count).map(|_| bytes.below(rows + 1) as u32).collect::<Vec<_>>()
    });
    // What fits, most of the time, so that more than lengths is tried.
    let going = take.as_ref().map_or(rows, Vec::len);
    let count = bytes.below(5);
    let set = (0..count).map(|_| column(bytes, going)).collect();
    let count = bytes.below(3);
    let remove = (0..count).map(|_| Removal { name: name(bytes), rows: bitmap(bytes, going) }).collect();
    let count = bytes.below(8).saturating_sub(5);
    let rejected = (0..count)
        .map(|_| Rejection {
            row: bytes.below(rows + 1) as u32,
            reason: String::from_utf8_lossy(bytes.some()).into_owned(),
        })
        .collect();
    Changes { take, set, remove, rejected }
}

fn name(bytes: &mut Bytes<'_>) -> String {
    match bytes.below(NAMES.len() + 2) {
        place if place < NAMES.len() => NAMES[place].to_owned(),
        _ => String::from_utf8_lossy(bytes.some()).into_owned(),
    }
}

fn bitmap(bytes: &mut Bytes<'_>, rows: usize) -> Option<Vec<u8>> {
    let more = match bytes.byte() {
        0..128 => return None,
        255 => 1,
        _ => 0,
    };
    let mut bits = bytes.take(rows.div_ceil(8) + more).to_vec();
    bits.resize(rows.div_ceil(8) + more, 0x55);
    Some(bits)
}

fn numbers(bytes: &mut Bytes<'_>, rows: usize) -> Vec<i64> {
    let rows = if bytes.byte() == 255 { rows + 1 } else { rows };
    let number = |bytes: &mut Bytes<'_>| {
        let mut number = [0; 8];
        let some = bytes.take(8);
        number[..some.len()].copy_from_slice(some);
        i64::from_le_bytes(number)
    };
    (0..rows).map(|_| number(bytes)).collect()
}

fn blobs(bytes: &mut Bytes<'_>, rows: usize) -> BlobsResult {
    let mut ends = Vec::with_capacity(rows);
    let mut data = Vec::new();
    for _ in 0..rows {
        data.extend_from_slice(bytes.some());
        ends.push(data.len() as u32);
    }
    match bytes.byte() {
        255 => drop(ends.pop()),
        254 => ends.iter_mut().for_each(|end| *end = end.wrapping_add(u32::from(bytes.byte()) << 24)),
        253 => ends.iter_mut().for_each(|end| *end = u32::from(bytes.byte())),
        252 => data.truncate(bytes.byte() as usize),
        _ => {}
    }
    BlobsResult { data, ends }
}

fn column(bytes: &mut Bytes<'_>, rows: usize) -> ColumnResult {
    let name = name(bytes);
    let present = bitmap(bytes, rows);
    let values = match bytes.below(8) {
        0 | 1 => ValuesResult::Text(blobs(bytes, rows)),
        2 | 3 => ValuesResult::Json(blobs(bytes, rows)),
        4 => ValuesResult::Bytes(blobs(bytes, rows)),
        5 => ValuesResult::Int64(numbers(bytes, rows)),
        6 if bytes.below(2) == 0 => ValuesResult::Timestamp(numbers(bytes, rows)),
        6 => ValuesResult::Float64(
            numbers(bytes, rows).into_iter().map(|n| f64::from_bits(n as u64)).collect(),
        ),
        _ => ValuesResult::Boolean(bitmap(bytes, rows).unwrap_or_default()),
    };
    ColumnResult { name, present, values }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_of_the_corpus_holds_in_memory_of_its_size() {
        crate::memory::run_corpus("answers", super::answers);
    }
}
