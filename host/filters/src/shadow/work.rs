//! The shadow's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::Receiver;
use parking_lot::Mutex;

use super::compare::compare;
use super::report::Report;
use crate::filter::Filter;
use crate::guest::Instance;
use crate::judge::Judge;
use crate::judgement::Judgement;
use crate::timer::Timer;
use flitch_core::batch::Records;
use flitch_core::telemetry::Metric;

/// The lowest priority that a thread has.
const NICE: i32 = 19;

/// A batch, and what the filter said of it.
pub struct Job {
    records: Arc<Records>,
    judgement: Judgement,
    cost: Duration,
    bytes: usize,
    held: Arc<AtomicUsize>,
}

impl Job {
    /// A job that holds `bytes` bytes, which count among `held` for as long as it is there.
    pub fn new(
        records: Arc<Records>,
        judgement: Judgement,
        cost: Duration,
        bytes: usize,
        held: &Arc<AtomicUsize>,
    ) -> Job {
        held.fetch_add(bytes, Ordering::Relaxed);
        Job { records, judgement, cost, bytes, held: held.clone() }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What the thread works with.
pub struct Work {
    filter: Arc<Filter>,
    judge: Judge,
    report: Arc<Mutex<Report>>,
}

impl Work {
    /// A shadow that begins with `instance`.
    pub fn new(filter: Arc<Filter>, instance: Option<Instance>, report: Arc<Mutex<Report>>) -> Work {
        Work { judge: Judge::new(filter.clone(), instance), filter, report }
    }

    /// Works until the shadow is gone.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        // Of this thread alone, on Linux.
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!(%error, "the thread of a shadow keeps its priority");
        }
        for job in jobs {
            if catch_unwind(AssertUnwindSafe(|| self.judge(&job))).is_err() {
                self.judge = Judge::new(self.filter.clone(), None);
                self.report.lock().skip(job.records.rows());
                count(&self.filter, "skipped", job.records.rows() as u64);
                let line = "the host panicked over an answer of the shadow: please report this";
                self.filter.guest.environment.voice.say(tracing::Level::ERROR, line);
            }
        }
    }

    fn judge(&mut self, job: &Job) {
        let timer = Timer::start();
        let (new, judged) = self.judge.judge_some(&job.records);
        let cost = timer.elapsed();
        new.faults.iter().for_each(|kind| self.filter.metrics.trapped(kind.name()));
        let most = self.report.lock().most_examples();
        let found = compare(judged, &job.judgement, &new, most);
        count(&self.filter, "same", found.same);
        count(&self.filter, "different", found.records - found.same);
        let mut report = self.report.lock();
        // What would have to be held beyond that is not compared.
        let (rows, skipped) = (job.records.rows(), job.records.rows() - judged);
        count(&self.filter, "skipped", skipped as u64);
        report.skip(skipped);
        report.cost(judged, job.cost.mul_f64(judged as f64 / rows.max(1) as f64), cost);
        report.faults(&job.judgement.faults, &new.faults);
        report.add(found);
    }
}

/// Counts records by what came of them.
pub fn count(filter: &Filter, result: &'static str, records: u64) {
    if records > 0 {
        Metric::FilterShadowRecords
            .counter(&[("filter", &filter.name), ("result", result)])
            .increment(records);
    }
}
