use serde_json::{Value, json};

use super::*;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;

mod json;

const MOST: usize = 1 << 20;

/// A message of protobuf, field by field.
#[derive(Clone, Default)]
pub(super) struct Message(pub Vec<u8>);

impl Message {
    fn varint(mut self, mut number: u64) -> Message {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    fn number(self, field: u64, number: u64) -> Message {
        self.varint(field << 3).varint(number)
    }

    fn fixed64(self, field: u64, number: u64) -> Message {
        let mut message = self.varint(field << 3 | 1);
        message.0.extend(number.to_le_bytes());
        message
    }

    fn bytes(self, field: u64, bytes: &[u8]) -> Message {
        let mut message = self.varint(field << 3 | 2).varint(bytes.len() as u64);
        message.0.extend_from_slice(bytes);
        message
    }

    fn inner(self, field: u64, inner: Message) -> Message {
        self.bytes(field, &inner.0)
    }
}

fn message() -> Message {
    Message::default()
}

fn pair(key: &str, value: Message) -> Message {
    message().bytes(1, key.as_bytes()).inner(2, value)
}

fn text_value(value: &str) -> Message {
    message().bytes(1, value.as_bytes())
}

/// A request of one group with these records.
fn request(records: &[Message]) -> Message {
    let resource = message().inner(1, pair("service.name", text_value("shop"))).number(2, 3);
    let scope = message().bytes(1, b"lib").bytes(2, b"1.0").inner(3, pair("a", message().number(2, 1)));
    let mut scope_logs = message();
    for record in records {
        scope_logs = scope_logs.bytes(2, &record.0);
    }
    let scope_logs = scope_logs.inner(1, scope).bytes(3, b"https://schema/scope");
    // What is shared may stand behind what shares it.
    message().inner(1, message().inner(2, scope_logs).inner(1, resource).bytes(3, b"https://schema/resource"))
}

fn whole_record() -> Message {
    let list = message().inner(1, message().number(3, (-5i64) as u64)).inner(1, message());
    let map = message().inner(1, pair("deep", message().fixed64(4, 2.5f64.to_bits())));
    message()
        .fixed64(1, 1_700_000_000_000_000_001)
        .fixed64(11, 1_700_000_000_000_000_002)
        .number(2, 9)
        .bytes(3, b"INFO")
        .inner(5, text_value("it works"))
        .inner(6, pair("list", message().inner(5, list)))
        .inner(6, pair("map", message().inner(6, map)))
        .inner(6, pair("raw", message().bytes(7, b"\xff\x00")))
        .inner(6, pair("http.status", message().number(3, 200)))
        .number(7, 1)
        .varint(8 << 3 | 5)
        .raw(&0x101u32.to_le_bytes())
        .bytes(
            9,
            &[0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0x0c],
        )
        .bytes(10, &[0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74])
        .bytes(12, b"order")
        .bytes(99, b"of a later version")
}

impl Message {
    fn raw(mut self, bytes: &[u8]) -> Message {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// The same request in JSON.
fn whole_json() -> String {
    json!({"resourceLogs": [{
        "scopeLogs": [{
            "logRecords": [{
                "timeUnixNano": "1700000000000000001", "observedTimeUnixNano": 1_700_000_000_000_000_002u64,
                "severityNumber": 9, "severityText": "INFO", "body": {"stringValue": "it works"},
                "attributes": [
                    {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "-5"}, {}]}}},
                    {"key": "map", "value": {"kvlistValue": {"values": [
                        {"value": {"doubleValue": 2.5}, "key": "deep"}]}}},
                    {"key": "raw", "value": {"bytesValue": "/wA="}},
                    {"key": "http.status", "value": {"intValue": 200}},
                ],
                "droppedAttributesCount": 1, "flags": 0x101,
                "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174",
                "eventName": "order", "ofALaterVersion": {"x": [1, "]}"]},
            }],
            "scope": {"name": "lib", "version": "1.0", "attributes": [{"key": "a", "value": {"boolValue": true}}]},
            "schemaUrl": "https://schema/scope",
        }],
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}],
                     "droppedAttributesCount": 3},
        "schemaUrl": "https://schema/resource",
    }]})
    .to_string()
}

/// The records of a request, in batches of so many, and those that were rejected, each of which is so by itself.
fn read(encoding: Encoding, body: &[u8], rows: usize) -> Result<(Vec<Value>, Rejected), Answer> {
    let mut logs = Logs::new(encoding, body, MOST)?;
    let cut = Cut { rows, ..Cut::default() };
    let mut builder = Builder::new();
    let mut all = Vec::new();
    loop {
        let has_more = logs.fill(&mut builder, &cut);
        let records = builder.finish(InvalidUtf8::Replace, &Constants::new()).records;
        let text = records.ndjson();
        all.extend((0..records.rows()).map(|row| serde_json::from_slice::<Value>(text.row(row)).unwrap()));
        for bad in logs.take_bad() {
            let mut alone = Logs::new(encoding, &bad.request, MOST)?;
            alone.fill(&mut builder, &cut);
            assert_eq!((builder.rows(), alone.take_bad()), (0, vec![bad]));
        }
        if !has_more {
            return Ok((all, logs.rejected().clone()));
        }
    }
}

fn protobuf(body: &Message) -> Result<(Vec<Value>, Rejected), Answer> {
    read(Encoding::Protobuf, &body.0, 1024)
}

#[test]
fn a_record_has_the_names_of_the_data_model_in_both_encodings() {
    let wanted = json!({
        "resource": {"attributes": {"service.name": "shop"}, "dropped_attributes_count": 3,
                     "schema_url": "https://schema/resource"},
        "scope": {"name": "lib", "version": "1.0", "attributes": {"a": true}, "schema_url": "https://schema/scope"},
        "@timestamp": "2023-11-14T22:13:20.000000001Z", "observed_timestamp": "2023-11-14T22:13:20.000000002Z",
        "severity_number": 9, "severity_text": "INFO", "body": "it works",
        "attributes": {"list": [-5, null], "map": {"deep": 2.5}, "raw": "\u{fffd}\u{0}", "http.status": 200},
        "dropped_attributes_count": 1, "trace_flags": 1,
        "trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174", "event_name": "order",
    });
    let (records, rejected) = protobuf(&request(&[whole_record()])).unwrap();
    assert_eq!((records, rejected), (vec![wanted.clone()], Rejected::default()));
    let (records, rejected) = read(Encoding::Json, whole_json().as_bytes(), 1024).unwrap();
    assert_eq!((records, rejected), (vec![wanted], Rejected::default()));
}

#[test]
fn a_sender_that_has_the_older_names_loses_no_record() {
    let (wanted, _) = protobuf(&request(&[whole_record()])).unwrap();
    let older = [("scopeLogs", "instrumentationLibraryLogs"), ("\"scope\"", "\"instrumentationLibrary\"")];
    let json = older.iter().fold(whole_json(), |json, (now, before)| json.replace(now, before));
    for json in [json.replace("logRecords", "logs"), json] {
        assert!(!json.contains("scopeLogs") && !json.contains("\"scope\""), "{json}");
        assert_eq!(read(Encoding::Json, json.as_bytes(), 1024).unwrap().0, wanted);
    }
    let scope_logs = message().bytes(2, &whole_record().0);
    let (now, before) = [2, 1000]
        .map(|field| protobuf(&message().inner(1, message().inner(field, scope_logs.clone()))).unwrap().0)
        .into();
    assert_eq!((now.len(), now), (1, before));
}

#[test]
fn what_is_empty_is_no_field_and_the_observed_time_stands_for_the_event() {
    let empty = message().inner(1, message().inner(2, message().inner(2, message())));
    assert_eq!(protobuf(&empty).unwrap().0, [json!({})]);
    let body = r#"{"resourceLogs":[{"resource":null,"scopeLogs":[{"scope":{},"logRecords":[{"body":null,"attributes":[]}]}]}]}"#;
    assert_eq!(read(Encoding::Json, body.as_bytes(), 9).unwrap().0, [json!({})]);
    for nothing in
        ["{}", r#"{"resourceLogs":[]}"#, " {\"resourceLogs\" : null } ", r#"{"resourceLogs":[{}]}"#]
    {
        assert_eq!(read(Encoding::Json, nothing.as_bytes(), 9).unwrap().0, [] as [Value; 0], "{nothing}");
    }
    assert_eq!(protobuf(&message()).unwrap().0, [] as [Value; 0]);
    let observed = protobuf(&request(&[message().fixed64(11, 1_000_000_000)])).unwrap().0;
    assert_eq!(observed[0]["@timestamp"], "1970-01-01T00:00:01Z");
}

#[test]
fn a_record_that_cannot_be_read_costs_itself_alone_and_is_told() {
    let good = message().inner(5, text_value("good"));
    let late = message().fixed64(1, u64::MAX);
    let broken = message().bytes(5, b"\x0a\x7f");
    let mut deep = text_value("x");
    for _ in 0..=DEPTH {
        deep = message().inner(5, message().inner(1, deep));
    }
    let deep = message().inner(5, deep);
    let body = request(&[good.clone(), late, good.clone(), broken, deep, good]);
    for rows in [1, 2, 1024] {
        let (records, rejected) = read(Encoding::Protobuf, &body.0, rows).unwrap();
        assert_eq!((records.len(), rejected.count), (3, 3));
        assert!(records.iter().all(|record| record["body"] == "good"), "{records:?}");
        assert!(rejected.reason.unwrap().contains("2262"));
    }
    let records = r#"{"body":{"stringValue":"good"}},{"timeUnixNano":"soon"},{"severityText":5},7,{"body":{"intValue":1.5}}"#;
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#);
    for rows in [1, 1024] {
        let (records, rejected) = read(Encoding::Json, body.as_bytes(), rows).unwrap();
        assert_eq!((records.len(), rejected.count), (1, 4));
        assert!(rejected.reason.unwrap().contains("timeUnixNano"));
    }
}

#[test]
fn what_cannot_be_read_ends_a_batch_as_what_can_does() {
    let body = request(&vec![message().fixed64(1, u64::MAX); 100]);
    let mut logs = Logs::new(Encoding::Protobuf, &body.0, MOST).unwrap();
    let mut builder = Builder::new();
    assert!(logs.fill(&mut builder, &Cut { rows: 30, ..Cut::default() }));
    let bad = logs.take_bad();
    assert_eq!((bad.len(), builder.rows()), (30, 0));
    assert!(logs.fill(&mut builder, &Cut { bytes: 10 * bad[0].request.len(), ..Cut::default() }));
    assert_eq!((logs.take_bad().len(), builder.rows()), (10, 0));
    assert!(!logs.fill(&mut builder, &Cut::default()));
    assert_eq!((logs.take_bad().len(), logs.rejected().count), (60, 100));
}

#[test]
fn a_request_that_is_broken_is_refused_as_a_whole() {
    let mut cut = request(&[whole_record(), whole_record()]).0;
    cut.pop();
    assert!(matches!(read(Encoding::Protobuf, &cut, 1), Err(Answer::Unreadable { .. })));
    assert!(matches!(read(Encoding::Protobuf, b"no protobuf", 1), Err(Answer::Unreadable { .. })));
    for wrong in [
        "",
        "[]",
        "7",
        r#"{"resourceLogs":{}}"#,
        r#"{"resourceLogs":[7]}"#,
        r#"{"resourceLogs":[{"scopeLogs":7}]}"#,
        r#"{"resourceLogs":[{"resource":7,"scopeLogs":[]}]}"#,
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]"#,
        r#"{"resourceLogs":[]} {}"#,
    ] {
        let refused = read(Encoding::Json, wrong.as_bytes(), 1);
        assert!(matches!(refused, Err(Answer::Unreadable { .. })), "{wrong}: {refused:?}");
    }
}

#[test]
fn what_records_share_counts_for_each_of_them() {
    let resource = message().inner(1, pair("big", text_value(&"x".repeat(100_000))));
    let mut scope_logs = message();
    for _ in 0..20 {
        scope_logs = scope_logs.inner(2, message());
    }
    for shared in [message().inner(1, resource), message().bytes(3, &[b'x'; 100_000])] {
        let body = message().inner(1, shared.inner(2, scope_logs.clone()));
        assert!(matches!(protobuf(&body), Err(Answer::TooLarge(text)) if text.contains("max_expanded")));
    }
    let records = ["{}"; 20].join(",");
    let body = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"schemaUrl":"{}","logRecords":[{records}]}}]}}]}}"#,
        "x".repeat(100_000)
    );
    assert!(matches!(read(Encoding::Json, body.as_bytes(), 1), Err(Answer::TooLarge(_))));
}

#[test]
fn answers_are_the_messages_of_the_protocol() {
    let rejected = Rejected { count: 300, reason: Some("why".to_owned()) };
    let body = |response: hyper::Response<http_body_util::Full<bytes::Bytes>>| {
        use http_body_util::BodyExt;
        flitch_core::blocking::block_on(response.into_body().collect()).unwrap().to_bytes()
    };
    assert_eq!(&body(reply::taken(Encoding::Json, &Rejected::default()))[..], b"{}");
    assert_eq!(&body(reply::taken(Encoding::Protobuf, &Rejected::default()))[..], b"");
    let json: Value = serde_json::from_slice(&body(reply::taken(Encoding::Json, &rejected))).unwrap();
    assert_eq!(json, json!({"partialSuccess": {"rejectedLogRecords": "300", "errorMessage": "why"}}));
    assert_eq!(&body(reply::taken(Encoding::Protobuf, &rejected))[..], b"\x0a\x08\x08\xac\x02\x12\x03why");
    let status = hyper::StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(&body(reply::refused(Encoding::Protobuf, status, "no"))[..], b"\x08\x0e\x12\x02no");
    let json: Value = serde_json::from_slice(&body(reply::refused(Encoding::Json, status, "no"))).unwrap();
    assert_eq!(json, json!({"code": 14, "message": "no"}));
}

proptest::proptest! {
    /// Whatever comes is read to its end or refused, and a record becomes the same in any company.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(0u8..16, 0..200), json in "\\PC{0,100}") {
        for (encoding, body) in [(Encoding::Protobuf, bytes.as_slice()), (Encoding::Json, json.as_bytes())] {
            if let Ok((records, rejected)) = read(encoding, body, 1024) {
                proptest::prop_assert_eq!(read(encoding, body, 1).unwrap(), (records, rejected));
            }
        }
    }
}

#[test]
fn what_may_go_the_next_time_is_answered_as_a_client_of_otlp_sends_it_again() {
    use hyper::StatusCode;
    let again = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        for answer in [Answer::TooSlow, Answer::Full, Answer::Draining, Answer::SendAgain] {
            let told = format!("{answer:?}");
            assert!(again.contains(&answer.respond_by_otlp(encoding).status()), "{told}");
        }
        let refused =
            [Answer::TooLarge(String::new()), Answer::Unreadable { line: 0, reason: String::new() }];
        for answer in refused {
            assert!(!again.contains(&answer.respond_by_otlp(encoding).status()));
        }
    }
}
