use super::*;

#[test]
fn files_leave_descriptors_to_all_else() {
    for (most, files) in [(64, 32), (256, 128), (512, 256), (1024, 768), (1 << 20, (1 << 20) - 256)] {
        assert_eq!(share(most), files, "{most}");
    }
}

#[test]
fn what_a_source_holds_is_held_of_all_until_it_ends() {
    let pool = Pool::new(4);
    let (mut one, mut other) = (pool.join(), pool.join());
    one.set(3);
    assert!(one.is_large() && !one.is_full() && !other.is_full());
    other.set(1);
    assert!(one.is_full() && other.is_full() && !other.is_large());
    drop(one);
    assert!(!other.is_full());
    other.set(4);
    assert!(other.is_full() && !other.is_large(), "it is alone now");
}

#[test]
fn what_is_wanted_is_owed_by_those_that_hold_more_than_their_part() {
    let pool = Pool::new(4);
    let (mut one, mut other) = (pool.join(), pool.join());
    one.set(4);
    assert!(!one.is_owed());
    other.want();
    assert!(!other.is_owed() && one.is_owed() && !one.is_owed());
    one.want();
    assert!(!one.is_owed(), "one that holds more than its part has no claim on the others");
    other.set(1);
}
