//! The counters of a plugin that runs for a filter.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use ::metrics::{Counter, Gauge};
use parking_lot::Mutex;

use super::voice::one_line;
use flitch_core::telemetry::Metric;

/// Most names of counters that one filter may have, over all its generations; what is counted under more, or under a
/// name that is too long, goes to [`OTHER`].
const MAX_COUNTERS: usize = 64;
/// Most bytes of such a name.
const MAX_NAME: usize = 64;
const OTHER: &str = "other";

/// What is counted for a plugin while it runs, over all its instances.
pub struct GuestMetrics {
    filter: Arc<str>,
    seconds: Gauge,
    memory: Gauge,
    instances: Gauge,
    own: Mutex<HashMap<String, Counter, ahash::RandomState>>,
    /// What is over, once something is.
    other: OnceLock<Counter>,
    /// Nobody reads any of it.
    silent: bool,
}

/// The names that each filter ever counted under: their series stay for as long as the process runs.
static NAMES: LazyLock<Mutex<HashMap<Arc<str>, HashSet<String>>>> = LazyLock::new(Mutex::default);

/// Whether a filter may count under this name.
fn admit(filter: &Arc<str>, name: &str) -> bool {
    if name.len() > MAX_NAME {
        return false;
    }
    let mut names = NAMES.lock();
    let names = names.entry(filter.clone()).or_default();
    names.contains(name) || names.len() < MAX_COUNTERS && names.insert(name.to_owned())
}

impl GuestMetrics {
    /// The metrics of `filter`.
    pub fn new(filter: &Arc<str>) -> GuestMetrics {
        let labels = [("filter", &**filter)];
        GuestMetrics {
            filter: filter.clone(),
            seconds: Metric::FilterRunSeconds.fractions(&labels),
            memory: Metric::FilterMemoryBytes.gauge(&labels),
            instances: Metric::FilterInstances.gauge(&labels),
            own: Mutex::default(),
            other: OnceLock::new(),
            silent: false,
        }
    }

    /// Metrics that nobody reads.
    pub fn silent(filter: &Arc<str>) -> GuestMetrics {
        GuestMetrics {
            filter: filter.clone(),
            seconds: Gauge::noop(),
            memory: Gauge::noop(),
            instances: Gauge::noop(),
            own: Mutex::default(),
            other: OnceLock::new(),
            silent: true,
        }
    }

    /// The plugin ran for so long.
    pub fn ran(&self, time: Duration) {
        self.seconds.increment(time.as_secs_f64());
    }

    /// Adds to a counter of the plugin's own.
    pub fn count(&self, name: &str, delta: u64) {
        if self.silent {
            return;
        }
        let mut own = self.own.lock();
        if name.len() <= MAX_NAME
            && let Some(counter) = own.get(name)
        {
            return counter.increment(delta);
        }
        if admit(&self.filter, name) {
            let labels = [("filter", &*self.filter), ("counter", name)];
            let counter = Metric::FilterCounter.counter(&labels);
            return own.entry(name.to_owned()).or_insert(counter).increment(delta);
        }
        drop(own);
        let other = self.other.get_or_init(|| {
            tracing::warn!(
                filter = &*self.filter,
                name = &*one_line(name, MAX_NAME),
                "the filter counts under more than {MAX_COUNTERS} names, or one of more than {MAX_NAME} bytes; what is \
                 over is counted as `{OTHER}`"
            );
            Metric::FilterCounter.counter(&[("filter", &*self.filter), ("counter", OTHER)])
        });
        other.increment(delta);
    }

    /// Enters a new instance.
    pub fn instance(&self) -> InstanceMetrics {
        self.instances.increment(1.0);
        InstanceMetrics { instances: self.instances.clone(), memory: self.memory.clone(), bytes: 0 }
    }
}

impl std::fmt::Debug for GuestMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GuestMetrics({})", self.filter)
    }
}

/// One instance among those of its filter, until it is dropped.
pub struct InstanceMetrics {
    instances: Gauge,
    memory: Gauge,
    bytes: usize,
}

impl InstanceMetrics {
    /// The instance takes so many bytes now.
    pub fn memory(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.memory.increment(bytes as f64 - self.bytes as f64);
            self.bytes = bytes;
        }
    }
}

impl Drop for InstanceMetrics {
    fn drop(&mut self) {
        self.memory(0);
        self.instances.decrement(1.0);
    }
}

#[cfg(test)]
mod tests;
