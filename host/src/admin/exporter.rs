//! The metrics of the process, and the accounts of its sources.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use metrics::Unit;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;

use super::upkeep::Tended;
use flitch_core::receipt::{Accounts, Ledger};
use flitch_core::telemetry::{self, Kind, Metric};

/// Gathers the metrics of the process and shows them in Prometheus' text format.
///
/// The accounts of sources live in their [`Ledger`]s and are read when somebody looks, so that a record costs no
/// second counter.
pub struct Exporter {
    handle: PrometheusHandle,
    ledgers: Mutex<BTreeMap<Arc<str>, Arc<Ledger>>>,
}

static EXPORTER: OnceLock<Exporter> = OnceLock::new();

impl Exporter {
    /// The exporter of this process, installed at the first call.
    pub fn get() -> &'static Exporter {
        EXPORTER.get_or_init(|| {
            let buckets = [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0];
            let recorder = PrometheusBuilder::new()
                .set_buckets(&buckets)
                .expect("the list of buckets is not empty")
                .build_recorder();
            let handle = recorder.handle();
            let upkeep = handle.clone();
            let tended = Tended::new(recorder, move || upkeep.run_upkeep());
            if metrics::set_global_recorder(tended).is_ok() {
                metrics::with_recorder(|r| {
                    for metric in Metric::ALL {
                        let name = metric.name();
                        let (unit, help) = (Option::<Unit>::None, metric.help().into());
                        match metric.kind() {
                            Kind::Counter if metric.counts_fractions() => {
                                r.describe_gauge(name.into(), unit, help)
                            }
                            Kind::Counter => r.describe_counter(name.into(), unit, help),
                            Kind::Gauge => r.describe_gauge(name.into(), unit, help),
                            Kind::Histogram => r.describe_histogram(name.into(), unit, help),
                        }
                    }
                });
            }
            Exporter { handle, ledgers: Mutex::default() }
        })
    }

    /// The accounts of `source`; those of an earlier run of the same source go on.
    pub fn ledger(&self, source: &str) -> Arc<Ledger> {
        self.ledgers.lock().entry(source.into()).or_insert_with(|| Arc::new(Ledger::of(source))).clone()
    }

    /// What the accounts of all sources say now.
    pub fn accounts(&self) -> BTreeMap<Arc<str>, Accounts> {
        self.ledgers.lock().iter().map(|(name, ledger)| (name.clone(), ledger.read())).collect()
    }

    /// All metrics, as Prometheus reads them.
    pub fn render(&self) -> String {
        for (source, accounts) in self.accounts() {
            let labels = [("source", &*source)];
            Metric::RecordsReceived.counter(&labels).absolute(accounts.received);
            Metric::BytesReceived.counter(&labels).absolute(accounts.received_bytes);
            Metric::RecordsCopied.counter(&labels).absolute(accounts.copied);
            Metric::RecordsReturned.counter(&labels).absolute(accounts.returned);
            Metric::RecordsStored.counter(&labels).absolute(accounts.stored);
            Metric::RecordsRestored.counter(&labels).absolute(accounts.restored);
            Metric::RecordsInFlight.gauge(&labels).set(accounts.in_flight() as f64);
        }
        telemetry::show();
        self.handle.run_upkeep();
        present(&self.handle.render())
    }
}

/// Without the gauges of parts that are gone, which are no numbers; and counters of fractions by what they are.
fn present(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    let there = lines.filter(|line| line.starts_with('#') || !line.ends_with(" NaN\n"));
    there.map(|line| as_counter(line).map_or(Cow::Borrowed(line), Cow::Owned)).collect()
}

/// The line that says that a metric is a gauge, where it counts fractions.
fn as_counter(line: &str) -> Option<String> {
    let name = line.strip_prefix("# TYPE ")?.strip_suffix(" gauge\n")?;
    let mut fractions = Metric::ALL.iter().filter(|metric| metric.counts_fractions());
    fractions.any(|metric| metric.name() == name).then(|| format!("# TYPE {name} counter\n"))
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusRecorder;

    use super::*;

    #[test]
    fn what_is_shown_of_a_part_is_gone_with_it() {
        let labels = [("output", "which is gone"), ("server", "one")];
        let shown = || {
            let all = Exporter::get().render();
            let line = all.lines().find(|line| line.contains("which is gone"));
            line.map(str::to_owned)
        };
        for metric in [Metric::OutputServerUp, Metric::BufferBytes] {
            let part = metric.shown(&labels);
            part.set(1.0);
            let line = format!("{}{{output=\"which is gone\",server=\"one\"}} 1", metric.name());
            assert_eq!(shown(), Some(line));
            drop(part);
            assert_eq!(shown(), None);
        }
    }

    #[test]
    fn every_metric_is_shown_as_what_its_name_says() {
        let labels = [("filter", "whose kinds are asked for")];
        Exporter::get();
        for metric in Metric::ALL {
            match metric.kind() {
                Kind::Counter if metric.counts_fractions() => metric.fractions(&labels).increment(0.5),
                Kind::Counter => metric.counter(&labels).increment(1),
                Kind::Gauge => metric.gauge(&labels).set(1.0),
                Kind::Histogram => metric.histogram(&labels).record(1.0),
            }
        }
        let all = Exporter::get().render();
        for metric in Metric::ALL {
            let name = metric.name();
            let kind = match name.ends_with("_total") {
                true => "counter",
                false if all.contains(&format!("\n{name}_bucket{{")) => "histogram",
                false => "gauge",
            };
            assert!(all.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind}");
            assert_eq!(metric.counts_fractions(), name.ends_with("_seconds_total"), "{name}");
        }
        assert!(all.contains("flitch_filter_run_seconds_total{filter=\"whose kinds are asked for\"} 0.5\n"));
    }

    #[test]
    fn what_a_part_shows_is_seen_by_whoever_records_when_somebody_looks() {
        let [first, second] = [(); 2].map(|()| PrometheusBuilder::new().build_recorder());
        let labels = [("output", "there before the recorder")];
        let shows = |recorder: &PrometheusRecorder, value: &str| {
            metrics::with_local_recorder(recorder, telemetry::show);
            let shown = recorder.handle().render();
            let line = format!("flitch_breaker_open{{output=\"there before the recorder\"}} {value}");
            assert!(shown.lines().any(|shown| shown == line), "{line} in {shown}");
        };
        let part = metrics::with_local_recorder(&first, || Metric::BreakerOpen.shown_most(&labels));
        part.set(1.0);
        shows(&second, "1");
        part.set(0.0);
        shows(&first, "0");
        shows(&second, "0");
    }
}
