use super::*;
use crate::testing::batch;

/// A record with 256 names, and these members behind them.
fn wide(members: &str) -> String {
    let names: Vec<String> = (0..256).map(|number| format!("\"n{number}\":{number}")).collect();
    format!("{{{},{members}}}", names.join(","))
}

fn values(column: &Column, rows: usize) -> Vec<Option<String>> {
    (0..rows).map(|row| column.value(row).map(|value| format!("{value:?}"))).collect()
}

#[test]
fn a_field_is_found_in_its_column_and_in_objects_above_it() {
    let lines = [wide(r#""a":"x","o":{"b":[1]}"#), r#"{"a":"y","o":{"b":2}}"#.to_owned(), "{}".to_owned()];
    let batch = batch(&lines.join("\n"));
    let found = |name: &str| batch.find(name).map(|column| values(&column, 3));
    let text = |text: &str| Some(format!("Json({text:?})"));
    assert_eq!(found("a"), Some(vec![text("\"x\""), text("\"y\""), None]));
    assert_eq!(found("o.b"), Some(vec![text("[1]"), text("2"), None]));
    assert_eq!(found("o.c"), None);
    assert!(matches!(batch.find("n1"), Some(Cow::Borrowed(column)) if column.name == "n1"));
}

#[test]
fn of_what_has_no_columns_those_members_are_left_that_a_record_has() {
    let here = [
        wide(r#""seen":1,"text":"goes""#),
        r#"{"seen":1,"o":{"a":1},"text":"goes"}"#.to_owned(),
        "{}".to_owned(),
        "{}".to_owned(),
    ];
    let here = batch(&here.join("\n"));
    let line = wide(r#""s\u0065en":2,"o":{"b":2},"text":3,"new":4"#);
    let mut brought = batch(&[&*line, &line, &line, "{}"].join("\n"));
    let rest = brought.columns.iter_mut().find(|column| column.name == REST).unwrap();
    rest.leave_what_is(&here, |name| name == "text", &[0, 1, 2, 3]);
    assert_eq!(
        values(rest, 4),
        [
            Some(r#"Json("{\"o\":{\"b\":2},\"text\":3,\"new\":4}")"#.to_owned()),
            Some(r#"Json("{\"text\":3,\"new\":4}")"#.to_owned()),
            Some(r#"Json("{\"seen\":2,\"o\":{\"b\":2},\"text\":3,\"new\":4}")"#.to_owned()),
            None,
        ]
    );
}

#[test]
fn a_value_is_not_met_by_what_goes() {
    let here = batch(&[&wide(r#""a":1,"b":2"#), r#"{"a":1,"b":2}"#].join("\n"));
    let brought = batch("{\"a\":7,\"b\":8}\n{\"a\":7,\"b\":8}");
    let left = |name: &str| {
        let mut column = brought.column(name).unwrap().clone();
        column.leave_what_is(&here, |name| name == "a", &[0, 1]);
        values(&column, 2)
    };
    assert_eq!(left("a"), [Some("Int64(7)".to_owned()), Some("Int64(7)".to_owned())]);
    assert_eq!(left("b"), [None, None]);
}
