use std::sync::Arc;

use arrow_array::{Int64Array, StringArray};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::super::{Remove, SetColumn, apply};
use super::*;
use crate::guest::FaultKind;
use crate::tests::{check_names, records, rows};
use flitch_core::batch::Records;

fn rest(texts: &[Option<&str>]) -> SetColumn {
    let array = Arc::new(StringArray::from(texts.to_vec()));
    SetColumn { field: Arc::new(Kind::Json.field(REST)), kind: Kind::Json, array }
}

fn numbers(name: &str, values: &[Option<i64>]) -> SetColumn {
    let array = Arc::new(Int64Array::from(values.to_vec()));
    SetColumn { field: Arc::new(Kind::Int64.field(name)), kind: Kind::Int64, array }
}

fn removal(name: &str, rows: Option<&[bool]>) -> Remove {
    Remove { name: name.to_owned(), rows: rows.map(|rows| BooleanBuffer::from(rows.to_vec())) }
}

fn applied(records: &Records, set: Vec<SetColumn>, remove: &[Remove]) -> Records {
    let changed = apply(records, None, set, remove, &Bounds::none()).unwrap();
    let text = changed.ndjson();
    (0..changed.rows()).for_each(|row| check_names(text.row(row)));
    changed
}

#[test]
fn a_member_takes_the_place_of_what_the_record_has_under_its_name() {
    let before = records(&[
        json!({"host": "edge", "o": {"a": 1, "b": 2}, "x": 1}),
        json!({"host": "edge", "o": {"a": 1, "b": 2}, "x": 1}),
    ]);
    let set = rest(&[Some(r#"{"\u0068ost":"inner","o":{"c":3},"new":1}"#), None]);
    let changed = applied(&before, vec![set], &[]);
    assert_eq!(
        rows(&changed),
        [
            json!({"host": "inner", "o": {"c": 3}, "new": 1, "x": 1}),
            json!({"host": "edge", "o": {"a": 1, "b": 2}, "x": 1}),
        ]
    );
    // Again, over members that are there: in whichever way a name is written, it is the same.
    let set = rest(&[Some(r#"{"new":2,"hos\u0074":"again","x":null}"#), Some(r#"{"x":5,"x":6}"#)]);
    let changed = applied(&changed, vec![set], &[]);
    assert_eq!(
        rows(&changed),
        [
            json!({"host": "again", "o": {"c": 3}, "new": 2, "x": null}),
            json!({"host": "edge", "o": {"a": 1, "b": 2}, "x": 6}),
        ]
    );
}

#[test]
fn a_field_that_is_set_takes_the_place_of_a_member_whatever_its_name_begins_with() {
    let before = applied(&records(&[json!({})]), vec![rest(&[Some(r#"{"@version":1,"a":2,"b":3}"#)])], &[]);
    let changed = applied(&before, vec![numbers("@version", &[Some(7)]), numbers("a", &[Some(8)])], &[]);
    assert_eq!(rows(&changed), [json!({"@version": 7, "a": 8, "b": 3})]);
    let removed = [removal("@version", None), removal("a", None), removal("b", None)];
    let changed = applied(&before, Vec::new(), &removed);
    assert_eq!(rows(&changed), [json!({})]);
    assert!(changed.column(REST).is_none(), "nothing is left of it");
}

#[test]
fn each_of_many_fields_that_are_set_meets_just_the_members_of_its_name() {
    let objects = [json!({"n": 0}), json!({"n": 1}), json!({"n": 2})];
    let members = rest(&[Some(r#"{"a":1,"o":{"p":1},"b.c":1,"z":1}"#), None, Some(r#"{"b":{"c":1,"d":2}}"#)]);
    let before = applied(&records(&objects), vec![members], &[]);
    let set = vec![
        numbers("none", &[Some(5), Some(5), Some(5)]),
        numbers("a", &[Some(6), Some(6), None]),
        numbers("o.p", &[Some(7), None, Some(7)]),
        numbers("b.c", &[Some(8), Some(8), Some(8)]),
        numbers("b\\.c", &[Some(9), None, None]),
        rest(&[Some(r#"{"late":1}"#), Some(r#"{"late":1}"#), None]),
        numbers("late", &[Some(2), None, Some(2)]),
    ];
    let wanted = [
        json!({"n": 0, "none": 5, "a": 6, "o": {"p": 7}, "b": {"c": 8}, "b.c": 9, "z": 1, "late": 2}),
        json!({"n": 1, "none": 5, "a": 6, "b": {"c": 8}, "late": 1}),
        json!({"n": 2, "none": 5, "o": {"p": 7}, "b": {"c": 8, "d": 2}, "late": 2}),
    ];
    assert_eq!(rows(&applied(&before, set, &[])), wanted);
}

#[test]
fn all_members_go_where_the_column_is_removed_and_others_come_in_their_place() {
    let text = Some(r#"{"a":1,"b":2}"#);
    let before = applied(&records(&[json!({"c": 1}), json!({"c": 1})]), vec![rest(&[text, text])], &[]);
    let removed = removal(REST, Some(&[true, false]));
    let changed = applied(&before, vec![rest(&[Some(r#"{"b":3}"#), Some(r#"{"d":4}"#)])], &[removed]);
    assert_eq!(rows(&changed), [json!({"b": 3, "c": 1}), json!({"a": 1, "b": 2, "c": 1, "d": 4})]);
    assert_eq!(
        rows(&applied(&before, Vec::new(), &[removal(REST, None)])),
        [json!({"c": 1}), json!({"c": 1})]
    );
}

#[test]
fn what_is_no_object_and_a_name_of_the_hosts_are_refused() {
    let before = records(&[json!({"a": 1})]);
    for (text, reason) in [
        ("[1]", "`@rest` must be a JSON object"),
        ("null", "`@rest` must be a JSON object"),
        (r#"{"\u0040tag":"x"}"#, "`@rest` has a member `@tag`, a name of the host's"),
        (r#"{"@timestamp":1}"#, "`@rest` has a member `@timestamp`, a name of the host's"),
        (r#"{"@rest":{}}"#, "`@rest` has a member `@rest`, a name of the host's"),
    ] {
        let fault = apply(&before, None, vec![rest(&[Some(text)])], &[], &Bounds::none()).unwrap_err();
        assert_eq!((fault.kind, &*fault.reason), (FaultKind::Answer, reason));
    }
    assert_eq!(rows(&applied(&before, vec![rest(&[Some("{}")])], &[])), [json!({"a": 1})]);
}

#[test]
fn work_over_members_ends_with_the_time_of_the_guest() {
    let before = applied(&records(&[json!({"a": 1})]), vec![rest(&[Some(r#"{"b":1}"#)])], &[]);
    let late = Bounds::late();
    let fault = apply(&before, None, vec![rest(&[Some(r#"{"c":1}"#)])], &[], &late).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Deadline);
}

/// What one step does to each record.
#[derive(Clone, Debug)]
enum Step {
    /// Sets a field to a number.
    Set(&'static str, Vec<Option<i64>>),
    /// Sets members without columns.
    Rest(Vec<Option<Map<String, Json>>>),
    Remove(&'static str),
}

const ROWS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let set = proptest::sample::select(vec!["a", "a.b", "a.c", "d", "d.e", "@v", "", ".n"]);
    let value = prop_oneof![
        (0i64..9).prop_map(Json::from),
        Just(json!({"b": 1, "x": 2})),
        Just(json!({})),
        Just(json!([1])),
    ];
    let name =
        proptest::sample::select(vec!["a", "d", "@v", "", "f.g", "\u{fffd}\""]).prop_map(str::to_owned);
    let members = proptest::collection::btree_map(name, value, 1..4)
        .prop_map(|members| members.into_iter().collect::<Map<_, _>>());
    let numbers = proptest::collection::vec(proptest::option::of(0i64..9), ROWS);
    let remove = proptest::sample::select(vec!["a", "d", "@v", ""]);
    prop_oneof![
        (set, numbers).prop_map(|(name, values)| Step::Set(name, values)),
        proptest::collection::vec(proptest::option::of(members), ROWS).prop_map(Step::Rest),
        remove.prop_map(Step::Remove),
    ]
}

/// The same done to one record.
fn model(record: &mut Map<String, Json>, step: &Step, row: usize) {
    match step {
        Step::Rest(members) => record.extend(members[row].clone().into_iter().flatten()),
        Step::Remove(name) => drop(record.remove(*name)),
        Step::Set(path, values) => {
            let Some(value) = values[row] else { return };
            match path.split_once('.') {
                None => drop(record.insert((*path).to_owned(), json!(value))),
                Some((outer, inner)) => {
                    let place = record.entry(outer).or_insert_with(|| json!({}));
                    if !place.is_object() {
                        *place = json!({});
                    }
                    place[inner] = json!(value);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_record_is_the_same_wherever_its_members_stand(steps in proptest::collection::vec(step(), 1..8)) {
        let mut found = Records::clone(&records(&vec![json!({}); ROWS]));
        let mut wanted = vec![Map::new(); ROWS];
        for step in &steps {
            found = match step {
                Step::Set(name, values) => applied(&found, vec![numbers(name, values)], &[]),
                Step::Rest(members) => {
                    let texts: Vec<Option<String>> = members
                        .iter()
                        .map(|members| Some(Json::Object(members.clone()?).to_string()))
                        .collect();
                    let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
                    applied(&found, vec![rest(&texts)], &[])
                }
                Step::Remove(name) => applied(&found, Vec::new(), &[removal(name, None)]),
            };
            wanted.iter_mut().enumerate().for_each(|(row, record)| model(record, step, row));
        }
        prop_assert_eq!(rows(&found), wanted.into_iter().map(Json::Object).collect::<Vec<_>>());
    }
}
