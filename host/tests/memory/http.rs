use std::io::Write;
use std::net::SocketAddr;

use flitch_sources::SourceKind;
use flitch_sources::http::HttpSettings;

use super::allocator::alone;
use super::hold;
use super::rig::Rig;

/// Room for what expands; within the constant.
const ROOM: &str = "8MiB";

fn rig() -> Rig {
    Rig::start(|address, cx| {
        let settings = serde_json::json!({
            "listen": address, "max_body": "64MiB", "max_expanded": ROOM, "max_pending": ROOM,
        });
        let settings: HttpSettings = serde_json::from_value(settings).unwrap();
        settings.start(cx)
    })
}

fn post(address: SocketAddr, headers: &[(&str, &str)], body: &[u8]) -> u16 {
    flitch_tests::http::post(address, "/bad", headers, body).unwrap().status
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const TEXT: (&str, &str) = ("Content-Type", "text/plain");

fn members(from: usize, names: usize) -> String {
    (from..from + names).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",")
}

/// Bodies of about a megabyte that want much for it.
fn bodies() -> Vec<(&'static str, (&'static str, &'static str), String)> {
    let ndjson = |records: &mut dyn Iterator<Item = String>| records.map(|r| r + "\n").collect::<String>();
    let kinds = ["1", "\"x\"", "null", "true", "2.5", "{\"b\":1}", "[1]", "1e400", "\"\\ud800\"", "-0"];
    vec![
        (
            "a name of its own in each record",
            JSON,
            ndjson(&mut (0..70_000).map(|n| format!("{{{}}}", members(n, 1)))),
        ),
        (
            "200 names of its own in each",
            JSON,
            ndjson(&mut (0..400).map(|n| format!("{{{}}}", members(200 * n, 200)))),
        ),
        ("an array of the same", JSON, {
            let records: Vec<_> = (0..400).map(|n| format!("{{{}}}", members(200 * n, 200))).collect();
            format!("[{}]", records.join(","))
        }),
        ("one record of 70,000 names", JSON, format!("{{{}}}", members(0, 70_000))),
        (
            "60 objects of 60 names in each",
            JSON,
            ndjson(&mut (0..25).map(|n| {
                let objects = (0..60).map(|m| format!("\"o{m}\":{{{}}}", members(60 * n, 60)));
                format!("{{{}}}", objects.collect::<Vec<_>>().join(","))
            })),
        ),
        (
            "objects inside one another",
            JSON,
            format!("{{\"a\":{}1{}}}\n", "{\"a\":".repeat(100), "}".repeat(100)).repeat(1400),
        ),
        (
            "arrays inside one another",
            JSON,
            format!("{{\"a\":{}{}}}\n", "[".repeat(120), "]".repeat(120)).repeat(4000),
        ),
        ("no members at all", JSON, "{}".repeat(500_000)),
        ("empty objects below", JSON, "{\"a\":{},\"b\":{\"c\":{}}}".repeat(45_000)),
        (
            "values of every kind under one name",
            JSON,
            ndjson(&mut (0..70_000).map(|n| format!("{{\"a\":{}}}", kinds[n % kinds.len()]))),
        ),
        (
            "the same under 60 names",
            JSON,
            ndjson(&mut (0..1500).map(|n| {
                let values = (0..60).map(|m| format!("\"a{m}\":{}", kinds[(n + m) % kinds.len()]));
                format!("{{{}}}", values.collect::<Vec<_>>().join(","))
            })),
        ),
        (
            "names that come twice",
            JSON,
            ndjson(&mut (0..400).map(|n| format!("{{{0},{0}}}", members(100 * n, 100)))),
        ),
        ("a number of a million digits", JSON, format!("{{\"a\":{}}}", "1".repeat(1 << 20))),
        (
            "huge numbers",
            JSON,
            ndjson(&mut (0..1000).map(|n| format!("{{\"a\":1e{n},\"b\":{}}}", "9".repeat(1000)))),
        ),
        ("a name of a million bytes", JSON, format!("{{\"{}\":1}}", "k".repeat(1 << 20))),
        (
            "names of 4,000 bytes",
            JSON,
            ndjson(&mut (0..250).map(|n| format!("{{\"{n}{}\":1}}", "k".repeat(4000)))),
        ),
        (
            "escapes alone",
            JSON,
            ndjson(&mut (0..40).map(|_| format!("{{\"a\":\"{}\"}}", "\\u0000".repeat(4000)))),
        ),
        ("times that are none", JSON, "{\"@timestamp\":\"never\",\"@tag\":1}\n".repeat(30_000)),
        ("bytes that are no UTF-8", TEXT, String::new()),
        ("empty lines", TEXT, "\n".repeat(1 << 20)),
        ("lines of a byte", TEXT, "x\n".repeat(1 << 19)),
        ("one line", TEXT, "x".repeat(1 << 20)),
        ("a body that is wrong at its end", JSON, "{\"a\":1}".repeat(150_000) + "{"),
    ]
}

#[test]
fn a_body_of_http_is_held_within_eight_times_its_size() {
    let (_alone, rig) = (alone(), rig());
    for (what, kind, body) in bodies() {
        let body = if body.is_empty() { vec![0xff; 1 << 20] } else { body.into_bytes() };
        hold(what, body.len(), || {
            let status = post(rig.address, &[kind], &body);
            assert!([200, 400].contains(&status), "{what}: {status}");
        });
    }
}

#[test]
fn large_bodies_cost_no_more_for_each_byte_than_small_ones() {
    let (_alone, rig) = (alone(), rig());
    for (what, names) in [("a name in each", 1), ("100 names in each", 100)] {
        let records = (0..).map(|n| format!("{{{}}}\n", members(names * n, names)));
        let mut body = String::new();
        records
            .take_while(|record| {
                body += record;
                body.len() < 7 << 20
            })
            .for_each(drop);
        hold(what, body.len(), || assert_eq!(post(rig.address, &[JSON], body.as_bytes()), 200));
    }
}

#[test]
fn bodies_that_expand_are_held_within_the_room_that_there_is() {
    let (_alone, rig) = (alone(), rig());
    for (what, kind, body) in bodies().into_iter().step_by(3) {
        // Several at once, each of which expands to half of the room that there is.
        let text = body.repeat((4 << 20) / body.len().max(1)).into_bytes();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&text).unwrap();
        let bomb = gzip.finish().unwrap();
        hold(what, bomb.len(), || {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let status = post(rig.address, &[kind, ("Content-Encoding", "gzip")], &bomb);
                        assert!([200, 400, 413, 429].contains(&status), "{what}: {status}");
                    });
                }
            });
        });
    }
}

/// Field `number` of a message of protobuf, with these bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// A request of OTLP with these log records.
fn request(records: &[u8]) -> Vec<u8> {
    field(1, &field(2, records))
}

/// Requests of about a megabyte that want much for it.
fn requests() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let repeated =
        |count: usize, one: &mut dyn FnMut(usize) -> Vec<u8>| (0..count).flat_map(one).collect::<Vec<_>>();
    let attribute = |name: &str| field(6, &[field(1, name.as_bytes()), field(2, b"\x18\x05")].concat());
    let json =
        |records: &str| format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#);
    let (protobuf, plain) = ("application/x-protobuf", "application/json");
    vec![
        ("no records but empty ones", protobuf, request(&b"\x12\x00".repeat(500_000))),
        ("empty groups", protobuf, b"\x0a\x00".repeat(500_000)),
        ("empty scopes", protobuf, field(1, &b"\x12\x00".repeat(500_000))),
        (
            "a name of its own in each record",
            protobuf,
            request(&repeated(50_000, &mut |n| field(2, &attribute(&format!("k{n}"))))),
        ),
        (
            "one record of many names",
            protobuf,
            request(&field(2, &repeated(50_000, &mut |n| attribute(&format!("k{n}"))))),
        ),
        (
            "one array of nothing",
            protobuf,
            request(&field(2, &field(5, &field(5, &b"\x0a\x00".repeat(500_000))))),
        ),
        ("no records but empty ones, as JSON", plain, json(&vec!["{}"; 300_000].join(",")).into_bytes()),
        (
            "one array of nothing, as JSON",
            plain,
            json(&format!(r#"{{"body":{{"arrayValue":{{"values":[{}]}}}}}}"#, vec!["{}"; 300_000].join(",")))
                .into_bytes(),
        ),
        (
            "attributes without a name, as JSON",
            plain,
            json(&format!(r#"{{"attributes":[{}]}}"#, vec!["{}"; 300_000].join(","))).into_bytes(),
        ),
        ("brackets alone", plain, "[".repeat(1 << 20).into_bytes()),
    ]
}

#[test]
fn a_request_of_otlp_is_held_within_eight_times_its_size() {
    let (_alone, rig) = (alone(), rig());
    for (what, kind, body) in requests() {
        hold(what, body.len(), || {
            let headers = [("Content-Type", kind)];
            let status = flitch_tests::http::post(rig.address, "/v1/logs", &headers, &body).unwrap().status;
            assert!([200, 400].contains(&status), "{what}: {status}");
        });
    }
}
