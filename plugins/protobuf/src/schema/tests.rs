use super::*;

/// A field of a descriptor: a number, and bytes behind their length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat()
}

fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

/// A set with one file, `f`, that has one message, `M`, with this field.
fn set(message_field: &[u8]) -> Vec<u8> {
    let message = [field(1, b"M"), field(2, message_field)].concat();
    field(1, &[field(1, b"f"), field(4, &message), field(12, b"proto3")].concat())
}

#[test]
fn a_field_without_a_json_name_gets_the_one_that_the_language_gives_it() {
    let set = set(&[field(1, b"user_id_2"), number(3, 1), number(4, 1), number(5, 5)].concat());
    let schema = Schema::read(&set, true).unwrap();
    let message = &schema.messages[schema.message("M").unwrap()];
    assert_eq!(message.fields[0].member, "\"userId2\":");
    assert_eq!(message.fields[0].cardinality, Cardinality::Implicit);
    assert_eq!((message.find(1), message.find(2), message.find(1000)), (Some(0), None, None));
}

#[test]
fn what_is_wrong_with_a_set_is_said_with_its_place() {
    let unknown = [field(1, b"x"), number(3, 1), number(4, 1), number(5, 11), field(6, b".other.M")].concat();
    let no_type = [field(1, b"x"), number(3, 1), number(4, 1), number(5, 99)].concat();
    let no_number = [field(1, b"x"), number(4, 1), number(5, 5)].concat();
    for (field, reason) in [
        (unknown, "M.x: `other.M` is not in the set; write it with `protoc --include_imports`"),
        (no_type, "M.x: there is no type 99"),
        (no_number, "M.x: 0 is no number of a field"),
    ] {
        assert_eq!(Schema::read(&set(&field), false).unwrap_err(), reason);
    }
    let twice =
        [set(&[field(1, b"x"), number(3, 1), number(4, 1), number(5, 5)].concat())].concat().repeat(2);
    assert_eq!(Schema::read(&twice, false).unwrap_err(), "f: `M` is there twice");
    let syntax = field(1, &[field(1, b"f"), field(12, b"proto4")].concat());
    assert_eq!(Schema::read(&syntax, false).unwrap_err(), "f: there is no syntax \"proto4\" of edition 0");
}

#[test]
fn messages_within_one_another_have_an_end() {
    let mut message = field(1, b"M");
    for _ in 0..63 {
        message = [field(1, b"M"), [&[3 << 3 | 2][..], &length(message.len()), &message].concat()].concat();
    }
    let file = |message: &[u8]| {
        let file = [&[4 << 3 | 2][..], &length(message.len()), message].concat();
        [&[1 << 3 | 2][..], &length(file.len()), &file].concat()
    };
    assert!(Schema::read(&file(&message), false).is_ok());
    let deeper = [&[3 << 3 | 2][..], &length(message.len()), &message].concat();
    let wrong = Schema::read(&file(&deeper), false).unwrap_err();
    assert_eq!(wrong, "more than 64 messages within one another");
}

fn length(length: usize) -> Vec<u8> {
    vec![length as u8 & 0x7f | 0x80, (length >> 7) as u8]
}
