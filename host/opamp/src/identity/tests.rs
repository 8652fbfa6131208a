use super::*;

const NOW: i64 = 1_795_000_000_123_456_789;

#[test]
fn a_number_is_a_uuid_of_version_seven_and_stays_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let uid = Identity::open(folder.path(), "m1", NOW).unwrap().uid();
    assert_eq!((uid.0[6] >> 4, uid.0[8] >> 6), (7, 0b10));
    assert_eq!(u128::from_be_bytes(uid.0) >> 80, (NOW / 1_000_000) as u128);
    assert_eq!(Identity::open(folder.path(), "m1", NOW + 1).unwrap().uid(), uid);
    assert_eq!(parse(&uid.to_string()), Some(uid));
}

#[test]
fn a_machine_that_was_cloned_has_a_number_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let one = Identity::open(folder.path(), "m1", NOW).unwrap().uid();
    let other = Identity::open(folder.path(), "m2", NOW).unwrap().uid();
    assert_ne!(one, other);
    assert_eq!(Identity::open(folder.path(), "m2", NOW).unwrap().uid(), other);
}

#[test]
fn a_number_that_a_server_gives_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let given = Uid([9; 16]);
    Identity::open(folder.path(), "m1", NOW).unwrap().renew(given).unwrap();
    assert_eq!(Identity::open(folder.path(), "m1", NOW).unwrap().uid(), given);
}

#[test]
fn a_file_that_holds_nonsense_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "{\"uid\":\"12\"").unwrap();
    let uid = Identity::open(folder.path(), "m1", NOW).unwrap().uid();
    assert_eq!(Identity::open(folder.path(), "m1", NOW).unwrap().uid(), uid);
}
