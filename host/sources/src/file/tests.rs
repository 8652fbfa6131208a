use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use arrow_array::cast::AsArray;
use tokio::time::timeout;

use super::*;
use crate::contract::{Specimen, texts};
use crate::testing;
use flitch_core::batch::Batch;

const LONG: Duration = Duration::from_secs(20);

fn lines(batch: &Batch) -> Vec<String> {
    let column = batch.records.column("message").expect("the text");
    column.array().as_string::<i32>().iter().map(|v| v.expect("a value").to_owned()).collect()
}

/// Settings whose looks are so rare that only the system's hints can be in time.
fn rarely(include: String) -> FileSettings {
    let hour = flitch_core::units::Span(Duration::from_secs(3600));
    FileSettings {
        include: vec![rig::glob(include)],
        poll_interval: hour,
        scan_interval: hour,
        ..Default::default()
    }
}

#[tokio::test]
async fn the_source_wakes_for_new_lines_and_new_files_and_stops_when_all_is_safe() {
    let (cx, buffer, folder) = testing::context("logs");
    let path = folder.path().join("a.log");
    fs::write(&path, "one\n").unwrap();
    let settings = rarely(format!("{}/*.log", folder.path().display()));
    let running = flitch_core::tasks::joined(start(settings, cx.clone()).await.unwrap());
    let next =
        || async { timeout(LONG, buffer.lease()).await.expect("a batch in time").expect("an open buffer") };
    let first = next().await;
    assert_eq!(lines(&first), ["one"]);
    first.receipt.delivered();

    fs::File::options().append(true).open(&path).unwrap().write_all(b"two\n").unwrap();
    let second = next().await;
    assert_eq!(lines(&second), ["two"]);
    second.receipt.delivered();

    fs::write(folder.path().join("b.log"), "three\n").unwrap();
    let third = next().await;
    assert_eq!(lines(&third), ["three"]);

    cx.stop.cancel();
    tokio::task::yield_now().await;
    assert!(!running.is_finished(), "it waits for the last receipt");
    third.receipt.delivered();
    timeout(LONG, running).await.expect("it ends").expect("no panic").expect("no error");
    let saved = checkpoint::Store::open(&cx.state_dir).unwrap().1.unwrap();
    let mut saved: Vec<_> =
        saved.iter().map(|kept| (kept.path.file_name().unwrap(), kept.position)).collect();
    saved.sort();
    assert_eq!(saved, [("a.log".as_ref(), 8), ("b.log".as_ref(), 6)]);
}

#[tokio::test]
async fn a_source_whose_pipelines_are_full_ends_when_they_are_closed() {
    let (cx, buffer, folder) = testing::context("logs");
    fs::write(folder.path().join("a.log"), format!("{}\n", "x".repeat(1000)).repeat(40_000)).unwrap();
    let settings = FileSettings {
        include: vec![rig::glob(format!("{}/*.log", folder.path().display()))],
        ..Default::default()
    };
    let running = flitch_core::tasks::joined(start(settings, cx.clone()).await.unwrap());
    timeout(LONG, async {
        while buffer.stats().bytes < 15 << 20 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("40 MB fill the buffer");
    cx.stop.cancel();
    buffer.close();
    while buffer.try_lease().is_some() {}
    timeout(LONG, running).await.expect("it ends").expect("no panic").expect("no error");
    assert_eq!(cx.intake.ledger().read().in_flight(), 0);
}

#[tokio::test]
async fn settings_that_make_no_sense_refuse_the_start() {
    let (cx, _buffer, _folder) = testing::context("logs");
    let error = start(FileSettings::default(), cx).await.err().expect("refused");
    assert!(error.to_string().contains("`include` is empty"), "{error}");
}

#[test]
fn settings_are_read_with_their_units_and_unknown_ones_are_refused() {
    let text = r#"{"include": ["a*"], "max_line": "2MiB", "multiline": {"start": "^x", "timeout": "500ms"}}"#;
    let settings: FileSettings = serde_json::from_str(text).unwrap();
    assert_eq!(settings.max_line.0, 2 << 20);
    assert_eq!(settings.multiline.unwrap().timeout.0, Duration::from_millis(500));
    let error = serde_json::from_str::<FileSettings>(r#"{"includes": []}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `includes`"), "{error}");
}

#[test]
fn globs_and_patterns_are_checked_where_they_stand() {
    let refused = |text: &str| serde_json::from_str::<FileSettings>(text).unwrap_err().to_string();
    assert!(refused(r#"{"include": ["/a", "/var/[x"]}"#).contains("`/var/[x` is no glob: "));
    assert!(refused(r#"{"exclude": [""]}"#).contains("the glob is empty"));
    assert!(refused(r#"{"include": ["/var/*/../log"]}"#).contains("goes up with `..`"));
    assert!(refused(r#"{"multiline": {"start": "(x"}}"#).contains("`(x` is no regular expression"));
}

#[test]
fn what_the_settings_contradict_is_found_without_a_start() {
    let include = vec![rig::glob("/a".to_owned())];
    assert!(FileSettings { include: include.clone(), ..Default::default() }.check().is_ok());
    assert!(FileSettings::default().check().is_err());
    let multiline = Some(MultilineSettings::default());
    let error = FileSettings { include, multiline, ..Default::default() }.check().unwrap_err().to_string();
    assert!(error.contains("`multiline` needs `start`"), "{error}");
}

#[tokio::test]
async fn files_behind_a_link_that_are_rotated_in_quick_succession_are_read_to_their_end() {
    let (cx, buffer, folder) = testing::context("logs");
    let root = folder.path().canonicalize().unwrap();
    for name in ["pods", "containers"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    let live = root.join("pods/0.log");
    fs::write(&live, "0\n").unwrap();
    std::os::unix::fs::symlink(&live, root.join("containers/web.log")).unwrap();
    let mut settings = rarely(format!("{}/containers/*.log", root.display()));
    settings.max_open_files = 1;
    let running = flitch_core::tasks::joined(start(settings, cx.clone()).await.unwrap());
    let mut got = Vec::new();
    let mut take = async |most: usize| {
        while got.len() < most {
            let batch =
                timeout(LONG, buffer.lease()).await.expect("a batch in time").expect("an open buffer");
            got.extend(lines(&batch));
            batch.receipt.delivered();
        }
        got.clone()
    };
    take(1).await;
    const ROUNDS: usize = 100;
    for round in 1..=ROUNDS {
        fs::rename(&live, root.join(format!("pods/0.log.{round}"))).unwrap();
        fs::write(&live, format!("{round}\n")).unwrap();
    }
    let mut numbers: Vec<usize> = take(ROUNDS + 1).await.iter().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..=ROUNDS).collect::<Vec<_>>());
    cx.stop.cancel();
    timeout(LONG, running).await.expect("it ends").expect("no panic").expect("no error");
}

impl Specimen for FileSettings {
    const SENDS_AGAIN: bool = true;
    const KNOWS_AGAIN: bool = true;

    fn specimen(folder: &Path) -> FileSettings {
        let settings = serde_json::json!({ "include": [folder.join("*.log")], "read_from": "beginning" });
        serde_json::from_value(settings).unwrap()
    }

    async fn feed(&self, folder: &Path) -> Vec<String> {
        fs::write(folder.join("a.log"), texts().join("\n") + "\n").unwrap();
        texts()
    }
}
