use serde_json::{Value, json};

use super::*;
use crate::batch::builder::Builder;
use crate::batch::constants::Constants;
use crate::batch::decode::decode_line;
use crate::batch::encode::{Naming, ndjson_with};
use crate::batch::utf8::InvalidUtf8;
use crate::testing::json_of_msgpack;

fn of_lines(lines: &[&str], constants: &Constants) -> Records {
    let mut builder = Builder::new();
    for line in lines {
        decode_line(&mut builder, line.as_bytes()).unwrap();
    }
    builder.finish(InvalidUtf8::Bytes, constants).records
}

/// Each row as MessagePack, read as JSON, or why it is none.
fn maps(records: &Records, encoding: &Encoding) -> Vec<Result<Value, Unfit>> {
    packed(records, encoding, |packer| {
        (0..records.rows())
            .map(|row| {
                let mut out = Vec::new();
                packer.row(row, None, &mut out)?;
                Ok(json_of_msgpack(&out))
            })
            .collect()
    })
}

/// Checks that the maps hold what NDJSON holds.
fn same_as_ndjson(records: &Records, encoding: &Encoding) {
    let text = ndjson_with(records, encoding);
    for (row, map) in maps(records, encoding).into_iter().enumerate() {
        let wanted: Value = serde_json::from_slice(text.row(row)).unwrap();
        assert_eq!(map.unwrap(), wanted);
    }
}

#[test]
fn a_record_is_the_map_that_it_is_as_json() {
    let many: String = (0..40).map(|n| format!(r#""n{n}":{n},"#)).collect();
    let long = "x".repeat(70_000);
    let lines = [
        r#"{"a":1,"b":{"c":"text","d":{"e":[1,2.5,"x",null,{"f":true}]}},"g":null}"#.to_owned(),
        format!(r#"{{{many}"o":{{{many}"last":false}}}}"#),
        format!(r#"{{"list":[{}0],"text":"{long}","short":"{}"}}"#, "1,".repeat(20), "y".repeat(200)),
        r#"{"a":"a text where others have numbers","b":5,"e":"\"\\\n\u00e4 \ud83d\ude00"}"#.to_owned(),
        r#"{"deep":{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":1}}}}}}}}},"n":18446744073709551615,"m":-40}"#
            .to_owned(),
        "{}".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let constants = Constants::new()
        .timestamp(TIMESTAMP, 1_700_000_000_120_000_000)
        .text("@tag", "web")
        .text("host.name", "h")
        .int("b.number", 7);
    let records = of_lines(&lines, &constants);
    same_as_ndjson(&records, &Encoding::default());
    let encoding = Encoding {
        timestamp: Naming::As("time".to_owned()),
        timestamp_format: TimestampFormat::UnixMs,
        except: vec!["b.d".to_owned()],
        rename: [("a".to_owned(), "o.a".to_owned())].into(),
        ..Encoding::default()
    };
    same_as_ndjson(&records, &encoding);
}

#[test]
fn a_map_has_the_shortest_form_whatever_stands_in_other_records() {
    let line = r#"{"a":1,"b":"two"}"#;
    let bytes = |records: &Records, row| {
        packed(records, &Encoding::default(), |packer| {
            let mut out = Vec::new();
            packer.row(row, None, &mut out).unwrap();
            out
        })
    };
    let wanted = b"\x82\xa1a\x01\xa1b\xa3two";
    assert_eq!(bytes(&of_lines(&[line], &Constants::new()), 0), wanted);
    let many: String = (0..40).map(|n| format!(r#","n{n}":{n}"#)).collect();
    let other = format!(r#"{{"a":1{many}}}"#);
    let records = of_lines(&[line, &other], &Constants::new());
    assert_eq!(bytes(&records, 0), wanted);
    let wide = bytes(&records, 1);
    assert_eq!(wide[..3], [0xde, 0, 41]);
    let room = packed(&records, &Encoding::default(), |packer| packer.room(2));
    assert!(room >= wanted.len() + wide.len());
}

#[test]
fn the_time_of_an_event_stands_in_the_map_where_it_is_asked_for() {
    let records = of_lines(&[r#"{"a":1}"#], &Constants::new());
    packed(&records, &Encoding::default(), |packer| {
        let mut out = Vec::new();
        packer.row(0, Some(-1_000_000_000), &mut out).unwrap();
        assert_eq!(json_of_msgpack(&out), json!({"@timestamp": "1969-12-31T23:59:59Z", "a": 1}));
    });
}

#[test]
fn bytes_numbers_and_texts_that_json_alone_has_keep_what_they_say() {
    let mut builder = Builder::new();
    builder.begin_record();
    builder.key(b"raw").bytes_value(b"\xffa");
    builder.key(b"nan").float(f64::NAN);
    builder.end_record();
    builder.begin_record();
    builder.key(b"raw").text(b"text beside bytes");
    builder.key(b"digits").json("123456789012345678901234567890");
    builder.key(b"lone").json(r#""a\ud800b""#);
    builder.end_record();
    let records = builder.finish(InvalidUtf8::Bytes, &Constants::new()).records;
    let maps = maps(&records, &Encoding::default());
    assert_eq!(maps[0], Ok(json!({"raw": "\u{fffd}a", "nan": null})));
    assert_eq!(
        maps[1],
        Ok(
            json!({"raw": "text beside bytes", "digits": "123456789012345678901234567890", "lone": "a\u{fffd}b"})
        )
    );
}

#[test]
fn a_record_that_is_too_deep_costs_itself_alone() {
    let nested = |depth: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let lines = [nested(DEPTH), nested(DEPTH + 1), nested(1)];
    let records = of_lines(&lines.each_ref().map(String::as_str), &Constants::new());
    let fates: Vec<bool> = maps(&records, &Encoding::default()).iter().map(Result::is_ok).collect();
    assert_eq!(fates, [true, false, true]);
}
