//! `changes::apply` against a model that goes row by row over JSON objects.

use std::collections::HashSet;

use arrow_array::{BooleanArray, Int64Array, StringArray};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::tests::{records, rows};
use flitch_core::batch::Column;
use flitch_core::batch::merge::concat;
use flitch_core::batch::origin::{Origins, Root};

/// Paths that meet in every way: the same, one below the other, side by side, and names that only begin alike.
const PATHS: &[&str] = &["a", "a.b", "a.b.c", "a.d", "ab", "e", "e.f"];

fn names(path: &str) -> Vec<&str> {
    path.split('.').collect()
}

/// Takes what lies at or below a path out of an object; objects that are empty then go too, as columns have it.
fn model_remove(object: &mut Map<String, Json>, names: &[&str]) {
    let Some((first, rest)) = names.split_first() else { return };
    if rest.is_empty() {
        object.remove(*first);
    } else if let Some(Json::Object(inner)) = object.get_mut(*first)
        && !inner.is_empty()
    {
        model_remove(inner, rest);
        if inner.is_empty() {
            object.remove(*first);
        }
    }
}

fn model_set(object: &mut Map<String, Json>, names: &[&str], value: Json) {
    let Some((first, rest)) = names.split_first() else { return };
    if rest.is_empty() {
        object.insert((*first).to_owned(), value);
        return;
    }
    let inner = object.entry((*first).to_owned()).or_insert_with(|| json!({}));
    if !inner.is_object() {
        *inner = json!({});
    }
    if let Json::Object(inner) = inner {
        model_set(inner, rest, value);
    }
}

/// One column that is set: a value or none for each row.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) path: &'static str,
    pub(super) values: Vec<Option<Json>>,
}

pub(super) fn column(set: &Set) -> SetColumn {
    let (kind, array): (Kind, ArrayRef) = match set.values.iter().flatten().next() {
        Some(Json::Number(_)) => {
            let values = set.values.iter().map(|v| v.as_ref().and_then(Json::as_i64));
            (Kind::Int64, Arc::new(values.collect::<Int64Array>()))
        }
        Some(Json::Bool(_)) => {
            let values = set.values.iter().map(|v| v.as_ref().and_then(Json::as_bool));
            (Kind::Boolean, Arc::new(values.collect::<BooleanArray>()))
        }
        Some(Json::Array(_)) => {
            let values = set.values.iter().map(|v| v.as_ref().map(Json::to_string));
            (Kind::Json, Arc::new(values.collect::<StringArray>()))
        }
        _ => {
            let values = set.values.iter().map(|v| v.as_ref().and_then(Json::as_str));
            (Kind::Text, Arc::new(values.collect::<StringArray>()))
        }
    };
    SetColumn { field: Arc::new(kind.field(set.path)), kind, array }
}

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        (0i64..9).prop_map(Json::from),
        "[a-c]{0,3}".prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
        Just(json!([1, "x"])),
        Just(json!(null)),
        Just(json!({})),
    ]
}

pub(super) fn record() -> impl Strategy<Value = Json> {
    proptest::collection::vec((proptest::sample::select(PATHS), scalar()), 0..5).prop_map(|fields| {
        let mut object = Map::new();
        for (path, value) in fields {
            model_set(&mut object, &names(path), value);
        }
        Json::Object(object)
    })
}

/// Values of one kind, with gaps.
fn values(rows: usize) -> impl Strategy<Value = Vec<Option<Json>>> {
    let of = |value: BoxedStrategy<Json>| proptest::collection::vec(proptest::option::of(value), rows);
    prop_oneof![
        of((0i64..9).prop_map(Json::from).boxed()),
        of("[a-c]{0,3}".prop_map(Json::from).boxed()),
        of(any::<bool>().prop_map(Json::from).boxed()),
        of((0i64..9).prop_map(|n| json!([n])).boxed()),
    ]
}

pub(super) type Change = (Option<Vec<u32>>, Vec<Set>, Vec<(&'static str, Option<Vec<bool>>)>);

pub(super) fn change(rows: usize) -> impl Strategy<Value = Change> {
    let take = proptest::option::of(proptest::collection::vec(0..rows as u32, 0..8));
    take.prop_flat_map(move |take| {
        let rows = take.as_ref().map_or(rows, Vec::len);
        let set = (proptest::sample::select(PATHS), values(rows));
        let bits = proptest::option::of(proptest::collection::vec(any::<bool>(), rows));
        let remove = (proptest::sample::select(PATHS), bits);
        let sets = proptest::collection::vec(set.prop_map(|(path, values)| Set { path, values }), 0..3);
        (Just(take), sets, proptest::collection::vec(remove, 0..3))
    })
}

/// Whether the sets are an answer that passes the checks: no path twice, no row with a value at a path and below it.
pub(super) fn sound(sets: &[Set]) -> bool {
    let meets = |a: &Set, b: &Set| {
        a.path == b.path
            || (path::is_below(a.path, b.path) || path::is_below(b.path, a.path))
                && a.values.iter().zip(&b.values).any(|(a, b)| a.is_some() && b.is_some())
    };
    sets.iter().enumerate().all(|(n, set)| sets[n + 1..].iter().all(|other| !meets(set, other)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn changes_do_what_the_model_does(
        (input, (take, sets, removes)) in proptest::collection::vec(record(), 1..6)
            .prop_flat_map(|input| { let rows = input.len(); (Just(input), change(rows)) })
    ) {
        prop_assume!(sound(&sets));
        let mut expected: Vec<Json> = match &take {
            Some(take) => take.iter().map(|row| input[*row as usize].clone()).collect(),
            None => input.clone(),
        };
        for (row, record) in expected.iter_mut().enumerate() {
            let object = record.as_object_mut().unwrap();
            for (path, _) in removes.iter().filter(|(_, rows)| rows.as_ref().is_none_or(|rows| rows[row])) {
                model_remove(object, &names(path));
            }
            for set in &sets {
                if let Some(value) = &set.values[row] {
                    model_set(object, &names(set.path), value.clone());
                }
            }
        }
        let remove: Vec<Remove> = removes
            .iter()
            .map(|(path, rows)| Remove { name: (*path).to_owned(), rows: rows.clone().map(BooleanBuffer::from) })
            .collect();
        let origins = Origins::counted(Root::of("test", &[]), 100, input.len());
        let records = Records::clone(&records(&input)).with_origins(Some(origins.clone()));
        let set = sets.iter().map(column).collect();
        let changed = apply(&records, take.as_deref(), set, &remove, &Bounds::none()).unwrap();
        prop_assert_eq!(changed.rows(), expected.len());
        prop_assert_eq!(rows(&changed), expected);
        let went_on = changed.origins().expect("each record has one");
        let ids: HashSet<u128> = (0..went_on.rows()).map(|row| went_on.id(row)).collect();
        prop_assert_eq!(ids.len(), changed.rows());
        let from: Vec<u64> = match &take {
            Some(take) => take.iter().map(|row| 100 + u64::from(*row)).collect(),
            None => origins.numbers().to_vec(),
        };
        prop_assert_eq!(went_on.numbers().to_vec(), from);
    }

    #[test]
    fn parts_that_are_joined_are_the_whole(input in proptest::collection::vec(record(), 0..8), cuts in proptest::collection::vec(0usize..8, 0..3)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        // Each part is built by itself, so that its columns have kinds of their own.
        let origins = Origins::counted(Root::of("test", &[]), 0, input.len());
        let part = |from: usize, to: usize| {
            let records = Arc::into_inner(records(&input[from..to])).unwrap();
            records.with_origins(Some(origins.slice(from, to - from)))
        };
        let parts: Vec<Records> = cuts.windows(2).map(|cut| part(cut[0], cut[1])).collect();
        let whole = concat(&parts).unwrap();
        prop_assert_eq!(rows(&whole), input);
        prop_assert_eq!(whole.origins(), Some(&origins));
    }
}

#[test]
fn a_member_deep_in_a_json_value_is_set_and_removed() {
    // Past the depth that columns have, an object is one json value.
    let deep = json!({"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"x": 1, "y": [2]}}}}}}}}});
    let records = records(&[deep, json!({"other": 1})]);
    let path = "a.a.a.a.a.a.a.a.x";
    let set = Set { path, values: vec![Some(json!(7)), Some(json!(8))] };
    let changed = apply(&records, None, vec![column(&set)], &[], &Bounds::none()).unwrap();
    let got = rows(&changed);
    assert_eq!(got[0].pointer("/a/a/a/a/a/a/a/a"), Some(&json!({"x": 7, "y": [2]})));
    assert_eq!(got[1].pointer("/a/a/a/a/a/a/a/a/x"), Some(&json!(8)));
    let remove = Remove { name: path.to_owned(), rows: None };
    let changed = apply(&records, None, Vec::new(), &[remove], &Bounds::none()).unwrap();
    assert_eq!(rows(&changed)[0].pointer("/a/a/a/a/a/a/a/a"), Some(&json!({"y": [2]})));
}

#[test]
fn columns_that_are_set_in_full_are_taken_as_they_are() {
    let records = records(&[json!({"a": 1, "b": "x"}), json!({"a": 2})]);
    let set = Set { path: "a", values: vec![Some(json!("y")), Some(json!("z"))] };
    let column = column(&set);
    let array = column.array.clone();
    let changed = apply(&records, None, vec![column], &[], &Bounds::none()).unwrap();
    assert!(Arc::ptr_eq(changed.column("a").unwrap().array(), &array));
    assert!(Arc::ptr_eq(changed.column("b").unwrap().array(), records.column("b").unwrap().array()));
    assert!(matches!(changed.column("@tag"), Some(Column::Constant(..))));
}

#[test]
fn the_tag_and_the_time_are_set_for_the_rows_that_have_one() {
    let records = records(&[json!({"a": 1}), json!({"a": 2})]);
    let set = Set { path: "@tag", values: vec![None, Some(json!("audit"))] };
    let changed = apply(&records, None, vec![column(&set)], &[], &Bounds::none()).unwrap();
    assert_eq!(rows(&changed), [json!({"a": 1}), json!({"a": 2, "@tag": "audit"})]);
}

#[test]
fn rows_that_are_taken_again_are_counted_as_large_as_they_are_written() {
    let records = records(&[json!({"a": "x".repeat(1 << 20)}), json!({"a": "y"}), json!({"b": 1})]);
    let most = |bytes| Bounds { bytes, ..Bounds::none() };
    let take =
        |take: &[u32], bytes| apply(&records, Some(take), Vec::new(), &[], &most(bytes)).map(|r| r.rows());
    // No more rows than came, and yet three times as large.
    assert!(take(&[0, 0, 0], 3 << 20).unwrap_err().reason.contains("may have 3145728"));
    assert_eq!(take(&[0, 0, 1], 3 << 20).unwrap(), 3);
    assert_eq!(take(&[2, 1, 0], 0).unwrap(), 3, "rows in another order are no more than they were");
    // Rows of little more than names and constants have a size too.
    assert!(take(&vec![2; 1 << 20], 32 << 20).is_err());
}

#[test]
fn a_name_counts_in_each_record_that_it_stands_in() {
    let rows = vec![json!({"a": 1}); 100];
    let records = records(&rows);
    let name: &'static str = "n".repeat(10_000).leak();
    let column = |values: usize| {
        let values = (0..100).map(|row| (row < values).then(|| json!(1))).collect();
        column(&Set { path: name, values })
    };
    let bounds = Bounds { bytes: 10_000, ..Bounds::none() };
    let fault = apply(&records, None, vec![column(100)], &[], &bounds).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Answer);
    assert!(fault.reason.contains("would take 1000000 bytes"), "{fault}");
    assert!(apply(&records, None, vec![column(40)], &[], &bounds).is_ok());
}

#[test]
fn what_an_answer_has_the_host_do_ends_with_the_time_of_the_guest() {
    let records = records(&[json!({"a": [1]})]);
    let late = Bounds::late();
    let set = Set { path: "b", values: vec![Some(json!(1))] };
    let remove = Remove { name: "a.x".to_owned(), rows: None };
    for (set, remove) in [(vec![column(&set)], vec![]), (vec![], vec![remove])] {
        let fault = apply(&records, None, set, &remove, &late).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Deadline);
    }
}

#[test]
fn many_columns_that_are_set_and_removed_at_once_are_as_one_by_one() {
    let names = |prefix: &str, from: usize, to: usize| -> Vec<String> {
        (from..to).map(|number| format!("{prefix}{number}")).collect()
    };
    // More names than have columns, objects among them, and one that is a single value.
    let mut wide = Map::new();
    names("f", 0, 300).into_iter().for_each(|name| drop(wide.insert(name, json!(1))));
    let mut nested = Map::new();
    for name in names("g", 0, 40) {
        nested.insert(name, json!({"x": 1, "y": {"z": "w"}}));
    }
    let input = [Json::Object(wide), Json::Object(nested), json!({"f7": {"a": 1}, "g3": "text"})];
    let records = records(&input);
    let set: Vec<Set> = names("f", 0, 320)
        .into_iter()
        .chain(names("g", 0, 20).iter().map(|name| format!("{name}.y")))
        .chain(names("g", 20, 30).iter().map(|name| format!("{name}.x.n")))
        .enumerate()
        .map(|(number, path)| {
            let values = (0..3).map(|row| ((row + number) % 3 != 0).then(|| json!(number as i64))).collect();
            Set { path: path.leak(), values }
        })
        .collect();
    let removed = || {
        let names = names("f", 100, 200).into_iter().chain(names("g", 5, 25)).enumerate();
        names.map(|(number, name)| {
            let rows = (number % 2 == 0).then(|| BooleanBuffer::from(vec![true, number % 4 == 0, true]));
            Remove { name, rows }
        })
    };
    let apply = |records: &Records, set, removed: &[Remove]| {
        apply(records, None, set, removed, &Bounds::none()).unwrap()
    };
    let at_once = apply(&records, set.iter().map(column).collect(), &removed().collect::<Vec<_>>());
    let mut one_by_one = records.slice(0, records.rows());
    // What goes from all rows goes first.
    let (whole, some): (Vec<Remove>, Vec<Remove>) = removed().partition(|remove| remove.rows.is_none());
    for remove in whole.into_iter().chain(some) {
        one_by_one = apply(&one_by_one, Vec::new(), &[remove]);
    }
    for set in &set {
        one_by_one = apply(&one_by_one, vec![column(set)], &[]);
    }
    assert_eq!(rows(&at_once), rows(&one_by_one));
}
