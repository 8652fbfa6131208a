//! Taking connections: no more than a bound at a time, and through shortages of the system.
//!
//! A [`Listener`](super::listen::Listener) accepts a client and then waits for a [`Slot`] for it, so that there is a client
//! to make room for when room is made: where all slots are taken, the connection that has rested longest is asked to
//! leave. Clients that connect and say nothing so keep out nobody.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use crate::telemetry::{Metric, Quiet};

/// How long to wait when the system has no room for one more connection: the ones in use must be given back first.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a connection may rest before it is asked to leave for another: time for a header to come.
const RESTED: Duration = Duration::from_millis(500);

/// Why a connection is closed that did nothing wrong but wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetGo {
    /// It said nothing, or too little, in the time that it had.
    Silent,
    /// It rested, and another client waited for its slot.
    Room,
}

/// The connections that the listeners of one part of flitch hold together.
pub struct Connections {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    most: usize,
    slots: Arc<Semaphore>,
    resting: Mutex<Resting>,
    said_full: Quiet,
    said_short: Quiet,
    errors: metrics::Counter,
    silent: metrics::Counter,
    room: metrics::Counter,
}

/// Connections that wait for their clients, those that have done so longest first.
#[derive(Default)]
struct Resting {
    last: u64,
    places: BTreeMap<u64, (Instant, Arc<Notify>)>,
}

impl Connections {
    /// At most `most` at a time; `name` stands in logs and metrics.
    pub fn new(name: &str, most: usize) -> Connections {
        let most = most.clamp(1, Semaphore::MAX_PERMITS >> 1);
        let let_go = |reason| Metric::ConnectionsLetGo.counter(&[("listener", name), ("reason", reason)]);
        let shared = Shared {
            name: name.to_owned(),
            most,
            slots: Arc::new(Semaphore::new(most)),
            resting: Mutex::default(),
            said_full: Quiet::a_minute(),
            said_short: Quiet::a_minute(),
            errors: Metric::AcceptErrors.counter(&[("listener", name)]),
            silent: let_go("silent"),
            room: let_go("room"),
        };
        Connections { shared: Arc::new(shared) }
    }

    /// The next client that `accept` has. Waits through errors, such as that no file descriptor is free, which are
    /// counted, and logged once a minute at most.
    pub(super) async fn accept<T, F>(&self, accept: impl Fn() -> F) -> T
    where
        F: Future<Output = io::Result<T>>,
    {
        let shared = &*self.shared;
        let mut was_short = None;
        loop {
            let error = match accept().await {
                Ok(client) => {
                    if let Some(since) = was_short {
                        let waited = Instant::now().duration_since(since);
                        tracing::info!(listener = shared.name, ?waited, "connections are taken again");
                    }
                    return client;
                }
                Err(error) => error,
            };
            shared.errors.increment(1);
            if is_of_the_client(&error) {
                tracing::debug!(listener = shared.name, %error, "a client had gone before it was taken");
                continue;
            }
            if shared.said_short.may_say() {
                was_short.get_or_insert(Instant::now());
                let help = match is_shortage(&error) {
                    true => {
                        ": clients wait; raise the limit of open files (`ulimit -n`, `LimitNOFILE=`) or lower \
                         `max_connections`"
                    }
                    false => "",
                };
                tracing::warn!(listener = shared.name, %error, "cannot take a connection{help}");
            }
            sleep(PAUSE).await;
        }
    }

    /// A slot for a client that has been accepted. Where all are taken, connections that rest are asked to leave, the
    /// one that has rested longest first.
    pub async fn slot(&self) -> Slot {
        if let Ok(permit) = self.shared.slots.clone().try_acquire_owned() {
            return self.given(permit);
        }
        if self.shared.said_full.may_say() {
            let (listener, most) = (&self.shared.name, self.shared.most);
            tracing::warn!(
                listener,
                most,
                "as many connections as `max_connections` allows; further clients wait"
            );
        }
        let mut permit = std::pin::pin!(self.shared.slots.clone().acquire_owned());
        loop {
            let again = self.shared.make_room().unwrap_or_else(|| Instant::now() + PAUSE);
            tokio::select! {
                biased;
                permit = &mut permit => return self.given(permit.expect("the semaphore is never closed")),
                () = sleep_until(again) => {}
            }
        }
    }

    /// Waits until every slot is back.
    pub async fn ended(&self) {
        // A bound that does not fit the type is no bound that could be reached.
        let all = u32::try_from(self.shared.most).unwrap_or(u32::MAX);
        let _all = self.shared.slots.acquire_many(all).await;
    }

    /// Slots that are taken.
    pub fn open(&self) -> usize {
        self.shared.most - self.shared.slots.available_permits()
    }

    fn given(&self, permit: OwnedSemaphorePermit) -> Slot {
        Slot { shared: self.shared.clone(), place: Mutex::new(None), leave: Arc::default(), _permit: permit }
    }
}

impl Shared {
    /// Asks the connection to leave that has rested longest. Answers when one will have rested long enough, if none
    /// has.
    fn make_room(&self) -> Option<Instant> {
        let mut resting = self.resting.lock();
        let first = resting.places.first_entry()?;
        let ripe = first.get().0 + RESTED;
        if ripe > Instant::now() {
            return Some(ripe);
        }
        first.remove().1.notify_one();
        None
    }
}

fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| shortages.iter().any(|short| short.raw_os_error() == code))
}

/// Whether it is about one client that is gone, and not about the listener: accept(2) hands such errors on.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable,
    };
    let kinds = [ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable];
    kinds.contains(&error.kind())
}

/// What a connection holds as long as it is open.
pub struct Slot {
    shared: Arc<Shared>,
    /// Its place among those that rest.
    place: Mutex<Option<u64>>,
    leave: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// From now on the connection waits for its client, and can be asked to leave for another.
    pub fn rest(&self) {
        let mut place = self.place.lock();
        let mut resting = self.shared.resting.lock();
        if let Some(place) = *place {
            resting.places.remove(&place);
        }
        resting.last += 1;
        let last = resting.last;
        resting.places.insert(last, (Instant::now(), self.leave.clone()));
        *place = Some(last);
    }

    /// From now on the connection has something under way, and is left alone.
    pub fn work(&self) {
        if let Some(place) = self.place.lock().take() {
            self.shared.resting.lock().places.remove(&place);
        }
    }

    /// Waits until the connection is asked to leave. It need not, if it has something under way by now.
    pub async fn leave(&self) {
        self.leave.notified().await;
    }

    /// Counts that the connection is closed because it waited.
    pub fn let_go(&self, reason: LetGo) {
        match reason {
            LetGo::Silent => self.shared.silent.increment(1),
            LetGo::Room => self.shared.room.increment(1),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.work();
    }
}

#[cfg(test)]
mod tests;
