//! What a part shows of itself while it is there.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Gauge;

/// Parts of one in which shares are told.
const PARTS: f64 = 1024.0;

/// The share that one part has in a gauge. It is taken out when the part is gone: nothing else would ever set the gauge again,
/// and whoever watches it would take what was for what is. Of a part that ends while another of its name begins, both count.
#[derive(Debug)]
pub struct Shown {
    gauge: Gauge,
    /// The share, as bits.
    share: AtomicU64,
}

impl Shown {
    /// A share of 0.
    pub fn new(gauge: Gauge) -> Shown {
        gauge.increment(0.0);
        Shown { gauge, share: AtomicU64::new(0) }
    }

    /// Says how much it is now, to a thousandth.
    pub fn set(&self, share: f64) {
        // Sums of these are exact, so that what is taken out leaves nothing behind.
        let share = (share * PARTS).round() / PARTS;
        let before = f64::from_bits(self.share.swap(share.to_bits(), Ordering::Relaxed));
        self.gauge.increment(share - before);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.set(0.0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_a_part_shows_is_gone_with_it_and_what_its_successor_shows_stays() {
        let value = Arc::new(AtomicU64::new(0));
        let shown = || f64::from_bits(value.load(Ordering::Relaxed));
        let part = || Shown::new(Gauge::from_arc(value.clone()));
        let old = part();
        old.set(7.0);
        old.set(5.0);
        assert_eq!(shown(), 5.0);
        let new = part();
        new.set(1.0);
        (1..100).for_each(|n| old.set(f64::from(n) / 7.0));
        drop(old);
        assert_eq!(shown(), 1.0);
        drop(new);
        assert_eq!(shown(), 0.0);
    }
}
