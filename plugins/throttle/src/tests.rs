use super::*;
use flitch_sdk::{AnyColumn, BytesBuilder};

#[test]
fn every_case_comes_out_as_it_should() {
    flitch_sdk::testing::cases::run::<Throttle, _>("cases");
}

#[test]
fn no_value_is_taken_for_another_field() {
    let text = |name: &str, value: &str| {
        let mut builder = flitch_sdk::TextBuilder::default();
        builder.push(value);
        builder.finish(name)
    };
    let key = |fields: &[(&str, &str)]| {
        let columns: Vec<Column> = fields.iter().map(|(name, value)| text(name, value)).collect();
        let mut key = String::new();
        assert!(read_key(&columns.iter().collect::<Vec<_>>(), 0, &mut key));
        key
    };
    for (one, other) in [
        ([("a", "1\nb=2")].as_slice(), [("a", "1"), ("b", "2")].as_slice()),
        (&[("a", "1\\nb=2")], &[("a", "1\nb=2")]),
        (&[("a", "1\\"), ("b", "2")], &[("a", "1\\\nb=2")]),
        (&[("a.x=1", "2")], &[("a.x", "1=2")]),
    ] {
        assert_ne!(key(one), key(other));
    }
    assert_eq!(key(&[("a", "1"), ("b", "2")]), "a=1\nb=2\n", "as it was saved before");
}

#[test]
fn different_bytes_have_budgets_of_their_own_alone_and_among_others() {
    let mut alone = BytesBuilder::default();
    [&b"a\xff"[..], b"a\xfe"].iter().for_each(|bytes| alone.push(bytes));
    let alone = alone.finish("k");
    let mut mixed = AnyColumn::new("k");
    [Value::Int64(1), Value::Bytes(b"a\xff")].into_iter().for_each(|value| mixed.push(value));
    let mixed = mixed.finish().unwrap();
    let key = |column: &Column, row| {
        let mut key = String::new();
        assert!(read_key(&[column], row, &mut key));
        key
    };
    assert_ne!(key(&alone, 0), key(&alone, 1));
    assert_eq!(key(&alone, 0), key(&mixed, 1));
}
