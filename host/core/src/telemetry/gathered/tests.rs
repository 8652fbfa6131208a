use std::time::Duration;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// One that adds numbers, and what it has said.
fn sums() -> (Arc<Gathered<u32>>, impl Fn() -> Vec<u32>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let to = said.clone();
    (Gathered::new(move |sum| to.lock().push(sum)), move || std::mem::take(&mut *said.lock()))
}

fn add(to: &Gathered<u32>, number: u32) {
    to.add(|kept| kept.unwrap_or(0) + number);
}

#[tokio::test(start_paused = true)]
async fn what_comes_within_a_minute_is_said_when_it_is_over_though_nothing_more_comes() {
    let (sum, said) = sums();
    add(&sum, 1);
    assert_eq!(said(), [1]);
    add(&sum, 2);
    add(&sum, 3);
    sum.tell(false);
    assert_eq!(said(), [0u32; 0]);
    tokio::time::advance(MINUTE).await;
    sum.tell(false);
    assert_eq!(said(), [5]);
    tokio::time::advance(MINUTE).await;
    sum.tell(false);
    assert_eq!(said(), [0u32; 0], "nothing came");
    add(&sum, 4);
    assert_eq!(said(), [4], "and nothing is not said either");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_said_at_the_end_and_when_the_part_is_gone_that_it_is_of() {
    let (sum, said) = sums();
    add(&sum, 1);
    add(&sum, 2);
    assert_eq!(said(), [1]);
    sum.tell(true);
    assert_eq!(said(), [2]);
    sum.tell(true);
    assert_eq!(said(), [0u32; 0]);
    add(&sum, 3);
    drop(sum);
    assert_eq!(said(), [3]);
}

#[test]
fn all_that_there_are_are_known_and_those_that_are_gone_are_forgotten() {
    let (sum, _) = sums();
    let place = Arc::as_ptr(&sum).cast::<()>();
    let is_known = || ALL.lock().iter().any(|left| left.as_ptr().cast::<()>() == place);
    assert!(is_known());
    let weak = Arc::downgrade(&sum);
    drop(sum);
    let (_other, _) = sums();
    assert!(!is_known() && weak.upgrade().is_none());
}
