//! What each key may still spend: the generic cell rate algorithm, over the times of the records.

use std::collections::BTreeMap;

/// So many steps ahead, however long, are a window in a run of records from long ago.
const STEPS: i64 = 8;

/// The budgets of keys, in two generations. When the younger one is full, the older one is forgotten.
#[derive(Debug)]
pub struct Budgets {
    young: BTreeMap<String, Budget>,
    old: BTreeMap<String, Budget>,
    /// Most keys of a generation.
    half: usize,
    rate: Rate,
}

/// The time in which a budget fills up, and that of one record of it, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Rate {
    window: i64,
    interval: i64,
}

/// What one key may spend.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// When it will be full again, a window after `latest` at most.
    pub full: i64,
    /// The latest time of its records.
    pub latest: i64,
    /// Records that are late by more than a window, since the last one that was not: the latest time of them, and how far they
    /// have gone ahead.
    run: Option<(i64, i64)>,
}

impl Budget {
    /// A full one at this time.
    fn new(now: i64) -> Self {
        Self { full: now, latest: now, run: None }
    }

    /// Whether a record of this time may go on. A late one takes from what there is at the latest time: it would find less the
    /// later it comes otherwise, however little was spent.
    fn spend(&mut self, now: i64, rate: Rate) -> bool {
        if self.latest.saturating_sub(now) <= rate.window {
            self.run = None;
        } else if self.has_jumped_back(now, rate.window) {
            *self = Self::new(now);
        }
        self.latest = self.latest.max(now);
        let after = self.full.max(self.latest).saturating_add(rate.interval);
        let goes_on = after.saturating_sub(self.latest) <= rate.window;
        if goes_on {
            self.full = after;
        }
        goes_on
    }

    /// Whether records from long ago have come for a window and none beside them, as where a backlog is read or one record was
    /// of the future: nothing would fill the budget otherwise. A long step ahead counts for a part of a window, as it
    /// may be one from a stream that is far behind to one that is less so, and those come in turns.
    fn has_jumped_back(&mut self, now: i64, window: i64) -> bool {
        let (newest, ahead) = self.run.unwrap_or((now, 0));
        let step = now.saturating_sub(newest).clamp(0, window / STEPS);
        self.run = Some((newest.max(now), ahead + step));
        ahead + step >= window / STEPS * STEPS
    }
}

impl Budgets {
    /// Full ones of `limit` records.
    pub fn new(limit: i64, window: i64, max_keys: usize) -> Self {
        let rate = Rate { window, interval: (window / limit).max(1) };
        Self { young: BTreeMap::new(), old: BTreeMap::new(), half: max_keys.div_ceil(2), rate }
    }

    /// Whether the key may spend a record at this time. If so, it has.
    pub fn spend(&mut self, key: &str, now: i64) -> bool {
        let rate = self.rate;
        self.budget(key, || Budget::new(now)).spend(now, rate)
    }

    /// Remembers of a key when its budget is full again, and its latest time where that is known, unless it knows later ones.
    pub fn keep(&mut self, key: &str, full: i64, latest: Option<i64>) {
        let window = self.rate.window;
        // Without it, the earliest that it may have been: what was spent stays spent.
        let latest = latest.unwrap_or(full.saturating_sub(window));
        let known = self.budget(key, || Budget { full, ..Budget::new(latest) });
        known.latest = known.latest.max(latest);
        // Another window may have been longer.
        known.full = known.full.max(full).min(known.latest.saturating_add(window));
    }

    /// The budget of a key, or else this one, among those that are remembered longest.
    fn budget(&mut self, key: &str, new: impl FnOnce() -> Budget) -> &mut Budget {
        if !self.young.contains_key(key) {
            let (key, budget) = self.old.remove_entry(key).unwrap_or_else(|| (key.to_owned(), new()));
            if self.young.len() >= self.half {
                self.old = std::mem::take(&mut self.young);
            }
            return self.young.entry(key).or_insert(budget);
        }
        self.young.get_mut(key).expect("it is there")
    }

    /// All keys with their budgets, the older generation first.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Budget)> {
        self.old.iter().chain(&self.young)
    }
}

#[cfg(test)]
mod tests;
