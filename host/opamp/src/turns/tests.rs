use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn lost(now: Instant) -> Turns {
    let mut turns = Turns::new(Duration::from_secs(30));
    for minute in 0..5 {
        turns.over(now + MINUTE * minute, now + MINUTE * (minute + 1), false, false);
    }
    assert!(turns.is_lost() && turns.turn() == Turn::Own);
    turns
}

#[test]
fn an_offered_connection_is_lost_after_ten_heartbeats_and_three_attempts_and_no_sooner() {
    let start = Instant::now();
    let mut turns = Turns::new(Duration::from_secs(30));
    assert!(!turns.over(start, start + MINUTE, true, false), "it was there until now");
    for minute in 2..6 {
        let now = start + MINUTE * minute;
        assert!(!turns.over(now, now, false, false), "minute {minute}");
        assert_eq!((turns.turn(), turns.lasts(1.0)), (Turn::Offered, None));
    }
    let now = start + MINUTE * 6;
    assert!(turns.over(now, now, false, false));
    assert!(!turns.over(now, now, false, false), "that is said once");
    let mut slept = Turns::new(Duration::from_secs(30));
    assert!(!slept.over(start, start + MINUTE * 600, false, false), "one attempt is none");
}

#[test]
fn two_connections_that_are_both_away_take_turns_and_the_one_that_comes_back_counts() {
    let now = Instant::now();
    let mut turns = lost(now);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(turns.turn());
        turns.over(now, now, false, false);
    }
    assert_eq!(seen, [Turn::Own, Turn::Offered, Turn::Own, Turn::Offered]);
    turns.over(now, now, false, false);
    assert!(!turns.over(now, now, true, false));
    assert!(!turns.is_lost());
}

#[test]
fn while_the_own_connection_is_there_the_offered_one_is_tried_again_after_pauses_that_grow() {
    let now = Instant::now();
    let mut turns = lost(now);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        assert_eq!(turns.turn(), Turn::Own);
        pauses.push(turns.lasts(1.0).unwrap().as_secs() / 60);
        assert!(turns.lasts(0.0).unwrap() * 2 == turns.lasts(1.0).unwrap());
        turns.over(now, now, true, true);
        assert_eq!((turns.turn(), turns.lasts(1.0)), (Turn::Offered, None));
        turns.over(now, now, false, false);
    }
    assert_eq!(pauses, [15, 30, 60, 120, 240, 360, 360]);
}
