//! What connections of one source have together.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::forward::ForwardSettings;
use crate::forward::harness::{Client, json, pack};
use flitch_core::units::Bytes;

fn client(max_buffered: u64) -> Client {
    Client::with(ForwardSettings { max_buffered: Bytes(max_buffered), ..ForwardSettings::default() })
}

/// A message of 600 KiB.
fn large(n: usize) -> Vec<u8> {
    pack(&json!(["t", 0, {"n": n, "text": "x".repeat(600 << 10)}, {"chunk": n.to_string()}]))
}

const PART: usize = 400 << 10;

/// Lets every task run as far as it can.
async fn settle_down() {
    for _ in 0..256 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_all_connections_have_on_their_way_is_bounded() {
    let mut client = client(1024);
    let mut second = client.another();
    client.send(&pack(&json!(["t", 0, {"n": 1}, {"chunk": "c1"}]))).await;
    let first = client.batch().await;
    second.write_all(&pack(&json!(["t", 0, {"n": 2}, {"chunk": "c2"}]))).await.unwrap();
    settle_down().await;
    assert_eq!(client.hub.chunks.waiting(), 2);
    assert!(client.buffer.try_lease().is_none(), "both are on their way");
    first.receipt.delivered();
    assert_eq!(client.next().await[0]["n"], 2);
}

#[tokio::test(start_paused = true)]
async fn large_messages_of_many_connections_share_the_memory_and_all_arrive() {
    let client = client(256 << 10);
    let mut streams: Vec<_> = (0..5).map(|_| client.another()).collect();
    for (n, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&large(n)[..PART]).await.unwrap();
    }
    settle_down().await;
    assert!(client.hub.pool.is_short(), "nobody waits for memory");
    for (n, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&large(n)[PART..]).await.unwrap();
    }
    let mut seen = Vec::new();
    for _ in &streams {
        let batch = client.batch().await;
        seen.extend(json(&batch.records).iter().map(|record| record["n"].as_u64().unwrap()));
        batch.receipt.delivered();
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    settle_down().await;
    assert!(!client.hub.pool.is_short());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_within_a_large_message_does_not_keep_the_memory_from_others() {
    let mut client = client(1 << 10);
    client.send(&large(1)[..PART]).await;
    settle_down().await;
    let mut other = client.another();
    other.write_all(&large(2)).await.unwrap();
    let batch = client.batch().await;
    assert_eq!(json(&batch.records)[0]["n"], 2);
    batch.receipt.delivered();
    assert!(client.read_all().await.is_empty(), "it is closed without an answer");
    other.read_u8().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_is_waited_for_while_nobody_needs_its_memory() {
    let mut client = client(1 << 10);
    client.send(&large(1)[..PART]).await;
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    client.send(&large(1)[PART..]).await;
    assert_eq!(client.next().await[0]["n"], 1);
}

/// A piece of a Docker line, which one it is, and whether it is the last.
fn piece(id: usize, ordinal: usize, text: &str, last: bool) -> Vec<u8> {
    let (id, ordinal, last) = (id.to_string(), ordinal.to_string(), last.to_string());
    pack(&json!(["t", 0, {"container_id": "c", "log": text, "partial_message": "true", "partial_id": id,
        "partial_ordinal": ordinal, "partial_last": last}, {}]))
}

#[tokio::test(start_paused = true)]
async fn open_lines_of_many_connections_share_the_memory_and_lose_nothing() {
    const LINES: usize = 8;
    let client = client(512 << 10);
    let mut streams: Vec<_> = (0..10).map(|_| client.another()).collect();
    let text = "x".repeat(16 << 10);
    let buffer = client.buffer.clone();
    let taken = flitch_core::tasks::joined(async move {
        let (mut bytes, mut marked) = (0, 0);
        while bytes < 10 * LINES * 5 * (16 << 10) {
            let batch = buffer.lease().await.unwrap();
            for record in json(&batch.records) {
                bytes += record["log"].as_str().unwrap().len();
                marked += usize::from(record["@truncated"] == true);
            }
            batch.receipt.delivered();
        }
        (bytes, marked)
    });
    for round in 0..5 {
        for stream in &mut streams {
            for line in 0..LINES {
                stream.write_all(&piece(line, round + 1, &text, round == 4)).await.unwrap();
            }
        }
        settle_down().await;
    }
    let (bytes, marked) = taken.await.unwrap();
    assert_eq!(bytes, 10 * LINES * 5 * (16 << 10));
    assert!(marked > 0, "all lines had room, though they are ten times as much as there is");
    settle_down().await;
    assert!(!client.hub.pool.is_short());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_drips_into_a_large_message_does_not_keep_the_memory_from_others() {
    let mut client = client(1 << 10);
    client.send(&large(1)[..PART]).await;
    settle_down().await;
    let mut other = client.another();
    other.write_all(&large(2)).await.unwrap();
    let (mut drips, started) = (PART..PART + 100, tokio::time::Instant::now());
    while let Some(place) = drips.next()
        && client.stream.write_all(&large(1)[place..=place]).await.is_ok()
    {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert!(drips.next().is_some(), "it was not closed in {:?}", started.elapsed());
    client.next().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_silent_gives_its_memory_back() {
    let mut client = client(512 << 10);
    client.send(&large(1)).await;
    client.next().await;
    client.send(&large(2)).await;
    client.next().await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    settle_down().await;
    assert!(client.hub.pool.hold().reach(512 << 10), "it still holds memory");
}
