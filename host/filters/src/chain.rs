//! A chain of filters: loaded and tried once, and run by each worker with instances of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;

use super::filter::{Filter, FilterContext};
use super::guest::{Component, Fault, Instance, Wanted};
use super::probation::PutBack;
use super::saved::{Memory, Shelf};
use super::settings::{FilterSettings, Refused};
use super::settle::Rejected;
use super::shadow::Shadow;
use super::step::Step;
use flitch_core::batch::{Batch, Records, merge};
use flitch_core::receipt::Receipt;
use flitch_core::tasks;

/// A chain of filters that is loaded, linked, configured and tried: what a worker makes its [`Chain`] from.
#[derive(Debug, Default)]
pub struct Program {
    filters: Vec<Arc<Filter>>,
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
    pub(super) fn of(filters: Vec<Arc<Filter>>) -> Program {
        Program { filters }
    }

    /// The same with `new` in place of the filter `old`, where that is in it.
    pub(super) fn with(&self, old: &Arc<Filter>, new: &Arc<Filter>) -> Option<Program> {
        let place = self.filters.iter().position(|filter| Arc::ptr_eq(filter, old))?;
        let mut filters = self.filters.clone();
        filters[place] = new.clone();
        Some(Program { filters })
    }

    /// The filter of this name.
    pub fn filter(&self, name: &str) -> Option<&Arc<Filter>> {
        self.filters.iter().find(|filter| *filter.name == *name)
    }

    /// The files that its plugins come from.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.filters.iter().flat_map(|filter| filter.files()).map(PathBuf::from)
    }

    /// Whether a file that a plugin comes from holds other code now.
    pub fn is_stale(&self) -> bool {
        self.filters.iter().any(|filter| filter.is_stale())
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
        Chain::of(self, None)
    }

    /// The same for the worker of this number, whose instances begin with what it keeps on `shelf`.
    pub fn chain_of(self: &Arc<Self>, shelf: &Arc<Shelf>, worker: usize) -> Chain {
        Chain::of(self, Some((shelf.clone(), worker)))
    }
}

/// A plugin of which no instance can be made.
#[derive(Debug, thiserror::Error)]
#[error("{plugin} cannot start: {}: {}", fault.kind.name(), fault.reason)]
struct NoStart {
    plugin: String,
    fault: Fault,
    #[source]
    lacks: Option<Errno>,
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

/// Loads a filter from where its plugin comes from, and tries it.
pub(super) fn load(name: &str, settings: &FilterSettings, cx: &FilterContext) -> anyhow::Result<Arc<Filter>> {
    let origin = cx.origin(&settings.plugin)?;
    let plugin = Component::load(&cx.engine, origin)?;
    try_beside(name, settings, plugin, Shadow::load(name, settings, cx)?, cx)
}

/// Makes a filter of `plugin`, and tries it.
pub(super) fn try_out(
    name: &str,
    settings: &FilterSettings,
    plugin: Component,
    cx: &FilterContext,
) -> anyhow::Result<Arc<Filter>> {
    try_beside(name, settings, plugin, None, cx)
}

/// Makes a filter of `plugin`, beside which `shadow` is tried, and tries it.
pub(super) fn try_beside(
    name: &str,
    settings: &FilterSettings,
    plugin: Component,
    shadow: Option<Arc<Shadow>>,
    cx: &FilterContext,
) -> anyhow::Result<Arc<Filter>> {
    apart(|| {
        let mut filter = Filter::new(name, settings, plugin, cx)?;
        filter.shadow = shadow;
        let filter = Arc::new(filter);
        let mut instance = match Instance::start(&filter.guest) {
            Ok(Ok(instance)) => instance,
            Ok(Err(reason)) => return Err(Refused::new(filter.plugin().name(), reason).into()),
            Err(fault) => {
                let plugin = filter.plugin().name().to_owned();
                return Err(NoStart { plugin, lacks: fault.lacks, fault }.into());
            }
        };
        instance.try_out().map_err(|reason| {
            anyhow::anyhow!("{} fails on an empty batch: {reason}", filter.plugin().name())
        })?;
        filter.add_ready([instance]);
        Ok(filter)
    })
}

/// Does what runs plugins on a thread of its own, since WASI blocks on futures, and the caller may be inside a runtime.
pub(super) fn apart<T: Send>(work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    tasks::apart(work)?.unwrap_or_else(|_| Err(anyhow::anyhow!("a panic while the filter was loaded")))
}

/// One worker's instances of a chain's filters.
#[derive(Debug, Default)]
pub struct Chain {
    pub(super) steps: Vec<Step>,
    /// Those of filters that may come back: of the ones before filters on probation.
    parked: Vec<Step>,
    /// Those that nobody needs any more, until somebody takes them.
    gone: Vec<Step>,
    /// Where what they remember is kept, and for which worker.
    shelf: Option<(Arc<Shelf>, usize)>,
}

impl Chain {
    fn of(program: &Arc<Program>, shelf: Option<(Arc<Shelf>, usize)>) -> Chain {
        let mut chain = Chain { shelf, ..Chain::default() };
        chain.change(program);
        chain
    }

    /// Takes the filters of `program`. Those that it has already go on with their instances, and with what is in their
    /// memory; what others remember goes to those of the same name.
    pub fn change(&mut self, program: &Arc<Program>) {
        self.parked.append(&mut self.steps);
        for filter in &program.filters {
            let step = self.step(filter, self.steps.len());
            self.steps.push(step);
        }
        self.parked.iter_mut().for_each(Step::save);
        self.let_go();
    }

    /// The step of a filter at this place: the one that is parked, or another.
    fn step(&mut self, filter: &Arc<Filter>, place: usize) -> Step {
        if let Some(own) = self.parked.iter().position(|step| Arc::ptr_eq(step.filter(), filter)) {
            return self.parked.swap_remove(own);
        }
        let nth = self.steps[..place].iter().filter(|before| before.filter().name == filter.name).count();
        let memory = |(shelf, worker): &(Arc<Shelf>, usize)| Memory::of(shelf, filter, *worker, nth);
        Step::new(filter.clone(), filter.take_ready()).with(self.shelf.as_ref().and_then(memory))
    }

    /// Lets go of instances whose filters will not come back.
    fn let_go(&mut self) {
        let steps = &self.steps;
        let is_gone = |parked: &mut Step| {
            let after = steps.iter().filter_map(|step| step.filter().past.probation());
            !after
                .into_iter()
                .any(|probation| Arc::ptr_eq(&probation.old, parked.filter()) && probation.is_open())
        };
        self.gone.extend(self.parked.extract_if(.., is_gone));
    }

    /// What nobody needs any more. To give back the memory of an instance takes its time, so it is done where no batch waits.
    pub fn take_gone(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.gone)
    }

    /// Runs all filters over a batch. What they drop or reject is settled; what comes back goes on, however much it is.
    pub fn apply(&mut self, batch: Batch) -> Batch {
        let mut pieces: Vec<Batch> = Vec::new();
        let last = self.apply_in_pieces(0, batch, &mut |piece| pieces.push(piece));
        if pieces.is_empty() {
            return last;
        }
        pieces.push(last);
        let all: Vec<Records> =
            pieces.iter().map(|piece| piece.records.slice(0, piece.records.rows())).collect();
        let joined = pieces.into_iter().reduce(|mut one, other| {
            one.receipt.join(other.receipt);
            one
        });
        let joined = joined.expect("there are two at least");
        Batch { records: Arc::new(merge::concat(&all).expect("columns of two pieces join")), ..joined }
    }

    /// Runs the filters from the one at `first` on. What comes of a batch is no more at a time than may be held: it goes to
    /// `on` in pieces, and the last of them comes back.
    pub fn apply_in_pieces(&mut self, first: usize, batch: Batch, on: &mut dyn FnMut(Batch)) -> Batch {
        let Batch { mut records, mut receipt, stream } = batch;
        // The filters that have not judged all of what came to them, and what is left. Those further back come first.
        let mut left: Vec<(usize, (Arc<Records>, Receipt))> = Vec::new();
        let mut place = first;
        loop {
            while place < self.steps.len() && records.rows() > 0 {
                match self.steps[place].run(&records, &mut receipt) {
                    Ok(passed) => {
                        left.extend(passed.left.map(|left| (place, left)));
                        records = passed.records;
                        place += 1;
                    }
                    // It was put back while it judged: the one before it judges instead.
                    Err(PutBack(old)) => {
                        let old = self.step(&old, place);
                        self.gone.push(std::mem::replace(&mut self.steps[place], old));
                    }
                }
            }
            let Some((from, (behind, its))) = left.pop() else { return Batch { records, receipt, stream } };
            on(Batch { records, receipt, stream });
            (place, records, receipt) = (from, behind, its);
        }
    }

    /// A filter that is worse than its probation allows, or was put back already, and why.
    pub fn worse(&mut self) -> Option<(Arc<Filter>, String)> {
        let worse =
            |step: &Step| Some((step.filter().clone(), step.filter().past.look(&step.filter().name)?));
        let worse = self.steps.iter().find_map(worse);
        if !self.parked.is_empty() && worse.is_none() {
            self.let_go();
        }
        worse
    }

    /// When what its instances remember is to be saved next; none where there is nothing to be saved.
    pub fn due(&self) -> Option<Instant> {
        self.steps.iter().filter_map(Step::due).min()
    }

    /// Saves what its instances remember.
    pub fn save(&mut self) {
        self.steps.iter_mut().for_each(Step::save);
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
