//! What is lent until an end: credentials and tokens, which are fetched anew before it.

use std::fmt::{self, Display};
use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::clock::Clock;

/// How long before its end a thing is fetched anew; earlier by as much as half of the time that it is lent for.
const BEFORE: Duration = Duration::from_secs(300);
/// How long the one at hand is used, where another one could not be had, before it is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// One thing that is lent, kept until it must be fetched anew. Whoever comes meanwhile waits where there is none that lasts.
pub struct Lent<T> {
    clock: Clock,
    last: Mutex<Option<Last<T>>>,
    /// Held by who fetches.
    fetches: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Last<T> {
    value: T,
    /// Nanoseconds since 1970, as below; none where it has no end.
    end: Option<i64>,
    /// From when on another one is to be had.
    anew: Option<i64>,
    /// Whether another one could not be had.
    failed: bool,
}

impl<T> Default for Lent<T> {
    fn default() -> Lent<T> {
        Lent::by(Clock::system())
    }
}

/// Without what is lent: that is a secret.
impl<T> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

impl<T> Lent<T> {
    /// Nothing yet, by this clock.
    pub fn by(clock: Clock) -> Lent<T> {
        Lent { clock, last: Mutex::default(), fetches: tokio::sync::Mutex::default() }
    }
}

impl<T: Clone> Lent<T> {
    /// The thing at hand, or what `fetch` answers with its end, if it has one. `what` it is stands in the log: where no
    /// other one can be had, the one at hand serves until its end.
    ///
    /// # Errors
    /// What `fetch` says, where there is none that lasts.
    pub async fn get<E: Display>(
        &self,
        what: &str,
        fetch: impl Future<Output = Result<(T, Option<SystemTime>), E>>,
    ) -> Result<T, E> {
        self.get_if(what, |_| true, fetch).await
    }

    /// The same, but that the one at hand serves no longer than `serves` says so.
    ///
    /// # Errors
    /// What `fetch` says, where there is none that lasts and serves.
    pub async fn get_if<E: Display>(
        &self,
        what: &str,
        serves: impl Fn(&T) -> bool,
        fetch: impl Future<Output = Result<(T, Option<SystemTime>), E>>,
    ) -> Result<T, E> {
        let at_hand = |now: i64| {
            self.last.lock().clone().filter(|last| serves(&last.value) && !has_come(last.end, now))
        };
        let is_new = |last: &Last<T>, now: i64| !has_come(last.anew, now);
        let now = self.clock.now();
        let found = at_hand(now);
        if let Some(last) = found.as_ref().filter(|last| is_new(last, now)) {
            return Ok(last.value.clone());
        }
        let _fetches = match (found, self.fetches.try_lock()) {
            (_, Ok(fetches)) => fetches,
            // Somebody fetches another one.
            (Some(last), Err(_)) => return Ok(last.value),
            (None, Err(_)) => self.fetches.lock().await,
        };
        let now = self.clock.now();
        if let Some(last) = at_hand(now).filter(|last| is_new(last, now)) {
            return Ok(last.value);
        }
        match fetch.await {
            Ok((value, end)) => {
                let end = end.map(|end| nanoseconds(end.duration_since(UNIX_EPOCH).unwrap_or_default()));
                let early = |end: i64| nanoseconds(BEFORE).min(end.saturating_sub(now).max(0) / 2);
                let anew = end.map(|end| end - early(end));
                *self.last.lock() = Some(Last { value: value.clone(), end, anew, failed: false });
                Ok(value)
            }
            Err(error) => {
                let now = self.clock.now();
                let Some(mut last) = at_hand(now) else { return Err(error) };
                if !std::mem::replace(&mut last.failed, true) {
                    let seconds = last.end.map_or(0, |end| (end - now) / 1_000_000_000);
                    let error = format!("{error:#}");
                    tracing::warn!(
                        error,
                        "{what} cannot be renewed; what is at hand lasts for {seconds} s yet"
                    );
                }
                last.anew = Some(now.saturating_add(nanoseconds(PAUSE)));
                *self.last.lock() = Some(last.clone());
                Ok(last.value)
            }
        }
    }

    /// Gives back the one at hand, if it `is` this one: somebody says that it is none.
    pub fn forget(&self, is: impl Fn(&T) -> bool) {
        let mut last = self.last.lock();
        if last.as_ref().is_some_and(|last| is(&last.value)) {
            *last = None;
        }
    }
}

fn has_come(moment: Option<i64>, now: i64) -> bool {
    moment.is_some_and(|moment| moment <= now)
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
