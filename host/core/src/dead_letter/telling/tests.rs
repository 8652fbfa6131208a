use std::io::Write;

use tracing_subscriber::fmt::MakeWriter;

use super::super::{DeadLetterSettings, DeadLetters, WhenFull};
use super::*;
use crate::clock::Clock;
use crate::telemetry::log::Fields;
use crate::units::Bytes;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

impl Log {
    /// The lines that are written while the answer lives.
    fn kept(&self) -> tracing::subscriber::DefaultGuard {
        let lines = tracing_subscriber::fmt().with_writer(self.clone()).fmt_fields(Fields).without_time();
        tracing::subscriber::set_default(lines.with_ansi(false).with_target(false).finish())
    }

    fn lines(&self) -> Vec<String> {
        let text = std::mem::take(&mut *self.0.lock());
        String::from_utf8(text).unwrap().lines().map(|line| line.trim().to_owned()).collect()
    }
}

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn letters_are_told_at_once_and_then_once_a_minute_with_the_reason_of_the_first() {
    let (log, telling) = (Log::default(), Telling::default());
    let _kept = log.kept();
    telling.written("source", "web", 1, "no JSON");
    assert_eq!(
        log.lines(),
        [r#"WARN records went to the dead letters source="web" records=1 reason="no JSON""#]
    );
    for n in 0..1000 {
        telling.written("source", "web", 3, &format!("reason {n}"));
    }
    assert!(log.lines().is_empty());
    telling.written("output", "web", 2, &"é".repeat(REASON));
    let line = log.lines().pop().unwrap();
    assert!(
        line.starts_with(r#"WARN records went to the dead letters output="web" records=2 reason="éé"#),
        "{line}"
    );
    assert_eq!(line.matches('é').count(), REASON / 2);
    tokio::time::advance(MINUTE).await;
    telling.written("source", "web", 3, "the last");
    assert_eq!(
        log.lines(),
        [r#"WARN records went to the dead letters source="web" records=3003 reason="reason 0""#]
    );
}

#[tokio::test(start_paused = true)]
async fn letters_that_no_minute_has_told_are_told_at_the_end_with_the_reason_of_the_first() {
    let (log, telling) = (Log::default(), Telling::default());
    let _kept = log.kept();
    for (letters, reason) in [(1, "the first"), (2, "the second"), (3, "the third")] {
        telling.written("filter", "parse", letters, reason);
        telling.deleted(Path::new("letters-00000001.ndjson"), letters as u64, 10);
    }
    assert_eq!(log.lines().len(), 2);
    drop(telling);
    let lines = log.lines();
    assert_eq!(
        lines[0],
        r#"WARN records went to the dead letters filter="parse" records=5 reason="the second""#
    );
    assert!(lines.len() == 2 && lines[1].contains("letters=5 bytes=20"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn letters_that_are_deleted_are_told_once_a_minute_with_how_many_there_were_since() {
    let (log, telling) = (Log::default(), Telling::default());
    let _kept = log.kept();
    for _ in 0..10 {
        telling.deleted(Path::new("letters-00000001.ndjson"), 25, 100);
    }
    let lines = log.lines();
    assert!(lines.len() == 1 && lines[0].contains("letters=25 bytes=100"), "{lines:?}");
    tokio::time::advance(MINUTE).await;
    telling.deleted(Path::new("letters-00000011.ndjson"), 1, 5);
    let lines = log.lines();
    assert!(lines.len() == 1 && lines[0].contains("letters=226 bytes=905"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn every_letter_that_makes_room_for_another_is_among_those_that_are_told_as_deleted() {
    let (log, dir) = (Log::default(), tempfile::tempdir().unwrap());
    let _kept = log.kept();
    let when_full = WhenFull::KeepNewest;
    let settings = DeadLetterSettings { max_file_bytes: Bytes(400), max_bytes: Bytes(900), when_full };
    let letters = DeadLetters::open_with(dir.path(), &settings, Clock::fake(0)).unwrap();
    let mut told = 0;
    for n in 0..200 {
        tokio::time::advance(MINUTE).await;
        letters.raw("source", "web", [("wrong", format!("letter {n}").as_bytes())]).unwrap();
        for line in log.lines().iter().filter(|line| line.starts_with("ERROR")) {
            let (_, rest) = line.split_once("letters=").unwrap();
            told += rest.split(' ').next().unwrap().parse::<usize>().unwrap();
        }
    }
    let files =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let left: usize = files.map(|text| memchr::memchr_iter(b'\n', &text).count()).sum();
    assert!(told > 100 && told + left == 200, "{told} told, {left} left");
}

#[tokio::test(start_paused = true)]
async fn a_component_is_down_while_any_of_its_letters_wait() {
    let (log, health) = (Log::default(), Arc::<Health>::default());
    let _kept = log.kept();
    let telling = Arc::new(Telling::of(&health));
    let first = telling.stalled("out", &"the disk is full");
    let second = telling.stalled("out", &"the disk is full");
    assert_eq!(
        health.down(),
        ["dead letters out: they cannot be written, and their records wait: the disk is full"]
    );
    drop(first);
    assert_eq!(health.down().len(), 1);
    drop(second);
    assert!(health.down().is_empty());
    drop(telling.stalled("out", &"again"));
    assert_eq!(log.lines().len(), 1, "that is said once a minute");
}
