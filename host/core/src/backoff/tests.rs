use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn each_pause_is_twice_the_one_before_it_up_to_the_longest() {
    let pauses = Backoff { first: SECOND, longest: SECOND * 60 };
    let all: Vec<u64> = (0..9).map(|failures| pauses.after(failures).as_secs()).collect();
    assert_eq!(all, [1, 1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(pauses.after(u32::MAX), pauses.longest);
    let short = Backoff { first: SECOND * 60, longest: SECOND };
    assert_eq!(short.after(1), SECOND, "the longest counts");
}

#[test]
fn pauses_and_intervals_are_scattered_within_their_bounds() {
    assert_eq!([0.0, 1.0].map(|luck| scattered(SECOND, luck)), [SECOND / 2, SECOND]);
    assert_eq!([0.0, 0.5, 1.0].map(|luck| about(SECOND * 10, luck).as_secs()), [9, 10, 11]);
    let span = Duration::from_nanos(u64::MAX);
    assert!(about(span, 1.0) > span, "the longest that can be set has room");
}

#[test]
fn a_server_that_fails_is_asked_again_soon_and_never_later_than_one_that_answers() {
    let every = SECOND * 300;
    assert_eq!([0.0, 1.0].map(|luck| next_question(every, 0, luck)), [SECOND * 270, SECOND * 330]);
    let failed: Vec<u64> = (1..12).map(|failures| next_question(every, failures, 1.0).as_secs()).collect();
    assert_eq!(failed, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(next_question(every, 1, 0.0), SECOND / 2);
    assert_eq!(next_question(SECOND / 4, 7, 1.0), SECOND / 4);
}
