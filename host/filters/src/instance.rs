//! One instance of a plugin: started, configured, and asked batch by batch.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::HashSet;
use wasmtime::{Store, Trap};

use super::answer::{Answer, MAX_REASON};
use super::bindings::{Batch, Changes, Fields, Plugin};
use super::filter::Filter;
use super::host::{State, TooMuch};
use super::limits;
use super::metrics::InstanceMetrics;
use super::voice::one_line;
use flitch_core::batch::path;

/// Why an instance cannot be used any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What happened, for people.
    pub reason: String,
}

/// The kinds of faults, as metrics name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The guest trapped: a panic, an index out of bounds, the end of its stack.
    Trap,
    /// It took longer than it may.
    Deadline,
    /// It wanted more memory than it may have.
    Memory,
    /// Its answer was too large, or no sense.
    Answer,
    /// A new instance could not be made.
    Start,
}

impl Fault {
    /// A fault. What the guest had a say in is kept to a line of no more than [`MAX_REASON`] bytes.
    pub fn new(kind: FaultKind, reason: &str) -> Fault {
        Fault { kind, reason: one_line(reason, MAX_REASON).into_owned() }
    }
}

impl FaultKind {
    /// The name in metrics and reasons.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Trap => "trap",
            FaultKind::Deadline => "deadline",
            FaultKind::Memory => "memory",
            FaultKind::Answer => "answer",
            FaultKind::Start => "start",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.reason)
    }
}

/// The columns that an instance asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Each column of the batch.
    All,
    /// The columns at these paths and below them.
    Only(HashSet<String>),
}

impl Wanted {
    /// Whether the column of this name is among them.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Only(names) => {
                names.contains(name) || path::above(name).any(|outer| names.contains(outer))
            }
        }
    }
}

/// A plugin that is instantiated and configured, for one worker.
pub struct Instance {
    store: Store<State>,
    guest: Plugin,
    wanted: Wanted,
    filter: Arc<Filter>,
    metrics: InstanceMetrics,
}

impl Instance {
    /// Instantiates and configures the plugin of `filter`. An `Err` in the answer is what the plugin says about its
    /// settings.
    pub fn start(filter: &Arc<Filter>) -> Result<Result<Instance, String>, Fault> {
        let state =
            State::new(filter.clone()).map_err(|e| Fault::new(FaultKind::Start, &format!("{e:#}")))?;
        let mut store = Store::new(filter.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        // The epoch reaches code that runs in circles. What a guest asks of the host in a straight line must end, too.
        store.call_hook(|store, _| match store.data().deadline <= Instant::now() {
            true => Err(Trap::Interrupt.into()),
            false => Ok(()),
        });
        store.set_max_component_handles(super::wasi::MAX_HANDLES);
        arm(&mut store, filter.limits.time.0, limits::answer(&filter.limits, 0));
        let guest = match filter.pre.instantiate(&mut store) {
            Ok(guest) => guest,
            Err(error) => return Err(fault(&mut store, error, &filter.limits.time.0)),
        };
        let fields = guest.flitch_filter_filter().call_configure(&mut store, &filter.settings);
        let wanted = match fields {
            Ok(Ok(Fields::All)) => Wanted::All,
            Ok(Ok(Fields::Only(names))) => Wanted::Only(names.into_iter().collect()),
            Ok(Err(refused)) => return Ok(Err(one_line(&refused, MAX_REASON).into_owned())),
            Err(error) => return Err(fault(&mut store, error, &filter.limits.time.0)),
        };
        let mut metrics = filter.metrics.instance();
        metrics.memory(store.data().limiter.used());
        Ok(Ok(Instance { store, guest, wanted, filter: filter.clone(), metrics }))
    }

    /// The columns that it asked for.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Bytes that its memories and tables take.
    pub fn memory(&self) -> usize {
        self.store.data().limiter.used()
    }

    /// Gives it an empty batch, to see that it answers at all.
    pub fn try_out(&mut self) -> Result<(), String> {
        let time = self.filter.limits.time.0;
        match self.apply(Batch { rows: 0, columns: &[] }, 0, time) {
            Ok(Ok(changes)) => Answer::check(changes, 0).map(|_| ()),
            Ok(Err(reason)) => Err(one_line(&reason, MAX_REASON).into_owned()),
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// Hands over a batch of which `bytes` bytes cross the border, for at most `time`. After a [`Fault`] the instance
    /// must not be used again.
    pub fn apply(
        &mut self,
        batch: Batch<'_>,
        bytes: usize,
        time: Duration,
    ) -> Result<Result<Changes, String>, Fault> {
        arm(&mut self.store, time, limits::answer(&self.filter.limits, bytes));
        let began = Instant::now();
        let answer = self.guest.flitch_filter_filter().call_apply(&mut self.store, batch);
        self.filter.metrics.ran(began.elapsed());
        self.metrics.memory(self.store.data().limiter.used());
        answer.map_err(|error| fault(&mut self.store, error, &time))
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("filter", &self.filter.name).finish_non_exhaustive()
    }
}

/// Sets the limits of the next call.
fn arm(store: &mut Store<State>, time: Duration, answer: usize) {
    store.data_mut().deadline = Instant::now() + time;
    store.data_mut().answer = answer;
    store.data_mut().limiter.take_refused();
    store.data_mut().last_words = None;
    store.set_epoch_deadline(limits::ticks(time));
    store.set_hostcall_fuel(answer);
}

/// What a failed call means.
fn fault(store: &mut Store<State>, error: wasmtime::Error, time: &Duration) -> Fault {
    let trap = error.downcast_ref::<Trap>().copied();
    let root = error.root_cause().to_string();
    tracing::debug!(error = &*one_line(&format!("{error:?}"), MAX_REASON), "a plugin failed");
    let memory = store.data_mut().limiter.take_refused();
    let (kind, reason) = match trap {
        Some(Trap::Interrupt) => {
            (FaultKind::Deadline, format!("it ran longer than {}", flitch_core::units::Span(*time)))
        }
        _ if memory => {
            (FaultKind::Memory, format!("it wanted more than {} of memory", store.data().limiter.limit()))
        }
        Some(_) => {
            let what = root.strip_prefix("wasm trap: ").unwrap_or(&root);
            match store.data_mut().last_words.take() {
                Some(words) => (FaultKind::Trap, format!("{what}; it said: {words}")),
                None => (FaultKind::Trap, what.to_owned()),
            }
        }
        None if let Some(TooMuch(what)) = error.downcast_ref() => {
            (FaultKind::Answer, format!("{what} is larger than `limits: answer` allows"))
        }
        None if root.starts_with("too much data is being copied") => {
            (FaultKind::Answer, "its answer is larger than `limits: answer` allows".to_owned())
        }
        // What is neither a trap nor comes out of running code is an answer that cannot be read: a string that is
        // not UTF-8, a list beyond the end of the memory.
        None if error.downcast_ref::<wasmtime::WasmBacktrace>().is_none() => (FaultKind::Answer, root),
        None => (FaultKind::Trap, root),
    };
    Fault::new(kind, &reason)
}
