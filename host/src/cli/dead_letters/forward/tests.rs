use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_lossless_line;
use flitch_core::batch::encode::ndjson_lossless;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::dead_letter::read::{Filter, list};
use flitch_core::dead_letter::replay::{Replayed, send};
use flitch_core::dead_letter::{Cause, DeadLetters};
use flitch_core::tasks::{blocking, joined};
use flitch_sources::SourceKind;
use flitch_sources::testing::context_in;

/// A forward source whose records are all delivered.
struct Source {
    settings: ForwardSettings,
    /// The records, each as a letter would have it.
    records: Arc<Mutex<Vec<Value>>>,
    folder: tempfile::TempDir,
    _tasks: (JoinHandle<anyhow::Result<()>>, JoinHandle<()>),
}

impl Source {
    async fn start(settings: Value) -> Source {
        let folder = tempfile::tempdir().unwrap();
        let (cx, buffer) = context_in(folder.path(), "docker");
        let mut settings = settings;
        settings["listen"] = json!(format!("unix://{}", folder.path().join("s").display()));
        let settings: ForwardSettings = serde_json::from_value(settings).unwrap();
        let running = joined(SourceKind::start(&settings, cx).await.unwrap());
        let records = Arc::new(Mutex::new(Vec::new()));
        let came = records.clone();
        let taking = joined(async move {
            while let Some(batch) = buffer.lease().await {
                let text = ndjson_lossless(&batch.records);
                let rows =
                    (0..batch.records.rows()).map(|row| serde_json::from_slice(text.row(row)).unwrap());
                came.lock().extend(rows.collect::<Vec<Value>>());
                batch.receipt.delivered();
            }
        });
        Source { settings, records, folder, _tasks: (running, taking) }
    }

    fn letters(&self) -> PathBuf {
        self.folder.path().join("letters")
    }

    /// Puts records among the letters, and what never was one.
    fn dead(&self, lines: &[String]) {
        let letters = DeadLetters::open(&self.letters()).unwrap();
        let mut builder = Builder::new();
        for line in lines {
            decode_lossless_line(&mut builder, line.as_bytes()).unwrap();
        }
        let records = builder.finish(InvalidUtf8::Bytes, &Constants::new()).records;
        let cause = |row| Cause { row, reason: "wrong".into() };
        let causes: Vec<Cause> = (0..lines.len() as u32).map(cause).collect();
        letters.records("output", "lake", &records, &causes).unwrap();
        letters.raw("source", "web", [("no record", &b"\xffraw"[..])]).unwrap();
    }

    /// Sends the letters to a source of these settings: what was done, and how many could not be sent.
    async fn replay(&self, settings: &ForwardSettings) -> (io::Result<Replayed>, u64) {
        let (folder, settings) = (self.letters(), settings.clone());
        let sending = blocking(move || {
            let mut forward = Forward::to_source(&settings, &TlsArgs::default()).unwrap();
            let done = send(&folder, &Filter::default(), &mut forward);
            (done, forward.unfit())
        });
        sending.await.unwrap()
    }
}

fn left(folder: &Path) -> u64 {
    list(folder, &Filter::default()).unwrap().letters
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_with_their_tag_their_time_and_their_bytes() {
    let source = Source::start(json!({"tag_prefix": "again."})).await;
    let line =
        |tag: &str, time: &str, rest: &str| format!(r#"{{"@tag":"{tag}","@timestamp":"{time}",{rest}}}"#);
    let mut lines = vec![
        line("docker.a", "2026-11-20T13:55:36.123456789Z", r#""log":"x\ny","n":1,"f":1.5"#),
        line("docker.b", "1969-12-31T23:59:59.5Z", r#""raw":{"$bytes":"/wAK"},"in":{"l":[1,{}]}"#),
        line("docker.a", "2200-01-01T00:00:00Z", r#""u":18446744073709551615,"none":null"#),
        line(&"long".repeat(300), "2026-11-20T13:55:36Z", r#""$$bytes":"no bytes""#),
    ];
    let fit = lines.clone();
    lines.insert(1, line("docker.a", "2026-11-20T13:55:36Z", r#""n":123456789012345678901234567890"#));
    source.dead(&lines);
    let (done, unfit) = source.replay(&source.settings).await;
    assert_eq!((done.unwrap(), unfit), (Replayed { sent: 4, kept: 2, refused: 0, broken: 0 }, 2));
    let wanted: Vec<Value> = fit.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let time = |record: &Value| record["@timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let records = source.records.lock().clone();
    assert_eq!(records.iter().map(time).collect::<Vec<_>>(), wanted.iter().map(time).collect::<Vec<_>>());
    let rest = |record: &Value| {
        let mut record = record.clone();
        record["@timestamp"].take();
        record
    };
    assert_eq!(records.iter().map(rest).collect::<Vec<_>>(), wanted.iter().map(rest).collect::<Vec<_>>());
    assert_eq!(left(&source.letters()), 2, "what cannot be sent is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_letters_come_in_their_order_in_messages_of_bounded_size() {
    let source = Source::start(json!({"max_message": "64KiB"})).await;
    let text = "x".repeat(1000);
    let lines: Vec<String> = (0..2000)
        .map(|n| format!(r#"{{"@tag":"t{}","n":{n},"text":"{text}"}}"#, usize::from(n % 10 == 0)))
        .collect();
    source.dead(&lines);
    let (done, _) = source.replay(&source.settings).await;
    assert_eq!(done.unwrap().sent, 2000);
    let numbers: Vec<u64> = source.records.lock().iter().map(|r| r["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..2000).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_refuses_leaves_the_letters_and_says_why() {
    let security = json!({"shared_key": "secret", "users": {"ada": "lovelace"}});
    let source = Source::start(json!({ "security": security })).await;
    source.dead(&[r#"{"n":1}"#.to_owned()]);
    let with = |security: Value| {
        let security = serde_json::from_value(security).unwrap();
        ForwardSettings { security, ..source.settings.clone() }
    };
    for (security, why) in [
        (json!({"shared_key": "guess"}), "it refuses the handshake: shared_key mismatch"),
        (json!({"shared_key": "secret"}), "it refuses the handshake: username/password mismatch"),
        (json!(null), "it asks for a shared key (`security`)"),
    ] {
        let error = source.replay(&with(security)).await.0.unwrap_err().to_string();
        assert!(error.ends_with(why) && error.contains("/s: "), "{error}");
        assert_eq!(left(&source.letters()), 2);
    }
    assert!(source.records.lock().is_empty());
    source.replay(&source.settings).await.0.unwrap();
    assert_eq!(source.records.lock()[0]["n"], 1);
    assert_eq!(left(&source.letters()), 1, "what never was a record");
}
