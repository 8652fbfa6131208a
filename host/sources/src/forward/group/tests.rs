use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::forward::gather::{Gather, Origin, Ready, Step};
use crate::forward::harness::{json as rows, pack};
use crate::forward::tags::Tags;
use flitch_core::batch::Cut;
use flitch_core::batch::utf8::InvalidUtf8;

const TIME: u32 = 1_700_000_000;

/// An entry in Fluent Bit's form: `[[EventTime, metadata], record]`.
fn entry(seconds: i64, metadata: &Value, record: &Value) -> Vec<u8> {
    let time = [b"\xd7\x00".as_slice(), &(seconds as u32).to_be_bytes(), &[0; 4]].concat();
    [b"\x92\x92", &*time, &pack(metadata), &pack(record)].concat()
}

fn start(record: &Value) -> Vec<u8> {
    entry(-1, &json!({"schema": "otlp", "resource_id": 0, "scope_id": 0}), record)
}

fn end() -> Vec<u8> {
    entry(-2, &json!({}), &json!({}))
}

fn record(n: usize) -> Vec<u8> {
    entry(i64::from(TIME), &json!({}), &json!({"n": n}))
}

fn shop() -> Value {
    json!({"resource": {"attributes": {"service.name": "shop"}}, "scope": {"name": "lib"}})
}

fn gather(cut: Cut) -> Gather {
    let gather = Gather::new(cut, InvalidUtf8::Replace, Tags::default());
    gather.keep_metadata(Some(Arc::from("metadata")))
}

/// Takes the entries of one message.
fn take(entries: &[u8]) -> Ready {
    let mut gather = gather(Cut::default());
    let origin = Origin { raw_tag: b"t", tag: "t", now: 0, answered: true, root: None };
    assert_eq!(gather.entries(origin, entries, &mut 0, true, None), Step::Drained);
    gather.finish().unwrap()
}

/// The records without what the batch gives them.
fn records(ready: &Ready) -> Vec<Value> {
    assert!(ready.dead.is_empty(), "{:?}", ready.dead);
    let mut records = rows(&ready.records);
    records
        .iter_mut()
        .for_each(|record| record.as_object_mut().unwrap().retain(|name, _| !name.starts_with('@')));
    records
}

#[test]
fn the_marks_of_a_group_are_no_records_and_what_they_say_goes_to_the_records_between_them() {
    let ready = take(&[record(0), start(&shop()), record(1), record(2), end(), record(3)].concat());
    let mut inside = [json!({"n": 1}), json!({"n": 2})];
    inside.iter_mut().for_each(|r| r.as_object_mut().unwrap().extend(shop().as_object().unwrap().clone()));
    let [first, second] = inside;
    assert_eq!(records(&ready), [json!({"n": 0}), first, second, json!({"n": 3})]);
}

#[test]
fn a_group_ends_with_the_next_one_and_with_its_message() {
    let other = json!({"resource": {"attributes": {"service.name": "bank"}}});
    let ready = take(&[start(&shop()), record(1), start(&other), record(2)].concat());
    let records = records(&ready);
    assert_eq!(records[1]["resource"]["attributes"]["service.name"], "bank");
    assert!(records[1].get("scope").is_none(), "{}", records[1]);
    let mut gather = gather(Cut::default());
    let origin = Origin { raw_tag: b"t", tag: "t", now: 0, answered: true, root: None };
    gather.entries(origin, &start(&shop()), &mut 0, true, None);
    gather.begin_message();
    gather.entries(origin, &record(1), &mut 0, true, None);
    assert!(rows(&gather.finish().unwrap().records)[0].get("resource").is_none());
}

#[test]
fn a_field_of_the_record_stays_where_its_group_or_its_metadata_has_the_same_name() {
    let own = json!({"resource": "own", "metadata": 5, "n": 1});
    let ready = take(&[start(&shop()), entry(i64::from(TIME), &json!({"a": 1}), &own)].concat());
    assert_eq!(
        records(&ready),
        [json!({"resource": "own", "metadata": 5, "n": 1, "scope": {"name": "lib"}})]
    );
}

#[test]
fn metadata_is_kept_where_it_is_not_empty() {
    let at = i64::from(TIME);
    let metadata = json!({"otlp": {"severity_number": 9}});
    let all = [
        entry(at, &metadata, &json!({"n": 1})),
        entry(at, &json!({}), &json!({"n": 2})),
        entry(at, &json!(null), &json!({"n": 3})),
    ]
    .concat();
    let ready = take(&all);
    assert_eq!(records(&ready), [json!({"metadata": metadata, "n": 1}), json!({"n": 2}), json!({"n": 3})]);
    assert!(ready.records.column("metadata.otlp.severity_number").is_some());
    let mut without = gather(Cut::default()).keep_metadata(None);
    let origin = Origin { raw_tag: b"t", tag: "t", now: 0, answered: true, root: None };
    without.entries(origin, &all, &mut 0, true, None);
    assert!(rows(&without.finish().unwrap().records)[0].get("metadata").is_none());
}

#[test]
fn a_group_that_no_record_can_take_costs_its_mark_alone() {
    let long = json!({"resource": {"text": "x".repeat(20_000)}});
    // A field whose name is an array.
    let unnamed = [&b"\x92\x92\xd7\x00\xff\xff\xff\xff\0\0\0\0\x80"[..], b"\x81\x90\x01"].concat();
    for (mark, reason) in [
        (start(&long), "is longer than 16384 bytes"),
        (start(&json!("text")), "must be a map, not a string"),
        (unnamed, "a field's name must be a string"),
    ] {
        let ready = take(&[start(&shop()), mark.clone(), record(1), end(), record(2)].concat());
        assert_eq!(rows(&ready.records).len(), 2);
        assert!(rows(&ready.records)[0].get("resource").is_none(), "what holds for another group");
        assert_eq!((ready.dead.len(), &ready.dead[0].bytes), (1, &mark));
        assert!(ready.dead[0].reason.contains(reason), "{}", ready.dead[0].reason);
    }
}

#[test]
fn times_that_are_no_marks_stay_times() {
    // 1969, and 2106 with nanoseconds.
    let all = [pack(&json!([-1, {"n": 1}])), b"\x92\xd7\x00\xff\xff\xff\xff\0\0\0\x01\x81\xa1n\x02".to_vec()]
        .concat();
    let ready = take(&all);
    let times: Vec<_> = rows(&ready.records).iter().map(|r| r["@timestamp"].clone()).collect();
    assert_eq!(times, ["1969-12-31T23:59:59Z", "2106-02-07T06:28:15.000000001Z"]);
}

/// What stands in a message, one after the other.
#[derive(Clone, Debug)]
enum Part {
    Start(u8),
    End,
    Record(Option<u8>),
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        any::<u8>().prop_map(Part::Start),
        Just(Part::End),
        any::<Option<u8>>().prop_map(Part::Record),
        any::<Option<u8>>().prop_map(Part::Record),
    ];
    prop::collection::vec(part, 0..40)
}

proptest! {
    #[test]
    fn what_a_record_gets_does_not_depend_on_where_batches_and_windows_are_cut(
        parts in parts(),
        rows_per_batch in 1_usize..5,
        step in 1_usize..60,
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        let mut group = None;
        for (n, part) in parts.iter().enumerate() {
            match part {
                Part::Start(id) => {
                    bytes.extend(start(&json!({"resource": {"id": id}})));
                    group = Some(*id);
                }
                Part::End => {
                    bytes.extend(end());
                    group = None;
                }
                Part::Record(metadata) => {
                    let beside = metadata.map_or(json!({}), |m| json!({"m": m}));
                    bytes.extend(entry(i64::from(TIME), &beside, &json!({"n": n})));
                    let mut record = json!({"n": n});
                    if let Some(id) = group {
                        record["resource"] = json!({"id": id});
                    }
                    if let Some(m) = metadata {
                        record["metadata"] = json!({"m": m});
                    }
                    expected.push(record);
                }
            }
        }
        let mut gather = gather(Cut { rows: rows_per_batch, ..Cut::default() });
        let origin = Origin { raw_tag: b"t", tag: "t", now: 0, answered: true, root: None };
        let (mut taken, mut from, mut seen) = (0, 0, Vec::new());
        // The window grows as a compressed message's does.
        while from < bytes.len() {
            taken = (taken + step).min(bytes.len());
            let last = taken == bytes.len();
            let mut at = 0;
            loop {
                let ended = gather.entries(origin, &bytes[from..taken], &mut at, last, None);
                if ended == Step::Drained {
                    break;
                }
                assert_eq!(ended, Step::Full);
                seen.extend(gather.finish().iter().flat_map(records));
            }
            from += at;
        }
        seen.extend(gather.finish().iter().flat_map(records));
        prop_assert_eq!(seen, expected);
    }
}
