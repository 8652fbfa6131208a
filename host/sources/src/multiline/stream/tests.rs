use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::receipt::Verdict;
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::{JoinSettings, Pattern};
use super::*;

fn records(lines: &[Json]) -> Arc<Records> {
    let mut builder = Builder::new();
    for line in lines {
        decode_line(&mut builder, line.to_string().as_bytes()).unwrap();
    }
    let beside = Constants::new().text(TAG, "app");
    Records::with_any_origins(Arc::new(builder.finish(InvalidUtf8::Replace, &beside).records))
}

fn settings() -> JoinSettings {
    JoinSettings {
        r#continue: Some(Pattern::try_from("^ ".to_owned()).unwrap()),
        by: vec!["id".to_owned()],
        max_lines: 3,
        ..JoinSettings::default()
    }
}

fn rows(records: &Records) -> Vec<Json> {
    let text = records.ndjson();
    let mut rows: Vec<Json> =
        (0..records.rows()).map(|row| serde_json::from_slice(text.value(row)).unwrap()).collect();
    for row in &mut rows {
        assert_eq!(row.as_object_mut().unwrap().remove(TAG), Some("app".into()));
    }
    rows
}

/// What goes on of batches, those that were still open behind it.
fn joined(batches: &[&[Json]], settings: &JoinSettings) -> Vec<Json> {
    let (manner, mut stream) = (settings.manner().unwrap(), Stream::default());
    let mut out = Vec::new();
    let mut push = |ready: Option<Ready>| {
        if let Some(ready) = ready {
            assert_eq!(ready.records.origins().map(|origins| origins.rows()), Some(ready.records.rows()));
            out.extend(rows(&ready.records));
            ready.owed.into_iter().for_each(|owed| owed.settle(Verdict::Safe));
        }
    };
    for batch in batches {
        push(stream.take(records(batch), 1, Waits::all(|_| {}), &manner, Instant::now()).unwrap().ready);
    }
    push(stream.all(&manner).unwrap());
    out
}

#[test]
fn lines_of_one_record_are_joined_writer_by_writer() {
    let lines = [
        json!({"message": "a", "id": 1, "n": 1}),
        json!({"message": "b", "id": 2, "n": 2}),
        json!({"message": " a2", "id": 1, "n": 3}),
        json!({"message": " b2", "id": 2}),
        json!({"message": "c", "id": 1}),
        json!({"id": 2, "other": true}),
        json!({"message": " d", "id": 2}),
    ];
    let wanted = [
        json!({"message": "a\n a2", "id": 1, "n": 1}),
        json!({"message": "b\n b2", "id": 2, "n": 2}),
        json!({"id": 2, "other": true}),
        json!({"message": "c", "id": 1}),
        json!({"message": " d", "id": 2}),
    ];
    assert_eq!(joined(&[&lines], &settings()), wanted);
    assert_eq!(joined(&[&lines[..2], &lines[2..3], &lines[3..]], &settings()), wanted);
}

#[test]
fn a_record_ends_at_its_bounds() {
    let line = |text: &str| json!({"message": text});
    let lines = ["a", " 2", " 3", " 4", " 5"].map(line);
    assert_eq!(joined(&[&lines], &settings()), [line("a\n 2\n 3"), line(" 4\n 5")]);
    let short = JoinSettings { max_bytes: flitch_core::units::Bytes(6), ..settings() };
    assert_eq!(joined(&[&lines], &short), [line("a\n 2"), line(" 3\n 4"), line(" 5")]);
}

#[test]
fn a_batch_without_anything_to_join_goes_on_as_it_is() {
    let (manner, mut stream) = (settings().manner().unwrap(), Stream::default());
    let came = records(&[json!({"n": 1}), json!({"n": 2})]);
    let taken = stream.take(came.clone(), 7, Waits::all(|_| {}), &manner, Instant::now()).unwrap();
    let ready = taken.ready.unwrap();
    assert!(Arc::ptr_eq(&ready.records, &came));
    assert_eq!(ready.bytes, 7);
}

#[test]
fn a_batch_is_safe_when_all_records_with_lines_of_it_are() {
    let (manner, mut stream) = (settings().manner().unwrap(), Stream::default());
    let told: Arc<Mutex<Vec<(usize, Verdict)>>> = Arc::default();
    let waits = |number: usize| {
        let told = told.clone();
        Waits::all(move |verdict| told.lock().push((number, verdict)))
    };
    let now = Instant::now();
    let line = |text: &str| json!({"message": text});
    let taken = stream.take(records(&[line("a"), line("b")]), 1, waits(1), &manner, now).unwrap();
    assert!(taken.is_open);
    let first = taken.ready.unwrap();
    assert_eq!(rows(&first.records), [line("a")]);
    first.owed.into_iter().for_each(|owed| owed.settle(Verdict::Safe));
    assert!(told.lock().is_empty(), "`b` is open");
    assert!(stream.take(records(&[line(" b2")]), 1, waits(2), &manner, now).unwrap().ready.is_none());
    let third = stream.take(records(&[line("c")]), 1, waits(3), &manner, now).unwrap().ready.unwrap();
    assert_eq!(rows(&third.records), [line("b\n b2")]);
    third.owed.into_iter().for_each(|owed| owed.settle(Verdict::Safe));
    assert_eq!(*told.lock(), [(1, Verdict::Safe), (2, Verdict::Safe)]);
    // What is dropped, here or behind, comes again.
    drop(stream);
    assert_eq!(told.lock()[2], (3, Verdict::Again));
}

#[test]
fn what_waits_too_long_goes_on() {
    let (manner, mut stream) = (settings().manner().unwrap(), Stream::default());
    let now = Instant::now();
    let take = |stream: &mut Stream, id: u64, now| {
        let came = records(&[json!({"message": "a", "id": id})]);
        assert!(stream.take(came, 1, Waits::all(|_| {}), &manner, now).unwrap().ready.is_none());
    };
    take(&mut stream, 1, now);
    take(&mut stream, 2, now + Duration::from_millis(400));
    assert!(stream.memory() > 0);
    assert_eq!(stream.due(&manner), Some(now + manner.timeout));
    assert!(stream.overdue(&manner, Duration::ZERO, now + Duration::from_millis(999)).unwrap().is_none());
    let ready = stream.overdue(&manner, Duration::ZERO, now + manner.timeout).unwrap().unwrap();
    assert_eq!(rows(&ready.records), [json!({"message": "a", "id": 1})]);
    assert_eq!(stream.due(&manner), Some(now + Duration::from_millis(400) + manner.timeout));
}

#[test]
fn so_many_writers_may_have_an_open_record() {
    let (manner, mut stream) = (settings().manner().unwrap(), Stream::default());
    let lines: Vec<Json> = (0..=MOST_OPEN).map(|id| json!({"message": "a", "id": id})).collect();
    let taken = stream.take(records(&lines), 1, Waits::all(|_| {}), &manner, Instant::now()).unwrap();
    assert_eq!((taken.cut, stream.open()), (1, MOST_OPEN));
    let ready = taken.ready.unwrap();
    assert_eq!(rows(&ready.records), [json!({"message": "a", "id": 0})]);
}

/// A line of one of three writers, where the column may hold other kinds as well.
fn any_line() -> impl Strategy<Value = Json> {
    let message = prop_oneof![
        4 => "[a-c \"\\\\ü]{0,4}".prop_map(Json::from),
        4 => " [a-c]{0,4}".prop_map(Json::from),
        1 => Just(json!(5)),
        1 => Just(json!({"a": 1})),
        1 => Just(Json::Null),
    ];
    (message, prop_oneof![Just(json!(1)), Just(json!("x")), Just(Json::Null)], any::<bool>()).prop_map(
        |(message, id, has)| match has {
            true => json!({"message": message, "id": id}),
            false => json!({"message": message}),
        },
    )
}

proptest! {
    /// What becomes of a line depends on the lines of its writer before it, and not on where batches end. Between the
    /// writers the order may be another where a record of one is still open.
    #[test]
    fn where_batches_end_changes_nothing(lines in prop::collection::vec(any_line(), 1..30), cuts in any::<u32>()) {
        let mut batches: Vec<&[Json]> = Vec::new();
        let mut from = 0;
        for at in 1..lines.len() {
            if cuts >> (at % 32) & 1 == 1 {
                batches.push(&lines[from..at]);
                from = at;
            }
        }
        batches.push(&lines[from..]);
        prop_assert_eq!(joined(&batches, &settings()), joined(&[&lines], &settings()));
    }
}
