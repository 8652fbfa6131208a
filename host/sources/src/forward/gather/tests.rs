use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::forward::harness::{json as rows, pack, recordings, testdata};
use flitch_core::batch::Kind;

const NOW: i64 = 1_700_000_000_000_000_000;
const ORIGIN: Origin<'static> = Origin { raw_tag: b"t", tag: "t", now: NOW, answered: false, root: None };

fn gather() -> Gather {
    Gather::new(Cut::default(), InvalidUtf8::Replace, Tags::default())
}

/// Takes one record that is given as a MessagePack map.
fn record(map: &[u8]) -> Ready {
    let mut gather = gather();
    let entry = [b"\x92\x00", map].concat();
    assert_eq!(gather.entries(ORIGIN, &entry, &mut 0, true, None), Step::Drained);
    gather.finish().unwrap()
}

fn field(value: &[u8]) -> (Value, Option<Kind>) {
    let ready = record(&[b"\x81\xa1f", value].concat());
    assert!(ready.dead.is_empty(), "{:?}", ready.dead);
    let kind = ready.records.column("f").and_then(|c| Kind::of(c.field()));
    (rows(&ready.records)[0]["f"].clone(), kind)
}

#[test]
fn each_type_of_value_has_its_column() {
    for (bytes, value, kind) in [
        (&b"\xa2hi"[..], json!("hi"), Kind::Text),
        (b"\xa2\xffi", json!("\u{fffd}i"), Kind::Text),
        (b"\x05", json!(5), Kind::Int64),
        (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", json!(u64::MAX), Kind::Json),
        (b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", json!(1.5), Kind::Float64),
        (b"\xc3", json!(true), Kind::Boolean),
        (b"\xc0", json!(null), Kind::Json),
        (b"\x92\x01\xa1x", json!([1, "x"]), Kind::Json),
        (b"\x92\x81\x01\xc0\x90", json!([{"1": null}, []]), Kind::Json),
        (b"\x80", json!({}), Kind::Json),
        (b"\xd7\x00\x65\x53\xf1\x00\x1d\xcd\x65\x00", json!("2023-11-14T22:13:20.5Z"), Kind::Timestamp),
        (b"\xd6\xff\x65\x53\xf1\x00", json!("2023-11-14T22:13:20Z"), Kind::Timestamp),
        (b"\xd5\x07ab", json!({"ext": 7, "base64": "YWI="}), Kind::Json),
    ] {
        assert_eq!(field(bytes), (value, Some(kind)), "{bytes:x?}");
    }
    let bytes = record(b"\x81\xa1f\xc4\x02\xff\x00");
    assert_eq!(bytes.records.column("f").and_then(|c| Kind::of(c.field())), Some(Kind::Bytes));
}

#[test]
fn a_time_that_is_none_is_counted_and_the_time_of_the_entry_stays() {
    let ready = record(b"\x81\xaa@timestamp\xa1x");
    assert_eq!(ready.changed.misnamed, 1);
    assert!(ready.records.column("_@timestamp").is_some());
}

#[test]
fn text_that_is_not_utf8_is_counted_or_kept() {
    let map = b"\x81\xa1f\xa2\xffi";
    assert_eq!(record(map).changed.replaced, 1);
    let mut kept = Gather::new(Cut::default(), InvalidUtf8::Bytes, Tags::default());
    kept.entries(ORIGIN, &[b"\x92\x00", &map[..]].concat(), &mut 0, true, None);
    let ready = kept.finish().unwrap();
    assert_eq!(ready.records.column("f").and_then(|c| Kind::of(c.field())), Some(Kind::Bytes));
}

#[test]
fn members_of_maps_are_columns_named_by_their_path() {
    let map = pack(&json!({"kubernetes": {"labels": {"app.kubernetes.io/name": "web"}}, "n": 1}));
    let ready = record(&map);
    assert!(ready.records.column(r"kubernetes.labels.app\.kubernetes\.io/name").is_some());
    assert_eq!(rows(&ready.records)[0]["kubernetes"]["labels"]["app.kubernetes.io/name"], "web");
}

#[test]
fn names_that_are_no_strings_are_written_as_strings() {
    let ready = record(b"\x85\x01\x01\xc3\x02\xc0\x03\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x04\xc4\x01b\x05");
    let record = &rows(&ready.records)[0];
    for (name, value) in [("1", 1), ("true", 2), ("null", 3), ("1.5", 4), ("b", 5)] {
        assert_eq!(record[name], value, "{record}");
    }
}

#[test]
fn times_are_seconds_event_times_floats_or_come_with_metadata() {
    let now = "2023-11-14T22:13:20Z";
    for (time, expected) in [
        (&b"\xce\x65\x53\xf1\x01"[..], "2023-11-14T22:13:21Z"),
        (b"\xd7\x00\x65\x53\xf1\x01\x00\x00\x00\x01", "2023-11-14T22:13:21.000000001Z"),
        (b"\xc7\x08\x00\x65\x53\xf1\x01\x00\x00\x00\x01", "2023-11-14T22:13:21.000000001Z"),
        (b"\xcb\x41\xd9\x54\xfc\x40\x60\x00\x00", "2023-11-14T22:13:21.5Z"),
        (b"\x92\xce\x65\x53\xf1\x01\x81\xa1k\xa1v", "2023-11-14T22:13:21Z"),
        (b"\x00", now),
        (b"\xc0", now),
        (b"\xd7\x00\x00\x00\x00\x00\x00\x00\x00\x00", now),
    ] {
        let mut gather = gather();
        let entry = [b"\x92", time, b"\x80"].concat();
        assert_eq!(gather.entries(ORIGIN, &entry, &mut 0, true, None), Step::Drained);
        let ready = gather.finish().unwrap();
        assert!(ready.dead.is_empty(), "{time:x?}: {:?}", ready.dead);
        assert_eq!(rows(&ready.records)[0]["@timestamp"], expected, "{time:x?}");
    }
}

#[test]
fn the_same_tag_and_time_stand_once_for_the_whole_batch() {
    let mut gather = gather();
    let same = pack(&json!([1_700_000_000, {"n": 1}])).repeat(3);
    gather.entries(ORIGIN, &same, &mut 0, true, None);
    let ready = gather.finish().unwrap();
    assert_eq!(ready.records.constants().num_columns(), 2);
    assert_eq!(ready.records.columns().num_columns(), 1);
    let differ = [pack(&json!([1, {"n": 1}])), pack(&json!([2, {"n": 1}]))].concat();
    for _ in 0..3 {
        gather.entries(ORIGIN, &differ, &mut 0, true, None);
        let ready = gather.finish().unwrap();
        let times: Vec<_> = rows(&ready.records).iter().map(|r| r["@timestamp"].clone()).collect();
        assert_eq!(times, ["1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"]);
    }
}

#[test]
fn a_record_nested_too_deep_costs_itself_alone() {
    let deep = [&b"\x92\x00\x81\xa1f"[..], &[0x91; 200], b"\x01"].concat();
    let mut gather = gather();
    let all = [pack(&json!([1, {"n": 1}])), deep.clone(), pack(&json!([1, {"n": 2}]))].concat();
    assert_eq!(gather.entries(ORIGIN, &all, &mut 0, true, None), Step::Drained);
    let ready = gather.finish().unwrap();
    assert_eq!(ready.records.rows(), 2);
    assert_eq!(ready.dead.len(), 1);
    assert_eq!(ready.dead[0].bytes, deep);
    assert!(ready.dead[0].reason.contains("more than 64 deep"), "{}", ready.dead[0].reason);
}

/// Takes whatever these bytes are, and answers how many records and dead letters came of them.
fn take(bytes: &[u8]) -> (usize, usize) {
    let mut gather = gather();
    let mut partials = Partials::new(1 << 16, std::time::Duration::from_secs(5));
    let (mut at, mut taken, mut dead) = (0, 0, 0);
    loop {
        let step = gather.entries(ORIGIN, bytes, &mut at, true, Some(&mut partials));
        let ended = step != Step::Full;
        if ended {
            gather.ended_lines(|lines| partials.all(lines));
        }
        if let Some(ready) = gather.finish() {
            assert!(
                ready.records.memory() <= 64 * bytes.len() + (1 << 16),
                "{} bytes",
                ready.records.memory()
            );
            assert_eq!(rows(&ready.records).len(), ready.records.rows());
            taken += ready.records.rows();
            dead += ready.dead.len();
        }
        if ended {
            return (taken, dead);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        take(&bytes);
    }

    #[test]
    fn recordings_with_bytes_changed_are_taken_without_a_panic(
        name in prop::sample::select(recordings().into_iter().filter(|n| !n.starts_with("12")).collect::<Vec<_>>()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = testdata(&name);
        bytes.truncate(cut.index(bytes.len()) + 1);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        // As entries: behind the head of the array and the tag.
        let from = 1.min(bytes.len());
        take(&bytes[from..]);
    }
}

#[test]
fn entries_are_numbered_in_their_chunk_however_batches_are_cut_and_whatever_is_none() {
    let [chunk, other] = [b"a", b"b"].map(|name| Root::of("test", &[name]));
    let entry = pack(&json!([1, {"n": 1}]));
    let entries = [&entry[..], b"\x05", &entry, &entry].concat();
    let ids = |rows: usize| {
        let mut gather = Gather::new(Cut { rows, ..Cut::default() }, InvalidUtf8::Replace, Tags::default());
        let mut ids = Vec::new();
        let mut take = |gather: &mut Gather| {
            let origins = gather.finish().map(|ready| ready.records.origins().unwrap().clone());
            ids.extend(origins.iter().flat_map(|o| (0..o.rows()).map(|row| o.row(row)).collect::<Vec<_>>()));
        };
        for root in [Some(chunk), Some(other), None, Some(chunk)] {
            gather.begin_message();
            let (origin, mut at) = (Origin { root, ..ORIGIN }, 0);
            while gather.entries(origin, &entries, &mut at, true, None) == Step::Full {
                take(&mut gather);
            }
        }
        take(&mut gather);
        ids
    };
    let named = |root| [0, 2, 3].map(|number| (root, number));
    for rows in [1, 2, 5, 100] {
        let ids = ids(rows);
        assert_eq!(ids.len(), 12, "{rows}");
        assert_eq!(ids[..3], named(chunk), "{rows}");
        assert_eq!(ids[3..6], named(other), "{rows}");
        assert_eq!(ids[9..], named(chunk), "{rows}");
        assert!(ids[6..9].iter().all(|(root, _)| *root != chunk && *root != other), "{rows}");
        assert!(ids[6..9].is_sorted_by(|one, next| one.1 < next.1), "{rows}: {ids:?}");
    }
}
