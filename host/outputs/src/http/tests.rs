use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use self::server::{Request, Said, Server};
use super::*;
use crate::contract::{Found, Specimen, Subject, WriteBatch, context, context_with, numbered};
use flitch_core::batch::Records;
use flitch_core::batch::encode::{Encoding, Format, Framing};
use flitch_core::setting::Wrong;

mod server;

/// Settings of an output to these URLs, with further keys.
fn to(urls: &[&str], more: Value) -> HttpSettings {
    let mut all = json!({ "url": urls });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn open(settings: &HttpSettings) -> Arc<dyn Output> {
    settings.open(&context()).unwrap()
}

/// What the bodies hold, as lines one behind the other, with the header once.
fn stream(requests: &[Request], header: &[u8], is_array: bool) -> Vec<u8> {
    let mut all = header.to_vec();
    for request in requests {
        if is_array {
            for record in serde_json::from_slice::<Vec<&RawValue>>(&request.body).unwrap() {
                all.extend_from_slice(record.get().as_bytes());
                all.push(b'\n');
            }
        } else {
            all.extend_from_slice(request.body.strip_prefix(header).unwrap());
        }
    }
    all
}

impl Specimen for HttpSettings {
    const VARIANTS: usize = 4;

    async fn subject(variant: usize, cx: &OutputContext) -> Subject {
        let server = Server::start(&[]);
        let is_array = variant == 3 && cx.encoder.encoding().format == Format::Ndjson;
        let more = match variant {
            1 => json!({"compression": "gzip", "method": "PUT"}),
            2 => json!({"compression": "zstd", "concurrency": 8}),
            _ => json!({"body": if is_array { "array" } else { "lines" }}),
        };
        let output = to(&[&server.url], more).open(cx).unwrap();
        let header = cx.encoder.header().unwrap_or_default();
        let read = move || Found::Stream(stream(&server.taken(), &header, is_array));
        Subject { output, read: Some(Box::new(read)), by_field: None, cut: None }
    }
}

/// What one write to a server that answers so comes to.
async fn answered(said: Said) -> Result<Written, WriteError> {
    let server = Server::start(&[said]);
    open(&to(&[&server.url], json!({}))).write_batch(&numbered(0, 3)).await
}

#[tokio::test]
async fn an_answer_tells_what_is_to_be_done_next() {
    for (status, kind) in [
        ("429 Too Many Requests", "busy"),
        ("503 Service Unavailable", "busy"),
        ("408 Request Timeout", "unreachable"),
        ("421 Misdirected Request", "unreachable"),
        ("425 Too Early", "unreachable"),
        ("500 Internal Server Error", "unreachable"),
        ("502 Bad Gateway", "unreachable"),
        ("401 Unauthorized", "denied"),
        ("403 Forbidden", "denied"),
        ("404 Not Found", "denied"),
        ("402 Payment Required", "denied"),
        ("410 Gone", "denied"),
        ("426 Upgrade Required", "denied"),
        ("431 Request Header Fields Too Large", "denied"),
        ("451 Unavailable For Legal Reasons", "denied"),
        ("307 Temporary Redirect", "denied"),
        ("400 Bad Request", "poison"),
        ("413 Content Too Large", "poison"),
        ("422 Unprocessable Content", "poison"),
    ] {
        let error = answered((status, "", "in its own words")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        let text = error.to_string();
        assert!(text.contains(&status[..3]) && text.contains("in its own words"), "{text}");
        assert!(!text.contains("hidden"), "a key may stand in the URL: {text}");
    }
    assert!(answered(("204 No Content", "", "")).await.is_ok());
    let led = answered(("302 Found", "location: /login?key=hidden\r\n", "")).await.unwrap_err().to_string();
    assert!(led.contains("/login)") && !led.contains("hidden"), "{led}");
}

#[tokio::test]
async fn a_pause_that_the_server_asks_for_is_kept() {
    for status in [
        "429 Too Many Requests",
        "503 Service Unavailable",
        "500 Internal Server Error",
        "408 Request Timeout",
        "425 Too Early",
    ] {
        let WriteError::Busy { after, .. } = answered((status, "retry-after: 7\r\n", "")).await.unwrap_err()
        else {
            panic!("{status}");
        };
        assert_eq!(after, Some(Duration::from_secs(7)));
    }
}

#[tokio::test]
async fn a_request_has_the_method_the_headers_and_the_credentials_that_are_asked_for() {
    let server = Server::start(&[]);
    let more = json!({
        "method": "PATCH",
        "request_headers": {"X-Api-Key": "hunter2", "content-type": "application/json"},
        "auth": {"username": "ada", "password": "lovelace"},
    });
    let settings = to(&[&server.url], more);
    assert!(!format!("{settings:?}").contains("hunter2"));
    open(&settings).write_batch(&numbered(0, 1)).await.unwrap();
    let settings = to(&[&server.url], json!({"auth": {"bearer": "abc"}, "body": "array"}));
    open(&settings).write_batch(&numbered(1, 2)).await.unwrap();
    let taken = server.taken();
    assert_eq!(taken[0].line, "PATCH /in?key=hidden HTTP/1.1");
    assert_eq!(taken[0].header("x-api-key"), Some("hunter2"));
    assert_eq!(taken[0].header("content-type"), Some("application/json"));
    assert_eq!(taken[0].header("authorization"), Some("Basic YWRhOmxvdmVsYWNl"));
    assert_eq!(taken[1].header("authorization"), Some("Bearer abc"));
    assert_eq!(taken[1].header("content-type"), Some("application/json"));
    let array: Vec<Value> = serde_json::from_slice(&taken[1].body).unwrap();
    assert_eq!((array.len(), &array[1]["n"]), (2, &json!(2)));
}

#[tokio::test]
async fn records_of_several_batches_share_a_request_and_their_refusals_keep_their_rows() {
    let server = Server::start(&[]);
    let encoding = Encoding { format: Format::Text, field: Some("line".to_owned()), ..Encoding::default() };
    let output = to(&[&server.url], json!({})).open(&context_with(encoding, Framing::Lines)).unwrap();
    let without: Arc<Records> = {
        let field = Arc::new(flitch_core::batch::Kind::Int64.field("n"));
        let array: arrow_array::ArrayRef = Arc::new(arrow_array::Int64Array::from(vec![5]));
        Arc::new(Records::of(1, vec![(field, array)], vec![]).unwrap())
    };
    let parcel = Parcel::of_all(&[numbered(0, 2), without.clone(), numbered(2, 1)]);
    let written = output.write(&parcel).await.unwrap();
    assert_eq!(written.refused.iter().map(|refusal| refusal.row).collect::<Vec<_>>(), [2]);
    let taken = server.taken();
    assert_eq!((taken.len(), taken[0].text().lines().count()), (1, 3));
    let written = output.write_batch(&without).await.unwrap();
    assert_eq!((written.refused.len(), server.state.lock().count), (1, 1), "nothing is sent for nothing");
}

#[tokio::test]
async fn a_server_that_fails_is_passed_over_for_the_next_one() {
    let bad = Server::judging(|_| ("500 Internal Server Error", "", ""));
    let good = Server::start(&[]);
    let gone = format!("http://127.0.0.1:{}/", flitch_tests::ports::free());
    let output = open(&to(&[&gone, &bad.url, &good.url], json!({})));
    for n in 0..20 {
        output.write_batch(&numbered(n, 1)).await.unwrap();
    }
    assert_eq!(good.taken().len(), 20);
    assert!(bad.state.lock().count <= 3, "it rests");
}

#[tokio::test]
async fn a_probe_tells_a_server_that_is_gone_fails_or_denies() {
    let probe = async |url: &str| open(&to(&[url], json!({}))).probe().await;
    let gone = format!("http://127.0.0.1:{}/", flitch_tests::ports::free());
    assert_eq!(probe(&gone).await.unwrap_err().kind(), "unreachable");
    for (status, kind) in [
        ("500 Internal Server Error", Some("unreachable")),
        ("401 Unauthorized", Some("denied")),
        ("405 Method Not Allowed", None),
        ("200 OK", None),
    ] {
        let server = Server::judging(move |_| (status, "", ""));
        let probed = probe(&server.url).await;
        assert_eq!(probed.as_ref().err().map(WriteError::kind), kind, "{status}");
        assert_eq!(server.state.lock().count, 0);
    }
}

#[tokio::test]
async fn a_request_that_a_server_refuses_by_its_length_and_hangs_up_is_halved() {
    let records: Vec<Arc<Records>> = (0..200).map(|n| numbered(n * 1_000, 1_000)).collect();
    let server = Server::hanging_up(1 << 20);
    let output = open(&to(&[&server.url], json!({})));
    let mut left = vec![&records[..]];
    let (mut cut, mut halved) = (0, 0);
    while let Some(members) = left.pop() {
        match output.write(&Parcel::of_all(members)).await {
            Ok(_) => {}
            Err(WriteError::Poison { .. }) => {
                halved += 1;
                let (first, second) = members.split_at(members.len() / 2);
                left.extend([second, first]);
            }
            // The connection was gone before the answer was looked at.
            Err(WriteError::Unreachable { .. }) => {
                cut += 1;
                left.push(members);
            }
            Err(error) => panic!("{error}"),
        }
        assert!(cut <= halved + 1, "what is cut is refused by the next try");
    }
    let lines: usize = server.taken().iter().map(|request| request.text().lines().count()).sum();
    assert!(halved > 0);
    assert_eq!(lines, 200_000);
}

#[tokio::test]
async fn requests_go_through_the_proxy_that_the_settings_name() {
    // What a proxy is asked for is the whole address.
    let proxy = Server::start(&[]);
    let address = proxy.url.split("/in").next().unwrap().replace("http://", "http://ada:lovelace@");
    let settings = to(&["http://logs.invalid/in"], json!({"proxy": address}));
    assert!(!format!("{settings:?}").contains("lovelace"));
    open(&settings).write_batch(&numbered(0, 1)).await.unwrap();
    let taken = proxy.taken();
    assert_eq!(taken[0].line, "POST http://logs.invalid/in HTTP/1.1");
    assert_eq!(taken[0].header("proxy-authorization"), Some("Basic YWRhOmxvdmVsYWNl"));
}

#[test]
fn settings_that_make_no_sense_are_refused_by_their_key() {
    let url = "https://localhost/";
    for (settings, key) in [
        (to(&[], json!({})), "url"),
        (to(&["localhost:80"], json!({})), "url"),
        (to(&["ftp://localhost/"], json!({})), "url"),
        (to(&["https://ada:lovelace@localhost/"], json!({})), "url"),
        (to(&[url, url], json!({})), "url"),
        (to(&["http://localhost/"], json!({"tls": {}})), "tls"),
        (to(&[url], json!({"tls": {"ca": "/nowhere"}})), "tls.ca"),
        (to(&[url], json!({"request_headers": {"a b": "c"}})), "request_headers.a b"),
        (to(&[url], json!({"request_headers": {"a": "b\nc"}})), "request_headers.a"),
        (to(&[url], json!({"request_headers": {"Content-Length": "5"}})), "request_headers.Content-Length"),
        (to(&[url], json!({"auth": {"bearer": "a\nb"}})), "auth.bearer"),
        (to(&[url], json!({"auth": {"bearer": "a", "username": "b"}})), "auth"),
        (to(&[url], json!({"auth": {"username": "a:b", "password": "c"}})), "auth.username"),
        (to(&[url], json!({"concurrency": 0})), "concurrency"),
        (to(&[url], json!({"proxy": "proxy:3128"})), "proxy"),
        (to(&[url], json!({"proxy": "socks5://proxy:1080"})), "proxy"),
    ] {
        let error = settings.open(&context()).err().unwrap_or_else(|| panic!("{settings:?}"));
        assert_eq!(error.downcast_ref::<Wrong>().map(Wrong::key), Some(key), "{error:#}");
    }
    let text = Encoding { format: Format::Text, field: Some("line".to_owned()), ..Encoding::default() };
    let error = to(&[url], json!({"body": "array"})).open(&context_with(text, Framing::Lines)).err().unwrap();
    assert_eq!(error.downcast_ref::<Wrong>().map(Wrong::key), Some("body"));
    assert!(to(&[url], json!({})).open(&context()).is_ok());
}
