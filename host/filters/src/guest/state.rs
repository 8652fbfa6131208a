//! What the host does for a plugin that calls it: `log`, `count` and `lookup`.

use std::sync::Arc;

use wasmtime::Trap;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::flitch::filter::{columns, host};
use super::bindings::{ColumnResult, Level};
use super::deadline::Deadline;
use super::limits::{Bounds, Limiter, MAX_HANDLES};
use super::lookup::{Lookup, LookupError};
use super::metrics::GuestMetrics;
use super::settings::{Allow, LimitSettings};
use super::voice::{Voice, one_line};

/// Most bytes of what a guest said last that the reason of a fault repeats.
const MAX_LAST_WORDS: usize = 500;

/// A guest asked for more than may cross the border at once.
#[derive(Debug, thiserror::Error)]
#[error("{0} is too large")]
pub struct TooMuch(pub &'static str);

/// What the instances of a plugin find around them.
pub struct Environment {
    /// The name of the filter that they run for.
    pub name: Arc<str>,
    /// Limits of each instance.
    pub limits: LimitSettings,
    /// What they may reach.
    pub allow: Allow,
    /// Their lines in the log.
    pub voice: Arc<Voice>,
    /// What is counted for them.
    pub metrics: GuestMetrics,
    /// What they may look things up in.
    pub tables: Arc<dyn Lookup>,
}

impl Environment {
    /// The surroundings of a plugin that runs for the filter `name`.
    pub fn new(
        name: Arc<str>,
        limits: LimitSettings,
        allow: Allow,
        tables: Arc<dyn Lookup>,
    ) -> Arc<Environment> {
        let (voice, metrics) = (Arc::new(Voice::new(name.clone())), GuestMetrics::new(&name));
        Arc::new(Environment { name, limits, allow, voice, metrics, tables })
    }

    /// The same for a plugin that is only tried: nobody hears what it says, and nobody reads what it counts.
    pub fn silent(
        name: Arc<str>,
        limits: LimitSettings,
        allow: Allow,
        tables: Arc<dyn Lookup>,
    ) -> Arc<Environment> {
        let (voice, metrics) = (Arc::new(Voice::silent(name.clone())), GuestMetrics::silent(&name));
        Arc::new(Environment { name, limits, allow, voice, metrics, tables })
    }
}

/// What the host keeps for one instance.
pub struct State {
    /// Sums what the instance takes.
    pub limiter: Limiter,
    /// How long the call that runs may last.
    pub deadline: Deadline,
    /// Most bytes that may cross the border at once.
    pub answer: usize,
    /// What the guest said last as an error during the call: where it panics, why.
    pub last_words: Option<String>,
    environment: Arc<Environment>,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl State {
    /// The state of a new instance, which finds `wasi`.
    pub fn new(environment: Arc<Environment>, wasi: WasiCtx) -> State {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        State {
            limiter: Limiter::new(&environment.limits),
            deadline: Deadline::of(environment.limits.time.0),
            answer: 0,
            last_words: None,
            wasi,
            table,
            environment,
        }
    }

    /// How long the call that runs may last, and the clocks that its guest sees.
    pub fn clock(&mut self) -> (&mut Deadline, WasiClocksCtxView<'_>) {
        let view = WasiClocksCtxView { ctx: self.wasi.clocks(), table: &mut self.table };
        (&mut self.deadline, view)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl columns::Host for State {}

impl host::Host for State {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        self.environment.voice.say(level, &message);
        if level == tracing::Level::ERROR {
            self.last_words = Some(one_line(&message, MAX_LAST_WORDS).into_owned());
        }
        Ok(())
    }

    fn count(&mut self, counter: String, delta: u64) -> wasmtime::Result<()> {
        self.environment.metrics.count(&counter, delta);
        Ok(())
    }

    fn lookup(
        &mut self,
        table: String,
        keys: ColumnResult,
        want: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<ColumnResult>, String>> {
        let bounds = Bounds { bytes: self.answer, until: self.deadline.clone() };
        let found = self.environment.tables.lookup(&table, keys, &want, &bounds);
        self.deadline = bounds.until;
        match found {
            Ok(found) => Ok(Ok(found)),
            Err(LookupError::Refused(reason)) => Ok(Err(reason)),
            Err(LookupError::TooMuch) => Err(wasmtime::Error::new(TooMuch("what it looks up"))),
            Err(LookupError::Late) => Err(Trap::Interrupt.into()),
        }
    }
}
