use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_client_may_be_silent_as_long_as_it_likes_between_two_messages() {
    let mut pace = Pace::default();
    assert_eq!(pace.patience(true), None);
    pace.came(0, 86_400 * SECOND);
    assert!(pace.is_too_slow(true).is_none());
    pace.came(100, SECOND);
    pace.holds(0, true);
    pace.came(0, 86_400 * SECOND);
    assert_eq!((pace.patience(false), pace.is_too_slow(true)), (None, None));
}

#[test]
fn a_message_that_has_begun_may_not_stop() {
    let mut pace = Pace::default();
    pace.came(1, 86_400 * SECOND);
    pace.holds(1, true);
    let patience = pace.patience(false).unwrap();
    assert!(patience >= GRACE && patience < GRACE + SECOND);
    pace.came(0, patience - SECOND);
    assert!(pace.is_too_slow(false).is_none());
    pace.came(0, SECOND);
    assert!(pace.is_too_slow(false).is_some());
}

#[test]
fn a_message_may_be_slow_but_not_as_slow_as_one_byte_every_second() {
    let (mut slow, mut drop_by_drop) = (Pace::default(), Pace::default());
    for _ in 0..100 {
        slow.came(600, SECOND);
        drop_by_drop.came(1, SECOND);
    }
    assert!(slow.is_too_slow(false).is_none());
    assert!(drop_by_drop.is_too_slow(false).is_some());
}

#[test]
fn a_message_must_be_faster_while_others_wait_for_its_memory() {
    let mut pace = Pace::default();
    pace.came(1, SECOND);
    pace.came(400 << 10, 40 * SECOND);
    assert!(pace.is_too_slow(true).is_some() && pace.is_too_slow(false).is_none());
    assert_eq!(pace.patience(true), Some(LOOK));
}
