use super::*;

const SECOND: i64 = 1_000_000_000;
const FUTURE: i64 = i64::MAX / 2;

/// How many of so many records at this time go on.
fn spent(budgets: &mut Budgets, now: i64, records: usize) -> usize {
    (0..records).filter(|_| budgets.spend("a", now)).count()
}

#[test]
fn a_budget_is_spent_at_once_and_fills_up_evenly() {
    let mut budgets = Budgets::new(10, 10 * SECOND, 2);
    for (seconds, wanted) in [(0, 10), (1, 1), (4, 3), (100, 10), (99, 0), (101, 1)] {
        assert_eq!(spent(&mut budgets, seconds * SECOND, 100), wanted, "{seconds}");
    }
    assert_eq!(spent(&mut budgets, 102 * SECOND - 1, 100), 0);
}

#[test]
fn over_a_long_time_as_many_go_on_as_the_limit_says() {
    let mut budgets = Budgets::new(7, SECOND, 2);
    let step = SECOND / 50;
    let kept = (0..50 * 1000).filter(|number| budgets.spend("a", number * step)).count();
    assert!((7000..=7010).contains(&kept), "{kept}");
}

#[test]
fn a_late_record_takes_from_the_budget_of_the_latest_time_however_late_it_is() {
    for late in [1, SECOND / 2, SECOND, 3 * SECOND / 2, 61 * SECOND, 86_400 * SECOND] {
        let mut budgets = Budgets::new(10, SECOND, 2);
        assert!(budgets.spend("a", 100_000 * SECOND));
        assert_eq!(spent(&mut budgets, 100_000 * SECOND - late, 100), 9, "{late}");
        assert_eq!(spent(&mut budgets, 100_000 * SECOND, 100), 0, "{late}");
    }
}

#[test]
fn streams_behind_each_other_lose_nothing_below_the_limit_and_share_it_above() {
    for lags in [vec![0, 15], vec![0, 11, 23], vec![0, 20, 50, 90], vec![50, 20, 0], vec![0, 10, 10_000]] {
        let kept = |limit: i64| {
            let mut budgets = Budgets::new(limit, SECOND, 2);
            // Each stream has ten records in a second, over a hundred seconds.
            let times = (20_000..21_000).flat_map(|tenth| lags.iter().map(move |lag| tenth - lag));
            times.filter(|tenth| budgets.spend("a", tenth * SECOND / 10)).count()
        };
        assert_eq!(kept(100), lags.len() * 1000, "{lags:?}");
        assert!((500..=510).contains(&kept(5)), "{lags:?}: {}", kept(5));
    }
}

#[test]
fn where_time_jumps_back_for_good_the_budget_fills_up_in_the_time_that_there_is() {
    let mut budgets = Budgets::new(10, 10 * SECOND, 2);
    assert_eq!(spent(&mut budgets, FUTURE, 100), 10, "one host from the future");
    let kept = (0..1000).filter(|second| budgets.spend("a", second * SECOND)).count();
    assert_eq!(kept, 990, "all behind the first window");
    // Records that are few and far between are not held up for long either.
    let mut budgets = Budgets::new(1, SECOND, 2);
    assert!(budgets.spend("a", FUTURE));
    let kept = (0..1000).filter(|hour| budgets.spend("a", hour * 3600 * SECOND)).count();
    assert_eq!(kept, 1000 - STEPS as usize);
}

#[test]
fn each_key_has_its_own_and_no_more_are_kept_than_there_is_room_for() {
    let mut budgets = Budgets::new(1, SECOND, 100);
    for number in 0..1000 {
        let key = number.to_string();
        assert!(budgets.spend(&key, 0) && !budgets.spend(&key, 0));
        assert!(budgets.young.len() + budgets.old.len() <= 100);
    }
    assert!(!budgets.spend("999", 0) && budgets.spend("1", 0));
}

#[test]
fn a_key_that_only_spends_too_much_is_not_forgotten_for_that() {
    let mut budgets = Budgets::new(1, SECOND, 4);
    assert!(budgets.spend("loud", 0));
    for number in 0..1000 {
        budgets.spend(&number.to_string(), 0);
        assert!(!budgets.spend("loud", 0), "{number}");
    }
}

#[test]
fn a_key_is_remembered_once() {
    let mut budgets = Budgets::new(1, SECOND, 2);
    for key in ["a", "b", "a"] {
        budgets.spend(key, 0);
    }
    assert_eq!(budgets.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn times_at_the_ends_of_their_range_bring_no_panic() {
    let mut budgets = Budgets::new(1_000_000_000, SECOND, 2);
    for now in [i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN] {
        budgets.spend("a", now);
    }
    assert!(budgets.spend("b", i64::MIN) && budgets.spend("b", 0) && budgets.spend("b", i64::MIN));
    for (full, latest) in
        [(i64::MAX, None), (i64::MIN, None), (i64::MAX, Some(i64::MIN)), (0, Some(i64::MAX))]
    {
        budgets.keep("c", full, latest);
        budgets.spend("c", 0);
    }
}
