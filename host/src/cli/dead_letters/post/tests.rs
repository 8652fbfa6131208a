use std::net::Ipv4Addr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::dead_letter::read::Filter;
use flitch_core::dead_letter::replay;
use flitch_core::net::connections::Connections;
use flitch_core::net::listen::{Client as Caller, Listener};
use flitch_core::net::serve::{Patience, STREAMS, Visit};
use flitch_core::tasks;

/// A source that answers by what stands here, one after the other, and notes what it was sent.
struct Source {
    port: u16,
    /// The path, the credentials and the body of each request.
    came: Arc<Mutex<Vec<(String, String, String)>>>,
}

async fn source(answers: &[(u16, &'static str)]) -> Source {
    let mut listener =
        Listener::tcp(&"127.0.0.1:0".parse().unwrap(), Ipv4Addr::LOCALHOST.into()).await.unwrap();
    let source = Source { port: listener.address().unwrap().port(), came: Arc::default() };
    let answers = Arc::new(Mutex::new(answers.to_vec()));
    let (came, connections) = (source.came.clone(), Connections::new("test", 8));
    let answer = move |request: Request<Incoming>| {
        let (came, answers) = (came.clone(), answers.clone());
        async move {
            let header = request.headers().get("authorization");
            let credentials = header.map_or("", |value| value.to_str().unwrap()).to_owned();
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            came.lock().push((path, credentials, String::from_utf8(body.to_vec()).unwrap()));
            let (status, said) = answers.lock().remove(0);
            let mut answer = Response::new(Full::new(Bytes::from(said)));
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer
        }
    };
    tasks::client(async move {
        let serve = |caller: Caller, slot| {
            let patience = Patience { header: PATIENCE, idle: PATIENCE };
            let visit =
                Visit { slot, patience, streams: STREAMS, stop: CancellationToken::new(), socket: None };
            let answer = answer.clone();
            async move { visit.serve(caller.stream, None, answer).await }
        };
        listener.serve(&connections, &CancellationToken::new(), serve).await;
    });
    source
}

fn settings(port: u16, more: Value) -> HttpSettings {
    let mut settings = json!({ "listen": format!("127.0.0.1:{port}") });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(settings).unwrap()
}

fn records() -> Bytes {
    Bytes::from_static(b"{\"n\":1}\n")
}

#[tokio::test]
async fn a_source_that_asks_to_wait_is_asked_again() {
    let source = source(&[(503, ""), (429, ""), (202, "")]).await;
    let post = Post::to_url(&format!("http://127.0.0.1:{}/a/b", source.port), &TlsArgs::default()).unwrap();
    post.send(records()).await.unwrap();
    let came = ("/a/b".to_owned(), String::new(), "{\"n\":1}\n".to_owned());
    assert_eq!(*source.came.lock(), vec![came; 3]);
}

#[tokio::test]
async fn a_refusal_is_told_as_the_source_says_it_and_does_nothing_to_a_terminal() {
    let source = source(&[(400, " no\u{1b}[2J tag\n"), (307, "elsewhere")]).await;
    let url = format!("http://ada:hunter2@127.0.0.1:{}/", source.port);
    let post = Post::to_url(&url, &TlsArgs::default()).unwrap();
    let error = post.send(records()).await.unwrap_err().to_string();
    let expected = format!("127.0.0.1:{} answered 400 Bad Request: no\\u{{1b}}[2J tag", source.port);
    assert_eq!(error, expected);
    let error = post.send(records()).await.unwrap_err().to_string();
    assert!(error.ends_with("307 Temporary Redirect: elsewhere"), "{error}");
}

#[tokio::test]
async fn credentials_are_those_of_the_url_or_the_first_that_the_source_knows() {
    let source = source(&[(200, ""), (200, ""), (200, "")]).await;
    let port = source.port;
    let none = TlsArgs::default();
    // `%40` is how an @ stands in a URL.
    let url = format!("http://ada:se%40same@127.0.0.1:{port}");
    Post::to_url(&url, &none).unwrap().send(records()).await.unwrap();
    for auth in [json!({ "bearer": ["sesame"] }), json!({ "basic": { "ada": "wonderland" } })] {
        let settings = settings(port, json!({ "auth": auth }));
        Post::to_source(&settings, &none).unwrap().send(records()).await.unwrap();
    }
    let came: Vec<String> =
        source.came.lock().iter().map(|(_, credentials, _)| credentials.clone()).collect();
    assert_eq!(came, ["Basic YWRhOnNlQHNhbWU=", "Bearer sesame", "Basic YWRhOndvbmRlcmxhbmQ="]);
}

#[test]
fn what_cannot_be_posted_to_is_said_before_anything_is_sent() {
    let none = TlsArgs::default();
    let error = |post: anyhow::Result<Post>| format!("{:#}", post.err().unwrap());
    for (url, says) in [
        ("ftp://host/", "neither a URL of HTTP"),
        ("http://host:port/", "it is no URL: invalid port number"),
        ("https://host/", "`--ca`"),
    ] {
        let error = error(Post::to_url(url, &none));
        assert!(error.contains(says), "{url}: {error}");
    }
    assert!(error(Post::to_source(&settings(0, json!({})), &none)).contains("a port that the system chose"));
    let lines = settings(8080, json!({ "codec": "lines" }));
    assert!(error(Post::to_source(&lines, &none)).contains("lines of text"));
}

#[tokio::test]
async fn nobody_who_listens_is_told_with_the_address_alone() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let post = Post::to_url(&format!("http://ada:hunter2@{free}/"), &TlsArgs::default()).unwrap();
    let error = post.send(records()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{free}: Connection refused")), "{error}");
}

#[test]
fn a_letter_that_the_source_refuses_stays_and_holds_back_no_other() {
    let runtime = tasks::runtime(Some(1)).unwrap();
    let answers = [(400, "bad"), (200, ""), (413, "long"), (200, ""), (422, "no record")];
    let source = runtime.block_on(source(&answers));
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(dir.path()).unwrap();
    letters.raw("source", "in", [("x", &b"{\"n\":1}"[..]), ("x", b"{\"n\":2}"), ("x", b"none")]).unwrap();
    let post = Post::to_url(&format!("http://127.0.0.1:{}/", source.port), &TlsArgs::default()).unwrap();
    let mut waiting = Waiting::new(post).unwrap();
    let done = replay::replay(dir.path(), &Filter::default(), &mut waiting).unwrap();
    assert_eq!((done.sent, done.kept, done.refused), (2, 0, 1));
    let bodies: Vec<String> = source.came.lock().iter().map(|(_, _, body)| body.clone()).collect();
    let [one, two] = ["{\"n\":1}\n", "{\"n\":2}\n"];
    assert_eq!(bodies, [&*format!("{one}{two}none\n"), one, &format!("{two}none\n"), two, "none\n"]);
    assert!(waiting.refusal().unwrap().ends_with("422 Unprocessable Entity: no record"));
}
