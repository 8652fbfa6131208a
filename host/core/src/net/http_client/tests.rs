use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use flitch_tests::tls::{Authority, IdentityFiles};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::tls::TlsSettings;
use super::tls::client::{Trust, config};
use super::*;
use crate::net::confided;
use crate::net::connections::Connections;
use crate::net::listen::{Client as Caller, Listener};
use crate::net::serve::{Patience, STREAMS, Visit};

const LONG: Duration = Duration::from_secs(60);

/// What a server answers to a path: the request line and the agent, a long text, a redirect, or nothing.
async fn answer(request: Request<Incoming>) -> hyper::Response<Full<Bytes>> {
    let agent = request.headers().get("user-agent").map_or(&b""[..], |agent| agent.as_bytes());
    let text = format!("{} {} {}", request.method(), request.uri(), String::from_utf8_lossy(agent));
    let mut answer = hyper::Response::new(Full::new(text.into()));
    match request.uri().path() {
        "/long" => *answer.body_mut() = Full::new(vec![b'x'; 1 << 20].into()),
        "/moved" => {
            *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            answer.headers_mut().insert("location", "/".parse().unwrap());
        }
        "/moved/away" => {
            *answer.status_mut() = StatusCode::FOUND;
            answer
                .headers_mut()
                .insert("location", "//ada:hunter2@else.example/login?state=x#y".parse().unwrap());
        }
        "/moved/nowhere" => *answer.status_mut() = StatusCode::FOUND,
        "/gzip" | "/zstd" | "/deflate" | "/broken" => {
            let coding = request.uri().path().trim_start_matches('/').replace("broken", "gzip");
            let mut packed = packed(&coding, &"long ".repeat(100));
            if request.uri().path() == "/broken" {
                packed.truncate(packed.len() - 9);
            }
            *answer.body_mut() = Full::new(packed.into());
            answer.headers_mut().insert("content-encoding", coding.parse().unwrap());
        }
        "/empty/gzip" | "/empty/zstd" | "/empty/deflate" => {
            let coding = request.uri().path().trim_start_matches("/empty/").to_owned();
            *answer.body_mut() = Full::default();
            answer.headers_mut().insert("content-encoding", coding.parse().unwrap());
        }
        "/echo" => {
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
            *answer.body_mut() = Full::new(format!("{} {:?}", request.uri(), request.headers()).into());
        }
        "/wanted" => {
            let wanted = request.headers().get("accept-encoding").unwrap();
            *answer.body_mut() = Full::new(wanted.as_bytes().to_vec().into());
        }
        "/never" => std::future::pending().await,
        _ => {}
    }
    answer
}

fn packed(coding: &str, text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut out = Vec::new();
    match coding {
        "gzip" => {
            flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast()).write_all(text.as_bytes())
        }
        "deflate" => {
            flate2::write::ZlibEncoder::new(&mut out, flate2::Compression::fast()).write_all(text.as_bytes())
        }
        _ => zstd::stream::copy_encode(text.as_bytes(), &mut out, 1),
    }
    .unwrap();
    out
}

/// A listener, and how many connections it took.
struct Server {
    address: SocketAddr,
    taken: Arc<AtomicUsize>,
}

async fn server(tls: Option<TlsSettings>) -> Server {
    let mut listener =
        Listener::tcp(&"127.0.0.1:0".parse().unwrap(), Ipv4Addr::LOCALHOST.into()).await.unwrap();
    let server = Server { address: listener.address().unwrap(), taken: Default::default() };
    let acceptor = tls.map(|tls| Arc::new(tls.acceptor().unwrap()));
    let (connections, taken) = (Connections::new("test", 8), server.taken.clone());
    crate::tasks::client(async move {
        let serve = |caller: Caller, slot| {
            taken.fetch_add(1, Relaxed);
            let patience = Patience { header: LONG, idle: LONG };
            let visit =
                Visit { slot, patience, streams: STREAMS, stop: CancellationToken::new(), socket: None };
            let acceptor = acceptor.clone();
            async move { visit.serve(caller.stream, acceptor.as_deref(), answer).await }
        };
        listener.serve(&connections, &CancellationToken::new(), serve).await;
    });
    server
}

fn settings() -> Settings {
    Settings { tls: None, proxy: None, connect_timeout: LONG, timeout: LONG, keep: true }
}

async fn get(client: &Client, url: &str) -> Result<(u16, String), String> {
    let answer = client.get(url).send().await.map_err(|error| reason(&error))?;
    Ok((answer.status().as_u16(), beginning(answer, 100).await))
}

#[tokio::test]
async fn a_client_says_who_it_is_follows_nobody_and_keeps_its_connection() {
    let server = server(None).await;
    let client = client(settings()).unwrap();
    let at = |path: &str| format!("http://{}{path}", server.address);
    let (status, said) = get(&client, &at("/a?b=c")).await.unwrap();
    assert_eq!((status, said), (200, format!("GET /a?b=c flitch/{}", env!("CARGO_PKG_VERSION"))));
    assert_eq!(get(&client, &at("/moved")).await.unwrap().0, 307);
    assert_eq!(server.taken.load(Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_keeps_no_connection_has_one_for_each_request() {
    let server = server(None).await;
    let client = client(Settings { keep: false, ..settings() }).unwrap();
    for _ in 0..3 {
        get(&client, &format!("http://{}/", server.address)).await.unwrap();
    }
    assert_eq!(server.taken.load(Relaxed), 3);
}

#[tokio::test]
async fn of_a_long_answer_the_beginning_is_kept() {
    let server = server(None).await;
    let client = client(settings()).unwrap();
    let (status, said) = get(&client, &format!("http://{}/long", server.address)).await.unwrap();
    assert_eq!((status, said), (200, "x".repeat(100)));
}

#[tokio::test]
async fn what_a_server_was_told_in_confidence_is_left_out_where_it_says_it_again() {
    let server = server(None).await;
    let client = client(settings()).unwrap();
    let url = format!("http://{}/echo?index=main&sig=s3cret%2Fsig", server.address);
    let ask = async |most: usize| {
        let request = client.get(&url).basic_auth("elastic", Some("hunter2hunter2"));
        let request = request.header("x-amz-security-token", "hunter2").header("x-else", "hunter2hunter2!");
        beginning(confided::send(request).await.unwrap(), most).await
    };
    let said = ask(4096).await;
    assert!(said.starts_with("/echo?index=main&sig=*** {") && said.ends_with('}'), "{said}");
    for told in [r#""authorization": "Basic ***""#, r#""x-amz-security-token": "***""#, r#""x-else": "***!""#]
    {
        assert!(said.contains(told), "{said}");
    }
    for most in (0..said.len() + 60).step_by(7) {
        let begun = ask(most).await;
        assert!(said.starts_with(&begun) && begun.len() <= most, "{most}: {begun}");
    }
}

#[tokio::test]
async fn answers_are_wanted_as_they_are_where_nobody_says_otherwise() {
    let server = server(None).await;
    let client = client(settings()).unwrap();
    let at = format!("http://{}/wanted", server.address);
    assert_eq!(get(&client, &at).await.unwrap().1, "identity");
    let other = client.get(&at).header("accept-encoding", "zstd").send().await.unwrap();
    assert_eq!(beginning(other, 100).await, "zstd");
}

#[tokio::test]
async fn an_answer_that_came_compressed_though_nobody_asked_is_what_it_was_before() {
    let server = server(None).await;
    let client = client(settings()).unwrap();
    let at = |path: &str| format!("http://{}/{path}", server.address);
    let ask = async |path: &str| client.get(at(path)).send().await.unwrap();
    for coding in ["gzip", "deflate", "zstd"] {
        assert_eq!(whole(ask(coding).await, 500).await.unwrap(), "long ".repeat(100), "{coding}");
        assert_eq!(beginning(ask(coding).await, 400).await, "long ".repeat(80), "{coding}");
        let error = whole(ask(coding).await, 499).await.unwrap_err();
        assert_eq!(error, "an answer of more than 499 bytes", "{coding}");
    }
    let error = whole(ask("broken").await, 500).await.unwrap_err();
    assert!(error.starts_with("its answer is no gzip: "), "{error}");
    assert!(beginning(ask("broken").await, 400).await.starts_with("long "));
    assert_eq!(whole(ask("long").await, 1 << 20).await.unwrap().len(), 1 << 20);
    assert!(whole(ask("long").await, (1 << 20) - 1).await.is_err());
}

#[tokio::test]
async fn an_answer_without_a_body_is_whole_whatever_coding_its_head_names() {
    let server = server(None).await;
    let client = client(settings()).unwrap();
    for coding in ["gzip", "deflate", "zstd"] {
        let at = format!("http://{}/empty/{coding}", server.address);
        let ask = async || client.get(&at).send().await.unwrap();
        assert_eq!(whole(ask().await, 500).await.unwrap(), "", "{coding}");
        assert_eq!(beginning(ask().await, 500).await, "", "{coding}");
    }
}

#[tokio::test]
async fn where_an_answer_redirects_to_is_told_without_what_may_be_secret() {
    let server = server(None).await;
    let client = client(settings()).unwrap();
    let own = format!(" (to http://{}/)", server.address);
    for (path, told) in [
        ("/", ""),
        ("/moved", own.as_str()),
        ("/moved/away", " (to http://else.example/login)"),
        ("/moved/nowhere", " (to nowhere that it names)"),
    ] {
        let answer = client.get(format!("http://{}{path}", server.address)).send().await.unwrap();
        assert_eq!(leads_to(&answer), told, "{path}");
    }
}

#[test]
fn a_url_is_shown_without_what_may_be_secret() {
    for (url, told) in [
        ("https://ada:lovelace@in.example:8443/a?key=1#b", "https://in.example:8443/a"),
        ("wss://ada@in.example/", "wss://in.example/"),
        ("data:text,a?key=1", "data:text,a"),
    ] {
        assert_eq!(shown(&Url::parse(url).unwrap()), told);
    }
}

#[tokio::test]
async fn a_proxy_is_asked_for_what_is_somewhere_else() {
    let server = server(None).await;
    let proxy = Some(format!("http://{}", server.address).parse().unwrap());
    let client = client(Settings { proxy, ..settings() }).unwrap();
    let (_, said) = get(&client, "http://no-such-host.invalid/x").await.unwrap();
    assert!(said.starts_with("GET http://no-such-host.invalid/x "), "{said}");
}

#[tokio::test]
async fn what_went_wrong_is_said_without_the_url() {
    let server = server(None).await;
    let quick = Settings { timeout: Duration::from_millis(50), ..settings() };
    let client = client(quick).unwrap();
    let never = format!("http://ada:hunter2@{}/never", server.address);
    assert_eq!(get(&client, &never).await.unwrap_err(), "no answer in time");
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = get(&client, &format!("http://ada:hunter2@{free}/")).await.unwrap_err();
    assert!(nobody.starts_with("Connection refused"), "{nobody}");
    assert!(!nobody.contains("hunter2"));
}

/// A server of TLS with files of an authority's, which may ask for certificates.
struct Secured {
    folder: TempDir,
    authority: Authority,
    own: IdentityFiles,
    url: String,
}

async fn secured(asks: bool) -> Secured {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours").unwrap();
    let own = authority.server().unwrap().write(folder.path(), "server").unwrap();
    let ca = authority.write(&folder.path().join("ca.pem")).unwrap();
    let client_ca = asks.then_some(ca);
    let (cert, key) = (own.certificate.clone(), own.key.clone());
    let server = server(Some(TlsSettings { cert, key, client_ca, require_client_cert: true })).await;
    let url = format!("https://localhost:{}/", server.address.port());
    Secured { folder, authority, own, url }
}

#[tokio::test]
async fn a_server_is_believed_by_its_roots_or_by_its_certificate_and_else_not() {
    let server = secured(false).await;
    let reached = async |trust| {
        let tls = Some(config(trust, None).unwrap());
        get(&client(Settings { tls, ..settings() }).unwrap(), &server.url).await
    };
    let roots = server.folder.path().join("ca.pem");
    assert_eq!(reached(Trust::Roots(&roots)).await.unwrap().0, 200);
    assert_eq!(reached(Trust::Same(&server.own.certificate)).await.unwrap().0, 200);

    let others = Authority::new("theirs").unwrap().write(&server.folder.path().join("theirs.pem")).unwrap();
    let error = reached(Trust::Roots(&others)).await.unwrap_err();
    assert!(error.contains("invalid peer certificate"), "{error}");
    // Without TLS no server of TLS is reached, rather than one that is not known.
    let error = get(&client(settings()).unwrap(), &server.url).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn the_roots_of_the_system_do_not_vouch_for_a_server_of_ours() {
    let server = secured(false).await;
    // A machine without any roots says so.
    let error = match config(Trust::System, None) {
        Ok(tls) => {
            let client = client(Settings { tls: Some(tls), ..settings() }).unwrap();
            get(&client, &server.url).await.unwrap_err()
        }
        Err(error) => format!("{error:#}"),
    };
    assert!(error.contains("UnknownIssuer") || error.contains("the roots of the system"), "{error}");
}

#[tokio::test]
async fn a_certificate_is_shown_to_a_server_that_asks_for_one() {
    let server = secured(true).await;
    let own = server.authority.client("edge").unwrap().write(server.folder.path(), "edge").unwrap();
    let roots = server.folder.path().join("ca.pem");
    let reached = async |own| {
        let tls = Some(config(Trust::Roots(&roots), own).unwrap());
        get(&client(Settings { tls, ..settings() }).unwrap(), &server.url).await
    };
    assert_eq!(reached(Some((own.certificate.as_path(), own.key.as_path()))).await.unwrap().0, 200);
    let error = reached(None).await.unwrap_err();
    assert!(error.contains("CertificateRequired"), "{error}");
}

#[test]
fn a_pause_is_asked_for_in_seconds_or_by_a_date_and_is_bounded() {
    let asked = |text: &'static str| {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        retry_after(&headers, 1_445_412_420_000_000_000)
    };
    assert_eq!(asked(" 120"), Some(Duration::from_secs(120)));
    assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(60)));
    assert_eq!(asked("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(asked("Wednesday, 21-Oct-15 07:28:00 GMT"), Some(Duration::from_secs(60)));
    assert_eq!(asked("Wed Oct 21 07:28:00 2015"), Some(Duration::from_secs(60)));
    assert_eq!(asked("Fri Nov  6 08:49:37 2015"), Some(LONGEST));
    assert_eq!(asked("2.5"), Some(Duration::from_millis(2500)));
    assert_eq!(asked("99999999999"), Some(LONGEST));
    assert_eq!(asked("99999999999999999999999999"), Some(LONGEST));
    assert_eq!(asked("Wed, 21 Oct 2099 07:28:00 GMT"), Some(LONGEST));
    for none in ["soon", "-1", "1e3", "inf", "nan", ".", ""] {
        assert_eq!(asked(none), None, "{none}");
    }
    assert_eq!((asked("1.2.3"), retry_after(&HeaderMap::new(), 0)), (None, None));
}
