use std::cell::Cell;
use std::time::{Duration, UNIX_EPOCH};

use super::*;

const SECOND: i64 = 1_000_000_000;

/// Somebody who lends numbers, each for an hour, or says why not.
struct Lender {
    clock: Clock,
    lent: Lent<u32>,
    count: Cell<u32>,
    for_seconds: i64,
    is_away: Cell<bool>,
}

impl Lender {
    fn for_seconds(for_seconds: i64) -> Lender {
        let clock = Clock::fake(1_000 * SECOND);
        let lent = Lent::by(clock.clone());
        Lender { clock, lent, count: Cell::new(0), for_seconds, is_away: Cell::new(false) }
    }

    fn after(&self, seconds: i64) {
        self.clock.set(self.clock.now() + seconds * SECOND);
    }

    async fn get(&self) -> Result<u32, String> {
        let fetch = async {
            self.count.set(self.count.get() + 1);
            if self.is_away.get() {
                return Err("away".to_owned());
            }
            let end = (self.clock.now() / SECOND + self.for_seconds) as u64;
            Ok((self.count.get(), Some(UNIX_EPOCH + Duration::from_secs(end))))
        };
        self.lent.get("the number", fetch).await
    }
}

#[tokio::test]
async fn it_is_fetched_once_and_again_five_minutes_before_its_end() {
    let lender = Lender::for_seconds(3600);
    assert_eq!(lender.get().await, Ok(1));
    lender.after(3299);
    assert_eq!(lender.get().await, Ok(1));
    lender.after(1);
    assert_eq!(lender.get().await, Ok(2));
}

#[tokio::test]
async fn what_is_lent_for_a_short_time_is_kept_for_half_of_it() {
    let lender = Lender::for_seconds(60);
    assert_eq!(lender.get().await, Ok(1));
    lender.after(29);
    assert_eq!(lender.get().await, Ok(1));
    lender.after(1);
    assert_eq!(lender.get().await, Ok(2));
}

#[tokio::test]
async fn where_none_can_be_had_the_one_at_hand_serves_to_its_end_and_the_lender_is_asked_now_and_then() {
    let lender = Lender::for_seconds(3600);
    assert_eq!(lender.get().await, Ok(1));
    lender.is_away.set(true);
    lender.after(3300);
    for _ in 0..5 {
        assert_eq!(lender.get().await, Ok(1));
    }
    assert_eq!(lender.count.get(), 2);
    lender.after(10);
    assert_eq!(lender.get().await, Ok(1));
    assert_eq!(lender.count.get(), 3);
    lender.after(290);
    assert_eq!(lender.get().await, Err("away".to_owned()));
    lender.is_away.set(false);
    assert_eq!(lender.get().await, Ok(5));
}

#[tokio::test]
async fn what_has_no_end_serves_until_it_is_given_back_or_no_longer_fits() {
    let lent = Lent::<u32>::by(Clock::fake(0));
    let one = async |n: u32| lent.get("the number", async { Ok::<_, String>((n, None)) }).await;
    assert_eq!(one(1).await, Ok(1));
    assert_eq!(one(2).await, Ok(1));
    lent.forget(|n| *n == 2);
    assert_eq!(one(3).await, Ok(1));
    lent.forget(|n| *n == 1);
    assert_eq!(one(4).await, Ok(4));
    let fails = async { Err("away".to_owned()) };
    assert_eq!(lent.get_if("the number", |n| *n == 5, fails).await, Err("away".to_owned()));
    let fits = async { Ok::<_, String>((5, None)) };
    assert_eq!(lent.get_if("the number", |n| *n == 5, fits).await, Ok(5));
    assert_eq!(one(6).await, Ok(5));
}

#[tokio::test]
async fn nobody_waits_for_another_one_while_the_one_at_hand_lasts() {
    let lender = Lender::for_seconds(3600);
    assert_eq!(lender.get().await, Ok(1));
    lender.after(3300);
    let hangs = std::future::pending::<Result<(u32, Option<SystemTime>), String>>();
    let mut who_fetches = std::pin::pin!(lender.lent.get("the number", hangs));
    tokio::select! {
        biased;
        got = &mut who_fetches => panic!("{got:?}"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(lender.get().await, Ok(1));
    assert_eq!(lender.count.get(), 1);
}
