use std::time::Duration;

use super::*;

#[tokio::test(start_paused = true)]
async fn records_that_are_dropped_for_a_fault_are_told_of_once_a_minute_and_all_of_them() {
    let losses = Losses::default();
    assert_eq!(losses.take(3), Some(3));
    assert_eq!((losses.take(4), losses.take(5)), (None, None));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(losses.take(1), Some(10));
}
