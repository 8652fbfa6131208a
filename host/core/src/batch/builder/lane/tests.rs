use proptest::prelude::*;

use crate::batch::builder::{Builder, same_name};
use crate::batch::constants::Constants;
use crate::batch::encode::ndjson;
use crate::batch::utf8::InvalidUtf8;

const NAMES: [&str; 5] = ["log", "source", "container_id", "@timestamp", "container_name_that_is_long"];

#[derive(Clone, Debug)]
enum Member {
    Text(String),
    Int(i64),
    Inner(i64),
}

/// A record's members, and whether it is given up in the end.
type Record = (Vec<(usize, Member)>, bool);

fn members() -> impl Strategy<Value = Vec<Record>> {
    let member = prop_oneof![
        8 => "[a-z]{0,20}".prop_map(Member::Text),
        1 => any::<i64>().prop_map(Member::Int),
        1 => any::<i64>().prop_map(Member::Inner),
    ];
    let free = prop::collection::vec((0..NAMES.len(), member.clone()), 0..6);
    let same = member.prop_map(|m| vec![(0, m.clone()), (1, m.clone()), (2, m.clone()), (4, m)]);
    let record = (prop_oneof![2 => same, 1 => free], prop::bool::weighted(0.1));
    prop::collection::vec(record, 0..40)
}

fn build(records: &[Record], lane: bool, batch: usize) -> String {
    let mut builder = Builder::new();
    let mut out = String::new();
    let finish = |builder: &mut Builder, out: &mut String| {
        let records = builder.finish(InvalidUtf8::Replace, &Constants::new()).records;
        out.push_str(std::str::from_utf8(&ndjson(&records).text).unwrap());
    };
    for (members, cancelled) in records {
        builder.begin_record();
        let mut rest = &members[..];
        if lane {
            let taken = builder.expected_texts(members.len(), |name| match rest {
                [(n, Member::Text(text)), after @ ..] if same_name(NAMES[*n].as_bytes(), name) => {
                    rest = after;
                    Some(text.as_bytes())
                }
                _ => None,
            });
            assert_eq!(taken, members.len() - rest.len());
        }
        for (name, value) in rest {
            builder.key(NAMES[*name].as_bytes());
            match value {
                Member::Text(text) => builder.text(text.as_bytes()),
                Member::Int(number) => builder.int(*number),
                Member::Inner(number) => {
                    builder.begin_object();
                    builder.key(b"in").int(*number);
                    builder.end_object();
                }
            }
        }
        if *cancelled {
            builder.cancel_record()
        } else {
            builder.end_record()
        }
        if builder.rows() == batch {
            finish(&mut builder, &mut out);
        }
    }
    finish(&mut builder, &mut out);
    out
}

proptest! {
    #[test]
    fn records_are_the_same_by_the_lane_and_without_it(records in members(), batch in 1..20_usize) {
        prop_assert_eq!(build(&records, true, batch), build(&records, false, batch));
    }
}

#[test]
fn records_alike_go_by_the_lane_from_the_second_on() {
    let mut builder = Builder::new();
    let mut taken = Vec::new();
    for _ in 0..4 {
        builder.begin_record();
        taken.push(builder.expected_texts(2, |_| Some(b"x")));
        if taken.last() == Some(&0) {
            builder.key(b"a").text(b"x");
            builder.key(b"b").text(b"x");
        }
        builder.end_record();
    }
    assert_eq!(taken, [0, 2, 2, 2]);
}

#[test]
fn a_time_and_a_text_make_the_same_record_the_short_way_and_the_long_one() {
    let build = |is_short: bool, batch: usize| {
        let mut builder = Builder::new();
        let (time, text) = (builder.raw_column("@timestamp"), builder.raw_column("message"));
        let mut out = String::new();
        for number in 0..40i64 {
            let line = format!("line {number}");
            // Neighbours without a time, with another member, given up, and with a number in the place of the text.
            match number % 20 {
                5 => {
                    builder.begin_record();
                    builder.at(text).text(b"no time");
                    builder.end_record();
                }
                7 => {
                    builder.begin_record();
                    builder.at(time).timestamp(number);
                    builder.key(b"more").int(number);
                    builder.end_record();
                }
                9 => {
                    builder.begin_record();
                    builder.at(text).text(b"given up");
                    builder.cancel_record();
                }
                15 => {
                    builder.begin_record();
                    builder.at(time).timestamp(number);
                    builder.at(text).int(number);
                    builder.end_record();
                }
                _ if is_short => builder.timed_text((time, number), (text, line.as_bytes())),
                _ => {
                    builder.begin_record();
                    builder.at(time).timestamp(number);
                    builder.at(text).text(line.as_bytes());
                    builder.end_record();
                }
            }
            if builder.rows() == batch || number == 39 {
                let memory = builder.memory();
                let records =
                    builder.finish(InvalidUtf8::Replace, &Constants::new().timestamp("@timestamp", 7));
                out += &format!("{memory}\n{}", std::str::from_utf8(&ndjson(&records.records).text).unwrap());
            }
        }
        out
    };
    for batch in [1, 3, 40] {
        assert_eq!(build(true, batch), build(false, batch), "{batch}");
    }
}
