use super::*;

#[test]
fn pieces_hold_whole_batches_where_lines_are_short() {
    let cut = Cut::default();
    assert_eq!(want(0, &cut, PIECE), PIECE);
    assert_eq!(want(1000, &cut, PIECE), PIECE);
    let lines = want(100, &cut, PIECE) / 100;
    assert!((2048..2048 + 100).contains(&lines), "{lines}");
}
