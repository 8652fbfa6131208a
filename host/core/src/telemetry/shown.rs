//! What a part shows of itself while it is there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use metrics::Key;
use parking_lot::Mutex;

use super::names::METADATA;

/// The value of a gauge that nobody has a share in. Whoever writes the gauges leaves those out.
const GONE: f64 = f64::NAN;

/// The gauges that parts had shares in: their series stay for as long as the process runs.
static GAUGES: LazyLock<Mutex<HashMap<Key, Arc<Shares>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What a gauge shows where several parts have a share in it, as one that ends and another of its name that begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Together {
    /// Their sum.
    Sum,
    /// The greatest.
    Most,
}

/// The share that one part has in a gauge. It is taken out when the part is gone, and the gauge with the last one: nothing
/// else would ever set it again, and whoever watches it would take what was for what is.
///
/// No share knows who records metrics: [`show`] tells the recorder that there is when somebody looks, so that it does not
/// matter which of them was there first.
#[derive(Debug)]
pub struct Shown {
    number: u64,
    shares: Arc<Shares>,
}

#[derive(Debug)]
struct Shares {
    together: Together,
    all: Mutex<Vec<(u64, f64)>>,
}

/// Brings all gauges up to date that parts have shares in.
pub fn show() {
    let gauges: Vec<(Key, f64)> =
        GAUGES.lock().iter().map(|(key, shares)| (key.clone(), shares.value())).collect();
    metrics::with_recorder(|recorder| {
        for (key, value) in &gauges {
            recorder.register_gauge(key, &METADATA).set(*value);
        }
    });
}

impl Shown {
    /// A share of 0 in the gauge of this key.
    pub(super) fn new(key: Key, together: Together) -> Shown {
        let new = || Arc::new(Shares { together, all: Mutex::default() });
        let shares = GAUGES.lock().entry(key).or_insert_with(new).clone();
        let shown = Shown { number: NEXT.fetch_add(1, Ordering::Relaxed), shares };
        shown.set(0.0);
        shown
    }

    /// Says how much it is now.
    pub fn set(&self, share: f64) {
        let mut all = self.shares.all.lock();
        match all.iter_mut().find(|(number, _)| *number == self.number) {
            Some((_, before)) => *before = share,
            None => all.push((self.number, share)),
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.shares.all.lock().retain(|(number, _)| *number != self.number);
    }
}

impl Shares {
    fn value(&self) -> f64 {
        let all = self.all.lock();
        let values = all.iter().map(|(_, share)| *share);
        match self.together {
            _ if all.is_empty() => GONE,
            Together::Sum => values.sum(),
            Together::Most => values.fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a gauge, and what makes a part with a share in it.
    fn gauge(name: &'static str, together: Together) -> (impl Fn() -> f64, impl Fn() -> Shown) {
        let key = Key::from_static_name(name);
        let of = key.clone();
        (move || GAUGES.lock()[&of].value(), move || Shown::new(key.clone(), together))
    }

    #[test]
    fn what_a_part_shows_is_gone_with_it_and_what_its_successor_shows_stays() {
        let (shown, part) = gauge("a sum", Together::Sum);
        let old = part();
        assert_eq!(shown(), 0.0);
        old.set(7.0);
        old.set(5.5);
        let new = part();
        new.set(1.0);
        assert_eq!(shown(), 6.5);
        drop(old);
        assert_eq!(shown(), 1.0);
        drop(new);
        assert!(shown().is_nan());
        let again = part();
        again.set(2.0);
        assert_eq!(shown(), 2.0);
    }

    #[test]
    fn what_has_no_sum_is_that_of_the_part_which_says_most() {
        let (shown, part) = gauge("a time", Together::Most);
        let (old, new) = (part(), part());
        old.set(9.0);
        new.set(8.0);
        assert_eq!(shown(), 9.0);
        drop(old);
        assert_eq!(shown(), 8.0);
    }
}
