//! Whether somebody waits for the end of what is on its way, so that an output is to wait for nothing more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many wait.
#[derive(Debug, Default)]
pub(super) struct Rush(AtomicUsize);

/// One who waits, for as long as it lives.
#[derive(Debug)]
pub struct Rushed(Arc<Rush>);

impl Rush {
    /// One more waits.
    pub fn begin(self: &Arc<Self>) -> Rushed {
        self.0.fetch_add(1, Ordering::AcqRel);
        Rushed(self.clone())
    }

    /// Whether anybody waits.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }
}

impl Drop for Rushed {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_on_for_as_long_as_somebody_waits() {
        let rush = Arc::new(Rush::default());
        assert!(!rush.is_on());
        let (one, other) = (rush.begin(), rush.begin());
        drop(one);
        assert!(rush.is_on());
        drop(other);
        assert!(!rush.is_on());
    }
}
