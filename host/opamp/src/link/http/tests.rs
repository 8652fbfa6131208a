use std::net::Ipv4Addr;
use std::sync::Arc;

use flitch_core::clock::Clock;
use flitch_core::net::connections::Connections;
use flitch_core::net::listen::{Client as Caller, Listener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::app::Description;
use crate::desk::Desk;
use crate::identity::Identity;
use crate::wire::can;

/// A message with the uid `abc`, by gzip.
const PACKED: [u8; 25] =
    [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 227, 98, 78, 76, 74, 6, 0, 130, 216, 66, 84, 5, 0, 0, 0];

/// Where a server is that answers so to whoever comes.
async fn server(body: &'static [u8]) -> String {
    let any = "127.0.0.1:0".parse().unwrap();
    let mut listener = Listener::tcp(&any, Ipv4Addr::LOCALHOST.into()).await.unwrap();
    let endpoint = format!("http://{}/", listener.address().unwrap());
    flitch_core::tasks::client(async move {
        let serve = |mut client: Caller, _slot| async move {
            let (mut asked, mut length) = (vec![0; 64 << 10], 0);
            while !asked[..length].windows(4).any(|end| end == b"\r\n\r\n") {
                length += client.stream.read(&mut asked[length..]).await.unwrap();
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            client.stream.write_all(head.as_bytes()).await.unwrap();
            client.stream.write_all(body).await.unwrap();
        };
        listener.serve(&Connections::new("test", 8), &CancellationToken::new(), serve).await;
    });
    endpoint
}

#[tokio::test]
async fn an_answer_that_came_compressed_though_nobody_asked_is_what_it_was_before() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::open(folder.path(), "m", 1).unwrap();
    let desk = Desk::new(identity, can::REPORT_STATUS, Description::default(), Instant::now());
    let desk = Arc::new(desk);
    for (body, uid) in [(&PACKED[..], &b"abc"[..]), (&[], &[])] {
        let settings = OpampSettings::of(&server(body).await);
        let ears = Ears::new((desk.clone(), Arc::default()), Clock::fake(1), settings.clone());
        let answer = Asker::new(&settings).unwrap().ask(AgentToServer::default(), &ears).await.unwrap();
        assert_eq!(answer.instance_uid, uid);
    }
}
