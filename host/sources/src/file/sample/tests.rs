use super::*;
use crate::SourceKind;
use flitch_core::batch::TAG;
use flitch_core::units::Bytes;

fn read(settings: &str, lines: &[&str]) -> (Vec<serde_json::Value>, Vec<String>) {
    let settings: FileSettings = serde_json::from_str(settings).unwrap();
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    let sample = settings.sample(&lines, &Constants::new().text(TAG, "t")).unwrap();
    let texts: Vec<_> = sample.records.iter().map(flitch_core::batch::Records::ndjson).collect();
    let rows = texts.iter().flat_map(|text| (0..text.ends.len()).map(|row| text.value(row)));
    let rows = rows.map(|row| serde_json::from_slice(row).unwrap()).collect();
    (rows, sample.bad.into_iter().map(|(reason, _)| reason).collect())
}

#[test]
fn lines_are_read_as_if_they_stood_in_a_file() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (rows, bad) = read("{}", &["a", "", "b\r"]);
    let line = |text: &str| json(&format!(r#"{{"message":{text:?},"@tag":"t"}}"#));
    assert_eq!((rows, bad.len()), (vec![line("a"), line(""), line("b")], 0));
    let (rows, bad) = read(r#"{"codec":"json"}"#, &[r#"{"a":1,"@tag":"own"}"#, "no"]);
    assert_eq!(rows, [json(r#"{"a":1,"@tag":"own"}"#)]);
    assert!(bad[0].starts_with("no JSON object"), "{bad:?}");
    let (rows, _) = read(r#"{"multiline":{"start":"^[^ ]"}}"#, &["a", " b", "c"]);
    assert_eq!(rows, [line("a\n b"), line("c")]);
    let (rows, _) = read(
        r#"{"codec":"cri"}"#,
        &[
            "2026-01-31T23:59:59Z stdout P one ",
            "2026-01-31T23:59:59Z stderr F two",
            "2026-01-31T23:59:59Z stdout F end",
        ],
    );
    let texts: Vec<_> = rows.iter().map(|row| row["message"].as_str().unwrap()).collect();
    assert_eq!(texts, ["two", "one end"], "{rows:?}");
}

#[test]
fn a_line_that_is_too_long_or_begins_with_nuls_is_what_it_is_in_a_file() {
    let (rows, _) = read(&format!(r#"{{"max_line":"{}"}}"#, Bytes(4)), &["\0\0ab", "longer", "\0", "c"]);
    let texts = rows.iter().map(|row| (row["message"].as_str().unwrap(), row.get("@truncated").is_some()));
    assert_eq!(texts.collect::<Vec<_>>(), [("ab", false), ("long", true), ("", false), ("c", false)]);
}
