use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::*;
use crate::forward::harness::{json, pack};
use crate::{SourceContext, forward, testing};
use flitch_core::batch::Batch;
use flitch_core::buffers::Buffer;
use flitch_core::net::address::Endpoint;
use flitch_core::net::forward::write::answer;

fn settings(listen: &str) -> ForwardSettings {
    ForwardSettings { listen: listen.parse().unwrap(), ..ForwardSettings::default() }
}

struct Source {
    cx: SourceContext,
    buffer: Buffer,
    addresses: Vec<String>,
    running: tokio::task::JoinHandle<anyhow::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Source {
    async fn start(settings: ForwardSettings) -> Source {
        let (cx, buffer, folder) = testing::context("forward");
        let doors = bind("forward", &settings).await.unwrap();
        let addresses = doors.iter().map(Door::address).collect();
        let running = flitch_core::tasks::joined(forward::run(settings, cx.clone(), doors));
        Source { cx, buffer, addresses, running, _folder: folder }
    }

    async fn batch(&self) -> Batch {
        self.buffer.lease().await.unwrap()
    }

    async fn stop(self) {
        self.cx.stop.cancel();
        self.running.await.unwrap().unwrap();
        assert_eq!(self.cx.intake.ledger().read().in_flight(), 0);
    }
}

fn message(chunk: &str) -> Vec<u8> {
    pack(&json!(["t", 0, {"n": 1}, {"chunk": chunk}]))
}

/// Sends a message and reads its answer.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(source: &Source, chunk: &str, mut stream: S) {
    stream.write_all(&message(chunk)).await.unwrap();
    let batch = source.batch().await;
    assert_eq!(json(&batch.records)[0]["n"], 1);
    batch.receipt.delivered();
    let mut ack = vec![0; answer(&pack(&json!(chunk))).len()];
    stream.read_exact(&mut ack).await.unwrap();
    assert_eq!(ack, *answer(&pack(&json!(chunk))));
}

#[tokio::test]
async fn tcp_clients_are_served_and_heartbeats_over_udp_answered_on_the_same_port() {
    let source = Source::start(settings("127.0.0.1:0")).await;
    let address = source.addresses[0].clone();
    exchange(&source, "c1", TcpStream::connect(&address).await.unwrap()).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&[0], &address).await.unwrap();
    let mut answer = [9; 8];
    assert_eq!(socket.recv(&mut answer).await.unwrap(), 1);
    assert_eq!(answer[0], 0);
    source.stop().await;
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn a_unix_socket_takes_the_place_of_a_stale_one_and_is_gone_after_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forward.sock");
    let stale = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let listen = format!("unix://{}", path.display());
    let error = bind("forward", &settings(&listen)).await.err().unwrap().to_string();
    assert!(error.contains("another process listens on"), "{error}");
    drop(stale);
    let source = Source::start(ForwardSettings { unix_mode: "600".to_owned(), ..settings(&listen) }).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    exchange(&source, "c1", UnixStream::connect(&path).await.unwrap()).await;
    source.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn one_source_listens_on_several_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let unix = format!("unix://{}", folder.path().join("forward.sock").display());
    let listen = serde_json::from_value(json!(["127.0.0.1:0", "tcp://127.0.0.1:0", unix])).unwrap();
    let source = Source::start(ForwardSettings { listen, ..ForwardSettings::default() }).await;
    exchange(&source, "c1", TcpStream::connect(&source.addresses[0]).await.unwrap()).await;
    exchange(&source, "c2", TcpStream::connect(&source.addresses[1]).await.unwrap()).await;
    exchange(&source, "c3", UnixStream::connect(folder.path().join("forward.sock")).await.unwrap()).await;
    source.stop().await;
}

#[tokio::test]
async fn further_clients_wait_where_there_are_as_many_as_allowed() {
    let source = Source::start(ForwardSettings { max_connections: 1, ..settings("127.0.0.1:0") }).await;
    let mut first = TcpStream::connect(&source.addresses[0]).await.unwrap();
    exchange(&source, "c0", &mut first).await;
    let mut second = TcpStream::connect(&source.addresses[0]).await.unwrap();
    second.write_all(&pack(&json!(["t", 0, {"n": 2}, {"chunk": "c2"}]))).await.unwrap();
    exchange(&source, "c1", first).await;
    let batch = source.batch().await;
    assert_eq!(json(&batch.records)[0]["n"], 2);
    batch.receipt.delivered();
    drop(second);
    source.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_sent_nothing_gives_way_to_another() {
    let source = Source::start(ForwardSettings { max_connections: 2, ..settings("127.0.0.1:0") }).await;
    let connect = || TcpStream::connect(&source.addresses[0]);
    let mut known = connect().await.unwrap();
    exchange(&source, "c1", &mut known).await;
    for n in 0..5 {
        let mut silent = connect().await.unwrap();
        // Not even a heartbeat is a word.
        silent.write_all(b"\xc0").await.unwrap();
        let mut next = connect().await.unwrap();
        assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0, "it is closed");
        exchange(&source, &format!("n{n}"), &mut next).await;
        exchange(&source, &format!("k{n}"), &mut known).await;
    }
    drop(known);
    source.stop().await;
}

#[tokio::test]
async fn a_client_without_the_key_is_sent_away() {
    let mut with_key = settings("127.0.0.1:0");
    with_key.security = serde_json::from_value(json!({"shared_key": "k", "self_hostname": "s"})).unwrap();
    let source = Source::start(with_key).await;
    let mut stream = TcpStream::connect(&source.addresses[0]).await.unwrap();
    stream.write_all(&message("c1")).await.unwrap();
    let mut answer = Vec::new();
    // It is closed with the message unread, so the answer may be cut by a reset.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"\x92\xa4HELO"), "{answer:x?}");
    assert!(source.buffer.try_lease().is_none());
    source.stop().await;
}

#[tokio::test]
async fn addresses_that_cannot_be_used_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (listen, words) in [
        (taken.clone(), "cannot listen on"),
        (format!("unix://{}", file.display()), "exists and is no socket"),
        ("unix:///nowhere/at/all".to_owned(), "cannot listen on /nowhere/at/all"),
    ] {
        let error = format!("{:#}", bind("forward", &settings(&listen)).await.err().unwrap());
        assert!(error.contains(words) && error.contains("`listen`"), "{error}");
    }
    let mode = ForwardSettings { unix_mode: "rw".to_owned(), ..settings("unix:///tmp/x.sock") };
    assert!(bind("forward", &mode).await.err().unwrap().to_string().contains("`unix_mode`: `rw` is no mode"));
    assert!(crate::SourceKind::check(&mode).unwrap_err().to_string().contains("`unix_mode`"));
}

#[test]
fn a_source_that_is_told_no_address_listens_on_every_one_those_of_ipv6_included() {
    let listen = ForwardSettings::default().listen;
    let Endpoint::Tcp(address) = listen.iter().next().unwrap() else { panic!("{listen:?}") };
    assert_eq!((address.host(), address.port()), (None, 24224));
}
