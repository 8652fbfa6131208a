//! Parts that ended though nobody asked them to.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use super::Metric;
use crate::backoff::Backoff;

/// The longest pause before a part is started that has ended. One that has run for this long begins with the first pause again.
pub const LONGEST: Duration = Duration::from_secs(60);
const PAUSES: Backoff = Backoff { first: Duration::from_secs(1), longest: LONGEST };

/// The pause before a part is started again that has ended this many times in a row.
pub fn pause(failures: u32) -> Duration {
    PAUSES.after(failures)
}

/// The parts of a process that have failed since its start.
#[derive(Debug, Default)]
pub struct Health {
    parts: Mutex<BTreeMap<String, Failures>>,
    ailments: Mutex<BTreeMap<String, String>>,
}

/// What became of a part: `source in`, `worker clicks-0`, `output events`, `listener admin`,
/// `sync events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// How often it has ended or panicked unasked, or could not do its work.
    pub count: u64,
    /// Why it did so last; what a panic said stands in the log alone, since it may quote a record.
    pub reason: String,
    /// Whether it does not run now, or cannot do its work.
    pub down: bool,
}

impl Health {
    /// All parts that have failed.
    pub fn failures(&self) -> BTreeMap<String, Failures> {
        self.parts.lock().clone()
    }

    /// What parts that run cannot do now, each with the reason.
    pub fn ailments(&self) -> BTreeMap<String, String> {
        self.ailments.lock().clone()
    }

    /// The parts that do not run, each with the reason.
    pub fn down(&self) -> Vec<String> {
        let parts = self.parts.lock();
        let down = parts.iter().filter(|(_, failures)| failures.down);
        down.map(|(part, failures)| format!("{part}: {}", failures.reason)).collect()
    }
}

/// What a part that runs cannot do now: it tries by itself, and somebody may have to help. Dropping it says that all is
/// well.
#[derive(Debug)]
pub struct Ailment {
    health: Arc<Health>,
    part: String,
}

impl Ailment {
    /// That of the part `name` of a kind (see [`Part::new`]); all is well.
    pub fn of(health: &Arc<Health>, kind: &str, name: &str) -> Ailment {
        Ailment { health: health.clone(), part: format!("{kind} {name}") }
    }

    /// That of a part that nobody asks for.
    pub fn unheard() -> Ailment {
        Ailment::of(&Arc::default(), "part", "unheard")
    }

    /// Says what is wrong, or that all is well.
    pub fn set(&self, reason: Option<String>) {
        let mut ailments = self.health.ailments.lock();
        match reason {
            Some(reason) => ailments.insert(self.part.clone(), reason),
            None => ailments.remove(&self.part),
        };
    }
}

impl Drop for Ailment {
    fn drop(&mut self) {
        self.set(None);
    }
}

/// A part that is started again when it ends unasked. Dropping it ends the part for good.
#[derive(Debug)]
pub struct Part {
    health: Arc<Health>,
    kind: &'static str,
    name: Arc<str>,
}

impl Part {
    /// The part `name` of a kind: source, worker, output, listener, sync, compress, buffer, disk, log, clock, refresh,
    /// manager, folder, and dead letters.
    pub fn new(health: &Arc<Health>, kind: &'static str, name: &str) -> Part {
        Part { health: health.clone(), kind, name: name.into() }
    }

    /// It has failed, and goes on.
    pub fn failed(&self, reason: &str) {
        self.note(reason, false);
        tracing::error!(part = %self, reason, "a part has failed; it goes on");
    }

    /// It has failed, and is started again after `pause`.
    pub fn down(&self, reason: &str, pause: Duration) {
        self.note(reason, true);
        tracing::error!(part = %self, reason, ?pause, "a part has ended unasked; it is started again after a pause");
    }

    /// It runs, and cannot do its work now. It tries by itself, and tells the log.
    pub fn stalls(&self, reason: &str) {
        self.note(reason, true);
    }

    /// It can do its work again.
    pub fn goes_on(&self) {
        self.is_down(false);
    }

    /// It runs.
    pub fn up(&self) {
        if self.is_down(false) {
            tracing::info!(part = %self, "runs again");
        }
    }

    fn note(&self, reason: &str, down: bool) {
        Metric::PartFailures.counter(&[("part", self.kind), ("name", &self.name)]).increment(1);
        let mut parts = self.health.parts.lock();
        let failures =
            parts.entry(self.to_string()).or_insert(Failures { count: 0, reason: String::new(), down });
        failures.count += 1;
        reason.clone_into(&mut failures.reason);
        failures.down = down;
    }

    /// Sets whether it is down, and answers what it was.
    fn is_down(&self, down: bool) -> bool {
        let mut parts = self.health.parts.lock();
        parts.get_mut(&self.to_string()).is_some_and(|failures| std::mem::replace(&mut failures.down, down))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.is_down(false);
    }
}

/// Why something panicked, without what it said.
pub fn panicked(_: Box<dyn Any + Send>) -> String {
    "it panicked; the log says where".to_owned()
}

/// Makes panics, of whatever task or thread, lines of the log, which are written before anything ends by them.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let said = panic.payload_as_str().unwrap_or_default();
        let trace = std::backtrace::Backtrace::capture();
        Metric::Panics.counter(&[]).increment(1);
        tracing::error!(thread = thread.name(), place, said = ?said, %trace, "panicked; this is a fault of flitch");
        super::log::settle();
    }));
}
