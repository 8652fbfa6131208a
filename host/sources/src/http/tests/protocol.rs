//! What clients may expect of any server of HTTP.

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
        let (status, answer) =
            server.ask("POST /\nContent-Type: application/msgpack", b"\x81\xa1a\x01").await;
        assert_eq!(status, 415, "{codec}: {answer}");
        assert!(answer.contains("application/x-ndjson"), "{answer}");
        assert_eq!(server.ledger.read().received, 0);
    }
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
