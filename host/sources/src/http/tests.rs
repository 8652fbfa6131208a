use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::contract::{Specimen, texts};
use crate::testing::context;
use flitch_core::buffers::Buffer;
use flitch_core::dead_letter::read::{self, Letter};
use flitch_core::receipt::Ledger;

mod protocol;

struct Server {
    address: SocketAddr,
    buffer: Buffer,
    ledger: Arc<Ledger>,
    stop: tokio_util::sync::CancellationToken,
    running: tokio::task::JoinHandle<anyhow::Result<()>>,
    folder: tempfile::TempDir,
}

/// A server with these settings, given as JSON without `listen`.
async fn server(settings: serde_json::Value) -> Server {
    let (cx, buffer, folder) = context("web");
    let mut settings = settings;
    settings["listen"] = "127.0.0.1:0".into();
    let settings: HttpSettings = serde_json::from_value(settings).unwrap();
    let listener = Listener::tcp(&settings.listen, ALL).await.unwrap();
    let address = listener.address().unwrap();
    let (ledger, stop) = (cx.intake.ledger().clone(), cx.stop.clone());
    let running = flitch_core::tasks::joined(serve(listener, settings, cx).unwrap());
    Server { address, buffer, ledger, stop, running, folder }
}

impl Server {
    /// Sends a request and reads the answer: status and body.
    async fn ask(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let request =
            format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        // The headers of a test stand in its head, after the path.
        let request = match head.split_once('\n') {
            Some((line, headers)) => format!(
                "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{}\r\n\r\n",
                headers.trim().replace('\n', "\r\n")
            ),
            None => request,
        };
        stream.write_all(request.as_bytes()).await.unwrap();
        // A server that answers early (413) may close before it has read all.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).expect("an HTTP answer").parse().unwrap();
        (status, body.to_owned())
    }

    /// The same, with the records delivered as they come. Answers their NDJSON too.
    async fn post(&self, head: &str, body: &[u8]) -> (u16, String, String) {
        let records = Arc::new(parking_lot::Mutex::new(String::new()));
        let collect = async {
            loop {
                let batch = self.buffer.lease().await.unwrap();
                records.lock().push_str(std::str::from_utf8(&batch.records.ndjson().text).unwrap());
                batch.receipt.delivered();
            }
        };
        let (status, answer) = tokio::select! {
            answer = self.ask(head, body) => answer,
            () = collect => unreachable!("the buffer is never closed"),
        };
        let records = records.lock().clone();
        (status, answer, records)
    }

    /// The dead letters.
    fn dead_letters(&self) -> Vec<Letter> {
        let mut letters = Vec::new();
        let add = |letter| {
            letters.push(letter);
            Ok(true)
        };
        read::letters(&self.folder.path().join("dead"), &read::Filter::default(), add).unwrap();
        letters
    }
}

#[tokio::test]
async fn records_are_answered_when_they_are_delivered() {
    let server = server(serde_json::json!({})).await;
    let (status, answer, records) = server.post("POST /app/web", b"{\"a\":1}\n{\"a\":2}\n").await;
    assert_eq!((status, answer.trim()), (200, r#"{"taken":2}"#));
    let first: serde_json::Value = serde_json::from_str(records.lines().next().unwrap()).unwrap();
    assert_eq!(first["a"], 1);
    assert_eq!(first["@tag"], "app.web");
    assert!(first["@timestamp"].is_string());
    assert_eq!(server.ledger.read().delivered, 2);
}

#[tokio::test]
async fn an_array_and_an_object_and_lines_of_text_are_read() {
    let server = server(serde_json::json!({ "tag": "t" })).await;
    let (status, _, records) = server.post("POST /", b" [ {\"a\":[1]}, {\"a\":{}} ] ").await;
    assert_eq!((status, records.lines().count()), (200, 2));
    let (status, _, records) = server.post("POST /", b"{\n  \"a\": {\n \"b\": null }\n}").await;
    assert_eq!((status, records.lines().count()), (200, 1));
    assert!(records.contains(r#""a":{"b":null}"#), "{records}");
    let (status, _, records) = server.post("POST /\nContent-Type: text/plain", b"one\r\n\ntwo").await;
    assert_eq!(status, 200);
    assert!(records.contains(r#""message":"one""#) && records.contains(r#""message":"two""#), "{records}");
    assert_eq!(records.lines().count(), 2);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_by_line_and_nothing_is_taken() {
    let server = server(serde_json::json!({})).await;
    let (status, answer) = server.ask("POST /", b"{\"a\":1}\n{\"a\":2}\n{\"a\":}\n").await;
    assert_eq!(status, 400);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((answer["line"].as_u64(), answer["taken"].as_u64()), (Some(3), Some(0)));
    let (status, answer) = server.ask("POST /", b"[{\"a\":1},\n 7]").await;
    assert_eq!(status, 400);
    assert!(answer.contains("\"line\":2"), "{answer}");
    assert_eq!(server.ledger.read().received, 0);
}

#[tokio::test]
async fn a_body_of_many_batches_is_handed_on_a_batch_at_a_time_and_as_a_whole_or_not_at_all() {
    let server = server(serde_json::json!({})).await;
    let rows: String = (0..3000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let (status, answer, records) = server.post("POST /", rows.as_bytes()).await;
    assert_eq!((status, answer.trim(), records.lines().count()), (200, r#"{"taken":3000}"#, 3000));
    let bad = rows + "{\"n\":}";
    let (status, answer) = server.ask("POST /", bad.as_bytes()).await;
    assert_eq!(status, 400);
    assert!(answer.contains("\"line\":3001"), "{answer}");
    assert_eq!(server.ledger.read().received, 3000, "nothing of the second body was taken");
}

#[tokio::test]
async fn a_batch_is_handed_on_while_the_next_waits_for_room() {
    let server = server(serde_json::json!({ "max_body": "64MiB", "max_pending": "64MiB" })).await;
    // The buffer of the test holds 16 MiB.
    let lines = format!("{}\n", "x".repeat(1 << 20)).repeat(20);
    let (status, answer, _) = server.post("POST /\nContent-Type: text/plain", lines.as_bytes()).await;
    assert_eq!((status, answer.trim()), (200, r#"{"taken":20}"#));
}

#[tokio::test]
async fn an_empty_body_holds_no_record() {
    let server = server(serde_json::json!({})).await;
    assert_eq!(server.ask("POST /", b"").await, (200, "{\"taken\":0}\n".to_owned()));
    assert_eq!(server.ask("POST /", b"[]").await, (200, "{\"taken\":0}\n".to_owned()));
}

#[tokio::test]
async fn records_that_are_not_safe_are_asked_for_again() {
    let server = server(serde_json::json!({})).await;
    let lose = async {
        drop(server.buffer.lease().await);
        std::future::pending::<()>().await;
    };
    let (status, _) = tokio::select! {
        answer = server.ask("POST /", b"{\"a\":1}") => answer,
        () = lose => unreachable!(),
    };
    assert_eq!(status, 503);
    assert_eq!(server.ledger.read().returned, 1);
}

/// A text in each content encoding.
fn compressed(text: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(text).unwrap();
    let twice = zstd::encode_all(&*gzip, 1).unwrap();
    let zstd = zstd::encode_all(text, 1).unwrap();
    [("gzip", gzip), ("deflate", zlib.finish().unwrap()), ("zstd", zstd), ("gzip, zstd", twice)]
}

#[tokio::test]
async fn a_bomb_is_stopped_at_the_limit_in_every_encoding() {
    let server = server(serde_json::json!({ "max_expanded": "1MiB" })).await;
    for (name, bomb) in compressed(&vec![b' '; 64 << 20]) {
        assert!(bomb.len() < 1 << 20, "{name}: {}", bomb.len());
        let (status, answer) = server.ask(&format!("POST /\nContent-Encoding: {name}"), &bomb).await;
        assert_eq!(status, 413, "{name}: {answer}");
        assert!(answer.contains("`max_expanded`"), "{answer}");
    }
    // A few bytes that ask for a window of 128 MiB.
    let mut wide = zstd::Encoder::new(Vec::new(), 1).unwrap();
    wide.window_log(27).unwrap();
    wide.write_all(b"{}").unwrap();
    let (status, answer) = server.ask("POST /\nContent-Encoding: zstd", &wide.finish().unwrap()).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("too much memory"), "{answer}");
}

#[tokio::test]
async fn bodies_take_room_as_they_come_and_expand() {
    let server = server(serde_json::json!({ "max_pending": "1KiB" })).await;
    let waits = server.ask("POST /", b"{\"a\":1}");
    let told = async {
        while server.buffer.stats().bytes == 0 {
            tokio::task::yield_now().await;
        }
        let plain = server.ask("POST /\nContent-Type: text/plain", &[b'x'; 1020]).await.0;
        let [(_, gzip), ..] = compressed(&[b'x'; 1020]);
        assert!(gzip.len() < 100);
        let expanded = server.ask("POST /\nContent-Type: text/plain\nContent-Encoding: gzip", &gzip).await.0;
        (plain, expanded)
    };
    let told = tokio::select! {
        _ = waits => panic!("nobody delivers"),
        told = told => told,
    };
    assert_eq!(told, (429, 429));
    // What is larger than all the room there is comes through when it is alone.
    drop(server.buffer.try_lease());
    let large = server.post("POST /\nContent-Type: text/plain", &[b'x'; 4000]).await;
    assert_eq!(large.0, 200, "{large:?}");
}

#[tokio::test]
async fn compressed_bodies_are_expanded_up_to_a_limit() {
    let server = server(serde_json::json!({ "max_expanded": "1MiB" })).await;
    for (name, body) in compressed(&b"{\"a\":1}\n".repeat(100)) {
        let (status, answer, _) = server.post(&format!("POST /\nContent-Encoding: {name}"), &body).await;
        assert_eq!((status, answer.trim()), (200, r#"{"taken":100}"#), "{name}");
    }
    assert_eq!(server.ask("POST /\nContent-Encoding: gzip", b"nonsense").await.0, 400);
    assert_eq!(server.ask("POST /\nContent-Encoding: br", b"x").await.0, 415);
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused() {
    let server = server(serde_json::json!({ "max_body": "1KiB" })).await;
    assert_eq!(server.ask("POST /", &vec![b'x'; 2000]).await.0, 413);
}

#[tokio::test]
async fn only_those_with_credentials_may_post() {
    let auth = serde_json::json!({ "auth": { "bearer": ["t0ken"], "basic": { "me": "secret" } } });
    let server = server(auth).await;
    assert_eq!(server.ask("POST /", b"{}").await.0, 401);
    assert_eq!(server.ask("POST /\nAuthorization: Bearer wrong", b"{}").await.0, 401);
    assert_eq!(server.ask("POST /\nAuthorization: Basic bWU6d3Jvbmc=", b"{}").await.0, 401);
    assert_eq!(server.post("POST /\nAuthorization: Bearer t0ken", b"{}").await.0, 200);
    assert_eq!(server.post("POST /\nAuthorization: Basic bWU6c2VjcmV0", b"{}").await.0, 200);
    assert_eq!(server.ask("GET /health", b"").await.0, 200);
}

#[test]
fn credentials_that_are_empty_or_none_are_refused() {
    for (auth, words) in [
        (serde_json::json!({}), "nobody could post"),
        (serde_json::json!({ "bearer": ["t0ken", ""] }), "`auth.bearer`"),
        (serde_json::json!({ "basic": { "me": "" } }), "`auth.basic.me`"),
    ] {
        let settings = serde_json::json!({ "listen": "127.0.0.1:0", "auth": auth });
        let settings: HttpSettings = serde_json::from_value(settings).unwrap();
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn while_the_pipeline_is_full_clients_are_told_to_wait() {
    let server =
        server(serde_json::json!({ "ack": "accepted", "max_pending": "64MiB", "max_body": "32MiB" })).await;
    // The buffer of the test holds 16 MiB.
    let lines = format!("{}\n", "x".repeat(1 << 20)).repeat(18);
    let waits = server.ask("POST /\nContent-Type: text/plain", lines.as_bytes());
    let told = async {
        while !server.buffer.is_full() {
            tokio::task::yield_now().await;
        }
        server.ask("POST /\nContent-Type: text/plain", b"one more").await
    };
    let (status, _) = tokio::select! {
        _ = waits => panic!("the buffer holds more than it should"),
        told = told => told,
    };
    assert_eq!(status, 429);
}

#[tokio::test]
async fn a_stopping_server_finishes_the_request_that_is_under_way() {
    let server = server(serde_json::json!({})).await;
    let stopping = async {
        let batch = server.buffer.lease().await.unwrap();
        server.stop.cancel();
        batch.receipt.delivered();
        std::future::pending::<()>().await;
    };
    let (status, _) = tokio::select! {
        answer = server.ask("POST /", b"{}") => answer,
        () = stopping => unreachable!(),
    };
    assert_eq!(status, 200);
    server.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stopping_server_waits_for_no_body_that_does_not_come() {
    for begun in [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: x\r\nConte",
    ] {
        let server = server(serde_json::json!({ "read_timeout": "24h" })).await;
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(begun.as_bytes()).await.unwrap();
        // Another client is answered, so that this one has been heard.
        assert_eq!(server.post("POST /", b"{}").await.0, 200);
        server.stop.cancel();
        tokio::time::timeout(std::time::Duration::from_secs(60), server.running)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let mut answer = String::new();
        let _ = client.read_to_string(&mut answer).await;
        let is_whole = begun.contains("abc");
        assert_eq!(answer.starts_with("HTTP/1.1 503 "), is_whole, "{answer:?}");
        assert_eq!(server.ledger.read().received, 1);
    }
}

#[tokio::test]
async fn a_body_that_comes_soon_after_the_stop_is_taken() {
    let server = server(serde_json::json!({})).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let text = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
    client.write_all(&text.as_bytes()[..text.len() - 3]).await.unwrap();
    assert_eq!(server.post("POST /", b"{}").await.0, 200);
    server.stop.cancel();
    client.write_all(&text.as_bytes()[text.len() - 3..]).await.unwrap();
    server.buffer.lease().await.unwrap().receipt.delivered();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    server.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_comes_while_the_server_drains_is_told_to_come_again() {
    let server = server(serde_json::json!({})).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    let under_way = server.ask("POST /", b"{}");
    let meanwhile = async {
        let batch = server.buffer.lease().await.unwrap();
        server.stop.cancel();
        assert_eq!(server.ask("POST /", b"{}").await.0, 503);
        assert_eq!(server.ask("GET /health", b"").await.0, 503);
        batch.receipt.delivered();
    };
    let ((status, _), ()) = tokio::join!(under_way, meanwhile);
    assert_eq!(status, 200);
    server.running.await.unwrap().unwrap();
    drop(silent);
}

#[tokio::test]
async fn a_request_that_its_client_names_is_known_when_it_comes_again() {
    let server = server(serde_json::json!({ "codec": "lines", "ack": "accepted" })).await;
    let ask = async |key: &str, body: &[u8]| {
        let head =
            if key.is_empty() { "POST /".to_owned() } else { format!("POST /\nIdempotency-Key: {key}") };
        assert_eq!(server.ask(&head, body).await.0, 202);
        let batch = server.buffer.lease().await.unwrap();
        let origins = batch.records.origins().unwrap().clone();
        batch.receipt.delivered();
        [origins.id(0), origins.id(1)]
    };
    let first = ask("one", b"a\na\n").await;
    assert_ne!(first[0], first[1]);
    assert_eq!(ask("one", b"a\na\n").await, first);
    for (key, body) in [("two", &b"a\na\n"[..]), ("one", b"a\nb\n"), ("", b"a\na\n"), ("", b"a\na\n")] {
        let other = ask(key, body).await;
        assert!(!other.contains(&first[0]) && !other.contains(&first[1]), "{key}");
    }
    assert_ne!(ask("", b"a\na\n").await, ask("", b"a\na\n").await);
    server.stop.cancel();
}

impl Specimen for HttpSettings {
    const REFUSES: bool = true;

    fn specimen(_: &Path) -> HttpSettings {
        let listen = format!("127.0.0.1:{}", flitch_tests::ports::free());
        serde_json::from_value(
            serde_json::json!({ "listen": listen, "codec": "lines", "max_connections": 8 }),
        )
        .unwrap()
    }

    async fn feed(&self, _: &Path) -> Vec<String> {
        for text in texts() {
            let address = self.listen.to_string();
            flitch_core::tasks::client(async move { while post(&address, &text).await != "200" {} });
        }
        texts()
    }
}

/// The status of the answer.
async fn post(address: &str, text: &str) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    let length = text.len();
    let request =
        format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}
