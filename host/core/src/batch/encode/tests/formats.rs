//! Formats other than the whole record as JSON.

use std::sync::Arc;

use super::*;

fn encoder(encoding: &str, framing: Framing) -> Encoder {
    Encoder::new(serde_json::from_str(encoding).unwrap(), framing).unwrap()
}

fn values(encoded: &Encoded) -> Vec<&[u8]> {
    (0..encoded.ends.len()).map(|row| encoded.value(row)).collect()
}

/// Records whose `m` is a value of every kind, and one without.
fn kinds() -> Records {
    let constants = Constants::new().timestamp(TIMESTAMP, 1_700_000_000_120_000_000).text(TAG, "t");
    records(&constants, |b| {
        for json in [r#""a\u00e4""#, "5", "5.5", "true", "[1, 2]", "null", r#"{"x":1}"#] {
            b.begin_record();
            b.key(b"m").json(json);
            b.end_record();
        }
        b.begin_record();
        b.key(b"m").bytes_value(b"\xff\n");
        b.end_record();
        b.begin_record();
        b.key(b"other").int(1);
        b.end_record();
    })
}

#[test]
fn a_value_by_itself_is_as_it_came() {
    let records = kinds();
    let raw = encoder(r#"{"format":"raw","field":"m"}"#, Framing::Messages).encode(&records);
    let expected: [&[u8]; 9] =
        ["a\u{e4}".as_bytes(), b"5", b"5.5", b"true", b"[1, 2]", b"", b"", b"\xff\n", b""];
    assert_eq!(values(&raw), expected);
    let refused: Vec<(u32, &str)> = raw.refused.iter().map(|(row, why)| (*row, &**why)).collect();
    let absent = "the record has no `m`, which `encoding.field` names";
    let object = "`m`, which `encoding.field` names, is an object and no value";
    assert_eq!(refused, [(5, absent), (6, object), (8, absent)]);
    let tag = encoder(r#"{"format":"text","field":"@tag"}"#, Framing::Messages).encode(&records);
    assert_eq!(values(&tag), [b"t"; 9], "what holds for the whole batch is in each record");
    let time = r#"{"format":"text","field":"@timestamp","timestamp_format":"unix_ms"}"#;
    assert_eq!(encoder(time, Framing::Messages).encode(&records).value(0), b"1700000000120");
}

#[test]
fn a_text_that_was_cut_within_a_character_is_text() {
    let records = records(&Constants::new(), |b| {
        for json in [r#""a \"b\" \ud83d""#, r#""two\nlines\ude00""#] {
            b.begin_record();
            b.key(b"m").json(json);
            b.end_record();
        }
    });
    let messages = encoder(r#"{"format":"text","field":"m"}"#, Framing::Messages).encode(&records);
    assert_eq!(values(&messages), ["a \"b\" \u{fffd}".as_bytes(), "two\nlines\u{fffd}".as_bytes()]);
    let lines = encoder(r#"{"format":"text","field":"m"}"#, Framing::Lines).encode(&records);
    assert!(lines.has(0) && !lines.has(1), "{:?}", lines.refused);
    let csv =
        encoder(r#"{"format":"csv","columns":["m"],"header":false}"#, Framing::Messages).encode(&records);
    assert_eq!(csv.value(0), "\"a \"\"b\"\" \u{fffd}\"".as_bytes());
}

#[test]
fn only_where_a_record_is_a_line_a_line_feed_in_it_is_refused() {
    let records = records(&Constants::new(), |b| {
        for text in ["one", "two\nlines", "three"] {
            b.begin_record();
            b.key(b"m").text(text.as_bytes());
            b.end_record();
        }
    });
    let settings = r#"{"format":"text","field":"m"}"#;
    let lines = encoder(settings, Framing::Lines).encode(&records);
    assert_eq!(text(&lines), "one\nthree\n");
    assert!(lines.has(0) && !lines.has(1) && lines.has(2));
    assert!(lines.refused[0].1.contains("would make two lines of it"), "{:?}", lines.refused);
    let messages = encoder(settings, Framing::Messages).encode(&records);
    assert_eq!(values(&messages), [&b"one"[..], b"two\nlines", b"three"]);
    let raw = encoder(r#"{"format":"raw","field":"m"}"#, Framing::Lines).encode(&records);
    assert_eq!(text(&raw), "onetwo\nlinesthree");
}

#[test]
fn csv_is_read_back_as_it_was() {
    let rows = [["plain", "1"], ["a, b", "2"], ["\"quoted\"", "3"], ["two\nlines\r", "4"], ["", ""]];
    let records = records(&Constants::new(), |b| {
        for [text, number] in rows {
            b.begin_record();
            if !text.is_empty() {
                b.key(b"m").text(text.as_bytes());
                b.key(b"n").json(number);
            }
            b.key(b"left").int(0);
            b.end_record();
        }
    });
    let csv = encoder(r#"{"format":"csv","columns":["m","n"]}"#, Framing::Lines);
    let encoded = csv.encode(&records);
    let all = [&csv.header().unwrap()[..], &encoded.text].concat();
    assert!(all.starts_with(b"m,n\nplain,1\n\"a, b\",2\n\"\"\"quoted\"\"\",3\n"));
    let mut reader = ::csv::Reader::from_reader(&all[..]);
    assert_eq!(reader.headers().unwrap(), &["m", "n"][..]);
    let read: Vec<Vec<String>> =
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    assert_eq!(read, rows);
    assert_eq!(encoded.value(1), b"\"a, b\",2");
    let bare = encoder(r#"{"format":"csv","columns":["m"],"header":false}"#, Framing::Lines);
    assert_eq!(bare.header(), None);
}

#[test]
fn those_who_agree_share_one_text() {
    let records = sample();
    let plain = encoder("{}", Framing::Messages);
    assert!(Arc::ptr_eq(&plain.encode(&records), &records.ndjson()));
    let text = r#"{"format":"text","field":"host"}"#;
    let lines = || encoder(text, Framing::Lines).encode(&records);
    assert!(Arc::ptr_eq(&lines(), &lines()));
    assert!(!Arc::ptr_eq(&lines(), &encoder(text, Framing::Messages).encode(&records)));
    let named = r#"{"tag":"topic"}"#;
    let one = encoder(named, Framing::Messages).encode(&records);
    assert!(Arc::ptr_eq(&one, &encoder(named, Framing::Lines).encode(&records)), "both are lines of JSON");
}

#[test]
fn keys_that_belong_to_another_format_are_refused() {
    for (encoding, says) in [
        (r#"{"format":"text"}"#, "`format: text` needs `field`"),
        (r#"{"format":"raw","field":""}"#, "`encoding.field` is empty"),
        (r#"{"field":"m"}"#, "`encoding.field` is for `format: text` and `format: raw`"),
        (r#"{"format":"csv"}"#, "`format: csv` needs `columns`"),
        (r#"{"format":"csv","columns":["a","a"]}"#, "`encoding.columns`: `a` stands there twice"),
        (r#"{"columns":["a"]}"#, "`encoding.columns` is for `format: csv`"),
        (
            r#"{"except":["secret.*"]}"#,
            "`encoding.except`: `secret.*`: names of fields have no wildcards; write `secret`",
        ),
        (
            r#"{"only":["*.id"]}"#,
            "`encoding.only`: `*.id`: names of fields have no wildcards; name each field",
        ),
        (r#"{"rename":{"a.*":"b.*"}}"#, "`encoding.rename`: `a.*`: names of fields have no wildcards"),
        (r#"{"header":false}"#, "`encoding.header` is for `format: csv`"),
        (r#"{"format":"text","field":"m","only":["a"]}"#, "`encoding.only` is for `format: ndjson`"),
        (r#"{"format":"csv","columns":["a"],"tag":false}"#, "`encoding.tag` is for `format: ndjson`"),
    ] {
        let refused = Encoder::new(serde_json::from_str(encoding).unwrap(), Framing::Lines).unwrap_err();
        assert!(refused.to_string().contains(says), "{encoding}: {refused}");
    }
}
