//! A chain of filters: loaded and tried once, and run by each worker with instances of its own.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use parking_lot::Mutex;

use super::filter::{Filter, FilterContext};
use super::guest::{Component, Instance, Wanted};
use super::settings::{FilterSettings, Refused};
use super::settle::Rejected;
use super::step::Step;
use flitch_core::batch::Batch;

/// A chain of filters that is loaded, linked, configured and tried: what a worker makes its [`Chain`] from.
#[derive(Debug, Default)]
pub struct Program {
    filters: Vec<Arc<Filter>>,
    /// Instances of each filter that workers take.
    ready: Mutex<Vec<Vec<Instance>>>,
}

impl Program {
    /// Loads the filters of a chain, in order, each with its name in the configuration. Each plugin is instantiated,
    /// configured, and given an empty batch.
    ///
    /// Compiles what is not in the cache, which takes seconds for a large plugin, and blocks.
    ///
    /// # Errors
    /// Which filter cannot be used, and why.
    pub fn load(filters: &[(&str, &FilterSettings)], cx: &FilterContext) -> Result<Program, LoadError> {
        let load = |&(name, settings): &(&str, &FilterSettings)| {
            load(name, settings, cx).map_err(|error| LoadError { filter: name.to_owned(), error })
        };
        Ok(Program::of(filters.iter().map(load).collect::<Result<_, _>>()?))
    }

    /// A chain of filters that were tried.
    pub(super) fn of(filters: Vec<Tried>) -> Program {
        let (filters, ready) = filters.into_iter().map(|one| (one.filter, one.instances)).unzip();
        Program { filters, ready: Mutex::new(ready) }
    }

    /// The files that its plugins come from.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.filters.iter().filter_map(|filter| filter.plugin().origin().file()).map(PathBuf::from)
    }

    /// Whether a file that a plugin comes from holds other code now.
    pub fn is_stale(&self) -> bool {
        self.filters.iter().any(|filter| filter.plugin().is_stale())
    }

    /// Whether batches go through unchanged, so that no worker is needed.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Most workers that may run it: as many as its scarcest filter may have instances.
    pub fn max_workers(&self) -> Option<usize> {
        self.filters
            .iter()
            .filter_map(|filter| filter.configured.instances)
            .min()
            .map(std::num::NonZeroUsize::get)
    }

    /// The filters, in order.
    pub fn filters(&self) -> &[Arc<Filter>] {
        &self.filters
    }

    /// Instances of all filters, for one worker. Those that are not ready are made when they are needed.
    pub fn chain(self: &Arc<Self>) -> Chain {
        let mut chain = Chain { steps: Vec::new() };
        chain.change(self);
        chain
    }

    /// An instance of a filter that is ready for a worker.
    fn take_ready(&self, place: usize) -> Option<Instance> {
        self.ready.lock().get_mut(place)?.pop()
    }
}

/// A filter that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("filter `{filter}`: {error:#}")]
pub struct LoadError {
    /// Its name in the configuration.
    pub filter: String,
    /// Why, and what to do.
    pub error: anyhow::Error,
}

/// A filter, and instances of it that are configured and answer.
pub(super) struct Tried {
    pub filter: Arc<Filter>,
    pub instances: Vec<Instance>,
}

impl Tried {
    /// A filter that runs already: its workers have instances.
    pub fn again(filter: &Arc<Filter>) -> Tried {
        Tried { filter: filter.clone(), instances: Vec::new() }
    }

    /// Makes instances until there are `count`. What fails is told when a worker tries again.
    pub fn fill(&mut self, count: usize) {
        let (guest, missing) = (&self.filter.guest, count.saturating_sub(self.instances.len()));
        let more = apart(|| {
            let start = || Instance::start(guest).ok().and_then(Result::ok);
            Ok((0..missing).map_while(|_| start()).collect::<Vec<_>>())
        });
        self.instances.extend(more.unwrap_or_default());
    }
}

/// Loads a filter from where its plugin comes from, and tries it.
pub(super) fn load(name: &str, settings: &FilterSettings, cx: &FilterContext) -> anyhow::Result<Tried> {
    let origin = cx.stock.origin(&settings.plugin, &cx.folder)?;
    try_out(name, settings, Component::load(&cx.engine, origin)?, cx)
}

/// Makes a filter of `plugin`, and tries it.
pub(super) fn try_out(
    name: &str,
    settings: &FilterSettings,
    plugin: Component,
    cx: &FilterContext,
) -> anyhow::Result<Tried> {
    apart(|| {
        let filter = Arc::new(Filter::new(name, settings, plugin, cx)?);
        let mut instance = match Instance::start(&filter.guest) {
            Ok(Ok(instance)) => instance,
            Ok(Err(reason)) => return Err(Refused::new(filter.plugin().name(), reason).into()),
            Err(fault) => bail!("{} cannot start: {fault}", filter.plugin().name()),
        };
        instance.try_out().map_err(|reason| {
            anyhow::anyhow!("{} fails on an empty batch: {reason}", filter.plugin().name())
        })?;
        Ok(Tried { filter, instances: vec![instance] })
    })
}

/// Does what runs plugins on a thread of its own, since WASI blocks on futures, and the caller may be inside a runtime.
pub(super) fn apart<T: Send>(work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err(anyhow::anyhow!("a panic while the filter was loaded")))
}

/// One worker's instances of a chain's filters.
#[derive(Debug)]
pub struct Chain {
    pub(super) steps: Vec<Step>,
}

impl Chain {
    /// Takes the filters of `program`. Those that it has already go on with their instances, and with what is in their
    /// memory.
    pub fn change(&mut self, program: &Arc<Program>) {
        let mut before = std::mem::take(&mut self.steps);
        let step = |(place, filter): (usize, &Arc<Filter>)| match before
            .iter()
            .position(|step| Arc::ptr_eq(step.filter(), filter))
        {
            Some(own) => before.swap_remove(own),
            None => Step::new(filter.clone(), program.take_ready(place)),
        };
        self.steps = program.filters.iter().enumerate().map(step).collect();
    }

    /// Runs all filters over a batch. What they drop or reject is settled; what comes back goes on.
    pub fn apply(&mut self, batch: Batch) -> Batch {
        let Batch { mut records, mut receipt, stream } = batch;
        for step in &mut self.steps {
            if records.rows() == 0 {
                break;
            }
            records = step.run(records, &mut receipt);
        }
        Batch { records, receipt, stream }
    }

    /// What was rejected since the last call, where the filters have no dead letters to go to.
    pub fn take_rejected(&mut self) -> Vec<Rejected> {
        self.steps.iter_mut().flat_map(Step::take_rejected).collect()
    }

    /// The columns that the filters asked for, of those that have an instance now.
    pub fn wanted(&self) -> impl Iterator<Item = Wanted> {
        self.steps.iter().filter_map(|step| step.instance()).map(|instance| instance.wanted().clone())
    }

    /// Bytes of memory that the instances take.
    pub fn memory(&self) -> usize {
        self.steps.iter().filter_map(|step| step.instance()).map(Instance::memory).sum()
    }
}
