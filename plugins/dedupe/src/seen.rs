//! What is remembered, in two generations.

use std::collections::BTreeMap;

/// The hash of a key.
pub type Key = [u8; 32];

/// Keys with the time of the record that was kept. When the younger generation is full, the older one is forgotten.
#[derive(Debug)]
pub struct Seen {
    young: BTreeMap<Key, i64>,
    old: BTreeMap<Key, i64>,
    /// Most keys of a generation.
    half: usize,
    /// How long a key counts, in nanoseconds.
    window: i64,
}

impl Seen {
    /// Nothing yet.
    pub fn new(max_keys: usize, window: i64) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), half: max_keys.div_ceil(2), window }
    }

    /// Whether the key was kept within the window around this time. If not, it is now.
    pub fn is_repeated(&mut self, key: Key, time: i64) -> bool {
        let kept = self.young.get(&key).or_else(|| self.old.get(&key));
        if kept.is_some_and(|kept| time.abs_diff(*kept) <= self.window.unsigned_abs()) {
            return true;
        }
        self.insert(key, time);
        false
    }

    /// Remembers a key that was kept at this time, unless it is remembered with a later one.
    pub fn keep(&mut self, key: Key, time: i64) {
        let known = self.young.get(&key).or_else(|| self.old.get(&key));
        if known.is_none_or(|known| *known < time) {
            self.insert(key, time);
        }
    }

    fn insert(&mut self, key: Key, time: i64) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, time);
    }

    /// How many keys are remembered; one that is in both generations counts twice.
    pub fn len(&self) -> usize {
        self.old.len() + self.young.len()
    }

    /// All keys with their times, the older generation first.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &i64)> {
        self.old.iter().chain(&self.young)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn a_key_is_repeated_within_the_window_and_new_after_it() {
        let mut seen = Seen::new(10, 5);
        assert!(!seen.is_repeated(key(1), 100));
        assert!(seen.is_repeated(key(1), 105));
        assert!(seen.is_repeated(key(1), 95));
        assert!(!seen.is_repeated(key(2), 100));
        assert!(!seen.is_repeated(key(1), 106), "the window begins with the one that was kept");
        assert!(seen.is_repeated(key(1), 111));
        assert!(!seen.is_repeated(key(3), i64::MAX) && !seen.is_repeated(key(3), i64::MIN));
    }

    #[test]
    fn no_more_keys_are_kept_than_there_is_room_for_and_the_last_ones_always() {
        let mut seen = Seen::new(100, 1000);
        for number in 0..10_000 {
            assert!(!seen.is_repeated(key(number), 0));
            assert!(seen.young.len() + seen.old.len() <= 100);
            let before = number.saturating_sub(49);
            assert!(seen.is_repeated(key(before), 0), "{before} of {number}");
        }
    }
}
