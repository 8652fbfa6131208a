use serde_json::{Value, json};

use super::*;
use crate::judge::Judge;
use crate::tests::{context, messages};
use crate::{OnError, Program};

const BOUNDS: Bounds = Bounds { time: Duration::ZERO, records: 100, bytes: 1 << 20 };

/// The guest in C, which writes the first word in capitals, drops and rejects.
fn filter(on_error: OnError) -> Arc<Filter> {
    let mut settings = FilterSettings::of(flitch_tests::guests::c_filter().to_str().unwrap());
    settings.on_error = on_error;
    Program::load(&[("mine", &settings)], &context()).unwrap().filters()[0].clone()
}

fn recorded(filter: &Arc<Filter>, recording: &Recording, batches: &[&[&str]]) -> Recorded {
    let mut judge = Judge::new(filter.clone(), None);
    for texts in batches {
        let records = messages(texts);
        recording.take(filter, &records, &judge.judge(&records));
    }
    recording.taken.lock().clone()
}

/// The records of lines, without the time and tag that they all have.
fn lines(text: &[u8]) -> Vec<Value> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(crate::cases::row_of).collect()
}

#[test]
fn a_recording_holds_what_came_and_what_the_filter_made_of_it() {
    for on_error in [OnError::DeadLetter, OnError::Pass, OnError::Drop] {
        let recording = Recording::new("mine", BOUNDS);
        let batches: [&[&str]; 2] = [&["one", "DROP it", "REJECT that"], &["REJECT this", "TRAP", "two"]];
        let found = recorded(&filter(on_error), &recording, &batches);
        assert_eq!((found.seen, found.records, found.left_out, found.ended), (6, 6, 0, None));
        assert_eq!(lines(&found.input)[4], json!({"message": "TRAP"}));
        let out = [json!({"message": "one", "upper": "ONE"}), json!({"message": "two", "upper": "TWO"})];
        assert_eq!(lines(&found.output), out, "{on_error:?}");
        let places: Vec<usize> = found.rejected.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [2, 3, 4]);
        assert!(found.rejected[0].1.contains("that"), "{:?}", found.rejected);
    }
}

#[test]
fn a_recording_is_spread_over_its_time_and_ends_at_its_bounds() {
    let recording = Recording::new("mine", Bounds { time: Duration::from_secs(3600), records: 30, ..BOUNDS });
    let texts: Vec<String> = (0..100).map(|n| format!("n{n}")).collect();
    let batch: Vec<&str> = texts.iter().map(String::as_str).collect();
    let found = recorded(&filter(OnError::default()), &recording, &[&batch, &batch]);
    assert_eq!((found.seen, found.records), (200, 3), "a tenth at once, and more as the hour goes on");
    let first: Vec<Value> = lines(&found.input);
    assert_eq!((&first[0]["message"], &first[1]["message"]), (&json!("n0"), &json!("n33")));
    assert_eq!(recording.allowed(Duration::from_secs(1800)), 15);
    let found = recorded(
        &filter(OnError::default()),
        &Recording::new("mine", Bounds { records: 3, ..BOUNDS }),
        &[&batch, &batch],
    );
    assert_eq!((found.records, found.seen, found.ended), (3, 100, Some(Ended::Full)));
    let found = recorded(
        &filter(OnError::default()),
        &Recording::new("mine", Bounds { bytes: 400, ..BOUNDS }),
        &[&batch],
    );
    assert!(found.input.len() + found.output.len() <= 400 && found.records > 1, "{found:?}");
    assert_eq!(found.records + found.left_out, 100);
}

#[test]
fn a_recording_ends_where_the_filter_becomes_another() {
    let recording = Recording::new("mine", BOUNDS);
    recorded(&filter(OnError::Drop), &recording, &[&["a"]]);
    let found = recorded(&filter(OnError::Pass), &recording, &[&["b"]]);
    assert_eq!((found.records, found.ended), (1, Some(Ended::Replaced)));
}

#[tokio::test(start_paused = true)]
async fn one_recording_is_under_way_at_a_time_and_ends_by_itself() {
    let time = Duration::from_secs(60);
    let under_way = UnderWay::begin("nobody", Bounds { time, ..BOUNDS }).unwrap();
    assert_eq!(UnderWay::begin("other", BOUNDS).unwrap_err(), Busy);
    under_way.over().await;
    assert!(under_way.finish().settings.is_none());
    drop(UnderWay::begin("other", BOUNDS).unwrap());
    let full =
        UnderWay::begin("mine", Bounds { records: 1, time: Duration::from_secs(1 << 30), ..BOUNDS }).unwrap();
    let filter = filter(OnError::default());
    let records = messages(&["a"]);
    note(&filter, &records, &Judge::new(filter.clone(), None).judge(&records));
    full.over().await;
    assert_eq!(full.finish().ended, Some(Ended::Full));
}

/// See `plugins/README.md`.
#[test]
fn the_tag_and_time_of_cases_do_not_stand_in_what_goes_on() {
    let lines = [
        r#"{"message":"a","@tag":"test","@timestamp":"1970-01-01T00:00:00Z","n":1e400}"#,
        r#"{"message":"b","@tag":"tests","@timestamp":"1970-01-01T00:00:00.1Z"}"#,
    ];
    let records = crate::cases::records_of(lines.iter().map(|line| line.as_bytes())).unwrap();
    let filter = filter(OnError::default());
    let recording = Recording::new("mine", BOUNDS);
    recording.take(&filter, &records, &Judge::new(filter.clone(), None).judge(&records));
    let out = String::from_utf8(recording.taken.lock().output.clone()).unwrap();
    let out: Vec<&str> = out.lines().collect();
    assert_eq!(out[0], r#"{"message":"a","n":1e400,"upper":"A"}"#);
    assert!(out[1].contains(r#""@tag":"tests""#) && out[1].contains("00.1Z"), "{out:?}");
}
