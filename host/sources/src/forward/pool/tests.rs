use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

const KIB: usize = 1 << 10;

/// Whether a future is ready now.
fn ready(future: std::pin::Pin<&mut impl Future>) -> bool {
    matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
}

#[test]
fn a_little_is_had_without_asking_and_more_while_there_is_room() {
    let pool = Pool::new(100 * KIB);
    let (mut one, mut two) = (pool.hold(), pool.hold());
    assert!(one.reach(SMALL) && two.reach(SMALL) && !one.is_large());
    assert!(one.reach(SMALL + 60 * KIB) && one.is_large());
    assert!(!two.reach(SMALL + 60 * KIB));
    assert!(two.reach(SMALL + 40 * KIB));
    one.shrink(SMALL + 10 * KIB);
    assert_eq!(one.bytes(), SMALL + 10 * KIB);
    assert!(two.reach(SMALL + 90 * KIB));
    drop(one);
    assert!(two.reach(SMALL + 100 * KIB));
    two.shrink(0);
    assert!(!two.is_large());
}

#[test]
fn who_waits_gets_what_another_gives_back_and_one_at_a_time_goes_on_without() {
    let pool = Pool::new(100 * KIB);
    let mut holder = pool.hold();
    assert!(holder.reach(SMALL + 100 * KIB) && !pool.is_short());
    let (mut one, mut two) = (pool.hold(), pool.hold());
    assert!(ready(pin!(one.grow(50 * KIB))), "nobody goes on");
    assert!(one.reach(usize::MAX));
    {
        let mut waits = pin!(two.grow(50 * KIB));
        assert!(!ready(waits.as_mut()) && pool.is_short());
        holder.shrink(SMALL + 50 * KIB);
        assert!(ready(waits));
    }
    assert!(!pool.is_short());
    assert_eq!(two.bytes(), SMALL + 50 * KIB);
    let mut three = pool.hold();
    let mut waits = pin!(three.grow(1));
    assert!(!ready(waits.as_mut()));
    one.shrink(0);
    assert!(ready(waits), "the right to go on without room is passed on");
}

#[test]
fn a_wait_that_is_given_up_keeps_nothing() {
    let pool = Pool::new(100 * KIB);
    let (mut holder, mut exempt) = (pool.hold(), pool.hold());
    assert!(holder.reach(SMALL + 90 * KIB));
    assert!(ready(pin!(exempt.grow(20 * KIB))));
    assert!(!ready(pin!(pool.hold().grow(20 * KIB))));
    assert!(!pool.is_short());
    assert!(holder.reach(SMALL + 100 * KIB));
}

#[test]
fn a_step_that_is_larger_than_the_pool_is_no_larger_than_the_pool() {
    let pool = Pool::new(8 * KIB);
    let mut one = pool.hold();
    assert!(ready(pin!(one.grow(512 * KIB))));
    assert_eq!(one.bytes(), SMALL + 8 * KIB);
    assert!(ready(pin!(one.grow(512 * KIB))) && one.reach(1 << 30));
}
