use super::*;

#[test]
fn what_is_taken_is_missing_until_it_is_given_back() {
    let budget = Budget::new(10_240, 1024);
    let (mut one, mut other) = (budget.share(), budget.share());
    assert!(one.try_take(1025) && other.try_take(8192));
    assert_eq!((one.bytes(), other.bytes(), budget.free()), (2048, 8192, 0));
    assert!(one.try_take(0) && !one.try_take(1));
    other.shrink(1025);
    assert_eq!((other.bytes(), budget.free()), (2048, 6144));
    other.shrink(0);
    drop(one);
    assert_eq!(budget.free(), budget.bytes());
}

#[test]
fn who_wants_more_than_there_is_gets_all_of_it() {
    let budget = Budget::new(100, 1024);
    assert_eq!(budget.bytes(), 1024, "there is one piece at least");
    let mut share = budget.share();
    assert!(share.try_take(usize::MAX));
    assert_eq!((share.bytes(), budget.free()), (1024, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_takes_what_is_given_back_and_nothing_when_it_goes_away() {
    let budget = Budget::new(8, 1);
    let (mut one, mut other) = (budget.share(), budget.share());
    assert!(one.try_take(8));
    let waits = tokio::time::timeout(std::time::Duration::from_secs(1), other.take(4)).await;
    assert!(waits.is_err());
    one.shrink(4);
    other.take(4).await;
    assert_eq!((other.bytes(), budget.free()), (4, 0));
}
