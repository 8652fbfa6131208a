use super::*;

#[test]
fn a_segment_is_called_by_its_first_sequence() {
    assert_eq!(name(7), "00000000000000000007.segment");
    assert_eq!(first(&name(7)), Some(7));
    assert_eq!(first(&name(u64::MAX)), Some(u64::MAX));
    for other in ["7.segment", "0000000000000000000x.segment", "00000000000000000007.parked", "settled"] {
        assert_eq!(first(other), None, "{other}");
    }
}

#[test]
fn a_header_says_its_version_and_one_that_is_broken_says_nothing() {
    let path = Path::new("file");
    assert!(Header::read(&Header::write(), path).unwrap());
    assert!(!Header::read(&Header::write()[..9], path).unwrap());
    let mut broken = Header::of(9);
    assert!(Header::read(&broken, path).unwrap_err().to_string().contains("format 9, and this one reads 2"));
    broken[8] ^= 1;
    assert!(!Header::read(&broken, path).unwrap());
}
