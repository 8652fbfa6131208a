use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};

use super::limits::FREE_CELLS;
use super::*;
use crate::batch::constants::Constants;
use crate::batch::utf8::InvalidUtf8;
use crate::batch::value::Scalar;
use crate::batch::{Cut, Kind, Records};

fn records(builder: &mut Builder) -> Records {
    builder.finish(InvalidUtf8::Replace, &Constants::new()).records
}

fn column<'a>(records: &'a Records, name: &str) -> (Kind, &'a ArrayRef) {
    let column = records.column(name).unwrap_or_else(|| panic!("a column {name:?} in {records:?}"));
    (Kind::of(column.field()).expect("one of our kinds"), column.array())
}

fn texts(records: &Records, name: &str) -> Vec<Option<String>> {
    column(records, name).1.as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect()
}

fn record(builder: &mut Builder, fill: impl FnOnce(&mut Builder)) {
    builder.begin_record();
    fill(builder);
    builder.end_record();
}

#[test]
fn what_a_record_itself_calls_rest_is_not_lost() {
    let mut b = Builder::new();
    for line in
        [r#"{"@rest":[1]}"#, r#"{"@rest":{}}"#, r#"{"@rest":{"@rest":1}}"#, r#"{"a":{"@rest":1},"@rest":2}"#]
    {
        crate::batch::decode::decode_line(&mut b, line.as_bytes()).expect("JSON");
    }
    let records = b.finish(InvalidUtf8::Replace, &Constants::new()).records;
    let text = records.ndjson();
    let lines: Vec<_> =
        (0..4).map(|row| String::from_utf8_lossy(text.row(row)).trim_end().to_owned()).collect();
    assert_eq!(
        lines,
        [
            r#"{"_@rest":[1]}"#,
            r#"{"_@rest":{}}"#,
            r#"{"_@rest":{"@rest":1}}"#,
            r#"{"_@rest":2,"a":{"@rest":1}}"#
        ]
    );
}

#[test]
fn members_become_columns_and_those_that_lack_are_absent() {
    let mut b = Builder::new();
    record(&mut b, |b| {
        b.key(b"a").text(b"x");
        b.key(b"n").int(1);
    });
    record(&mut b, |b| b.key(b"n").int(2));
    record(&mut b, |b| {
        b.key(b"a").text(b"z");
        b.key(b"ok").boolean(true);
    });
    let r = records(&mut b);
    assert_eq!(r.rows(), 3);
    assert_eq!(texts(&r, "a"), [Some("x".into()), None, Some("z".into())]);
    let (kind, n) = column(&r, "n");
    assert_eq!(kind, Kind::Int64);
    assert_eq!(n.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), Some(2), None]);
    assert_eq!(column(&r, "ok").1.null_count(), 2);
    assert!(b.rows() == 0 && b.bytes() == 0 && b.columns() == 0);
}

#[test]
fn an_object_becomes_columns_named_by_their_path() {
    let mut b = Builder::new();
    record(&mut b, |b| {
        b.key(b"k8s.io").begin_object();
        b.key(b"a\\b").begin_object();
        b.key(b"").int(1);
        b.end_object();
        b.key(b"empty").begin_object();
        b.end_object();
        b.end_object();
        b.key(b"last").null();
    });
    let r = records(&mut b);
    let names: Vec<_> = r.iter().map(|c| c.field().name().clone()).collect();
    assert_eq!(names, [r"k8s\.io.a\\b.", r"k8s\.io.empty", "last"]);
    assert_eq!(texts(&r, r"k8s\.io.empty"), [Some("{}".into())]);
    assert_eq!(column(&r, "last").0, Kind::Json);
}

#[test]
fn a_column_whose_type_changes_is_json_from_its_first_row() {
    let mut b = Builder::new();
    record(&mut b, |b| b.key(b"v").text(b"say \"hi\""));
    record(&mut b, |_| {});
    record(&mut b, |b| b.key(b"v").int(-3));
    record(&mut b, |b| b.key(b"v").boolean(true));
    record(&mut b, |b| b.key(b"v").timestamp(1_500_000_000));
    let r = records(&mut b);
    assert_eq!(column(&r, "v").0, Kind::Json);
    let expected = [
        Some(r#""say \"hi\"""#.to_owned()),
        None,
        Some("-3".to_owned()),
        Some("true".to_owned()),
        Some(r#" "1970-01-01T00:00:01.5Z""#.to_owned()),
    ];
    assert_eq!(texts(&r, "v"), expected);
}

#[test]
fn whole_numbers_and_floats_that_meet_keep_their_texts() {
    let mut b = Builder::new();
    for value in [1.0, 0.5] {
        record(&mut b, |b| b.key(b"v").float(value));
        record(&mut b, |b| b.key(b"v").int(5));
    }
    let r = records(&mut b);
    assert_eq!(column(&r, "v").0, Kind::Json);
    assert_eq!(texts(&r, "v"), ["1.0", "5", "0.5", "5"].map(|t| Some(t.to_owned())));
}

#[test]
fn a_whole_number_past_int64_is_json() {
    let mut b = Builder::new();
    record(&mut b, |b| b.key(b"v").unsigned(u64::MAX));
    record(&mut b, |b| b.key(b"v").unsigned(7));
    assert_eq!(texts(&records(&mut b), "v"), [Some("18446744073709551615".into()), Some("7".into())]);
}

#[test]
fn of_two_members_with_one_name_the_last_stays() {
    let mut b = Builder::new();
    record(&mut b, |b| {
        b.key(b"a").text(b"first");
        b.key(b"a").int(2);
        b.key(b"o").begin_object();
        b.key(b"x").int(1);
        b.end_object();
        b.key(b"o").begin_object();
        b.key(b"y").int(2);
        b.end_object();
        b.key(b"p").begin_object();
        b.key(b"x").int(1);
        b.end_object();
        b.key(b"p").text(b"scalar");
        b.key(b"q").text(b"scalar");
        b.key(b"q").begin_object();
        b.end_object();
    });
    let r = records(&mut b);
    let mut names: Vec<_> = r.iter().map(|c| c.field().name().clone()).collect();
    names.sort();
    assert_eq!(names, ["a", "o.y", "p", "q"]);
    assert_eq!(column(&r, "a").0, Kind::Int64);
    assert_eq!(texts(&r, "q"), [Some("{}".into())]);
}

#[test]
fn a_cancelled_record_leaves_no_trace() {
    let mut b = Builder::new();
    record(&mut b, |b| b.key(b"a").text(b"x"));
    let (bytes, columns) = (b.bytes(), b.columns());
    b.begin_record();
    b.key(b"a").int(1);
    b.key(b"a").boolean(true);
    b.key(b"new").int(1);
    b.key(b"o").begin_object();
    b.key(b"list").begin_array();
    b.int(1);
    b.cancel_record();
    assert_eq!((b.rows(), b.bytes(), b.columns()), (1, bytes, columns));
    record(&mut b, |b| b.key(b"a").text(b"y"));
    let r = records(&mut b);
    assert_eq!(r.iter().count(), 1);
    assert_eq!(column(&r, "a").0, Kind::Text);
    assert_eq!(texts(&r, "a"), [Some("x".into()), Some("y".into())]);
}

#[test]
fn an_array_is_one_json_value() {
    let mut b = Builder::new();
    record(&mut b, |b| {
        b.key(b"list").begin_array();
        b.int(1);
        b.text(b"two");
        b.begin_object();
        b.key(b"three").begin_array();
        b.end_array();
        b.key(b"four").null();
        b.end_object();
        b.json("[5]");
        b.end_array();
    });
    assert_eq!(texts(&records(&mut b), "list"), [Some(r#"[1,"two",{"three":[],"four":null},[5]]"#.into())]);
}

#[test]
fn an_object_too_deep_or_too_wide_is_one_json_value() {
    let mut b = Builder::new();
    record(&mut b, |b| {
        for name in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
            b.key(name.as_bytes()).begin_object();
        }
        b.key(b"10").int(1);
        for _ in 0..9 {
            b.end_object();
        }
        b.key(b"after").begin_object();
        b.key(b"x").int(1);
        b.end_object();
    });
    let r = records(&mut b);
    assert_eq!(texts(&r, "1.2.3.4.5.6.7.8"), [Some(r#"{"9":{"10":1}}"#.into())]);
    assert_eq!(column(&r, "after.x").0, Kind::Int64);

    for members in [MAX_MEMBERS, MAX_MEMBERS + 2] {
        record(&mut b, |b| {
            b.key(b"wide").begin_object();
            b.key(b"in").begin_object();
            b.key(b"ner").text(b"x");
            b.end_object();
            for n in 1..members {
                b.key(format!("m{n}").as_bytes()).int(n as i64);
            }
            b.end_object();
            b.key(b"after").int(1);
        });
    }
    let r = records(&mut b);
    let wide = texts(&r, "wide")[1].clone().expect("the second is one value");
    let value: serde_json::Value = serde_json::from_str(&wide).expect("JSON");
    assert_eq!(value.as_object().map(|o| o.len()), Some(MAX_MEMBERS + 2));
    assert_eq!(value["in"]["ner"], "x");
    assert_eq!(texts(&r, "wide.in.ner"), [Some("x".into()), None]);
    assert_eq!(column(&r, "after").1.null_count(), 0);
}

#[test]
fn an_object_that_is_too_wide_says_nothing_about_that_of_the_next_record() {
    let mut b = Builder::new();
    for n in 0..100 {
        record(&mut b, |b| {
            b.key(b"o").begin_object();
            for m in 0..MAX_MEMBERS + 1 {
                b.key(format!("r{n}m{m}").as_bytes()).int(1);
            }
            b.end_object();
        });
        assert_eq!(b.columns(), 1, "members that did not stay have no columns");
    }
    assert!(b.tree.nodes.len() < 4000, "{} names remembered", b.tree.nodes.len());
    record(&mut b, |b| {
        b.key(b"o").begin_object();
        b.key(b"x").int(1);
        b.end_object();
    });
    let r = records(&mut b);
    assert_eq!(r.iter().count(), 2);
    assert_eq!(column(&r, "o.x").0, Kind::Int64);
    assert_eq!(column(&r, "o").1.null_count(), 1);
}

#[test]
fn the_members_of_a_wide_object_stand_in_their_order_and_the_last_of_a_name_stays() {
    let mut b = Builder::new();
    // The names are known in another order.
    record(&mut b, |b| {
        b.key(b"o").begin_object();
        for m in (0..MAX_MEMBERS).rev() {
            b.key(format!("m{m}").as_bytes()).int(1);
        }
        b.end_object();
    });
    record(&mut b, |b| {
        b.key(b"o").begin_object();
        for m in 0..MAX_MEMBERS + 1 {
            b.key(format!("m{m}").as_bytes()).int(m as i64);
        }
        b.key(b"m0").text(b"last");
        b.end_object();
    });
    let expected: Vec<_> = (1..=MAX_MEMBERS).map(|m| format!("\"m{m}\":{m}")).collect();
    let expected = format!("{{{},\"m0\":\"last\"}}", expected.join(","));
    assert_eq!(texts(&records(&mut b), "o")[1], Some(expected));
}

#[test]
fn a_record_of_very_many_members_comes_out_whole_and_its_names_are_forgotten() {
    let mut b = Builder::new();
    let members = 20_000;
    record(&mut b, |b| {
        for n in 0..members {
            b.key(format!("{n}").as_bytes()).int(n);
        }
    });
    assert_eq!(b.columns(), MAX_NAMES + 1);
    let r = records(&mut b);
    let text = r.ndjson().text.clone();
    assert_eq!(memchr::memchr_iter(b':', &text).count(), members as usize);
    record(&mut b, |b| b.key(b"1").int(1));
    assert_eq!(records(&mut b).iter().count(), 1);
    assert!(b.tree.nodes.len() < 4000, "{} names remembered", b.tree.nodes.len());
}

#[test]
fn text_that_is_not_utf8_is_replaced_and_counted_or_keeps_its_bytes() {
    let fill = |b: &mut Builder| {
        record(b, |b| b.key(b"v").text(b"good \xc3"));
        record(b, |b| b.key(b"v").text(b"\xa4 split"));
        record(b, |b| b.key(b"v").text("gut: ä".as_bytes()));
    };
    let mut b = Builder::new();
    fill(&mut b);
    let finished = b.finish(InvalidUtf8::Replace, &Constants::new());
    assert_eq!(finished.replaced, 2);
    let expected = ["good \u{fffd}", "\u{fffd} split", "gut: ä"];
    assert_eq!(texts(&finished.records, "v"), expected.map(|t| Some(t.to_owned())));
    fill(&mut b);
    let finished = b.finish(InvalidUtf8::Bytes, &Constants::new());
    assert_eq!((column(&finished.records, "v").0, finished.replaced), (Kind::Json, 0));
    let v = finished.records.column("v").expect("a column");
    assert_eq!(v.scalar(0), Some(Scalar::Bytes(b"good \xc3".into())));
    assert_eq!(v.scalar(2), Some(Scalar::Text("gut: ä".into())));
}

#[test]
fn names_that_are_not_utf8_never_make_two_columns_of_one_name() {
    let mut b = Builder::new();
    record(&mut b, |b| {
        b.key(b"\xff").int(1);
        b.key(b"\xfe").int(2);
        b.key(b"\xed\xa0\x80").int(3);
    });
    let r = records(&mut b);
    let names: Vec<_> = r.iter().map(|c| c.field().name().clone()).collect();
    assert_eq!(names, ["\u{fffd}", r"\ud800"]);
}

#[test]
fn a_record_that_brings_its_own_value_keeps_it_before_the_constant() {
    let mut b = Builder::new();
    let constants =
        Constants::new().timestamp("@timestamp", 5).text("@tag", "t").text("host", "h").int("port", 1);
    record(&mut b, |b| b.key(b"@timestamp").text(b"1970-01-01T01:00:00.0000000070+01:00"));
    record(&mut b, |b| b.key(b"host").int(2));
    let r = b.finish(InvalidUtf8::Replace, &constants).records;
    let (kind, time) = column(&r, "@timestamp");
    assert_eq!(kind, Kind::Timestamp);
    assert_eq!(time.as_primitive::<TimestampNanosecondType>().values(), &[7, 5]);
    assert_eq!(texts(&r, "host"), [Some("\"h\"".into()), Some("2".into())]);
    assert_eq!(r.constants().num_columns(), 2);
}

#[test]
fn a_time_that_is_none_and_a_tag_that_is_none_get_other_names_and_are_counted() {
    let mut b = Builder::new();
    let constants = Constants::new().timestamp("@timestamp", 5).text("@tag", "t");
    record(&mut b, |b| {
        b.key(b"@timestamp").text(b"yesterday");
        b.key(b"@tag").begin_object();
        b.key(b"in").int(1);
        b.end_object();
    });
    record(&mut b, |b| b.key(b"@timestamp").int(1_795_600_800_123));
    record(&mut b, |b| {
        b.key(b"@timestamp").begin_array();
        b.end_array();
        b.key(b"@timestamp").timestamp(7);
        b.key(b"@tag").text(b"own");
    });
    let finished = b.finish(InvalidUtf8::Replace, &constants);
    assert_eq!(finished.misnamed, 4);
    let r = finished.records;
    let (kind, time) = column(&r, "@timestamp");
    assert_eq!(kind, Kind::Timestamp);
    assert_eq!(time.as_primitive::<TimestampNanosecondType>().values(), &[5, 5, 7]);
    assert_eq!(texts(&r, "@tag"), ["t", "t", "own"].map(|t| Some(t.to_owned())));
    assert_eq!(texts(&r, "_@timestamp"), [Some("\"yesterday\"".into()), Some("1795600800123".into()), None]);
    assert_eq!(column(&r, "_@tag.in").0, Kind::Int64);
    assert_eq!(b.finish(InvalidUtf8::Replace, &constants).misnamed, 0);
}

#[test]
fn the_time_and_the_tag_that_a_source_gave_stay_where_the_record_has_none_of_its_own() {
    let mut b = Builder::new();
    let (time, tag) = (b.raw_column(TIMESTAMP), b.raw_column(TAG));
    let own: [(&[u8], &[u8]); 2] = [(b"yesterday", b"own"), (b"1970-01-01T00:00:00.000000007Z", b"")];
    for (text, name) in own {
        record(&mut b, |b| {
            b.at(time).timestamp(5);
            b.at(tag).text(b"given");
            b.key(b"@timestamp").text(text);
            match name {
                b"" => b.key(b"@tag").int(1),
                name => b.key(b"@tag").text(name),
            }
        });
    }
    let finished = b.finish(InvalidUtf8::Replace, &Constants::new().text("@tag", "of the batch"));
    assert_eq!(finished.misnamed, 2);
    let r = finished.records;
    let times = column(&r, "@timestamp").1.as_primitive::<TimestampNanosecondType>();
    assert_eq!(times.values(), &[5, 7]);
    assert_eq!(texts(&r, "@tag"), ["own", "given"].map(|t| Some(t.to_owned())));
}

#[test]
fn a_name_of_the_hosts_is_its_own_also_behind_very_many_others() {
    let mut b = Builder::new();
    record(&mut b, |b| {
        for n in 0..MAX_NAMES + 10 {
            b.key(format!("m{n}").as_bytes()).int(1);
        }
        b.key(b"@timestamp").text(b"1970-01-01T00:00:00.000000007Z");
        b.key(b"@tag").int(1);
        b.key(b"m0").text(b"last");
    });
    let finished = b.finish(InvalidUtf8::Replace, &Constants::new());
    assert_eq!(finished.misnamed, 1);
    assert_eq!(column(&finished.records, "@timestamp").0, Kind::Timestamp);
    let written: serde_json::Value = serde_json::from_slice(finished.records.ndjson().row(0)).expect("JSON");
    assert_eq!((&written["m0"], &written["_@tag"]), (&"last".into(), &1.into()));
    assert_eq!(written.as_object().map(|o| o.len()), Some(MAX_NAMES + 12));
}

#[test]
fn a_batch_is_cut_before_absent_values_outweigh_it_and_unknown_names_are_forgotten() {
    let mut b = Builder::new();
    let cut = Cut::default();
    let handle = b.raw_column("log");
    let mut batches = 0;
    for n in 0..20_000 {
        if b.full(&cut) {
            assert!(b.columns() * b.rows() <= FREE_CELLS + b.bytes() / 2 + 2 * b.columns());
            assert!(b.memory() < 2 << 20);
            let columns = b.columns();
            assert_eq!(records(&mut b).iter().count(), columns);
            batches += 1;
        }
        record(&mut b, |b| {
            b.at(handle).text(b"x");
            b.key(format!("n{n}").as_bytes()).int(n);
        });
    }
    assert!((39..100).contains(&batches), "{batches} batches");
    assert!(b.tree.nodes.len() < 4000, "{} names remembered", b.tree.nodes.len());
    for n in 0..20_000 {
        b.begin_record();
        b.key(b"fine").int(1);
        b.key(format!("c{n}").as_bytes()).int(n);
        b.cancel_record();
    }
    assert!(b.tree.nodes.len() < 4000, "{} names remembered", b.tree.nodes.len());
}
