use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::forward::ForwardSettings;
use crate::forward::harness::{Client, json, pack, packed};
use flitch_core::dead_letter::{DeadLetterSettings, WhenFull};
use flitch_core::net::forward::write::answer;
use flitch_core::receipt::Accounts;
use flitch_core::units::Bytes;

const TIME: u32 = 1_700_000_000;

fn entries(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| pack(&json!([TIME, {"n": n}]))).collect()
}

fn ack(chunk: &str) -> Vec<u8> {
    answer(&pack(&json!(chunk))).to_vec()
}

fn accounts(client: &Client) -> Accounts {
    client.hub.cx.intake.ledger().read()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn numbers(records: &[Value]) -> Vec<u64> {
    records.iter().map(|r| r["n"].as_u64().unwrap()).collect()
}

/// Lets every task run as far as it can.
async fn settle_down() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_message_is_cut_into_batches_and_answered_when_the_last_is_safe() {
    let mut client = Client::new();
    client.send(&packed("t", &entries(3000), &json!({"chunk": "c1", "size": 3000}))).await;
    let batches = [client.batch().await, client.batch().await, client.batch().await];
    assert_eq!(batches.each_ref().map(|b| b.records.rows()), [1024, 1024, 952]);
    let [first, second, third] = batches;
    third.receipt.delivered();
    first.receipt.delivered();
    settle_down().await;
    assert_eq!(client.hub.chunks.waiting(), 1, "the answer waits for the second batch");
    second.receipt.delivered();
    assert_eq!(client.read(ack("c1").len()).await, ack("c1"));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_not_given_up_for_the_time_in_which_the_process_could_not_run() {
    let mut client = Client::new();
    let message = packed("t", &entries(300), &json!({"chunk": "c1"}));
    let (begin, rest) = message.split_at(100);
    let (middle, end) = rest.split_at(1000);
    client.send(begin).await;
    settle_down().await;
    client.send(middle).await;
    tokio::time::advance(Duration::from_secs(600)).await;
    settle_down().await;
    client.send(end).await;
    assert_eq!(client.next().await.len(), 300);
}

#[tokio::test(start_paused = true)]
async fn chunks_are_answered_in_the_order_in_which_they_settle() {
    let mut client = Client::new();
    client.send(&pack(&json!(["t", TIME, {"n": 1}, {"chunk": "one"}]))).await;
    let first = client.batch().await;
    client.send(&pack(&json!(["t", TIME, {"n": 2}, {"chunk": "two"}]))).await;
    let second = client.batch().await;
    second.receipt.delivered();
    assert_eq!(client.read(ack("two").len()).await, ack("two"));
    first.receipt.delivered();
    assert_eq!(client.read(ack("one").len()).await, ack("one"));
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_comes_back_is_not_answered_and_is_taken_when_it_is_sent_again() {
    let mut client = Client::new();
    let message = pack(&json!(["t", TIME, {"n": 1}, {"chunk": "c1"}]));
    client.send(&message).await;
    drop(client.batch().await.receipt);
    assert_eq!(client.read_all().await, b"", "the connection is closed without an answer");
    client.reconnect().await.unwrap();
    client.send(&message).await;
    assert_eq!(numbers(&client.next().await), [1]);
    assert_eq!(client.read(ack("c1").len()).await, ack("c1"));
    assert_eq!(accounts(&client).returned, 1);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_became_safe_when_its_connection_was_gone_is_answered_and_not_taken_again() {
    let mut client = Client::new();
    let message = pack(&json!(["t", TIME, {"n": 1}, {"chunk": "c1"}]));
    client.send(&message).await;
    let batch = client.batch().await;
    let old = client.reconnect();
    settle_down().await;
    batch.receipt.delivered();
    old.await.unwrap();
    client.send(&message).await;
    assert_eq!(client.read(ack("c1").len()).await, ack("c1"));
    assert!(client.rest().await.is_empty());
    assert_eq!(accounts(&client).received, 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_id_from_two_hosts_or_after_its_answer_is_another_chunk() {
    let mut client = Client::new();
    let mut other = client.of_another_host();
    // Fluent Bit's id is a hash of the content.
    let message = pack(&json!(["t", TIME, {"n": 1}, {"chunk": "c1"}]));
    client.send(&message).await;
    other.write_all(&message).await.unwrap();
    let (first, second) = (client.batch().await, client.batch().await);
    first.receipt.delivered();
    second.receipt.delivered();
    let mut answer = vec![0; ack("c1").len()];
    other.read_exact(&mut answer).await.unwrap();
    assert_eq!((client.read(answer.len()).await, answer), (ack("c1"), ack("c1")));
    client.send(&message).await;
    assert_eq!(numbers(&client.next().await), [1]);
    assert_eq!(client.read(ack("c1").len()).await, ack("c1"));
    client.reconnect();
    client.send(&message).await;
    assert_eq!(numbers(&client.next().await), [1]);
    assert_eq!(accounts(&client).received, 4);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answers_is_read_no_further_and_then_closed() {
    let mut client = Client::new();
    let chunk = |n: usize| format!("{n:04}{}", "x".repeat(1000));
    let buffer = client.buffer.clone();
    flitch_core::tasks::client(async move {
        while let Some(batch) = buffer.lease().await {
            batch.receipt.delivered();
        }
    });
    // The answers to a thousand or so are as many bytes as the way back takes.
    let mut sent = 0;
    let stuck = loop {
        let message =
            pack(&json!(["t", TIME, {"n": sent, "text": "x".repeat(1000)}, {"chunk": chunk(sent)}]));
        match tokio::time::timeout(Duration::from_secs(1), client.stream.write_all(&message)).await {
            Ok(written) => written.unwrap(),
            Err(_) => break sent,
        }
        sent += 1;
    };
    let received = accounts(&client).received;
    assert!(stuck < 3500 && received < 1300, "{received} of {stuck} were taken");
    assert_eq!(accounts(&client).in_flight(), 0, "nothing but the client is waited for");
    client.serving.await.unwrap();
    let mut answers = Vec::new();
    client.stream.read_to_end(&mut answers).await.unwrap();
    assert!(answers.starts_with(&ack(&chunk(0))), "what was written can be read");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_stops_in_the_middle_ends_the_connection_and_silence_between_messages_does_not() {
    let mut client = Client::new();
    let message = pack(&json!(["t", TIME, {"n": 1}, {"chunk": "c1"}]));
    client.send(b"\xc0").await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    client.send(&message).await;
    assert_eq!(numbers(&client.next().await), [1]);
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    assert!(!client.serving.is_finished());
    client.send(&message[..message.len() - 1]).await;
    let started = Instant::now();
    assert_eq!(client.read_all().await, ack("c1"));
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_comes_again_while_it_is_on_its_way_is_answered_with_the_first() {
    let mut client = Client::new();
    let message = pack(&json!(["t", TIME, {"n": 1}, {"chunk": "c1"}]));
    client.send(&message).await;
    let batch = client.batch().await;
    let _old = client.reconnect();
    client.send(&message).await;
    settle_down().await;
    assert_eq!(client.hub.chunks.waiting(), 1);
    batch.receipt.delivered();
    assert_eq!(client.read(ack("c1").len()).await, ack("c1"));
    assert_eq!(accounts(&client).received, 1);
}

#[tokio::test(start_paused = true)]
async fn a_bad_entry_costs_itself_alone() {
    let mut client = Client::new();
    let bad = [
        pack(&json!([TIME, "no record"])),
        pack(&json!(["yesterday", {"n": 90}])),
        pack(&json!({"n": 91})),
        // A field whose name is a map.
        b"\x92\x00\x81\x80\x01".to_vec(),
    ];
    let mut all = entries(2);
    all.extend(bad.concat());
    all.extend(entries(1));
    client.send(&packed("t", &all, &json!({"chunk": "c1"}))).await;
    assert_eq!(numbers(&client.next().await), [0, 1, 0]);
    assert_eq!(client.read(ack("c1").len()).await, ack("c1"));
    let letters = client.dead_letters();
    for reason in ["a record must be a map, not a string", "time must be", "[time, record]", "name must be"] {
        assert!(letters.contains(reason), "{reason} in {letters}");
    }
    let Accounts { received, delivered, dead_lettered, .. } = accounts(&client);
    assert_eq!((received, delivered, dead_lettered), (7, 3, 4));
}

#[tokio::test(start_paused = true)]
async fn a_chunk_is_not_acknowledged_while_its_bad_entries_cannot_be_written() {
    let mut letters = None;
    let mut client = Client::of(ForwardSettings::default(), |cx| letters = Some(cx.dead_letters.clone()));
    let letters = letters.unwrap();
    let room = |bytes| DeadLetterSettings {
        max_bytes: Bytes(bytes),
        when_full: WhenFull::Stop,
        ..Default::default()
    };
    letters.configure(&room(1));
    letters.raw("source", "other", [("the first is taken however small the room", &b"x"[..])]).unwrap();
    let all = [entries(2), pack(&json!([TIME, "no record"]))].concat();
    client.send(&packed("t", &all, &json!({"chunk": "c1"}))).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let Accounts { received, dead_lettered, .. } = accounts(&client);
    assert_eq!((received, dead_lettered), (1, 0), "the records wait behind it");
    letters.configure(&room(1 << 20));
    assert_eq!(numbers(&client.next().await), [0, 1]);
    assert_eq!(client.read(ack("c1").len()).await, ack("c1"));
    assert_eq!(accounts(&client).dead_lettered, 1);
}

#[tokio::test(start_paused = true)]
async fn entries_that_end_in_the_middle_go_to_the_dead_letters() {
    let mut client = Client::new();
    let mut all = entries(3);
    all.pop();
    client.send(&packed("t", &all, &json!({"chunk": "c1"}))).await;
    assert_eq!(numbers(&client.next().await), [0, 1]);
    assert_eq!(client.read(ack("c1").len()).await, ack("c1"));
    assert!(client.dead_letters().contains("ends in the middle"));
}

#[tokio::test(start_paused = true)]
async fn a_message_of_the_wrong_shape_costs_itself_alone() {
    let mut client = Client::new();
    for wrong in [json!([]), json!(["t"]), json!([1, 2, 3]), json!(["t", TIME, "text", {"chunk": "c1"}])] {
        client.send(&pack(&wrong)).await;
    }
    client.send(&pack(&json!(["t", TIME, {"n": 1}]))).await;
    assert_eq!(numbers(&client.rest().await), [1]);
    assert_eq!(client.read_all().await, ack("c1"), "sending it again would not make it better");
    assert_eq!(accounts(&client).dead_lettered, 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_messagepack_ends_the_connection_and_what_came_before_is_kept() {
    for garbage in
        [&b"\x93\xa1t\xc1"[..], b"GET / HTTP/1.1\r\n", b"[\"t\",1,{}]", b"\x16\x03\x01\x00", b"hello"]
    {
        let mut client = Client::new();
        client.send(&pack(&json!(["t", TIME, {"n": 1}, {"chunk": "c1"}]))).await;
        client.send(garbage).await;
        assert_eq!(numbers(&client.next().await), [1]);
        assert_eq!(client.read_all().await, ack("c1"));
        client.serving.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_says_it_is_too_long_ends_the_connection_before_it_is_read() {
    let settings = ForwardSettings { max_message: Bytes(1000), ..ForwardSettings::default() };
    let mut client = Client::with(settings);
    // An array of tag and 4 GiB of bytes; then one of four billion elements.
    client.send(b"\x92\xa1t\xc6\xff\xff\xff\xff").await;
    assert_eq!(client.read_all().await, b"");
    client.reconnect().await.unwrap();
    client.send(b"\xdd\xff\xff\xff\xff").await;
    assert_eq!(client.read_all().await, b"");
}

#[tokio::test(start_paused = true)]
async fn gzip_members_and_zstd_frames_are_expanded() {
    let (first, second) = (entries(5), entries(3));
    let frames = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    for (name, bytes) in [
        ("gzip", [gzip(&first), gzip(&second)].concat()),
        ("zstd", [frames(&first), frames(&second)].concat()),
        ("text", [&first[..], &second].concat()),
    ] {
        let mut client = Client::new();
        client.send(&packed("t", &bytes, &json!({"chunk": "c1", "compressed": name}))).await;
        assert_eq!(numbers(&client.next().await), [0, 1, 2, 3, 4, 0, 1, 2], "{name}");
        assert_eq!(client.read(ack("c1").len()).await, ack("c1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_compressed_message_of_any_size_is_taken_window_by_window() {
    let mut client = Client::new();
    let long = "x".repeat(600_000);
    let mut all = entries(30_000);
    all.extend(pack(&json!([TIME, {"n": 30_000, "long": long}])));
    client.send(&packed("t", &gzip(&all), &json!({"compressed": "gzip"}))).await;
    let records = client.rest().await;
    assert_eq!(numbers(&records), (0..=30_000).collect::<Vec<_>>());
    assert_eq!(records[30_000]["long"], long);
}

#[tokio::test(start_paused = true)]
async fn what_expands_past_the_limit_or_not_at_all_goes_to_the_dead_letters() {
    let bomb = gzip(&vec![0xc0; 3 << 20]);
    let mut cut = gzip(&entries(10_000));
    cut.truncate(cut.len() - 9);
    for (bytes, compressed, reason) in [
        (&bomb, "gzip", "expands to more than 1048576 bytes"),
        (&cut, "gzip", "cannot be read"),
        (&bomb, "zstd", "cannot be read"),
        (&bomb, "lz4", "no known compression: `lz4`"),
    ] {
        let settings = ForwardSettings { max_expanded: Bytes(1 << 20), ..ForwardSettings::default() };
        let mut client = Client::with(settings);
        client.send(&packed("t", bytes, &json!({"chunk": "c1", "compressed": compressed}))).await;
        client.rest().await;
        assert_eq!(client.read_all().await, ack("c1"), "{reason}");
        assert!(client.dead_letters().contains(reason), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_expands_to_half_of_the_memory_of_all_connections_goes_to_the_dead_letters() {
    let settings = ForwardSettings { max_buffered: Bytes(2 << 20), ..ForwardSettings::default() };
    let mut client = Client::with(settings);
    let fits = pack(&json!([TIME, {"n": 1, "text": "x".repeat(900_000)}]));
    client.send(&packed("t", &gzip(&fits), &json!({"compressed": "gzip"}))).await;
    assert_eq!(numbers(&client.next().await), [1]);
    let large = pack(&json!([TIME, {"n": 2, "text": "x".repeat(20 << 20)}]));
    client.send(&packed("t", &gzip(&large), &json!({"chunk": "c1", "compressed": "gzip"}))).await;
    assert!(client.rest().await.is_empty());
    assert_eq!(client.read_all().await, ack("c1"));
    assert!(client.dead_letters().contains("one of them expands to more than 1048576 bytes"));
}

#[tokio::test(start_paused = true)]
async fn messages_without_ack_pile_up_until_the_batch_is_old() {
    let mut client = Client::new();
    let started = Instant::now();
    for n in 0..10 {
        client.send(&pack(&json!(["t", TIME, {"n": n}]))).await;
        tokio::time::advance(Duration::from_millis(5)).await;
    }
    assert_eq!(client.next().await.len(), 10);
    let age = started.elapsed();
    assert!(age >= Duration::from_millis(100) && age < Duration::from_millis(130), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_no_records() {
    let mut client = Client::new();
    client.send(b"\xc0\xc0").await;
    client.send(&pack(&json!(["t", 0, {"n": 1}]))).await;
    client.send(b"\xc0").await;
    let records = client.rest().await;
    assert_eq!(records, [json!({"@tag": "t", "@timestamp": "2023-11-14T22:13:20Z", "n": 1})]);
}

#[tokio::test(start_paused = true)]
async fn the_tag_may_be_replaced_and_get_a_prefix() {
    let settings = ForwardSettings { tag_prefix: Some("edge.".to_owned()), ..ForwardSettings::default() };
    let mut client = Client::with(settings.clone());
    client.send(&pack(&json!(["t", TIME, {"n": 1}]))).await;
    assert_eq!(client.rest().await[0]["@tag"], "edge.t");
    let mut client = Client::with(ForwardSettings { tag: Some("web".to_owned()), ..settings });
    client.send(&pack(&json!(["t", TIME, {"n": 1}]))).await;
    assert_eq!(client.rest().await[0]["@tag"], "edge.web");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_stops_takes_what_has_arrived_and_answers_before_it_closes() {
    let mut client = Client::new();
    client.send(&pack(&json!(["t", TIME, {"n": 1}, {"chunk": "c1"}]))).await;
    let first = client.batch().await;
    client.send(&pack(&json!(["t", TIME, {"n": 2}]))).await;
    client.hub.cx.stop.cancel();
    assert_eq!(numbers(&client.next().await), [2]);
    settle_down().await;
    assert!(!client.serving.is_finished());
    first.receipt.delivered();
    assert_eq!(client.read_all().await, ack("c1"));
    assert!(client.rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn records_that_no_client_sends_again_are_sent_again_by_the_source() {
    let mut client = Client::new();
    client.send(&pack(&json!(["t", TIME, {"n": 1}]))).await;
    drop(client.batch().await.receipt);
    drop(client.batch().await.receipt);
    assert_eq!(numbers(&client.rest().await), [1]);
    let Accounts { received, returned, delivered, .. } = accounts(&client);
    assert_eq!((received, returned, delivered), (3, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn all_records_that_came_back_together_are_sent_again_after_one_pause() {
    let mut client = Client::new();
    let mut came = Vec::new();
    for n in 0..100 {
        client.send(&pack(&json!(["t", TIME, {"n": n}]))).await;
        came.push(client.batch().await);
    }
    drop(came);
    // The clock goes on by itself as soon as everybody waits for it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut again = Vec::new();
    while let Some(batch) = client.buffer.try_lease() {
        again.extend(numbers(&json(&batch.records)));
        batch.receipt.delivered();
    }
    assert_eq!(again, (0..100).collect::<Vec<u64>>());
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_read_no_further_while_too_much_of_it_is_on_its_way() {
    let settings = ForwardSettings { max_in_flight: Bytes(50_000), ..ForwardSettings::default() };
    let mut client = Client::with(settings);
    let message = packed("t", &entries(1000), &json!({}));
    for _ in 0..10 {
        client.send(&message).await;
    }
    settle_down().await;
    let mut waiting = Vec::new();
    while let Some(batch) = client.buffer.try_lease() {
        waiting.push(batch);
    }
    assert_eq!(waiting.len(), 2);
    let rows: usize = waiting.iter().map(|b| b.records.rows()).sum();
    waiting.into_iter().for_each(|b| b.receipt.delivered());
    assert_eq!(client.rest().await.len(), 10_000 - rows);
}

/// A piece of a line as Docker sends it.
fn piece(id: &str, ordinal: u32, last: bool, log: &str, chunk: Option<String>) -> Vec<u8> {
    let record = json!({
        "container_id": "c", "container_name": "/c", "source": "stdout", "log": log, "partial_message": "true",
        "partial_id": id, "partial_ordinal": ordinal.to_string(), "partial_last": last.to_string(),
    });
    let options = chunk.map_or(json!({}), |chunk| json!({"chunk": chunk}));
    pack(&json!(["t", TIME, record, options]))
}

#[tokio::test(start_paused = true)]
async fn each_piece_of_a_line_is_answered_at_once_and_the_last_when_the_line_is_safe() {
    let mut client = Client::new();
    for ordinal in 1..=3 {
        let chunk = format!("c{ordinal}");
        client.send(&piece("p", ordinal, ordinal == 3, "abc", Some(chunk.clone()))).await;
        if ordinal < 3 {
            assert_eq!(client.read(ack(&chunk).len()).await, ack(&chunk));
        }
    }
    let batch = client.batch().await;
    assert_eq!(json(&batch.records)[0]["log"], "abcabcabc");
    settle_down().await;
    assert_eq!(client.hub.chunks.waiting(), 1);
    // Nobody sends the first two pieces again, so the line must not be lost when it comes back.
    drop(batch.receipt);
    assert_eq!(client.next().await[0]["log"], "abcabcabc");
    assert_eq!(client.read(ack("c3").len()).await, ack("c3"));
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_cut_off_is_complete_after_a_while() {
    let mut client = Client::new();
    client.send(&piece("p", 1, false, "cut ", None)).await;
    client.send(&piece("p", 2, false, "off", None)).await;
    settle_down().await;
    let started = Instant::now();
    let records = client.next().await;
    assert_eq!(records[0]["log"], "cut off");
    assert_eq!(records[0].as_object().unwrap().len(), 6);
    assert_eq!(started.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn pieces_stay_records_of_their_own_where_joining_is_off() {
    let mut client = Client::with(ForwardSettings { join_partial: false, ..ForwardSettings::default() });
    client.send(&piece("p", 1, false, "a", None)).await;
    client.send(&piece("p", 2, true, "b", None)).await;
    let records = client.rest().await;
    assert_eq!(records.len(), 2);
    assert_eq!(records[1]["partial_ordinal"], "2");
}
