//! Metrics and logs.
//!
//! Names of metrics are one closed list, [`Metric`]; every counter of records has one of bytes beside it.

pub mod escape;
mod gathered;
pub mod health;
pub mod log;
mod names;
mod quiet;
mod shown;

pub use gathered::{Gathered, say_all, say_due};
pub use health::{Health, Part};
pub use names::{Kind, Metric};
pub use quiet::Quiet;
pub use shown::{Shown, show};

/// Counts records and bytes under one set of labels.
#[derive(Clone)]
pub struct Tally {
    records: metrics::Counter,
    bytes: metrics::Counter,
}

impl Tally {
    /// Counters of records and bytes, under the given labels.
    pub fn new(records: Metric, bytes: Metric, labels: &[(&'static str, &str)]) -> Tally {
        Tally { records: records.counter(labels), bytes: bytes.counter(labels) }
    }

    /// Counters that nobody reads.
    pub fn noop() -> Tally {
        Tally { records: metrics::Counter::noop(), bytes: metrics::Counter::noop() }
    }

    /// What `output` took.
    pub fn delivered(output: &str) -> Tally {
        Tally::new(Metric::RecordsDelivered, Metric::BytesDelivered, &[("output", output)])
    }

    /// What `filter` dropped on purpose.
    pub fn dropped_by_filter(filter: &str) -> Tally {
        Tally::new(Metric::RecordsDropped, Metric::BytesDropped, &[("filter", filter)])
    }

    /// What the routes of a pipeline, or a full buffer, dropped on purpose.
    pub fn dropped_by_route(route: &str) -> Tally {
        Tally::new(Metric::RecordsDropped, Metric::BytesDropped, &[("route", route)])
    }

    /// What `component` of `stage` (source, filter, output) put among the dead letters.
    pub fn dead_lettered(stage: &str, component: &str) -> Tally {
        let labels = [("stage", stage), ("component", component)];
        Tally::new(Metric::RecordsDeadLettered, Metric::BytesDeadLettered, &labels)
    }

    /// Adds.
    pub fn add(&self, records: usize, bytes: usize) {
        self.records.increment(records as u64);
        self.bytes.increment(bytes as u64);
    }
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tally")
    }
}
