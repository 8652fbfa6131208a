//! A plugin that is tried beside a filter on copies of its batches: what it says is compared, and nothing comes of it.
//!
//! The worker hands over what the filter was given and what it said, if there is room, and goes on: columns are shared, so
//! that costs no copy, and it never waits. A thread of the lowest priority asks the other plugin the same, and writes into
//! the [`Report`] where the two agree. Faults of the shadow cost its own instance and its own time.

mod compare;
mod outcome;
mod report;
mod settings;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use parking_lot::Mutex;

pub use report::Report;
pub use settings::ShadowSettings;

use super::chain;
use super::filter::{Filter, FilterContext};
use super::guest::{Component, Instance};
use super::judgement::Judgement;
use super::settings::FilterSettings;
use flitch_core::batch::Records;
use flitch_core::tasks;
use work::{Job, Work};

/// Batches that may wait for the shadow.
const WAITING: usize = 4;
/// Most bytes of records that are held for it, as they stand in memory.
const MAX_HELD: usize = 16 << 20;
/// One, in the numbers that batches are sampled by.
const ONE: u64 = 1 << 32;

/// A shadow that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("its shadow: {0:#}")]
pub struct ShadowError(pub anyhow::Error);

/// A plugin that runs beside a filter.
pub struct Shadow {
    filter: Arc<Filter>,
    settings: ShadowSettings,
    /// Grows by the rate with each batch; one that carries it over a whole number is taken.
    sum: AtomicU64,
    /// Bytes that are held for the shadow.
    held: Arc<AtomicUsize>,
    jobs: Sender<Job>,
    thread: Mutex<Thread>,
    report: Arc<Mutex<Report>>,
}

/// The shadow's own thread, which begins with the first batch.
enum Thread {
    /// What it is to begin with.
    Not(Receiver<Job>, Option<Instance>),
    Runs(JoinHandle<()>),
    /// The system has none.
    Failed,
}

impl Shadow {
    /// Loads what `settings` name as the shadow of the filter `name`, if they do, and tries it. Compiles what is not in the
    /// cache, and blocks.
    ///
    /// # Errors
    /// Why it cannot be used: a [`ShadowError`].
    pub fn load(
        name: &str,
        settings: &FilterSettings,
        cx: &FilterContext,
    ) -> anyhow::Result<Option<Arc<Shadow>>> {
        let Some(shadow) = &settings.shadow else { return Ok(None) };
        let load = || {
            let origin = cx.origin(&shadow.plugin)?;
            Shadow::of(name, settings, shadow, Component::load(&cx.engine, origin)?, cx)
        };
        load().map(Some).map_err(|error| ShadowError(error).into())
    }

    /// The same with the code that it has, for another generation of the filter.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn again(
        &self,
        name: &str,
        settings: &FilterSettings,
        cx: &FilterContext,
    ) -> anyhow::Result<Arc<Shadow>> {
        Shadow::of(name, settings, &self.settings, self.plugin().clone(), cx)
    }

    fn of(
        name: &str,
        filter: &FilterSettings,
        settings: &ShadowSettings,
        plugin: Component,
        cx: &FilterContext,
    ) -> anyhow::Result<Arc<Shadow>> {
        // No filter has such a name.
        let own = format!("{name}/shadow");
        let filter = chain::try_out(&own, &settings.filter(filter)?, plugin, cx)?;
        let (jobs, waiting) = crossbeam_channel::bounded(WAITING);
        let report = Report::new(&filter, settings);
        Ok(Arc::new(Shadow {
            settings: settings.clone(),
            sum: AtomicU64::new(0),
            held: Arc::default(),
            jobs,
            thread: Mutex::new(Thread::Not(waiting, filter.take_ready())),
            filter,
            report: Arc::new(Mutex::new(report)),
        }))
    }

    /// The plugin's code.
    pub fn plugin(&self) -> &Component {
        self.filter.plugin()
    }

    /// Whether both have the same code and settings.
    pub fn is_same(&self, other: &Shadow) -> bool {
        self.settings == other.settings && self.plugin().sha256() == other.plugin().sha256()
    }

    /// Where the two agree so far.
    pub fn report(&self) -> Report {
        self.report.lock().clone()
    }

    /// Whether the next batch is one of those that the shadow is given.
    pub fn takes(&self) -> bool {
        let step = (self.settings.rate * ONE as f64) as u64;
        let before = self.sum.fetch_add(step, Ordering::Relaxed);
        before % ONE + step >= ONE
    }

    /// Hands over a batch and what the filter said of it, which took it so much processor time, unless the shadow is behind. Never waits.
    pub fn offer(&self, records: &Arc<Records>, judgement: &Judgement, cost: Duration) {
        let bytes =
            records.memory() + judgement.parts.iter().map(|part| part.records.memory()).sum::<usize>();
        let is_full = self.jobs.is_full() || self.held.load(Ordering::Relaxed) + bytes > MAX_HELD;
        if is_full || !self.runs() {
            return self.skip(records.rows());
        }
        let job = Job::new(records.clone(), judgement.clone(), cost, bytes, &self.held);
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.skip(records.rows()),
        }
    }

    fn skip(&self, rows: usize) {
        work::count(&self.filter, "skipped", rows as u64);
        self.report.lock().skip(rows);
    }

    /// Whether its thread runs; it is started where it does not.
    fn runs(&self) -> bool {
        let mut thread = self.thread.lock();
        match std::mem::replace(&mut *thread, Thread::Failed) {
            Thread::Not(waiting, instance) => {
                let work = Work::new(self.filter.clone(), instance, self.report.clone());
                match tasks::joined_thread(&*self.filter.name, move || work.run(&waiting)) {
                    Ok(handle) => *thread = Thread::Runs(handle),
                    Err(error) => {
                        let line = format!("the thread of the shadow cannot be started: {error}");
                        self.filter.guest.environment.voice.say(tracing::Level::ERROR, &line);
                    }
                }
            }
            Thread::Runs(handle) if handle.is_finished() => {}
            runs => *thread = runs,
        }
        matches!(*thread, Thread::Runs(_))
    }
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shadow").field("filter", &self.filter.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
