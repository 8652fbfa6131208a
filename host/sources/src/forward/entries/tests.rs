use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_lossless_line;
use flitch_core::batch::encode::ndjson_lossless;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::net::forward::pack::{self, Members, Unfit};
use flitch_core::net::forward::write;

#[test]
fn the_time_of_an_entry_is_that_of_its_event_or_now() {
    let read = |ns: i64| {
        let mut out = Vec::new();
        write::begin_entry(ns, &mut out);
        let mut cursor = Cursor::new(&out, 1);
        let time = match head(&mut cursor).unwrap() {
            Head::Event(time, None) => time,
            other => panic!("{other:?}"),
        };
        assert_eq!(cursor.at(), out.len());
        time
    };
    let last = (i64::from(GROUP_END) - 1) * NANOS + 999_999_999;
    for ns in [NANOS, 1_700_000_000_123_456_789, last] {
        assert_eq!(read(ns), Some(ns));
    }
    for ns in [0, NANOS - 1, -1, -5 * NANOS, last + 1, i64::MAX, i64::MIN] {
        assert_eq!(read(ns), None, "{ns}");
    }
}

#[test]
fn a_time_with_a_fraction_is_exact_to_the_microsecond() {
    for (seconds, ns) in
        [(1_795_600_800.25, 1_795_600_800_250_000_000), (1e9 + 0.1, 1_000_000_000_100_000_000)]
    {
        let bytes = [&[0x92, 0xcb][..], &f64::to_be_bytes(seconds)].concat();
        let time = head(&mut Cursor::new(&bytes, 1)).unwrap();
        assert!(matches!(time, Head::Event(Some(time), None) if time == ns), "{seconds}: {time:?}");
    }
}

#[test]
fn a_time_is_the_same_with_metadata_and_without() {
    let nanos_and_seconds = |nanos: u64, seconds: u64| (nanos << 34 | seconds).to_be_bytes();
    for (time, ns) in [
        ([&[0xd6, 0xff][..], &1_600_000_000u32.to_be_bytes()].concat(), 1_600_000_000_000_000_000),
        ([&[0xd7, 0xff][..], &nanos_and_seconds(5, 1_600_000_000)].concat(), 1_600_000_000_000_000_005),
        (
            [&[0xc7, 12, 0xff][..], &5u32.to_be_bytes(), &1_600_000_000i64.to_be_bytes()].concat(),
            1_600_000_000_000_000_005,
        ),
        (
            [&[0xd7, 0][..], &1_600_000_000u32.to_be_bytes(), &5u32.to_be_bytes()].concat(),
            1_600_000_000_000_000_005,
        ),
        ([&[0xce][..], &1_600_000_000u32.to_be_bytes()].concat(), 1_600_000_000_000_000_000),
        ([&[0xcb][..], &1_600_000_000.5f64.to_be_bytes()].concat(), 1_600_000_000_500_000_000),
        ([&[0xca][..], &1_600_000_000f32.to_be_bytes()].concat(), 1_600_000_000_000_000_000),
    ] {
        for bytes in [time.clone(), [&[0x92][..], &time, &[0x80]].concat()] {
            let read = head(&mut Cursor::new(&bytes, 0)).unwrap();
            assert!(matches!(read, Head::Event(Some(read), None) if read == ns), "{bytes:x?}: {read:?}");
        }
    }
    for other in [&[0xd6, 0, 1, 2, 3, 4][..], &[0xd7, 5, 0, 0, 0, 1, 0, 0, 0, 0], &[0xd5, 0xff, 0, 1]] {
        for bytes in [other.to_vec(), [&[0x92], other, &[0x80]].concat()] {
            let error = head(&mut Cursor::new(&bytes, 0)).unwrap_err().to_string();
            assert!(error.contains("not an extension value"), "{bytes:x?}: {error}");
        }
    }
}

/// A record as its text in a letter, and the record that a forward source makes of the letter.
fn there_and_back(line: &str) -> Result<(Value, Value), Unfit> {
    let text = |builder: &mut Builder| -> Value {
        let records = builder.finish(InvalidUtf8::Bytes, &Constants::new()).records;
        serde_json::from_slice(ndjson_lossless(&records).row(0)).unwrap()
    };
    let mut builder = Builder::new();
    decode_lossless_line(&mut builder, line.as_bytes()).unwrap();
    let records = builder.finish(InvalidUtf8::Bytes, &Constants::new()).records;
    let letter = String::from_utf8(ndjson_lossless(&records).row(0).to_vec()).unwrap();
    let mut packed = Vec::new();
    pack::map(&serde_json::from_str::<Members<'_>>(&letter).unwrap(), RECORD_DEPTH, &mut packed)?;
    let mut cursor = Cursor::new(&packed, 0);
    builder.begin_record();
    record(&mut cursor, &mut builder).unwrap();
    builder.end_record();
    assert_eq!(cursor.at(), packed.len());
    Ok((serde_json::from_str(&letter).unwrap(), text(&mut builder)))
}

#[test]
fn bytes_numbers_and_names_that_look_like_bytes_stay_what_they_are() {
    let line = r#"{"b":{"$bytes":"/wA="},"l":[{"$bytes":"/w=="},null,true,-0.0,1e300],"$$bytes":1,"o":{"$$$bytes":"x"},
        "u":18446744073709551615,"i":-9223372036854775808,"f":0.1,"t":"a\u0000\"é","n":null,"e":{},"@tag":"a.b"}"#;
    let (letter, again) = there_and_back(&line.replace('\n', "")).unwrap();
    assert_eq!(again, letter);
    assert_eq!(letter["u"], 18_446_744_073_709_551_615_u64);
}

#[test]
fn what_messagepack_cannot_hold_is_unfit() {
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let (letter, again) = there_and_back(&format!("{{\"a\":{}}}", deep(RECORD_DEPTH))).unwrap();
    assert_eq!(again, letter);
    let deep = deep(RECORD_DEPTH);
    for value in ["123456789012345678901234567890", "0.1234567890123456789", "1e999", r#""\ud800""#, &deep] {
        assert_eq!(there_and_back(&format!("{{\"a\":[{value}]}}")), Err(Unfit), "{value}");
    }
}

/// Any JSON that a letter may hold.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!({"$bytes": "/wAB"})),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("([a.]|[$]{2}bytes|é){1,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_record_of_a_letter_is_the_same_to_a_forward_source(members in prop::collection::btree_map("[a-f.]{1,3}", any_json(), 0..6)) {
        let line = Value::Object(members.into_iter().collect()).to_string();
        let (letter, again) = there_and_back(&line).unwrap();
        prop_assert_eq!(again, letter);
    }
}
