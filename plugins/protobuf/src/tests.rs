use super::*;
use flitch_sdk::testing::host as stand_in;
use flitch_sdk::{BytesBuilder, Configure, Engine};

#[test]
fn every_case_comes_out_as_it_should() {
    flitch_sdk::testing::cases::run::<Protobuf, _>("cases");
}

/// The filter of a case, which takes bytes as they are.
fn filter(case: &str) -> Box<dyn Engine> {
    let text = std::fs::read_to_string(format!("cases/{case}/settings.json")).unwrap();
    Protobuf::configure(&text.replace("\"base64\"", "\"binary\"")).unwrap()
}

fn run(filter: &mut dyn Engine, values: &[&[u8]]) -> Changes {
    let mut bytes = BytesBuilder::default();
    values.iter().for_each(|value| bytes.push(value));
    filter.apply(&Batch { rows: values.len() as u32, columns: vec![bytes.finish("message")] }).unwrap()
}

fn column<'a>(changes: &'a Changes, name: &str) -> &'a flitch_sdk::Column {
    changes.set.iter().find(|column| column.name == name).unwrap()
}

#[test]
fn bytes_are_read_as_they_are_whether_they_are_utf_8_or_not() {
    // 150 in field 1 is no UTF-8, 5 is.
    let changes =
        run(&mut *filter("every_type_of_proto3"), &[&[0x08, 0x96, 0x01], &[0x08, 5], &[0x08, 0x80]]);
    let ids = column(&changes, "id");
    assert_eq!((ids.value(0), ids.value(1)), (Some(Value::Int64(150)), Some(Value::Int64(5))));
    let wrong: Vec<_> = changes.rejected.iter().map(|one| (one.row, one.reason.as_str())).collect();
    assert_eq!(wrong, [(2, "the field `message`: it ends within a number")]);
    assert_eq!(changes.remove.len(), 1);
}

#[test]
fn fields_that_the_schema_does_not_know_are_counted() {
    stand_in::take_counters();
    // Field 100 as a number, field 1 with a wire type that is not its own, and a group of field 101.
    let unknown = [0xa0, 0x06, 1, 0x0d, 0, 0, 0, 0, 0xab, 0x06, 0xac, 0x06, 0x08, 7];
    let changes = run(&mut *filter("every_type_of_proto3"), &[&unknown, &[0x08, 1]]);
    assert_eq!(column(&changes, "id").value(0), Some(Value::Int64(7)));
    assert_eq!(stand_in::take_counters().into_iter().collect::<Vec<_>>(), [("unknown_fields".to_owned(), 3)]);
}

#[test]
fn hostile_bytes_are_decoded_or_refused_and_nothing_else() {
    let mut seed = 1_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for case in ["every_type_of_proto3", "proto2_with_groups_and_extensions", "an_edition_by_its_features"] {
        let mut filter = filter(case);
        // What is changed a little gets further than what is random from the start.
        let lines = std::fs::read_to_string(format!("cases/{case}/in.ndjson")).unwrap();
        let messages: Vec<Vec<u8>> =
            lines.lines().map(|line| base64(line.rsplit('"').nth(1).unwrap()).unwrap()).collect();
        let mut refused = 0;
        for _ in 0..2000 {
            let mut bytes = messages[random() % messages.len()].clone();
            for _ in 0..1 + random() % 4 {
                let place = random() % (bytes.len() + 1);
                match random() % 3 {
                    0 => bytes.truncate(place),
                    1 => bytes.insert(place, random() as u8),
                    _ => {
                        if let Some(byte) = bytes.get_mut(place) {
                            *byte = random() as u8;
                        }
                    }
                }
            }
            let changes = run(&mut *filter, &[&bytes]);
            refused += changes.rejected.len();
        }
        assert!((1..2000).contains(&refused), "{case}: {refused}");
    }
}

#[test]
fn what_few_bytes_blow_up_to_is_bounded() {
    let text = std::fs::read_to_string("cases/every_type_of_proto3/settings.json").unwrap();
    let text = text.replace("\"encoding\": \"base64\"", "\"defaults\": \"all\"");
    let mut filter = Protobuf::configure(&text).unwrap();
    // Field 4, an empty message, two million times.
    let many = [0x22, 0].repeat(2_000_000);
    let changes = run(&mut *filter, &[&many]);
    assert_eq!(changes.rejected.len(), 1);
    assert!(
        changes.rejected[0].reason.contains("it makes more than 8 MiB of text"),
        "{:?}",
        changes.rejected[0]
    );
}
