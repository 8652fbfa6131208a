//! One instance of a plugin: started, configured, and asked batch by batch.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{ComponentExportIndex, TypedFunc};
use wasmtime::{CallHook, Store, Trap, UpdateDeadline};

use super::answer::lifted::{Changes, Said, Shared};
use super::answer::{Answer, Known};
use super::bindings::{Batch, Fields, Plugin, Stateful};
use super::component::{Component, FILTER, Linked};
use super::deadline::Deadline;
use super::engine::Engine;
use super::fault::{Fault, FaultKind};
use super::limits::{self, MAX_HANDLES};
use super::lower::Wanted;
use super::metrics::InstanceMetrics;
use super::settings::Wasi;
use super::state::{Environment, State, TooMuch};
use super::voice::{MAX_REASON, one_line};
use super::wasi;
use flitch_core::batch::path;
use flitch_core::machine;
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

    fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Exports> {
        let (plugin, stateful) = &self.linked;
        let instance = plugin.instance_pre().instantiate(&mut *store)?;
        let mut export = |above: Option<&ComponentExportIndex>, name: &str| {
            let export = instance.get_export_index(&mut *store, above, name);
            export.ok_or_else(|| wasmtime::format_err!("it lacks `{name}`"))
        };
        let filter = export(None, FILTER)?;
        let apply = export(Some(&filter), "apply")?;
        let apply = instance.get_func(&mut *store, apply);
        let apply = apply.ok_or_else(|| wasmtime::format_err!("its `apply` is no function"))?;
        Ok(Exports {
            apply: apply.typed(&*store)?,
            plugin: Plugin::new(&mut *store, &instance)?,
            stateful: stateful.as_ref().map(|_| Stateful::new(&mut *store, &instance)).transpose()?,
        })
    }
}

/// What the contract calls `apply`. Its answer is read in another way than all else: see [`lifted`](super::answer::lifted).
type Apply<'a> = TypedFunc<(Batch<'a>,), (Result<Changes, String>,)>;

/// What an instance exports.
struct Exports {
    plugin: Plugin,
    apply: Apply<'static>,
    /// What keeps its state.
    stateful: Option<Stateful>,
}

/// A plugin that is instantiated and configured, for one worker.
pub struct Instance {
    store: Store<State>,
    exports: Exports,
    wanted: Wanted,
    known: Known,
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
        // The epoch reaches code that runs in circles. What a guest asks of the host in a straight line must end, too. (To
        // look at the clock where a guest is entered or left as well would cost a small batch a tenth of its time.)
        store.call_hook(|store, hook| match hook {
            CallHook::CallingHost if store.data().deadline.is_over() => Err(Trap::Interrupt.into()),
            _ => Ok(()),
        });
        store.epoch_deadline_callback(|store| match &store.data().deadline {
            deadline if deadline.is_over() => Ok(UpdateDeadline::Interrupt),
            deadline => Ok(UpdateDeadline::Continue(limits::ticks(deadline.sure()))),
        });
        store.set_max_component_handles(MAX_HANDLES);
        arm(&mut store, limits.time.0, limits::answer(limits, 0));
        let exports = match guest.instantiate(&mut store) {
            Ok(made) => made,
            Err(error) => {
                return Err(match machine::lacking(error.root_cause()) {
                    Some(errno) => Fault::lacking(errno),
                    None => fault(&mut store, error, &limits.time.0),
                });
            }
        };
        let fields = exports.plugin.flitch_filter_filter().call_configure(&mut store, &guest.settings);
        let wanted = match fields {
            Ok(Ok(Fields::All)) => Wanted::All,
            Ok(Ok(Fields::Only(names))) => {
                // Whatever the plugin is told: it would see no such field, and no record says so.
                if let Some(wrong) = names.iter().find_map(|name| path::check_exact(name).err()) {
                    return Ok(Err(
                        one_line(&format!("it asks for the field {wrong}"), MAX_REASON).into_owned()
                    ));
                }
                Wanted::Only(names.into_iter().collect())
            }
            Ok(Err(refused)) => return Ok(Err(one_line(&refused, MAX_REASON).into_owned())),
            Err(error) => return Err(fault(&mut store, error, &limits.time.0)),
        };
        let mut metrics = environment.metrics.instance();
        metrics.memory(store.data().limiter.used());
        let known = Known::default();
        Ok(Ok(Instance { store, exports, wanted, known, guest: guest.clone(), metrics }))
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
            Ok(Ok(said)) => self.check(said, 0).map(|_| ()),
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
    ) -> Result<Result<Said, String>, Fault> {
        let began = arm(&mut self.store, time, limits::answer(&self.guest.environment.limits, bytes));
        let apply: Apply<'_> = self.exports.apply;
        Shared::begin();
        let answer = apply.call(&mut self.store, (batch,));
        let shared = Shared::end();
        self.guest.environment.metrics.ran(began.elapsed());
        self.metrics.memory(self.store.data().limiter.used());
        let (answer,) = answer.map_err(|error| fault(&mut self.store, error, &time))?;
        Ok(answer.map(|changes| Said { changes, shared }))
    }

    /// Looks at what it said of a batch of `rows` rows. The error says what is wrong with it.
    pub fn check(&mut self, said: Said, rows: usize) -> Result<Answer, String> {
        Answer::check(said, rows, &mut self.known)
    }

    /// What it remembers, `most` bytes at most; empty where it keeps no state. After a [`Fault`] the instance must not be
    /// used again.
    pub fn save(&mut self, most: usize) -> Result<Vec<u8>, Fault> {
        let Some(stateful) = &self.exports.stateful else { return Ok(Vec::new()) };
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
        let Some(stateful) = &self.exports.stateful else { return Ok(Ok(())) };
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

/// Sets the limits of the next call, which begins now.
fn arm(store: &mut Store<State>, time: Duration, answer: usize) -> Instant {
    let deadline = Deadline::of(time);
    let (began, sure) = (deadline.began(), deadline.free());
    store.data_mut().deadline = deadline;
    store.data_mut().answer = answer;
    store.data_mut().limiter.take_refused();
    store.data_mut().last_words = None;
    store.set_epoch_deadline(limits::ticks(sure));
    store.set_hostcall_fuel(answer);
    began
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
