//! What every source must do, run on all of them: go on through a reload, whatever becomes of the pipelines that it
//! sends to, and lose nothing by it.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use arrow_array::cast::AsArray;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::SourceSettings;
use super::testing::{context, pipeline};
use crate::batch::Cut;
use crate::buffers::MemoryBuffer;
use crate::inlet::Inlet;

const RECORDS: usize = 6;
const LONG: Duration = Duration::from_secs(60);

/// Settings of every type of source. A new one stands here and in [`feed`].
fn all(folder: &Path) -> Vec<SourceSettings> {
    let port = flitch_tests::ports::free;
    let settings = [
        json!({"file": {"include": [folder.join("*.log")], "read_from": "beginning"}}),
        json!({"forward": {"listen": format!("127.0.0.1:{}", port())}}),
        json!({"http": {"listen": format!("127.0.0.1:{}", port()), "codec": "lines"}}),
        json!({"generator": {"format": "nginx", "count": RECORDS}}),
    ];
    settings.into_iter().map(|one| serde_json::from_value(one).unwrap()).collect()
}

fn text(number: usize) -> String {
    format!("record {number}")
}

/// Gives a source its records as its clients would, until each is taken. Answers their texts.
async fn feed(settings: &SourceSettings, folder: &Path) -> Vec<String> {
    let texts: Vec<String> = (0..RECORDS).map(text).collect();
    match settings {
        SourceSettings::File(_) => {
            std::fs::write(folder.join("a.log"), texts.join("\n") + "\n").unwrap();
            texts
        }
        SourceSettings::Forward(settings) => {
            let address = settings.listen.iter().next().unwrap().to_string();
            let mut client = TcpStream::connect(address).await.unwrap();
            for text in &texts {
                let mut message = vec![0x93, 0xa1, b't', 0xce, 0x65, 0, 0, 0, 0x81, 0xa7];
                message.extend(b"message");
                message.push(0xa0 | text.len() as u8);
                message.extend(text.as_bytes());
                client.write_all(&message).await.unwrap();
            }
            crate::tasks::client(async move {
                // Whatever it hears, and however it ends.
                let _ = client.read_to_end(&mut Vec::new()).await;
            });
            texts
        }
        SourceSettings::Http(settings) => {
            for text in texts.clone() {
                let address = settings.listen.to_string();
                crate::tasks::client(async move { while post(&address, &text).await != "200" {} });
            }
            texts
        }
        SourceSettings::Generator(settings) => (0..RECORDS as u64)
            .map(|number| {
                let mut line = Vec::new();
                super::generator::samples::nginx(settings.seed, number, &mut line);
                String::from_utf8(line).unwrap()
            })
            .collect(),
    }
}

/// The status of the answer.
async fn post(address: &str, text: &str) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    let length = text.len();
    let request =
        format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// How the pipelines before the reload end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// They let go of all they have.
    Finished,
    /// They are stuck until the drain timeout.
    Left,
    /// They are closed before the source hears of others, as no reload should do.
    Closed,
}

/// Delivers what comes out of a buffer, and answers the texts.
async fn next(buffer: &MemoryBuffer) -> Vec<String> {
    let batch = timeout(LONG, buffer.pop()).await.expect("a batch in time").expect("an open buffer");
    let column = batch.records.column("message").expect("the text").array().clone();
    batch.receipt.delivered();
    column.as_string::<i32>().iter().map(|text| text.expect("a value").to_owned()).collect()
}

/// Runs a source into pipelines that are full, replaces them, and answers what came out before and after in the order in
/// which it came.
async fn through(settings: SourceSettings, end: End, folder: &Path) {
    let name = format!("{end:?}: {settings:?}");
    let (mut cx, _, _state) = context("one");
    cx.cut = Cut { rows: 1, ..Cut::default() };
    let ((old, old_buffer), (new, new_buffer)) = (pipeline(1), pipeline(1));
    let connected = |inlet: Inlet| cx.intake.connect(vec![inlet]).expect("another pipeline");
    connected(old).open(true);
    let mut running = crate::tasks::joined(settings.clone().start(cx.clone()).await.expect("it starts"));
    let expected = feed(&settings, folder).await;
    // One record is in the buffer, and the next one waits for room; of HTTP it is refused.
    let waits = || matches!(settings, SourceSettings::Http(_)) || cx.intake.ledger().read().received > 1;
    let full = async {
        while !(old_buffer.is_full() && waits()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, full).await.expect("the source has something to send");
    let handover = match end {
        End::Finished => {
            let handover = connected(new);
            let mut out = Vec::new();
            let deadline = Instant::now() + LONG;
            let finished = async {
                let drained = async {
                    loop {
                        out.extend(next(&old_buffer).await);
                    }
                };
                tokio::select! {
                    biased;
                    arrived = handover.let_go(deadline) => arrived,
                    () = drained => unreachable!("it has no end"),
                }
            };
            assert!(finished.await, "{name}");
            while let Some(batch) = old_buffer.try_pop() {
                let column = batch.records.column("message").expect("the text").array().clone();
                out.push(column.as_string::<i32>().value(0).to_owned());
                batch.receipt.delivered();
            }
            handover.open(true);
            while out.len() < RECORDS {
                out.extend(next(&new_buffer).await);
            }
            if let SourceSettings::Http(_) = settings {
                out.sort();
            }
            assert_eq!(out, expected, "{name}");
            None
        }
        End::Left => {
            let handover = connected(new);
            // What HTTP has refused is nowhere.
            let is_stuck = !handover.let_go(Instant::now()).await;
            assert!(is_stuck || matches!(settings, SourceSettings::Http(_)), "{name}");
            old_buffer.close();
            Some(handover)
        }
        End::Closed => {
            old_buffer.close();
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            Some(connected(new))
        }
    };
    if let Some(handover) = handover {
        while old_buffer.try_pop().is_some() {}
        handover.open(false);
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        while seen.len() < RECORDS {
            out.extend(next(&new_buffer).await.into_iter().filter(|text| seen.insert(text.clone())));
        }
        // Clients send in the order that they like.
        if let SourceSettings::Http(_) | SourceSettings::Forward(_) = settings {
            out.sort();
        }
        assert_eq!(out, expected, "{name}");
    }
    assert!(!running.is_finished(), "{name}: a reload has ended it");
    cx.stop.cancel();
    loop {
        tokio::select! {
            ended = &mut running => break ended.expect("no panic").expect("no error"),
            _ = next(&new_buffer) => {}
        }
    }
    assert_eq!(cx.intake.ledger().read().in_flight(), 0, "{name}");
}

async fn every_source_through(end: End) {
    let folder = tempfile::tempdir().unwrap();
    for settings in all(folder.path()) {
        through(settings, end, folder.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_source_goes_on_in_order_behind_a_reload_and_sends_nothing_twice() {
    every_source_through(End::Finished).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_source_sends_again_what_a_reload_has_left() {
    every_source_through(End::Left).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_source_goes_on_when_its_pipelines_close_before_it_has_others() {
    every_source_through(End::Closed).await;
}
