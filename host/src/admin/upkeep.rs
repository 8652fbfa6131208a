//! Histograms keep each value until somebody counts them, which the exporter does when it is asked for its metrics. Where nobody
//! asks, or nobody can since `admin` is off, they would grow for as long as flitch runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Most values that all histograms together keep, 16 bytes each.
const MOST: usize = 4096;

/// A recorder whose histograms have their values counted after so many at the latest.
pub struct Tended<R> {
    recorder: R,
    kept: Arc<Kept>,
}

struct Kept {
    /// Values that came so far.
    values: AtomicUsize,
    /// Counts those of all histograms.
    count: Box<dyn Fn() + Send + Sync>,
}

impl<R> Tended<R> {
    /// What `recorder` records; `count` counts the values of all its histograms.
    pub fn new(recorder: R, count: impl Fn() + Send + Sync + 'static) -> Tended<R> {
        Tended { recorder, kept: Arc::new(Kept { values: AtomicUsize::new(0), count: Box::new(count) }) }
    }
}

impl<R: Recorder> Recorder for Tended<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.recorder.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.recorder.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let histogram = self.recorder.register_histogram(key, metadata);
        Histogram::from_arc(Arc::new(Bounded { histogram, kept: self.kept.clone() }))
    }
}

struct Bounded {
    histogram: Histogram,
    kept: Arc<Kept>,
}

impl HistogramFn for Bounded {
    fn record(&self, value: f64) {
        self.histogram.record(value);
        if (self.kept.values.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(MOST) {
            (self.kept.count)();
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics::Level;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn values_that_nobody_asks_for_are_counted_all_the_same_and_none_is_lost() {
        let recorder = PrometheusBuilder::new().set_buckets(&[1.0]).unwrap().build_recorder();
        let (handle, turns) = (recorder.handle(), Arc::new(AtomicUsize::new(0)));
        let upkeep = (handle.clone(), turns.clone());
        let tended = Tended::new(recorder, move || {
            upkeep.0.run_upkeep();
            upkeep.1.fetch_add(1, Ordering::Relaxed);
        });
        let metadata = Metadata::new("test", Level::INFO, None);
        let histogram = |key| tended.register_histogram(&Key::from_static_name(key), &metadata);
        let two = histogram("two");
        // Whoever asks for a histogram for each value has the same one each time.
        for _ in 0..2 * MOST {
            histogram("one").record(0.5);
            two.record(2.0);
        }
        assert_eq!(turns.load(Ordering::Relaxed), 4);
        let shown = handle.render();
        for line in [format!("one_count {}", 2 * MOST), format!("two_count {}", 2 * MOST)] {
            assert!(shown.lines().any(|shown| shown == line), "{line} in {shown}");
        }
    }
}
