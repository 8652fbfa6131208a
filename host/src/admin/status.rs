//! What `/api/status` tells, and the board on which the running parts write it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use serde::Serialize;

use super::gauges::BufferGauges;
use super::{Exporter, Home};
use crate::app::history::{Entry, History};
use crate::app::no_filter;
use crate::fleet::Chosen;
use flitch_core::buffers::{Buffer, DiskStats, Progress, Stats};
use flitch_core::clock::Clock;
use flitch_core::receipt::Accounts;
use flitch_core::telemetry::Health;
use flitch_core::telemetry::health::Failures;
use flitch_filters::{Filter, ProbationStatus, StateStatus, States, shadow};

/// What `/api/status` answers.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// flitch's version.
    pub version: &'static str,
    /// Whether all parts run; false before the start is through and while draining.
    pub ready: bool,
    /// Seconds since the start.
    pub uptime_seconds: f64,
    /// The configuration that is in force, counted from 1; a reload that was refused does not count.
    pub generation: u64,
    /// Why the last reload was refused, or which filters go on as they were and why.
    pub last_reload_error: Option<String>,
    /// The accounts of each source, in records.
    pub sources: BTreeMap<Arc<str>, SourceStatus>,
    /// Each pipeline.
    pub pipelines: BTreeMap<Arc<str>, PipelineStatus>,
    /// Each filter that runs.
    pub filters: BTreeMap<Arc<str>, FilterStatus>,
    /// Each output.
    pub outputs: BTreeMap<Arc<str>, OutputStatus>,
    /// Parts that ended or panicked unasked since the start, by kind and name (`source in`). They are started again.
    pub failures: BTreeMap<String, Failures>,
    /// What parts that run cannot do now, each with the reason (`source in`): a topic that is missing, credentials that
    /// are refused. They go on trying.
    pub ailments: BTreeMap<String, String>,
}

/// A source's accounts.
#[derive(Clone, Debug, Serialize)]
pub struct SourceStatus {
    /// The sums.
    #[serde(flatten)]
    pub accounts: Accounts,
    /// Records on their way.
    pub in_flight: u64,
}

/// A pipeline as it is wired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PipelineStatus {
    /// Sources that feed it.
    pub from: Vec<String>,
    /// Its filters, in order.
    pub filters: Vec<String>,
    /// Outputs that it feeds.
    pub to: Vec<String>,
    /// Threads that run its filters.
    pub workers: usize,
}

/// A filter and the code that it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilterStatus {
    /// Its plugin, as the configuration names it.
    pub plugin: String,
    /// SHA-256 of the plugin's code.
    pub sha256: Arc<str>,
    /// Of which plugin of a registry the code is, with its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The key whose signature counted for that, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Since when it runs this code with these settings; RFC 3339 in UTC.
    pub since: Option<String>,
    /// Pipelines that have it.
    pub pipelines: Vec<Arc<str>>,
    /// The plugin that is tried beside it, as the configuration names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<String>,
    /// What is kept of what it remembers, by pipeline.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<Arc<str>, StateStatus>,
    /// How it does while it is on probation, by pipeline.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub probation: BTreeMap<Arc<str>, ProbationStatus>,
}

/// The filters that run, by name and pipeline.
pub type Running = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Weak<Filter>>>;

/// How a filter and its shadow agree.
#[derive(Clone, Debug, Serialize)]
pub struct Diff {
    /// The filter's name.
    pub filter: String,
    /// Its plugin, as the configuration names it.
    pub plugin: String,
    /// SHA-256 of the plugin's code.
    pub sha256: Arc<str>,
    /// By pipeline: each has a shadow of its own.
    pub pipelines: BTreeMap<Arc<str>, shadow::Report>,
}

/// An output and what waits for it.
#[derive(Clone, Debug, Serialize)]
pub struct OutputStatus {
    /// Records in its buffer.
    pub buffered_records: u64,
    /// Bytes of records in its buffer.
    pub buffered_bytes: u64,
    /// Whether its buffer is full, so that sources wait.
    pub full: bool,
    /// How far it is with what it has taken out of its buffer.
    #[serde(skip)]
    pub progress: Progress,
    /// What is on disk, for a buffer that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskStatus>,
}

/// A buffer on disk.
#[derive(Clone, Debug, Serialize)]
pub struct DiskStatus {
    /// Files of frames.
    pub segments: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// How long ago the oldest record was stored that waits.
    pub oldest_seconds: Option<f64>,
    /// Frames that could not be read since the start.
    pub parked: u64,
    /// Whether the disk takes nothing, so that sources wait though the buffer has room.
    pub failing: bool,
}

impl DiskStatus {
    /// What the buffer tells.
    pub(super) fn of(stats: DiskStats) -> DiskStatus {
        let DiskStats { segments, bytes, oldest, parked, failing } = stats;
        let now = Clock::system().now();
        let oldest_seconds = oldest.map(|oldest| now.saturating_sub(oldest).max(0) as f64 / 1e9);
        DiskStatus { segments, file_bytes: bytes, oldest_seconds, parked, failing }
    }
}

/// What the running parts tell the admin listener.
pub struct StatusBoard {
    started: Instant,
    ready: AtomicBool,
    health: Arc<Health>,
    state: Mutex<Wired>,
}

#[derive(Default)]
struct Wired {
    generation: u64,
    last_reload_error: Option<String>,
    pipelines: BTreeMap<Arc<str>, PipelineStatus>,
    filters: BTreeMap<Arc<str>, FilterStatus>,
    buffers: BTreeMap<Arc<str>, Buffer>,
    gauges: BTreeMap<Arc<str>, BufferGauges>,
    history: Option<Arc<History>>,
    home: Option<Home>,
    states: Option<Arc<States>>,
    running: Running,
    chosen: Option<Arc<Chosen>>,
    choices: u64,
}

impl Wired {
    /// A filter in each of the pipelines that have it.
    fn running_of(&self, filter: &str) -> impl Iterator<Item = (Arc<str>, Arc<Filter>)> {
        let running = self.running.get(filter).into_iter().flatten();
        running.filter_map(|(pipeline, filter)| Some((pipeline.clone(), filter.upgrade()?)))
    }
}

impl Default for StatusBoard {
    fn default() -> Self {
        StatusBoard {
            started: Instant::now(),
            ready: AtomicBool::new(false),
            health: Arc::default(),
            state: Mutex::default(),
        }
    }
}

impl StatusBoard {
    /// Says whether records are taken in and handed on.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// Where parts tell that they have failed.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Why records are not taken in and handed on as they should be; none, where they are.
    pub fn not_ready(&self) -> Option<String> {
        if !self.ready.load(Ordering::Acquire) {
            return Some("starting, or draining".to_owned());
        }
        let down = self.health.down();
        (!down.is_empty()).then(|| down.join("; "))
    }

    /// A configuration came into force.
    pub fn wired(
        &self,
        pipelines: BTreeMap<Arc<str>, PipelineStatus>,
        filters: BTreeMap<Arc<str>, FilterStatus>,
        buffers: BTreeMap<Arc<str>, Buffer>,
    ) {
        let mut state = self.state.lock();
        state.generation += 1;
        state.last_reload_error = None;
        state.pipelines = pipelines;
        state.filters = filters;
        state.buffers = buffers;
    }

    /// Filters were put back; the configuration is the same.
    pub fn filters(&self, filters: BTreeMap<Arc<str>, FilterStatus>) {
        self.state.lock().filters = filters;
    }

    /// Where the history of filters is kept, and what they remember.
    pub fn keeps(&self, history: Arc<History>, states: Arc<States>) {
        let mut state = self.state.lock();
        (state.history, state.states) = (Some(history), Some(states));
    }

    /// Where the configuration and all that flitch keeps are.
    pub fn lives(&self, home: Home) {
        self.state.lock().home = Some(home);
    }

    /// The same; none before the start.
    pub fn home(&self) -> Option<Home> {
        self.state.lock().home.clone()
    }

    /// The filters that run.
    pub fn runs(&self, running: Running) {
        self.state.lock().running = running;
    }

    /// How a filter and its shadow agree, by pipeline.
    ///
    /// # Errors
    /// There is no such filter, or it has no shadow.
    pub fn diff(&self, filter: &str) -> Result<Diff, String> {
        let state = self.state.lock();
        let Some(running) = state.filters.get(filter) else {
            return Err(no_filter(filter, &state.filters.keys().collect::<Vec<_>>()));
        };
        let report =
            |(pipeline, filter): (Arc<str>, Arc<Filter>)| Some((pipeline, filter.shadow.as_ref()?.report()));
        let pipelines: BTreeMap<_, _> = state.running_of(filter).filter_map(report).collect();
        if pipelines.is_empty() {
            return Err(format!("the filter `{filter}` has no `shadow`"));
        }
        Ok(Diff {
            filter: filter.to_owned(),
            plugin: running.plugin.clone(),
            sha256: running.sha256.clone(),
            pipelines,
        })
    }

    /// Which configuration is in force.
    pub fn chosen(&self, chosen: Arc<Chosen>) {
        let mut state = self.state.lock();
        state.chosen = Some(chosen);
        state.choices += 1;
    }

    /// How many have been.
    pub fn choices(&self) -> u64 {
        self.state.lock().choices
    }

    /// The same; none before the start.
    pub fn in_force(&self) -> Option<Arc<Chosen>> {
        self.state.lock().chosen.clone()
    }

    /// The changes of a filter, or of all, the oldest first.
    pub fn history(&self, filter: Option<&str>) -> Vec<Entry> {
        let history = self.state.lock().history.clone();
        history.map_or_else(Vec::new, |history| history.of(filter))
    }

    /// A configuration was refused, or a part of it; what was there before goes on.
    pub fn reload_refused(&self, error: String) {
        self.state.lock().last_reload_error = Some(error);
    }

    /// What there is to know now.
    pub fn read(&self) -> Status {
        let wired = self.state.lock();
        let account = |(name, accounts): (Arc<str>, Accounts)| {
            (name, SourceStatus { in_flight: accounts.in_flight(), accounts })
        };
        let output = |(name, buffer): (&Arc<str>, &Buffer)| {
            let Stats { records, bytes, full, .. } = buffer.stats();
            let disk = buffer.on_disk().map(DiskStatus::of);
            let progress = buffer.progress();
            (
                name.clone(),
                OutputStatus { buffered_records: records, buffered_bytes: bytes, full, progress, disk },
            )
        };
        let states = wired.states.clone();
        let filter = |(name, filter): (&Arc<str>, &FilterStatus)| {
            let state = states.as_ref().map_or_else(BTreeMap::new, |states| states.of(name));
            let probation = |(pipeline, filter): (_, Arc<Filter>)| Some((pipeline, filter.on_probation()?));
            let probation = wired.running_of(name).filter_map(probation).collect();
            let shadow =
                |(_, filter): (_, Arc<Filter>)| Some(filter.configured.shadow.as_ref()?.plugin.clone());
            let shadow = wired.running_of(name).find_map(shadow);
            (name.clone(), FilterStatus { state, probation, shadow, ..filter.clone() })
        };
        Status {
            version: env!("CARGO_PKG_VERSION"),
            ready: self.not_ready().is_none(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            generation: wired.generation,
            last_reload_error: wired.last_reload_error.clone(),
            sources: Exporter::get().accounts().into_iter().map(account).collect(),
            pipelines: wired.pipelines.clone(),
            filters: wired.filters.iter().map(filter).collect(),
            outputs: wired.buffers.iter().map(output).collect(),
            failures: self.health.failures(),
            ailments: self.health.ailments(),
        }
    }

    /// Brings the gauges that are read, not counted, up to date.
    pub(super) fn refresh_gauges(&self) {
        let mut wired = self.state.lock();
        let Wired { buffers, gauges, .. } = &mut *wired;
        for (name, buffer) in buffers.iter() {
            gauges.entry(name.clone()).or_insert_with(|| BufferGauges::of(name)).set(name, buffer);
        }
        gauges.retain(|name, _| buffers.contains_key(name));
    }
}

#[cfg(test)]
mod tests;
