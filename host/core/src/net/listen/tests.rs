use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

async fn here() -> (Listener, SocketAddr) {
    let listener = Listener::tcp(&address("0"), HERE).await.unwrap();
    let at = listener.address().unwrap();
    (listener, at)
}

#[tokio::test]
async fn a_port_alone_is_on_the_address_that_the_listener_has_by_itself() {
    let (_alone, at) = here().await;
    assert_eq!(at.ip(), HERE);
    let named = Listener::tcp(&address("localhost:0"), ALL).await.unwrap();
    assert!(named.address().unwrap().ip().is_loopback());
    let taken = Listener::bind(&Endpoint::Tcp(at.into()), ALL, 0).await.unwrap_err();
    assert!(taken.to_string().starts_with(&format!("`listen`: cannot listen on {at}")), "{taken}");
}

#[tokio::test]
async fn a_port_on_all_addresses_takes_clients_of_both_kinds_and_shows_each_with_its_own() {
    for everywhere in ["0", ":0", "*:0"] {
        let mut listener = Listener::tcp(&address(everywhere), ALL).await.unwrap();
        let port = listener.address().unwrap().port();
        let connections = Connections::new("test", 4);
        let mut kinds = vec![HERE];
        // Where the machine has no IPv6 the listener does without.
        kinds.extend(
            listener.address().filter(SocketAddr::is_ipv6).map(|_| IpAddr::from(Ipv6Addr::LOCALHOST)),
        );
        for from in kinds {
            let client = TcpStream::connect((from, port)).await.unwrap();
            let (taken, _slot) = listener.next(&connections).await;
            assert_eq!(taken.from, Some(client.local_addr().unwrap()), "{everywhere}");
        }
        let taken = Listener::tcp(&SocketAddr::from((HERE, port)).into(), HERE).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse, "{everywhere} is of IPv4 too");
    }
}

#[tokio::test]
async fn an_address_can_be_had_again_though_its_connections_have_just_been_closed() {
    let (mut listener, at) = here().await;
    let connections = Connections::new("test", 4);
    let mut client = TcpStream::connect(at).await.unwrap();
    let (taken, slot) = listener.next(&connections).await;
    // The one who closes first has to wait for packets that are late.
    drop((taken, slot, listener));
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    drop(client);
    Listener::tcp(&at.into(), HERE).await.unwrap();
}

#[tokio::test]
async fn clients_of_tcp_and_of_unix_sockets_are_served_until_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let endpoint = Endpoint::Unix(path.clone());
    let unix = Listener::bind(&endpoint, HERE, 0o600).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((unix.to_string(), unix.address()), (endpoint.to_string(), None));
    let (tcp, at) = here().await;
    let stop = CancellationToken::new();
    let serving = [tcp, unix].map(|mut listener| {
        let stop = stop.clone();
        tasks::joined(async move {
            let connections = Connections::new("test", 4);
            let serve = |mut client: Client, slot| async move {
                let _slot: Slot = slot;
                let from = client.from.map_or(0, |from| from.port());
                client.stream.write_u16(from).await.unwrap();
            };
            listener.serve(&connections, &stop, serve).await;
            connections.ended().await;
        })
    });
    let mut client = TcpStream::connect(at).await.unwrap();
    assert_eq!(client.read_u16().await.unwrap(), client.local_addr().unwrap().port());
    assert_eq!(UnixStream::connect(&path).await.unwrap().read_u16().await.unwrap(), 0);
    stop.cancel();
    for serving in serving {
        serving.await.unwrap();
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn a_client_that_waits_for_its_slot_is_not_lost_when_nobody_takes_it_any_more() {
    let (mut listener, at) = here().await;
    let few = Connections::new("test", 1);
    let _taken = few.slot().await;
    let client = TcpStream::connect(at).await.unwrap();
    while listener.waiting.is_none() {
        let waits = timeout(Duration::from_millis(1), listener.next(&few)).await;
        assert!(waits.is_err(), "there is no slot");
    }
    let seen = Arc::new(Mutex::new(None));
    let (late, stop) = (Connections::new("test", 1), CancellationToken::new());
    let serve = |client: Client, _| {
        *seen.lock() = client.from;
        stop.cancel();
        async {}
    };
    listener.serve(&late, &stop, serve).await;
    assert_eq!(*seen.lock(), Some(client.local_addr().unwrap()));
}
