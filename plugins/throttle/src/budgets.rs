//! What each key may still spend: the generic cell rate algorithm, which needs one number for a key.

use std::collections::BTreeMap;

/// The budgets of keys, in two generations. When the younger one is full, the older one is forgotten.
#[derive(Debug)]
pub struct Budgets {
    young: BTreeMap<String, i64>,
    old: BTreeMap<String, i64>,
    /// Most keys of a generation.
    half: usize,
    /// The time in which a budget fills up, and that of one record of it, in nanoseconds.
    window: i64,
    interval: i64,
}

impl Budgets {
    /// Full ones of `limit` records.
    pub fn new(limit: i64, window: i64, max_keys: usize) -> Self {
        let interval = (window / limit).max(1);
        Self { young: BTreeMap::new(), old: BTreeMap::new(), half: max_keys.div_ceil(2), window, interval }
    }

    /// Whether the key may spend a record at this time. If so, it has.
    pub fn spend(&mut self, key: &str, now: i64) -> bool {
        let known = self.young.get(key).or_else(|| self.old.get(key)).copied();
        // When the budget will be full again. Never more than a window ahead, unless the time jumped back.
        let full = known
            .filter(|full| full.saturating_sub(now) <= self.window * 2)
            .map_or(now, |full| full.max(now));
        let after = full.saturating_add(self.interval);
        if after.saturating_sub(now) > self.window {
            return false;
        }
        self.insert(key, after);
        true
    }

    /// Remembers when the budget of a key is full again, unless a later time is known.
    pub fn keep(&mut self, key: &str, full: i64) {
        let known = self.young.get(key).or_else(|| self.old.get(key));
        if known.is_none_or(|known| *known < full) {
            self.insert(key, full);
        }
    }

    fn insert(&mut self, key: &str, full: i64) {
        match self.young.get_mut(key) {
            Some(known) => *known = full,
            None => {
                if self.young.len() >= self.half {
                    self.old = std::mem::take(&mut self.young);
                }
                self.young.insert(key.to_owned(), full);
            }
        }
    }

    /// All keys with the times at which their budgets are full again, the older generation first.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &i64)> {
        self.old.iter().chain(&self.young)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_budget_is_spent_at_once_and_fills_up_evenly() {
        let mut budgets = Budgets::new(10, 10 * SECOND, 2);
        let spent = |budgets: &mut Budgets, now| (0..100).filter(|_| budgets.spend("a", now)).count();
        assert_eq!(spent(&mut budgets, 0), 10);
        assert_eq!(spent(&mut budgets, SECOND - 1), 0);
        assert_eq!(spent(&mut budgets, SECOND), 1);
        assert_eq!(spent(&mut budgets, 4 * SECOND), 3);
        assert_eq!(spent(&mut budgets, 100 * SECOND), 10);
        assert_eq!(spent(&mut budgets, 99 * SECOND), 0, "a record that is late");
        assert_eq!(spent(&mut budgets, 0), 10, "a time that jumped back");
    }

    #[test]
    fn over_a_long_time_as_many_go_on_as_the_limit_says() {
        let mut budgets = Budgets::new(7, SECOND, 2);
        let step = SECOND / 50;
        let kept = (0..50 * 1000).filter(|number| budgets.spend("a", number * step)).count();
        assert!((7000..=7010).contains(&kept), "{kept}");
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
    fn times_at_the_ends_of_their_range_bring_no_panic() {
        let mut budgets = Budgets::new(1_000_000_000, SECOND, 2);
        for now in [i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN] {
            assert!(budgets.spend("a", now) || now == i64::MAX);
        }
    }
}
