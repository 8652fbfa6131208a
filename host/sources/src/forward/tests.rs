//! What real clients sent, from their first byte to records.

use std::convert::Infallible;
use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::ForwardSettings;
use super::harness::{Client, pack, packed, recordings, testdata};
use crate::contract::{Specimen, texts};

#[tokio::test(start_paused = true)]
async fn a_task_of_the_source_that_ends_or_panics_unasked_ends_the_source_with_an_error() {
    async fn ended(
        asked: bool,
        end: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let (alive, gone) = mpsc::channel::<Infallible>(1);
        let stop = CancellationToken::new();
        let (mut tasks, stopped) = (JoinSet::new(), stop.clone());
        tasks.spawn(async move {
            if asked {
                stopped.cancelled().await;
                drop(alive);
            } else {
                alive.closed().await;
            }
            Ok(())
        });
        tasks.spawn(async move { end() });
        if asked {
            stop.cancel();
        }
        super::watch(tasks, gone, &stop).await
    }
    let error = |ended: anyhow::Result<()>| format!("{:#}", ended.unwrap_err());
    assert!(error(ended(false, || panic!("heartbeats")).await).starts_with("a task of the source panicked"));
    assert_eq!(error(ended(false, || anyhow::bail!("no socket")).await), "no socket");
    assert!(error(ended(false, || Ok(())).await).contains("though nobody asked it to"));
    ended(true, || Ok(())).await.unwrap();
}

/// Replays a recording of Docker, split as it arrived.
async fn replay(name: &str) -> Vec<Value> {
    let bytes = testdata(&format!("{name}.conn0.bin"));
    let reads = String::from_utf8(testdata(&format!("{name}.conn0.reads.jsonl"))).unwrap();
    let mut client = Client::new();
    for line in reads.lines() {
        let read: Value = serde_json::from_str(line).unwrap();
        let from = read["off"].as_u64().unwrap() as usize;
        client.send(&bytes[from..from + read["len"].as_u64().unwrap() as usize]).await;
        tokio::task::yield_now().await;
    }
    let records = client.rest().await;
    assert_eq!(client.dead_letters(), "");
    records
}

fn logs(records: &[Value]) -> Vec<&str> {
    records.iter().map(|r| r["log"].as_str().unwrap()).collect()
}

fn keys(record: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = record.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

const DOCKER: [&str; 6] = ["@tag", "@timestamp", "container_id", "container_name", "log", "source"];

#[tokio::test(start_paused = true)]
async fn docker_lines_arrive_with_container_tag_and_time() {
    let records = replay("01-plain").await;
    let of = |source: &str| -> Vec<_> {
        records.iter().filter(|r| r["source"] == source).map(|r| r["log"].as_str().unwrap()).collect()
    };
    let lines = ["hello from stdout", "no newline at end", "utf8: ü€", "bad: \u{fffd}\u{fffd}", "", "last"];
    assert_eq!(of("stdout"), lines);
    assert_eq!(of("stderr"), ["to stderr"]);
    for record in &records {
        assert_eq!(record["container_name"], "/web-1");
        assert_eq!(record["@tag"], record["container_id"].as_str().unwrap()[..12]);
        assert!(record["@timestamp"].as_str().unwrap().starts_with("2026-11-20T"), "{record}");
        assert_eq!(keys(record), DOCKER);
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_of_40_kib_arrives_as_one_record() {
    let records = replay("02-partial-40k").await;
    assert_eq!(logs(&records), ["a".repeat(40_960).as_str(), "short-after"]);
    assert_eq!(keys(&records[0]), DOCKER);
    assert_eq!(records[0]["container_name"], "/big-1");
}

#[tokio::test(start_paused = true)]
async fn event_times_have_their_nanoseconds() {
    let records = replay("03-subsec").await;
    assert_eq!(logs(&records), ["line 1", "line 2", "line 3", "line 4", "line 5"]);
    let times: Vec<_> = records.iter().map(|r| r["@timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && times[0] != times[4], "{times:?}");
    assert!(times.iter().all(|time| time.len() > "2026-11-20T00:00:00.000Z".len()), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn labels_and_environment_stand_flat_in_the_record() {
    let records = replay("04-labels-env-tag").await;
    assert_eq!(logs(&records), ["labelled line"]);
    let record = &records[0];
    assert_eq!(record["app"], "shop");
    assert_eq!(record["tier"], "edge");
    assert_eq!(record["REGION"], "eu-1");
    assert_eq!(record["APP_MODE"], "prod");
    assert!(record.get("other").is_none() && record.get("SECRET").is_none());
    assert!(record["@tag"].as_str().unwrap().starts_with("docker.lbl-1."), "{record}");
}

#[tokio::test(start_paused = true)]
async fn docker_with_request_ack_gets_each_answer_before_it_sends_the_next_line() {
    let bytes = testdata("05-request-ack.conn0.bin");
    let replies = testdata("05-request-ack.conn0.replies.bin");
    let mut client = Client::new();
    for line in 0..4 {
        client.send(&bytes[line * 187..(line + 1) * 187]).await;
        let started = tokio::time::Instant::now();
        let records = client.next().await;
        assert_eq!(logs(&records), [format!("ack line {}", line + 1)]);
        assert_eq!(client.read(30).await, replies[line * 30..(line + 1) * 30]);
        assert_eq!(started.elapsed(), std::time::Duration::ZERO, "nothing waits for a timer");
    }
    assert!(client.rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn other_ways_to_start_docker_change_nothing() {
    let asynchronous: Vec<_> = (1..=8).map(|n| format!("async {n}")).collect();
    assert_eq!(logs(&replay("06-async").await), asynchronous);
    assert_eq!(logs(&replay("07-unix-socket").await), ["over unix", "second"]);
    assert_eq!(logs(&replay("11-tty").await), ["tty line one\r", "tty err\r"]);
}

#[tokio::test(start_paused = true)]
async fn lines_keep_colours_tabs_and_json_as_they_are() {
    let records = replay("08-json-and-multiline").await;
    let lines = logs(&records);
    assert_eq!(lines.len(), 9, "{lines:#?}");
    for line in [
        r#"{"level":"info","msg":"started","port":8080}"#,
        "\tat com.example.A.run(A.java:10)",
        "\u{1b}[31mred\u{1b}[0m line\r",
        "warn: to stderr",
    ] {
        assert!(lines.contains(&line), "{line:?} in {lines:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lines_at_the_edge_of_16_kib_and_one_cut_off_arrive_whole() {
    let records = replay("09-boundary-16k").await;
    let lines: Vec<_> = logs(&records).into_iter().map(|l| (l.len(), l.as_bytes()[0])).collect();
    assert_eq!(lines, [(16_383, b'b'), (16_384, b'c'), (16_385, b'd'), (20_000, b'e')]);
    assert!(records.iter().all(|record| keys(record) == DOCKER));
}

#[tokio::test(start_paused = true)]
async fn two_thousand_lines_arrive_in_order() {
    let records = replay("12-nonblocking-many").await;
    assert_eq!(records.len(), 2000);
    for (line, record) in records.iter().enumerate() {
        assert!(record["log"].as_str().unwrap().contains(&format!("\"GET /item/{} HTTP/1.1\"", line + 1)));
    }
}

#[tokio::test(start_paused = true)]
async fn every_mode_of_the_javascript_client_is_taken_and_answered_as_its_own_server_does() {
    let names = ["Message", "Forward", "PackedForward", "PackedForward"];
    for (connection, name) in names.iter().enumerate() {
        let mut client = Client::new();
        client.send(&testdata(&format!("js-modes-ack.conn{connection}.client.bin"))).await;
        let records = client.next().await;
        assert_eq!(records.len(), 3);
        for (number, record) in records.iter().enumerate() {
            assert_eq!(record["@tag"], "js.t");
            assert!(record["m"].as_str().unwrap().ends_with(name), "{record}");
            assert_eq!(record["i"], number);
        }
        let answer = testdata(&format!("js-modes-ack.conn{connection}.server.bin"));
        assert_eq!(client.read(answer.len()).await, answer);
        assert!(client.rest().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_python_client_sends_event_times_and_bytes() {
    let mut client = Client::new();
    client.send(&testdata("python-fluent-logger-0.11.1.client.bin")).await;
    let records = client.rest().await;
    assert_eq!(records[0]["from"], "userA");
    assert_eq!(records[0]["to"], "userB");
    assert_eq!(records[0]["n"], 1);
    assert_eq!(records[0]["@tag"], "app.follow");
    assert!(records[0]["@timestamp"].as_str().unwrap().ends_with(".006070653Z"), "{}", records[0]);
    assert_eq!(records[1]["@tag"], "app.f");
    assert_eq!(records[1]["@timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(records[1].as_object().unwrap().len(), 3, "{}", records[1]);
}

#[tokio::test(start_paused = true)]
async fn it_does_not_matter_where_the_bytes_are_split() {
    for name in recordings().iter().filter(|name| !name.starts_with("12")) {
        let bytes = testdata(name);
        let mut whole = Client::new();
        whole.send(&bytes).await;
        let expected = whole.rest().await;
        let step = (bytes.len() / 300).max(1);
        let mut client = Client::new();
        for piece in bytes.chunks(step) {
            client.send(piece).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(client.rest().await, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_connection_may_mix_tags_and_modes() {
    let mut client = Client::new();
    let time = 1_700_000_000;
    client.send(&pack(&json!(["a", time, {"n": 1}]))).await;
    client.send(&pack(&json!(["b", [[time, {"n": 2}], [time + 1, {"n": 3}]]]))).await;
    let entries = [pack(&json!([time, {"n": 4}])), pack(&json!([time, {"n": 5}]))].concat();
    client.send(&packed("a", &entries, &json!({"size": 2}))).await;
    let records = client.rest().await;
    let seen: Vec<_> =
        records.iter().map(|r| (r["@tag"].as_str().unwrap(), r["n"].as_i64().unwrap())).collect();
    assert_eq!(seen, [("a", 1), ("b", 2), ("b", 3), ("a", 4), ("a", 5)]);
    let times: Vec<_> = records.iter().map(|r| r["@timestamp"].as_str().unwrap()).collect();
    assert_eq!(times[0], "2023-11-14T22:13:20Z");
    assert_eq!(times[2], "2023-11-14T22:13:21Z");
}

impl Specimen for ForwardSettings {
    fn specimen(_: &Path) -> ForwardSettings {
        let listen = format!("127.0.0.1:{}", flitch_tests::ports::free());
        serde_json::from_value(json!({ "listen": listen, "max_connections": 8 })).unwrap()
    }

    async fn feed(&self, _: &Path) -> Vec<String> {
        let address = self.listen.iter().next().unwrap().to_string();
        let mut client = TcpStream::connect(address).await.unwrap();
        for text in texts() {
            let mut message = vec![0x93, 0xa1, b't', 0xce, 0x65, 0, 0, 0, 0x81, 0xa7];
            message.extend(b"message");
            message.push(0xa0 | text.len() as u8);
            message.extend(text.as_bytes());
            client.write_all(&message).await.unwrap();
        }
        flitch_core::tasks::client(async move {
            // Whatever it hears, and however it ends.
            let _ = client.read_to_end(&mut Vec::new()).await;
        });
        texts()
    }
}
