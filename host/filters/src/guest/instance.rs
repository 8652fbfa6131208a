//! One instance of a plugin: started, configured, and asked batch by batch.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{Store, Trap};

use super::answer::Answer;
use super::bindings::{Batch, Changes, Fields, Plugin, Stateful};
use super::component::{Component, Linked};
use super::engine::Engine;
use super::fault::{Fault, FaultKind};
use super::limits::{self, MAX_HANDLES};
use super::lower::Wanted;
use super::metrics::InstanceMetrics;
use super::settings::Wasi;
use super::state::{Environment, State, TooMuch};
use super::voice::{MAX_REASON, one_line};
use super::wasi;
use flitch_core::units::Bytes;

/// A plugin that is linked, its settings, and what it finds around it: what instances are made from.
pub struct Guest {
    /// The plugin's code.
    pub component: Component,
    /// The settings of the plugin, as JSON text.
    pub settings: String,
    /// What the instances find around them.
    pub environment: Arc<Environment>,
    linked: Linked,
}

impl Guest {
    /// Links `component` with what `wasi` grants.
    ///
    /// # Errors
    /// What it imports that it is not granted, or how it does not fit the contract.
    pub fn link(
        engine: &Engine,
        component: Component,
        wasi: Wasi,
        settings: String,
        environment: Arc<Environment>,
    ) -> anyhow::Result<Guest> {
        Ok(Guest { linked: component.link(engine, wasi)?, component, settings, environment })
    }

    /// Whether it exports what keeps its state.
    pub fn keeps_state(&self) -> bool {
        self.linked.1.is_some()
    }

    /// The plugin, and what keeps its state.
    fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<(Plugin, Option<Stateful>)> {
        let (plugin, stateful) = &self.linked;
        if stateful.is_none() {
            return Ok((plugin.instantiate(store)?, None));
        }
        let instance = plugin.instance_pre().instantiate(&mut *store)?;
        Ok((Plugin::new(&mut *store, &instance)?, Some(Stateful::new(store, &instance)?)))
    }
}

/// A plugin that is instantiated and configured, for one worker.
pub struct Instance {
    store: Store<State>,
    plugin: Plugin,
    stateful: Option<Stateful>,
    wanted: Wanted,
    guest: Arc<Guest>,
    metrics: InstanceMetrics,
}

impl Instance {
    /// Instantiates and configures the plugin. An `Err` in the answer is what it says about its settings.
    pub fn start(guest: &Arc<Guest>) -> Result<Result<Instance, String>, Fault> {
        let environment = &guest.environment;
        let limits = &environment.limits;
        let context = wasi::context(&environment.allow, &environment.voice)
            .map_err(|e| Fault::new(FaultKind::Start, &format!("{e:#}")))?;
        let mut store = Store::new(guest.linked.0.engine(), State::new(environment.clone(), context));
        store.limiter(|state| &mut state.limiter);
        // The epoch reaches code that runs in circles. What a guest asks of the host in a straight line must end, too.
        store.call_hook(|store, _| match store.data().deadline <= Instant::now() {
            true => Err(Trap::Interrupt.into()),
            false => Ok(()),
        });
        store.set_max_component_handles(MAX_HANDLES);
        arm(&mut store, limits.time.0, limits::answer(limits, 0));
        let (plugin, stateful) = match guest.instantiate(&mut store) {
            Ok(made) => made,
            Err(error) => return Err(fault(&mut store, error, &limits.time.0)),
        };
        let fields = plugin.flitch_filter_filter().call_configure(&mut store, &guest.settings);
        let wanted = match fields {
            Ok(Ok(Fields::All)) => Wanted::All,
            Ok(Ok(Fields::Only(names))) => Wanted::Only(names.into_iter().collect()),
            Ok(Err(refused)) => return Ok(Err(one_line(&refused, MAX_REASON).into_owned())),
            Err(error) => return Err(fault(&mut store, error, &limits.time.0)),
        };
        let mut metrics = environment.metrics.instance();
        metrics.memory(store.data().limiter.used());
        Ok(Ok(Instance { store, plugin, stateful, wanted, guest: guest.clone(), metrics }))
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
        let time = self.guest.environment.limits.time.0;
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
        arm(&mut self.store, time, limits::answer(&self.guest.environment.limits, bytes));
        let began = Instant::now();
        let answer = self.plugin.flitch_filter_filter().call_apply(&mut self.store, batch);
        self.guest.environment.metrics.ran(began.elapsed());
        self.metrics.memory(self.store.data().limiter.used());
        answer.map_err(|error| fault(&mut self.store, error, &time))
    }

    /// What it remembers, `most` bytes at most; empty where it keeps no state. After a [`Fault`] the instance must not be
    /// used again.
    pub fn save(&mut self, most: usize) -> Result<Vec<u8>, Fault> {
        let Some(stateful) = &self.stateful else { return Ok(Vec::new()) };
        let time = self.guest.environment.limits.time.0;
        arm(&mut self.store, time, most);
        let saved = stateful.flitch_filter_state().call_save(&mut self.store);
        self.metrics.memory(self.store.data().limiter.used());
        let too_much =
            || Fault::new(FaultKind::Answer, &format!("its state is larger than {}", Bytes(most as u64)));
        match saved {
            Ok(saved) if saved.len() > most => Err(too_much()),
            Ok(saved) => Ok(saved),
            Err(error) if is_too_much(&error) => Err(too_much()),
            Err(error) => Err(fault(&mut self.store, error, &time)),
        }
    }

    /// Has it remember what was saved. An `Err` in the answer is why it refuses it; after that, as after a [`Fault`], the
    /// instance must not be used again.
    pub fn restore(&mut self, saved: &[u8]) -> Result<Result<(), String>, Fault> {
        let Some(stateful) = &self.stateful else { return Ok(Ok(())) };
        let limits = &self.guest.environment.limits;
        let time = limits.time.0;
        arm(&mut self.store, time, limits::answer(limits, saved.len()));
        let restored = stateful.flitch_filter_state().call_restore(&mut self.store, saved);
        self.metrics.memory(self.store.data().limiter.used());
        match restored {
            Ok(Err(refused)) => Ok(Err(one_line(&refused, MAX_REASON).into_owned())),
            Ok(Ok(())) => Ok(Ok(())),
            Err(error) => Err(fault(&mut self.store, error, &time)),
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("filter", &self.guest.environment.name).finish_non_exhaustive()
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

/// Whether a call failed since what it answers is larger than it may be.
fn is_too_much(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().starts_with("too much data is being copied")
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
        None if is_too_much(&error) => {
            (FaultKind::Answer, "its answer is larger than `limits: answer` allows".to_owned())
        }
        // What is neither a trap nor comes out of running code is an answer that cannot be read: a string that is
        // not UTF-8, a list beyond the end of the memory.
        None if error.downcast_ref::<wasmtime::WasmBacktrace>().is_none() => (FaultKind::Answer, root),
        None => (FaultKind::Trap, root),
    };
    Fault::new(kind, &reason)
}
