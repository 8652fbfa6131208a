use super::*;

fn all(bytes: &[u8]) -> Result<Vec<(u32, Raw<'_>)>, String> {
    let mut wire = Wire::new(bytes);
    std::iter::from_fn(|| wire.field().transpose()).collect()
}

#[test]
fn every_wire_type_is_read() {
    let bytes = [0x08, 0x96, 0x01, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, b'h', b'i', 0x25, 2, 0, 0, 0];
    let fields = [(1, Raw::Varint(150)), (2, Raw::Fixed64(1)), (3, Raw::Bytes(b"hi")), (4, Raw::Fixed32(2))];
    assert_eq!(all(&bytes), Ok(fields.to_vec()));
    // Group 1 holds a varint of field 2, and a group 3 that is empty.
    assert_eq!(all(&[0x0b, 0x10, 5, 0x1b, 0x1c, 0x0c]), Ok(vec![(1, Raw::Group(&[0x10, 5, 0x1b, 0x1c]))]));
}

#[test]
fn numbers_have_64_bits_and_no_more() {
    let mut most = vec![0xff; 9];
    most.push(1);
    assert_eq!(Wire::new(&most).varint(), Ok(u64::MAX));
    most[9] = 2;
    assert!(Wire::new(&most).varint().is_err());
    assert!(Wire::new(&[0x80; 12]).varint().is_err());
    assert!(Wire::new(&[0x80]).varint().is_err());
    assert_eq!([0, 1, 2, 3, u64::MAX].map(signed), [0, -1, 1, -2, i64::MIN]);
}

#[test]
fn what_is_no_field_is_refused() {
    for (bytes, reason) in [
        (&[0x00, 1][..], "0 is no tag of a field"),
        (&[0x0c], "field 1: a group ends that has not begun"),
        (&[0x0b, 0x14], "field 1: its group ends as one of field 2"),
        (&[0x0b], "field 1: its group has no end"),
        (&[0x0e, 1], "field 1: there is no wire type 6"),
        (&[0x0a, 5, 1], "field 1: 5 bytes should follow, and there are 1"),
        (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], "field 1: 4294967295 bytes should follow, and there are 0"),
        (&[0x0d, 1, 2], "field 1: 4 bytes should follow, and there are 2"),
        (&[0x08, 0x80], "it ends within a number"),
    ] {
        assert_eq!(all(bytes), Err(reason.to_owned()), "{bytes:?}");
    }
    let deep = [0x0b; 10_000];
    assert_eq!(all(&deep), Err("field 1: more than 100 groups within one another".to_owned()));
}
