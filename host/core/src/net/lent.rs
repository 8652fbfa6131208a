//! What is lent until an end: credentials and tokens, which are fetched anew before it.

use std::fmt::{self, Display};
use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Mutex;

use crate::clock::Clock;

/// How long before its end a thing is fetched anew; earlier by as much as half of the time that it is lent for.
const BEFORE: Duration = Duration::from_secs(300);
/// How long the one at hand is used, where another one could not be had, before it is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// One thing that is lent, kept until it must be fetched anew. Whoever comes meanwhile waits.
pub struct Lent<T> {
    clock: Clock,
    last: Mutex<Option<Last<T>>>,
}

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
        Lent { clock: Clock::system(), last: Mutex::default() }
    }
}

/// Without what is lent: that is a secret.
impl<T> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

impl<T: Clone> Lent<T> {
    /// Nothing yet, by this clock.
    pub fn by(clock: Clock) -> Lent<T> {
        Lent { clock, last: Mutex::default() }
    }

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
        let mut last = self.last.lock().await;
        let has_come = |moment: Option<i64>, now: i64| moment.is_some_and(|moment| moment <= now);
        if last.as_ref().is_some_and(|last| !serves(&last.value)) {
            *last = None;
        }
        let now = self.clock.now();
        if let Some(last) = last.as_ref().filter(|last| !has_come(last.anew, now)) {
            return Ok(last.value.clone());
        }
        match fetch.await {
            Ok((value, end)) => {
                let end = end.map(|end| nanoseconds(end.duration_since(UNIX_EPOCH).unwrap_or_default()));
                let early = |end: i64| nanoseconds(BEFORE).min(end.saturating_sub(now).max(0) / 2);
                let anew = end.map(|end| end - early(end));
                *last = Some(Last { value: value.clone(), end, anew, failed: false });
                Ok(value)
            }
            Err(error) => {
                let now = self.clock.now();
                match last.as_mut().filter(|last| !has_come(last.end, now)) {
                    Some(last) => {
                        if !std::mem::replace(&mut last.failed, true) {
                            let seconds = last.end.map_or(0, |end| (end - now) / 1_000_000_000);
                            let error = format!("{error:#}");
                            tracing::warn!(
                                error,
                                "{what} cannot be renewed; what is at hand lasts for {seconds} s yet"
                            );
                        }
                        last.anew = Some(now.saturating_add(nanoseconds(PAUSE)));
                        Ok(last.value.clone())
                    }
                    None => {
                        *last = None;
                        Err(error)
                    }
                }
            }
        }
    }

    /// Gives back the one at hand, if it `is` this one: somebody says that it is none.
    pub async fn forget(&self, is: impl Fn(&T) -> bool) {
        let mut last = self.last.lock().await;
        if last.as_ref().is_some_and(|last| is(&last.value)) {
            *last = None;
        }
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
