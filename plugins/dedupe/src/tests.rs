use super::*;
use flitch_sdk::{AnyColumn, BytesBuilder};

#[test]
fn every_case_comes_out_as_it_should() {
    flitch_sdk::testing::cases::run::<Dedupe, _>("cases");
}

#[test]
fn bytes_are_the_same_where_they_are_the_same_bytes_alone_and_among_others() {
    let mut alone = BytesBuilder::default();
    [&b"a\xff"[..], b"a\xfe", b"a\xff"].iter().for_each(|bytes| alone.push(bytes));
    let alone = alone.finish("k");
    let mut mixed = AnyColumn::new("k");
    [Value::Int64(1), Value::Bytes(b"a\xff")].into_iter().for_each(|value| mixed.push(value));
    let mixed = mixed.finish().unwrap();
    let key = |column: &Column, row| key_of(&[column], row);
    assert_ne!(key(&alone, 0), key(&alone, 1));
    assert_eq!(key(&alone, 0), key(&alone, 2));
    assert_eq!(key(&alone, 0), key(&mixed, 1));
}
