//! What clients may expect of any server of HTTP.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::*;

/// What a connection brings after these bytes, up to its end.
async fn say(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.expect("all of it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the connection is not reset");
    answer.to_ascii_lowercase()
}

#[tokio::test]
async fn what_is_no_post_of_records_is_answered_with_what_is() {
    let server = server(serde_json::json!({})).await;
    assert_eq!(server.ask("GET /nothing", b"").await.0, 404);
    let answer = say(&server, b"PUT /web HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("http/1.1 405 ") && answer.contains("\r\nallow: post\r\n"), "{answer}");
    let answer = say(&server, b"DELETE /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("\r\nallow: get, head, post\r\n"), "{answer}");
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let server = server(serde_json::json!({})).await;
    let answer = say(&server, b"HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("http/1.1 200 ") && answer.contains("content-length: 16\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = say(&server, b"HEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("http/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn bodies_that_are_no_text_are_refused_whatever_the_codec() {
    for codec in ["auto", "json", "lines"] {
        let server = server(serde_json::json!({ "codec": codec })).await;
        let (status, answer) = server.ask("POST /\nContent-Type: application/cbor", b"\xa1aa\x01").await;
        assert_eq!(status, 415, "{codec}: {answer}");
        assert!(answer.contains("application/x-ndjson"), "{answer}");
        assert_eq!(server.ledger.read().received, 0);
    }
}

#[tokio::test]
async fn a_body_that_is_compressed_and_does_not_say_so_is_refused_and_none_of_its_bytes_is_a_line() {
    for codec in ["auto", "json", "lines"] {
        let server = server(serde_json::json!({ "codec": codec })).await;
        let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcbH\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";
        for (name, body) in [("gzip", &gzip[..]), ("zstd", b"\x28\xb5\x2f\xfd\n"), ("xz", b"\xfd7zXZ\0\n")] {
            let (status, answer) = server.ask("POST /", body).await;
            assert_eq!(status, 415, "{codec}: {answer}");
            assert!(answer.contains(&format!("compressed by {name}")), "{answer}");
        }
        let (status, answer) = server.ask("POST /\nContent-Type: text/plain", b"").await;
        assert_eq!((status, server.ledger.read().received), (200, 0), "{answer}");
    }
}

#[tokio::test]
async fn text_in_the_charset_that_the_header_or_its_mark_names_comes_out_as_utf_8() {
    let server = server(serde_json::json!({})).await;
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let marked = [&b"\xfe\xff"[..], &utf16("{\"a\":\"Grüße\"}\n{\"a\":\"日本\"}")].concat();
    for (kind, body, expected) in [
        ("text/plain; charset=iso-8859-1", &b"Gr\xfc\xdfe"[..], &["Grüße"][..]),
        ("application/json; charset=\"utf-16\"", &marked, &["Grüße", "日本"]),
        ("application/json; charset=utf-8", &marked, &["Grüße", "日本"]),
        ("text/plain", &marked, &["Grüße", "日本"]),
        ("text/plain; charset=Shift_JIS", b"\x93\xfa\x96\x7b\nabc", &["日本", "abc"]),
        // What the charset does not know is mended as what is no UTF-8.
        ("text/plain; charset=shift_jis", b"a\x93", &["a\u{fffd}"]),
        ("text/plain; charset=us-ascii", "Grüße".as_bytes(), &["Grüße"]),
    ] {
        let (status, answer, records) = server.post(&format!("POST /\nContent-Type: {kind}"), body).await;
        assert_eq!((status, records.lines().count()), (200, expected.len()), "{kind}: {answer}");
        for text in expected {
            assert!(records.contains(&format!(":\"{text}\"")), "{kind}: {records}");
        }
    }
    let (status, answer) = server.ask("POST /\nContent-Type: text/plain; charset=ebcdic", b"a").await;
    assert_eq!(status, 415);
    assert!(answer.contains("`ebcdic`"), "{answer}");
}

#[tokio::test]
async fn every_line_of_content_encodings_is_undone() {
    let server = server(serde_json::json!({})).await;
    let [.., (_, twice)] = compressed(b"{\"a\":1}");
    let head = "POST /\nContent-Encoding: gzip\nContent-Encoding: zstd";
    let (status, _, records) = server.post(head, &twice).await;
    assert_eq!((status, records.lines().count()), (200, 1));
    let (status, answer) = server.ask("POST /\nContent-Encoding: gzip\nContent-Encoding: br", &twice).await;
    assert_eq!(status, 415);
    assert!(answer.contains("`br`"), "{answer}");
}

#[tokio::test]
async fn marks_and_blank_lines_are_part_of_no_record() {
    let server = server(serde_json::json!({})).await;
    let json = b"\xef\xbb\xbf{\"a\":1}\r\n\r\n  \n{\"a\":2}\n\n";
    let (status, _, records) = server.post("POST /\nContent-Type: text/plain", json).await;
    assert_eq!((status, records.lines().count()), (200, 2));
    let (status, _, records) = server.post("POST /", b"\xef\xbb\xbfone\n\r\n\ntwo").await;
    assert_eq!((status, records.lines().count()), (200, 2));
    assert!(records.contains(r#""message":"one""#), "{records}");
}

#[tokio::test]
async fn a_client_that_is_refused_early_can_send_on_and_read_why() {
    let server = server(serde_json::json!({ "max_body": "1KiB" })).await;
    let length = 8 << 20;
    for head in [format!("Content-Length: {length}"), "Transfer-Encoding: chunked".to_owned()] {
        let mut request = format!("POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n").into_bytes();
        if head.starts_with('T') {
            request.extend(format!("{length:x}\r\n").bytes());
        }
        request.resize(request.len() + length, b'x');
        if head.starts_with('T') {
            request.extend(b"\r\n0\r\n\r\n");
        }
        let answer = say(&server, &request).await;
        assert!(answer.starts_with("http/1.1 413 ") && answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_outlives_the_refusal_of_a_small_body() {
    let server = server(serde_json::json!({ "auth": { "bearer": ["t0ken"] } })).await;
    let wrong = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n";
    let right = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answers = say(&server, format!("{wrong}{}{right}", "x".repeat(4000)).as_bytes()).await;
    assert!(answers.contains("http/1.1 401 ") && answers.contains("http/1.1 200 "), "{answers}");
}

#[tokio::test]
async fn a_connection_outlives_a_body_in_chunks() {
    let server = server(serde_json::json!({ "ack": "accepted", "auth": { "bearer": ["t0ken"] } })).await;
    let chunked = |headers: &str| {
        let chunks = "4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\nX-Checksum: 7\r\n\r\n";
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{headers}\r\n{chunks}")
    };
    let right = chunked("Authorization: Bearer t0ken\r\n");
    let last = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    // Taken, refused before it was read, taken: one behind the other.
    let answers = say(&server, format!("{right}{}{right}{last}", chunked("")).as_bytes()).await;
    let found: Vec<&str> =
        answers.match_indices("http/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
    assert_eq!(found, ["202", "401", "202", "200"], "{answers}");
    assert_eq!(answers.matches("connection: close").count(), 1, "{answers}");
}

#[tokio::test]
async fn a_tag_is_no_longer_than_a_name_needs() {
    let server = server(serde_json::json!({})).await;
    let (status, answer) = server.ask(&format!("POST /{}", "t/".repeat(600)), b"{}").await;
    assert_eq!(status, 414, "{answer}");
    assert_eq!(server.post(&format!("POST /{}", "t".repeat(1024)), b"{}").await.0, 200);
}

#[tokio::test]
async fn clients_that_say_nothing_keep_out_nobody() {
    let server = server(serde_json::json!({ "max_connections": 3 })).await;
    let mut silent = Vec::new();
    for said in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(said).await.unwrap();
        silent.push(stream);
    }
    assert_eq!(server.post("POST /", b"{}").await.0, 200);
}

/// A small request of OTLP in protobuf: one record whose body is `hi`, and one whose time is past 2262.
const OTLP: &[u8] = b"\x0a\x15\x12\x13\x12\x06\x2a\x04\x0a\x02hi\x12\x09\x09\xff\xff\xff\xff\xff\xff\xff\xff";

#[tokio::test]
async fn logs_of_opentelemetry_are_taken_and_answered_in_their_own_words() {
    let server = server(serde_json::json!({ "tag": "otel" })).await;
    let head = "POST /v1/logs\nContent-Type: application/x-protobuf";
    let (status, answer, records) = server.post(head, OTLP).await;
    assert_eq!(status, 200);
    assert!(answer.starts_with("\u{a}") && answer.contains("2262"), "{answer:?}");
    let record: serde_json::Value = serde_json::from_str(&records).unwrap();
    assert_eq!((&record["body"], &record["@tag"]), (&"hi".into(), &"otel".into()));
    // The other one is a dead letter: a request of it alone.
    let accounts = server.ledger.read();
    assert_eq!((accounts.received, accounts.delivered, accounts.dead_lettered), (2, 1, 1));
    let [letter] = &server.dead_letters()[..] else { panic!("one letter") };
    let alone = b"\x0a\x0d\x12\x0b\x12\x09\x09\xff\xff\xff\xff\xff\xff\xff\xff";
    let raw = letter.raw.as_ref().unwrap().get();
    assert_eq!(raw, format!(r#"{{"$bytes":"{}"}}"#, BASE64_STANDARD.encode(alone)));
    assert!(letter.reason.contains("2262") && letter.stage == "source", "{letter:?}");
    let (status, answer) = server.ask(head, b"\x0a\xff").await;
    assert!(status == 400 && answer.starts_with("\u{8}\u{3}\u{12}"), "{status} {answer:?}");
    let head = "POST /v1/logs\nContent-Type: application/json";
    let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hi"}}]}]}]}"#;
    let (status, answer, records) = server.post(head, body).await;
    assert_eq!((status, answer.as_str(), records.lines().count()), (200, "{}", 1));
    let (status, answer) = server.ask(head, b"[]").await;
    assert!(status == 400 && answer.contains("\"code\":3"), "{answer}");
    // One text that is no UTF-8 costs no record.
    let body = b"{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"caf\xe9\"}},{}]}]}]}";
    let (status, answer, records) = server.post(head, body).await;
    assert_eq!((status, answer.as_str(), records.lines().count()), (200, "{}", 2));
    assert!(records.contains("caf\u{fffd}"), "{records}");
    let head = "POST /v1/logs\nContent-Type: application/json; charset=iso-8859-1";
    let (_, _, records) = server.post(head, body).await;
    assert!(records.contains("café"), "{records}");
}

#[tokio::test]
async fn the_path_of_otlp_takes_nothing_else_and_slashes_around_it_are_none_of_it() {
    let server = server(serde_json::json!({ "tag": "otel" })).await;
    let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hi"}}]}]}]}"#;
    for path in ["/v1/logs", "/v1/logs/", "//v1/logs"] {
        let head = format!("POST {path}\nContent-Type: application/json");
        let (status, answer, records) = server.post(&head, body).await;
        assert_eq!((status, answer.as_str()), (200, "{}"), "{path}");
        assert!(records.contains(r#""body":"hi""#) && records.contains(r#""@tag":"otel""#), "{records}");
        for kind in ["Accept: */*", "Content-Type: text/plain", "Content-Type: application/octet-stream"] {
            let (status, answer) = server.ask(&format!("POST {path}\n{kind}"), OTLP).await;
            assert_eq!(status, 415, "{path} {kind}");
            assert!(answer.contains("application/x-protobuf or application/json"), "{answer}");
        }
    }
    assert_eq!(server.ledger.read().received, 3);
    // Another path is a tag, whatever stands in it.
    let (_, _, records) = server.post("POST /v1/logs/app\nContent-Type: text/plain", b"a line").await;
    assert!(records.contains("\"@tag\":\"v1.logs.app\""), "{records}");
}

#[tokio::test]
async fn without_otlp_its_path_is_a_tag() {
    let server = server(serde_json::json!({ "otlp": false })).await;
    let head = "POST /v1/logs\nContent-Type: application/json";
    let (status, _, records) = server.post(head, b"{\"a\":1}").await;
    assert!(status == 200 && records.contains("\"@tag\":\"v1.logs\""), "{records}");
    assert_eq!(server.ask("POST /v1/logs\nContent-Type: application/x-protobuf", OTLP).await.0, 415);
}

#[tokio::test]
async fn events_of_messagepack_are_read_as_fluent_bit_sends_them_or_refused_as_a_whole() {
    let server = server(serde_json::json!({})).await;
    let event =
        |n: u8| [b"\x92\x92\xd7\x00\x65\x53\xf1\x00\x00\x00\x00\x00\x80\x81\xa1n".as_slice(), &[n]].concat();
    let old = b"\x92\xce\x65\x53\xf1\x01\x81\xa1n\x05";
    let body = [event(1), event(2), old.to_vec()].concat();
    let head = "POST /app\nContent-Type: application/msgpack";
    let (status, answer, records) = server.post(head, &body).await;
    assert_eq!((status, answer.trim()), (200, r#"{"taken":3}"#));
    let records: Vec<serde_json::Value> =
        records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records[0]["@timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!((&records[2]["n"], &records[2]["@tag"]), (&5.into(), &"app".into()));
    assert_eq!(records[2]["@timestamp"], "2023-11-14T22:13:21Z");
    // Many, of which one is none: no batch of them is taken.
    for bad in [b"\x81\xa1n\x05".as_slice(), b"\xc1", b"\x92\x00\xa1x", b"\x92\x00\x81\x90\x00"] {
        let mut body = event(7).repeat(5000);
        body.extend_from_slice(bad);
        let before = server.ledger.read().received;
        let (status, answer) = server.ask(head, &body).await;
        assert!(status == 400 && answer.contains("at byte"), "{bad:?}: {answer}");
        assert_eq!(server.ledger.read().received, before);
    }
}
