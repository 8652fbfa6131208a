use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::changes::tests::{Set, change, column, record, sound};
use crate::tests::{records, rows};
use arrow_buffer::BooleanBuffer;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_layout_that_is_known_changes_nothing_about_what_comes(
        steps in proptest::collection::vec(
            proptest::collection::vec(record(), 1..4).prop_flat_map(|input| {
                let rows = input.len();
                let gaps = proptest::collection::vec(proptest::bool::weighted(0.8), rows);
                (Just(input), change(rows), gaps)
            }),
            1..4,
        )
    ) {
        let mut layouts = Layouts::default();
        for (input, (take, sets, removes), gaps) in steps {
            prop_assume!(sound(&sets));
            let records = records(&input);
            let remove: Vec<Remove> = removes
                .iter()
                .map(|(path, rows)| Remove {
                    name: (*path).to_owned(),
                    rows: rows.clone().map(BooleanBuffer::from),
                })
                .collect();
            let mut with_gaps = sets.clone();
            for set in &mut with_gaps {
                set.values.iter_mut().zip(&gaps).filter(|(_, stays)| !**stays).for_each(|(value, _)| *value = None);
            }
            for sets in [&sets, &sets, &with_gaps, &sets] {
                let fields: Vec<FieldRef> = sets.iter().map(|set| column(set).field).collect();
                let set = || sets.iter().zip(&fields).map(|(set, field)| SetColumn { field: field.clone(), ..column(set) });
                let take = take.as_deref();
                let expected = apply(&records, take, set().collect(), &remove, &Bounds::none()).unwrap();
                let laid = layouts.apply(&records, take, set().collect(), &remove, &Bounds::none()).unwrap();
                prop_assert_eq!(laid.columns(), expected.columns());
                prop_assert_eq!(laid.constants(), expected.constants());
                prop_assert_eq!(laid.rows(), expected.rows());
            }
        }
    }
}

fn set(path: &'static str, values: &[Option<i64>]) -> SetColumn {
    column(&Set { path, values: values.iter().map(|value| value.map(|value| json!(value))).collect() })
}

fn removed(name: &str) -> [Remove; 1] {
    [Remove { name: name.to_owned(), rows: None }]
}

#[test]
fn what_answers_alike_is_laid_alike() {
    let mut layouts = Layouts::default();
    let mut apply = |input: &[serde_json::Value], set| {
        let records = records(input);
        layouts.apply(&records, None, set, &removed("message"), &Bounds::none()).unwrap()
    };
    let first = apply(&[json!({"message": "x", "a": 1})], vec![set("b", &[Some(2)]), set("c", &[Some(3)])]);
    let next = apply(&[json!({"message": "y", "a": 4})], vec![set("b", &[Some(5)]), set("c", &[Some(6)])]);
    assert!(Arc::ptr_eq(first.columns().schema_ref(), next.columns().schema_ref()));
    assert_eq!(rows(&next), [json!({"a": 4, "b": 5, "c": 6})]);
    let other = apply(&[json!({"message": "y", "a": {"c": 4}})], vec![set("b", &[Some(5)])]);
    assert_eq!(rows(&other), [json!({"a": {"c": 4}, "b": 5})]);
}

#[test]
fn a_column_that_is_set_in_part_keeps_what_stood_there() {
    let mut layouts = Layouts::default();
    let records = records(&[json!({"a": 1}), json!({"a": 2})]);
    for (values, expected) in [
        ([Some(7), Some(8)], [json!({"a": 7}), json!({"a": 8})]),
        ([Some(7), None], [json!({"a": 7}), json!({"a": 2})]),
        ([None, None], [json!({"a": 1}), json!({"a": 2})]),
        ([Some(9), Some(9)], [json!({"a": 9}), json!({"a": 9})]),
    ] {
        let laid = layouts.apply(&records, None, vec![set("a", &values)], &[], &Bounds::none()).unwrap();
        assert_eq!(rows(&laid), expected);
    }
}

#[test]
fn names_too_long_are_refused_however_often_they_come() {
    let mut layouts = Layouts::default();
    let (rows, name) = (vec![json!({"a": 1}); 100], &*"n".repeat(5_000).leak());
    let records = records(&rows);
    for bytes in [1 << 20, 1000, 1 << 20] {
        let bounds = Bounds { bytes, ..Bounds::none() };
        let done = layouts.apply(&records, None, vec![set(name, &[Some(1); 100])], &[], &bounds);
        assert_eq!(done.is_ok(), bytes == 1 << 20);
    }
}
