use std::time::Duration;

use super::*;
use flitch_core::telemetry::Part;

#[test]
fn a_part_that_is_down_is_a_reason_not_to_be_ready() {
    let board = StatusBoard::default();
    assert_eq!(board.not_ready().unwrap(), "starting, or draining");
    board.set_ready(true);
    assert_eq!(board.not_ready(), None);
    let part = Part::new(board.health(), "source", "in");
    part.down("the port is in use", Duration::from_secs(1));
    assert_eq!(board.not_ready().unwrap(), "source in: the port is in use");
    let status = board.read();
    assert!(!status.ready && status.failures["source in"].down);
    part.up();
    assert_eq!(board.not_ready(), None);
    assert_eq!(board.read().failures["source in"].count, 1);
}
