use std::time::Duration;

use super::*;

#[test]
fn a_filter_that_logs_too_much_is_silenced_and_the_lines_are_counted() {
    let start = Instant::now();
    let mut budget = Budget { left: BURST, at: start, silenced: 0 };
    let said = (0..1000).filter(|_| budget.take(start).is_some()).count();
    assert_eq!(said, 100);
    assert_eq!(budget.take(start + Duration::from_secs(1)), Some(900));
    assert_eq!(budget.take(start + Duration::from_secs(1)), Some(0));
}

#[test]
fn a_line_is_cut_between_characters() {
    assert_eq!(cut("aé", 2), "a");
    assert_eq!(cut("aé", 3), "aé");
}
