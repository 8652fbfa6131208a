use std::time::Duration;

use super::*;

#[test]
fn a_hint_that_comes_before_anybody_waits_is_not_missed_and_comes_once() {
    let bell = Bell::default();
    for _ in 0..1000 {
        bell.ring(Hint::News);
    }
    bell.ring(Hint::Stop);
    assert_eq!(bell.wait(), Told { news: true, stop: true, ..Told::default() });
    assert_eq!(bell.take(), Told::default());
}

#[test]
fn who_waits_is_woken_by_another_thread_and_by_the_waker_of_a_future() {
    let bell = Arc::new(Bell::default());
    let waker = bell.waker();
    let thread = flitch_core::tasks::joined_thread("test", move || waker.wake());
    assert!(bell.wait().room);
    thread.unwrap().join().unwrap();
}

#[test]
fn the_thread_of_a_task_that_is_ended_is_told_to_stop() {
    let bell = Arc::new(Bell::default());
    let task = bell.stop_at_end();
    assert_eq!(bell.take(), Told::default());
    drop(task);
    assert!(bell.take().stop);
}

#[test]
fn a_wait_without_hints_ends_at_its_time() {
    let told = Bell::default().wait_until(Instant::now() - Duration::from_secs(1));
    assert_eq!(told, Told::default());
}
