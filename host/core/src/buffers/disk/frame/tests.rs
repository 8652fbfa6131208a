use arrow_array::{ArrayRef, BinaryArray, BooleanArray, Float64Array, StringArray, TimestampNanosecondArray};

use super::*;
use crate::batch::TAG;

fn columns() -> Vec<(Arc<arrow_schema::Field>, ArrayRef)> {
    let time = TimestampNanosecondArray::from(vec![Some(1), None, Some(3)]).with_timezone("UTC");
    let all: [(Kind, &str, ArrayRef); 6] = [
        (Kind::Text, "text", Arc::new(StringArray::from(vec![Some("é"), None, Some("")]))),
        (Kind::Bytes, "bytes", Arc::new(BinaryArray::from(vec![Some(&[0xff, 0][..]), None, Some(&[])]))),
        (Kind::Float64, "float", Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(f64::NAN)]))),
        (Kind::Boolean, "truth", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        (Kind::Timestamp, "@timestamp", Arc::new(time)),
        (Kind::Json, "json", Arc::new(StringArray::from(vec![Some("null"), None, Some("[1]")]))),
    ];
    all.into_iter().map(|(kind, name, array)| (Arc::new(kind.field(name)), array)).collect()
}

fn round_trip(records: &Records) -> Records {
    let draft = Draft { records, source: "nginx", stream: 3, weight: 7 };
    let frame = encode(&draft).unwrap();
    let (head, parts) = frame.at(11, -5);
    let bytes: Vec<u8> = parts.flat_map(|part| part.to_vec()).collect();
    assert_eq!((bytes.len() as u64, bytes.len() % ALIGNMENT), (head.bytes(), 0));
    let read = Head::read(bytes[..HEAD].try_into().unwrap()).unwrap();
    assert_eq!(read, head);
    assert_eq!((read.sequence, read.time, read.stream, read.weight), (11, -5, 3, head.bytes()));
    assert_eq!(read.rows as usize, records.rows());
    let payload = Buffer::from(&bytes[HEAD..]);
    assert!(read.fits(&payload));
    let (records, source) = read.decode(&payload).unwrap();
    assert_eq!(&*source, "nginx");
    records
}

#[test]
fn columns_of_all_kinds_and_constants_come_back_as_they_were() {
    let tag: ArrayRef = Arc::new(StringArray::from(vec!["nginx.access"]));
    let constants = vec![(Arc::new(Kind::Text.field(TAG)), tag)];
    let records = Records::of(3, columns(), constants).unwrap();
    for records in [records.slice(0, 3), records.slice(1, 2), records.slice(0, 0)] {
        let back = round_trip(&records);
        assert_eq!(back.ndjson().text, records.ndjson().text);
        assert_eq!(back.columns().schema(), records.columns().schema());
        assert_eq!(back.constants(), records.constants());
    }
}

/// Origins of three records, of three roots and of one.
fn origins() -> [Origins; 2] {
    let root = Root::of("test", &[b"root"]);
    let several = Origins::counted(root, 7, 3).take(&[2, 2, 2]);
    assert_eq!(several.roots().len(), 3);
    [several, Origins::counted(root, u64::MAX - 3, 3)]
}

#[test]
fn records_come_back_with_the_origins_that_they_had() {
    for origins in origins() {
        let records = Records::of(3, columns(), vec![]).unwrap().with_origins(Some(origins));
        for records in [records.slice(0, 3), records.slice(1, 2), records.slice(2, 1), records.slice(0, 0)] {
            assert_eq!(round_trip(&records).origins(), records.origins());
        }
    }
}

#[test]
fn a_frame_of_version_1_has_origins_that_are_the_same_whenever_it_is_read() {
    let read = |sequence| {
        let draft = Draft {
            records: &Records::of(3, columns(), vec![]).unwrap(),
            source: "in",
            stream: 0,
            weight: 0,
        };
        let frame = encode(&draft).unwrap();
        let (head, parts) = frame.at(sequence, 5);
        assert_eq!(head.write()[62..], [0, 0], "as version 1 wrote it");
        let payload: Vec<u8> = parts.skip(1).flat_map(|part| part.to_vec()).collect();
        head.decode(&Buffer::from(payload)).unwrap().0.origins().unwrap().clone()
    };
    assert_eq!(read(1), read(1));
    assert_ne!(read(1).row(0), read(2).row(0));
    assert_ne!(read(1).row(0), read(1).row(1));
}

#[test]
fn records_without_any_column_come_back_too() {
    let back = round_trip(&Records::of(4, vec![], vec![]).unwrap());
    assert_eq!((back.rows(), back.columns().num_columns()), (4, 0));
}

#[test]
fn a_payload_that_was_changed_is_an_error_or_other_records_and_never_a_panic() {
    let [origins, _] = origins();
    let records = Records::of(3, columns(), vec![]).unwrap().with_origins(Some(origins));
    let draft = Draft { records: &records, source: "in", stream: 0, weight: 0 };
    let frame = encode(&draft).unwrap();
    let (head, parts) = frame.at(1, 0);
    let bytes: Vec<u8> = parts.skip(1).flat_map(|part| part.to_vec()).collect();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[place] ^= 1 << bit;
            let payload = Buffer::from(&bytes[..]);
            assert!(!head.fits(&payload));
            if let Ok((records, _)) = head.decode(&payload) {
                assert_eq!(records.rows(), 3);
                records.ndjson();
                assert_eq!(records.origins().unwrap().rows(), 3);
            }
        }
    }
}
