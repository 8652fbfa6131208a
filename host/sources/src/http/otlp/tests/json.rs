//! What JSON of protobuf has in several forms, and what is wrong in it.

use super::*;
use flitch_core::batch::builder::Finished;

/// A request of these records, which are the text between the brackets.
fn request(records: &[u8]) -> Vec<u8> {
    [br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":["#, records, b"]}]}]}"].concat()
}

/// The records of a body, all of which can be read.
fn finished(body: &[u8], invalid: InvalidUtf8) -> Finished {
    let mut logs = Logs::new(Encoding::Json, body, MOST).unwrap();
    let mut builder = Builder::new();
    assert!(!logs.fill(&mut builder, &Cut::default()));
    assert_eq!(logs.take_bad(), []);
    builder.finish(invalid, &Constants::new())
}

/// A record, written again as JSON.
fn record(members: &str) -> String {
    let records = finished(&request(format!("{{{members}}}").as_bytes()), InvalidUtf8::Replace).records;
    String::from_utf8(records.ndjson().text.to_vec()).unwrap().trim_end().to_owned()
}

/// Why a record cannot be read.
fn refused(members: &str) -> String {
    let body = request(format!("{{{members}}}").as_bytes());
    let (records, rejected) = read(Encoding::Json, &body, 9).unwrap();
    assert_eq!((records.len(), rejected.count), (0, 1), "{members}");
    rejected.reason.unwrap()
}

#[test]
fn a_text_that_is_no_utf_8_costs_no_record_and_is_mended_and_counted_or_kept() {
    let body = request(
        b"{\"body\":{\"stringValue\":\"one\"}},{\"body\":{\"stringValue\":\"caf\xe9\"},\"severityText\":\"\xff\"},\
          {\"attributes\":[{\"key\":\"k\\n\xfe\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"\\t\xe9\"}]}}}]}",
    );
    let mended = finished(&body, InvalidUtf8::Replace);
    let text = String::from_utf8(mended.records.ndjson().text.to_vec()).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let wanted = [
        json!({"body": "one"}),
        json!({"body": "caf\u{fffd}", "severity_text": "\u{fffd}"}),
        json!({"attributes": {"k\n\u{fffd}": ["\t\u{fffd}"]}}),
    ];
    assert_eq!((records.as_slice(), mended.replaced), (&wanted[..], 3));
    let kept = finished(&body, InvalidUtf8::Bytes);
    let lossless = flitch_core::batch::encode::ndjson_lossless(&kept.records).text;
    let bytes = r#"{"$bytes":"Y2Fm6Q=="}"#;
    assert!(String::from_utf8_lossy(&lossless).contains(bytes), "{lossless:?}");
    // What stands inside of an array is mended, as in any other JSON.
    assert_eq!(kept.replaced, 1);
    // A record that cannot be read keeps its bytes as a dead letter.
    let bad = request(b"{\"timeUnixNano\":\"soon\",\"body\":{\"stringValue\":\"caf\xe9\"}}");
    let (records, rejected) = read(Encoding::Json, &bad, 1).unwrap();
    assert_eq!((records.len(), rejected.count), (0, 1));
    let mut logs = Logs::new(Encoding::Json, &bad, MOST).unwrap();
    logs.fill(&mut Builder::new(), &Cut::default());
    assert!(logs.take_bad()[0].request.windows(4).any(|bytes| bytes == b"caf\xe9"));
}

#[test]
fn half_of_a_surrogate_pair_stays_the_json_that_it_is() {
    for (members, wanted) in [
        (r#""body":{"stringValue":"cut \ud83d"}"#, r#"{"body":"cut \ud83d"}"#),
        (r#""body":{"stringValue":"whole \ud83d\ude00"}"#, r#"{"body":"whole 😀"}"#),
        (
            r#""body":{"arrayValue":{"values":[{"stringValue":"\udc00x"},{"intValue":1}]}}"#,
            r#"{"body":["\udc00x",1]}"#,
        ),
        (r#""severityText":"\ud83d","eventName":"\n""#, r#"{"severity_text":"\ud83d","event_name":"\n"}"#),
        (r#""traceId":"\ud83d""#, r#"{"trace_id":"\ud83d"}"#),
        (
            r#""attributes":[{"key":"a\ud83d","value":{"stringValue":"b"}}]"#,
            r#"{"attributes":{"a\ud83d":"b"}}"#,
        ),
    ] {
        assert_eq!(record(members), wanted, "{members}");
    }
    // What records share costs none of them.
    let body =
        br#"{"resourceLogs":[{"resource":{"attributes":[{"key":"host","value":{"stringValue":"\ud800"}}]},
        "schemaUrl":"\ud801","scopeLogs":[{"scope":{"name":"\ud802"},"logRecords":[{},{}]}]}]}"#;
    let text = finished(body, InvalidUtf8::Replace).records.ndjson().text.to_vec();
    let one =
        r#"{"resource":{"attributes":{"host":"\ud800"},"schema_url":"\ud801"},"scope":{"name":"\ud802"}}"#;
    assert_eq!(String::from_utf8(text).unwrap(), format!("{one}\n{one}\n"));
}

#[test]
fn whole_numbers_may_have_an_exponent_or_a_fraction_of_zeros_and_are_exact() {
    for (written, wanted) in [
        ("1.0", "1"),
        ("1e3", "1000"),
        ("\"1e3\"", "1000"),
        ("\"1E+3\"", "1000"),
        ("100e-2", "1"),
        ("-12.50e1", "-125"),
        ("0.0", "0"),
        ("-0", "0"),
        ("0e5", "0"),
        ("9007199254740993", "9007199254740993"),
        ("9007199254740993.0", "9007199254740993"),
        ("\"900719925474099.3e1\"", "9007199254740993"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("-9.223372036854775808e18", "-9223372036854775808"),
        ("\"\\u0037\"", "7"),
    ] {
        let body = record(&format!(r#""body":{{"intValue":{written}}}"#));
        assert_eq!(body, format!("{{\"body\":{wanted}}}"), "{written}");
    }
    for (written, ns) in [
        ("1.581452773e18", "1581452773000000000"),
        ("1581452773000000000.0", "1581452773000000000"),
        ("1581452773000000001.0", "1581452773000000001"),
        ("\"1581452773000000001\"", "1581452773000000001"),
    ] {
        let time = record(&format!("\"timeUnixNano\":{written}"));
        assert_eq!(time, record(&format!("\"timeUnixNano\":\"{ns}\"")), "{written}");
    }
    let others = r#""severityNumber":9.0,"flags":1.0,"droppedAttributesCount":"2.0""#;
    let wanted = r#"{"severity_number":9,"trace_flags":1,"dropped_attributes_count":2}"#;
    assert_eq!(record(others), wanted);
    for wrong in [
        "1.5",
        "\"1.5\"",
        "1e-1",
        "9223372036854775808",
        "1e19",
        "1e999999999",
        "\"\"",
        "\"0x1\"",
        "\"1.\"",
        "[]",
    ] {
        let reason = refused(&format!(r#""body":{{"intValue":{wrong}}}"#));
        assert!(reason.contains("`intValue`"), "{wrong}: {reason}");
    }
    assert!(refused("\"timeUnixNano\":-1.0").contains("whole number"));
}

#[test]
fn a_severity_may_be_written_as_its_name() {
    for (name, number) in [
        ("TRACE", 1),
        ("DEBUG", 5),
        ("INFO", 9),
        ("INFO2", 10),
        ("WARN3", 15),
        ("ERROR4", 20),
        ("FATAL4", 24),
    ] {
        let written = record(&format!("\"severityNumber\":\"SEVERITY_NUMBER_{name}\""));
        assert_eq!(written, format!("{{\"severity_number\":{number}}}"), "{name}");
    }
    assert_eq!(record("\"severityNumber\":\"SEVERITY_NUMBER_UNSPECIFIED\""), "{}");
    for wrong in ["SEVERITY_NUMBER_INFO5", "SEVERITY_NUMBER_", "INFO"] {
        assert!(refused(&format!("\"severityNumber\":\"{wrong}\"")).contains("`severityNumber`"), "{wrong}");
    }
}

#[test]
fn a_float_that_is_too_large_keeps_its_digits_and_what_is_no_number_is_null() {
    for (written, wanted) in [
        ("2.5", "2.5"),
        ("\"2.5\"", "2.5"),
        ("7", "7.0"),
        ("1e400", "1e400"),
        ("\"-1e400\"", "-1e400"),
        ("\"NaN\"", "null"),
        ("\"Infinity\"", "null"),
        ("\"-Infinity\"", "null"),
    ] {
        let body = record(&format!(r#""body":{{"doubleValue":{written}}}"#));
        assert_eq!(body, format!("{{\"body\":{wanted}}}"), "{written}");
    }
    assert!(refused(r#""body":{"doubleValue":"much"}"#).contains("`doubleValue`"));
}

#[test]
fn bytes_may_be_in_either_alphabet_of_base64_with_padding_or_without() {
    let wanted = record(r#""body":{"bytesValue":"/+8="}"#);
    for written in ["/+8", "_-8=", "_-8"] {
        assert_eq!(record(&format!(r#""body":{{"bytesValue":"{written}"}}"#)), wanted, "{written}");
    }
    assert!(refused(r#""body":{"bytesValue":"_+8"}"#).contains("`bytesValue`"));
}

#[test]
fn an_id_is_hexadecimal_or_base64_and_anything_else_stays_as_it_stands() {
    const TRACE: &str = "5b8efff798038103d269b633813fc60c";
    for (written, wanted) in [
        (TRACE, TRACE),
        ("5B8EFFF798038103D269B633813FC60C", TRACE),
        ("W47/95gDgQPSabYzgT/GDA==", TRACE),
        ("W47_95gDgQPSabYzgT_GDA==", TRACE),
        ("W47/95gDgQPSabYzgT/GDA", "W47/95gDgQPSabYzgT/GDA"),
        ("abc", "abc"),
        ("ABC", "ABC"),
        ("5B8EFFF798038103D269B633813FC60", "5B8EFFF798038103D269B633813FC60"),
        ("Order-4711-of-the-web-01", "Order-4711-of-the-web-01"),
    ] {
        assert_eq!(record(&format!("\"traceId\":\"{written}\"")), format!("{{\"trace_id\":\"{wanted}\"}}"));
    }
    for (written, wanted) in [
        ("EEE19B7EC3C1B174", "eee19b7ec3c1b174"),
        ("7uGbfsPBsXQ=", "eee19b7ec3c1b174"),
        ("Request-1234", "Request-1234"),
        ("5B8EFFF798038103D269B633813FC60C", "5B8EFFF798038103D269B633813FC60C"),
    ] {
        assert_eq!(record(&format!("\"spanId\":\"{written}\"")), format!("{{\"span_id\":\"{wanted}\"}}"));
    }
    assert_eq!(record(r#""traceId":"","spanId":null"#), "{}");
    assert!(refused("\"traceId\":7").contains("`traceId`"));
}

#[test]
fn null_is_what_is_not_there() {
    let body = br#"{"resourceLogs":[{"resource":{"attributes":null,"droppedAttributesCount":null},"schemaUrl":null,
        "scopeLogs":[{"scope":{"name":null,"version":"1"},"schemaUrl":null,
        "logRecords":[{"attributes":[{"key":null,"value":null},{"key":"a","value":{"stringValue":null}}]}]}]}]}"#;
    let text = finished(body, InvalidUtf8::Replace).records.ndjson().text.to_vec();
    let record: Value = serde_json::from_slice(&text).unwrap();
    let wanted = json!({"resource": {}, "scope": {"version": "1"}, "attributes": {"": null, "a": null}});
    // An object without members has no column.
    let same =
        record == wanted || record == json!({"scope": wanted["scope"], "attributes": wanted["attributes"]});
    assert!(same, "{record}");
}

#[test]
fn what_is_another_request_is_told_so() {
    for other in [&br#"{"a":1}"#[..], br#"{"resourceSpans":[]}"#] {
        let Err(Answer::Unreadable { reason, .. }) = read(Encoding::Json, other, 1) else {
            panic!("refused")
        };
        assert!(reason.contains("it has no `resourceLogs`"), "{reason}");
    }
    assert_eq!(read(Encoding::Json, br#"{"x":1,"resource_logs":[]}"#, 1).unwrap().0, [] as [Value; 0]);
}
