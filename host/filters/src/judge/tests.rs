use super::*;

#[test]
fn rejected_rows_stand_before_the_first_row_that_came_after_them() {
    let rejected = |rows: &[u32]| rows.iter().map(|row| (*row, Arc::from(""))).collect::<Vec<_>>();
    assert_eq!(order(&[0, 2, 4], &rejected(&[1, 3, 5])), [0, 3, 1, 4, 2, 5]);
    assert_eq!(order(&[], &rejected(&[0, 1])), [0, 1]);
    assert_eq!(order(&[3, 1, 1], &rejected(&[0, 2])), [3, 4, 0, 1, 2]);
}

#[test]
fn dropped_and_copied_rows_are_told_apart() {
    assert_eq!(tally(4, None, 0), (0, 0));
    assert_eq!(tally(4, Some(&[0, 0, 0, 3]), 1), (1, 2));
    assert_eq!(tally(2, Some(&[]), 2), (0, 0));
}
