//! The counters of a filter: what becomes of its records.

use std::sync::Arc;

use ::metrics::Counter;

use flitch_core::telemetry::{Metric, Tally};

/// What is counted for one filter when records are settled.
pub struct FilterMetrics {
    filter: Arc<str>,
    /// Records handed in, and the bytes that crossed the border with them.
    pub records_in: Tally,
    /// Records that came out, and the bytes that crossed the border with them.
    pub records_out: Tally,
    /// Records that it dropped on purpose.
    pub dropped: Tally,
    /// Records that became dead letters.
    pub dead_lettered: Tally,
    rejected: Counter,
    /// Nobody reads any of it.
    silent: bool,
}

impl FilterMetrics {
    /// The metrics of `filter`.
    pub fn new(filter: &Arc<str>) -> FilterMetrics {
        let labels = [("filter", &**filter)];
        FilterMetrics {
            filter: filter.clone(),
            records_in: Tally::new(Metric::FilterRecordsIn, Metric::FilterBytesIn, &labels),
            records_out: Tally::new(Metric::FilterRecordsOut, Metric::FilterBytesOut, &labels),
            dropped: Tally::dropped_by_filter(filter),
            dead_lettered: Tally::dead_lettered("filter", filter),
            rejected: Metric::FilterRecordsRejected.counter(&labels),
            silent: false,
        }
    }

    /// Metrics that nobody reads.
    pub fn silent(filter: &Arc<str>) -> FilterMetrics {
        FilterMetrics {
            filter: filter.clone(),
            records_in: Tally::noop(),
            records_out: Tally::noop(),
            dropped: Tally::noop(),
            dead_lettered: Tally::noop(),
            rejected: Counter::noop(),
            silent: true,
        }
    }

    /// So many records were rejected, by the plugin or because it cannot survive them.
    pub fn rejected(&self, records: usize) {
        self.rejected.increment(records as u64);
    }

    /// An instance was thrown away.
    pub fn trapped(&self, kind: &'static str) {
        if self.silent {
            return;
        }
        Metric::FilterTraps.counter(&[("filter", &self.filter), ("kind", kind)]).increment(1);
    }
}

impl std::fmt::Debug for FilterMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FilterMetrics({})", self.filter)
    }
}
