use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use flitch_core::net::connections::Connections;
use flitch_core::net::listen::{Client as Caller, Listener};
use flitch_core::net::serve::{Patience, STREAMS, Visit};
use flitch_core::net::tls::TlsSettings;
use flitch_tests::tls::Authority;
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::*;

async fn yes(_: hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
    hyper::Response::new(Full::new("yes".into()))
}

/// A server of TLS whose certificate is of this authority; answers its address.
async fn server(authority: &Authority, folder: &Path) -> String {
    let own = authority.server().unwrap().write(folder, "server").unwrap();
    let tls =
        TlsSettings { cert: own.certificate, key: own.key, client_ca: None, require_client_cert: false };
    let acceptor = Arc::new(tls.acceptor().unwrap());
    let mut listener =
        Listener::tcp(&"127.0.0.1:0".parse().unwrap(), Ipv4Addr::LOCALHOST.into()).await.unwrap();
    let port = listener.address().unwrap().port();
    flitch_core::tasks::client(async move {
        let long = Duration::from_secs(60);
        let serve = |caller: Caller, slot| {
            let patience = Patience { header: long, idle: long };
            let visit =
                Visit { slot, patience, streams: STREAMS, stop: CancellationToken::new(), socket: None };
            let acceptor = acceptor.clone();
            async move { visit.serve(caller.stream, Some(&*acceptor), yes).await }
        };
        listener.serve(&Connections::new("test", 8), &CancellationToken::new(), serve).await;
    });
    format!("https://localhost:{port}/")
}

#[tokio::test]
async fn certificates_that_have_changed_on_disk_are_believed_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new("old").unwrap(), Authority::new("new").unwrap());
    let ca = old.write(&folder.path().join("ca.pem")).unwrap();
    let url = server(&new, folder.path()).await;
    let client = Beside::client(Duration::from_secs(60), Some(&ca)).unwrap();
    let ask = async || {
        let mut request = HttpRequest::new(object_store::client::HttpRequestBody::empty());
        *request.uri_mut() = url.parse().unwrap();
        client.execute(request).await.map(|answer| answer.status())
    };
    assert!(ask().await.is_err());
    new.write(&ca).unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    assert_eq!(ask().await.unwrap(), StatusCode::OK);
}

/// A server that begins its answer by this head, and goes on for as long as somebody reads; answers its address.
async fn endless(head: &'static str) -> String {
    let mut listener =
        Listener::tcp(&"127.0.0.1:0".parse().unwrap(), Ipv4Addr::LOCALHOST.into()).await.unwrap();
    let url = format!("http://{}/", listener.address().unwrap());
    flitch_core::tasks::client(async move {
        let serve = |mut caller: Caller, _slot| async move {
            assert!(caller.stream.read(&mut [0; 4096]).await.unwrap() > 0);
            caller.stream.write_all(head.as_bytes()).await.unwrap();
            let chunk = [b"10000\r\n", &[b'x'; 1 << 16][..], b"\r\n"].concat();
            while caller.stream.write_all(&chunk).await.is_ok() {}
        };
        listener.serve(&Connections::new("test", 8), &CancellationToken::new(), serve).await;
    });
    url
}

#[tokio::test]
async fn of_an_answer_no_more_is_held_than_answers_of_stores_have_whatever_it_claims_and_however_long_it_is()
{
    for head in [
        "HTTP/1.1 500 Oh\r\nContent-Length: 4611686018427387904\r\n\r\n",
        "HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let mut request = HttpRequest::new(object_store::client::HttpRequestBody::empty());
        *request.uri_mut() = endless(head).await.parse().unwrap();
        let client = Beside::client(Duration::from_secs(60), None).unwrap();
        let answer = client.execute(request).await.unwrap();
        assert_eq!(answer.into_body().bytes().await.unwrap().len(), MOST, "{head}");
    }
}

#[test]
fn a_file_of_certificates_that_cannot_be_used_is_told_by_its_setting() {
    let error = http(Duration::from_secs(1), Some(Path::new("/nowhere"))).unwrap_err();
    let wrong = error.downcast_ref::<flitch_core::setting::Wrong>().map(flitch_core::setting::Wrong::key);
    assert_eq!(wrong, Some("ca_file"));
}

#[test]
fn who_tells_a_machine_who_it_is_is_beside_it_and_stores_are_not() {
    for host in ["169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "metadata.google.internal"] {
        assert!(is_beside(host), "{host}");
    }
    for host in ["127.0.0.1", "10.0.0.1", "[::1]", "s3.amazonaws.com", "169.254.example.com"] {
        assert!(!is_beside(host), "{host}");
    }
}
