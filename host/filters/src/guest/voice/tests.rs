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
fn what_is_said_at_length_or_over_several_lines_becomes_one_line_with_a_mark() {
    assert_eq!(one_line("all of it", 9), "all of it");
    assert_eq!(one_line("all of it", 4), "all … (and 5 bytes more)");
    assert_eq!(one_line("a\r\nb\u{1b}[31m\tc", 100), "a  b [31m c");
    assert!(matches!(one_line("plain", 100), Cow::Borrowed("plain")));
}

#[test]
fn a_line_is_cut_between_characters() {
    assert_eq!(cut("aé", 2), "a");
    assert_eq!(cut("aé", 3), "aé");
}
