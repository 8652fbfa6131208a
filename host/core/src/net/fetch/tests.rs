use std::net::Ipv4Addr;

use flitch_tests::http_server::{Reply, Request, Server};

use super::*;

const NOW: i64 = 1_700_000_000_000_000_000;

fn server(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(&[Ipv4Addr::LOCALHOST], answer).unwrap()
}

fn fetch(server: &Server, path: &str, max_bytes: u64) -> Fetch {
    let auth = AuthSettings { bearer: Some(Secret::new("sesame")), ..AuthSettings::default() };
    let headers = BTreeMap::from([("X-Team".to_owned(), Secret::new("ops"))]);
    Fetch::new(&FetchSettings {
        url: &format!("http://127.0.0.1:{}{path}", server.port()),
        auth: Some(&auth),
        request_headers: &headers,
        tls: None,
        timeout: Duration::from_secs(30),
        max_bytes,
    })
    .unwrap()
}

/// A document with two validators, for whoever knows the token.
fn document(request: &Request) -> Reply {
    let said = |name| request.header(name).unwrap_or_default().to_owned();
    if said("authorization") != "Bearer sesame" || said("x-team") != "ops" {
        return Reply { status: 401, ..Reply::default() };
    }
    let headers =
        vec![("ETag", "\"v1\"".to_owned()), ("Last-Modified", "Thu, 26 Nov 2026 08:00:00 GMT".to_owned())];
    if said("if-none-match") == "\"v1\"" && said("if-modified-since").contains("Nov 2026") {
        return Reply { status: 304, headers, body: Vec::new() };
    }
    Reply { status: 200, headers, body: b"key,city\n1,Delft\n".to_vec() }
}

#[tokio::test]
async fn a_document_is_fetched_once_and_then_only_where_it_is_another_one() {
    let server = server(document);
    let fetch = fetch(&server, "/t.csv?secret=1", 1000);
    let mut sink = Vec::new();
    let Fetched::Changed { validators, bytes } =
        fetch.get(&Validators::default(), &mut sink, NOW).await.unwrap()
    else {
        panic!("it is new")
    };
    assert_eq!((bytes, sink.as_slice()), (17, &b"key,city\n1,Delft\n"[..]));
    assert_eq!(fetch.get(&validators, &mut Vec::new(), NOW).await.unwrap(), Fetched::Unchanged);
    assert!(fetch.place().ends_with("/t.csv"), "what stands behind a `?` may be a key: {}", fetch.place());
}

#[tokio::test]
async fn a_server_that_has_no_document_is_told_in_its_own_words() {
    for (reply, words, after) in [
        (
            Reply { status: 503, headers: vec![("Retry-After", "7".into())], body: b"later".to_vec() },
            "503 Service Unavailable: later",
            Some(7),
        ),
        (
            Reply { status: 302, headers: vec![("Location", "/other".into())], body: Vec::new() },
            "302 Found",
            None,
        ),
        (Reply { status: 304, ..Reply::default() }, "304 Not Modified", None),
        (
            Reply { status: 200, headers: vec![("Content-Encoding", "br".into())], body: b"x".to_vec() },
            "encoded as `br`",
            None,
        ),
        (
            Reply { status: 200, body: vec![b'x'; 1001], ..Reply::default() },
            "more than 1kB (`max_bytes`)",
            None,
        ),
        (Reply { status: 0, ..Reply::default() }, "", None),
    ] {
        let server = server(move |_| reply.clone());
        let failed =
            fetch(&server, "/", 1000).get(&Validators::default(), &mut Vec::new(), NOW).await.unwrap_err();
        assert!(failed.reason.contains(words), "{}", failed.reason);
        assert_eq!(failed.after, after.map(Duration::from_secs));
    }
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let none = BTreeMap::new();
    let wrong = |url: &str, tls: Option<&ClientTls>, headers: &BTreeMap<String, Secret>| {
        let timeout = Duration::from_secs(1);
        let settings =
            FetchSettings { url, auth: None, request_headers: headers, tls, timeout, max_bytes: 1 };
        format!("{:#}", Fetch::new(&settings).unwrap_err())
    };
    assert!(wrong("ftp://x/", None, &none).contains("`url`: `ftp://x/` does not begin with"));
    assert!(wrong("http://a:b@x/", None, &none).contains("belong to `auth`"));
    assert!(wrong("http://x/", Some(&ClientTls::default()), &none).contains("`tls` is for `https://`"));
    let headers = BTreeMap::from([("If-None-Match".to_owned(), Secret::new("x"))]);
    assert!(wrong("http://x/", None, &headers).contains("follows from the request"));
}
