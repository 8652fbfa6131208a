//! The wall clock, which tests can set, and waiting for a moment of the other one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep_until};

/// Tells the time of day. (For delays use tokio's clock, which tests pause.)
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock(None)
    }

    /// A clock that stands at `now` (ns since 1970) until [`Clock::set`] moves it.
    pub fn fake(now: i64) -> Clock {
        Clock(Some(Arc::new(AtomicI64::new(now))))
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub fn now(&self) -> i64 {
        match &self.0 {
            Some(fake) => fake.load(Ordering::Relaxed),
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64),
        }
    }

    /// Sets a fake clock; does nothing to the machine's.
    pub fn set(&self, now: i64) {
        if let Some(fake) = &self.0 {
            fake.store(now, Ordering::Relaxed);
        }
    }
}

/// Waits until a moment of tokio's clock; for ever where there is none.
pub async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
