//! Puts a configuration into force: makes what it needs beside what runs, and touches that when nothing can fail any
//! more, but for sources, two of which may want the same address or the same checkpoints.

mod made;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tokio::time::{Instant, sleep};

use self::made::Making;
pub(super) use self::made::{GivenUp, Made};
use super::diff::{self, Change, Diff, Filters};
use super::drain::Old;
use super::history::{self, By};
use super::{App, AppError, Applied, Kept, Output, Pipeline, Source, apart, at};
use crate::admin::Exporter;
use crate::allocator;
use crate::config::{self, Config};
use crate::pipeline::Buffers;
use flitch_core::inlet::Inlet;
use flitch_core::placed::Placed;
use flitch_core::tasks;
use flitch_core::telemetry::{Health, Part, health};
use flitch_filters::swap::Which;
use flitch_filters::{FilterSettings, LoadError, Program, TablePlaces, Tables, swap};
use flitch_registry::Registries;

/// How often a start asks registries again that cannot give a plugin, after pauses that grow. (A daemon that runs asks when it is
/// told to; what runs goes on meanwhile.)
const PULLS: u32 = 3;
/// How long sources of a first start that fails have to end. They have hardly begun.
const FIRST: std::time::Duration = std::time::Duration::from_secs(1);

/// Why a configuration is applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion<'a> {
    /// Who asked for it, for the history of filters.
    pub by: By,
    /// Which filters are loaded again.
    pub which: Which<'a>,
    /// Longest time that what is replaced has to finish what it holds, where it is less than `drain_timeout`.
    pub patience: Option<std::time::Duration>,
}

impl From<By> for Occasion<'_> {
    fn from(by: By) -> Self {
        Occasion { by, which: Which::Changed, patience: None }
    }
}

/// Reads the tables of a configuration that are not among those `before`, and all of them again when their files
/// change.
pub(super) async fn tables(
    before: &Arc<Tables>,
    config: &Config,
    folder: &Path,
    health: &Arc<Health>,
) -> anyhow::Result<Arc<Tables>> {
    let health = health.clone();
    let (before, settings, folder) = (before.clone(), config.tables.clone(), folder.to_owned());
    let data_dir = config.data_dir.clone();
    apart(move || {
        let places = TablePlaces { folder: &folder, data_dir: Some(&data_dir), asks: true };
        let tables = Arc::new(before.next(&settings, &places)?);
        tables.watch(&health)?;
        Ok(tables)
    })
    .await
}

/// What references of a configuration stand for from now on, and its tags asked for as it says.
async fn registries(
    config: &Config,
    folder: &Path,
    health: &Arc<Health>,
    placed: &Arc<Placed>,
) -> anyhow::Result<Arc<Registries>> {
    let (settings, polled) = (config.plugins.clone(), config.polled(folder));
    let (folder, health, placed) = (folder.to_owned(), health.clone(), placed.clone());
    let cache = config.data_dir.join(flitch_registry::FOLDER);
    apart(move || {
        let registries = Arc::new(Registries::new(&settings, &folder, cache, true)?);
        registries.watch(polled, &health, &placed)?;
        Ok(registries)
    })
    .await
}

/// Whether a registry could not give a plugin, and later may.
fn is_passing(error: &anyhow::Error) -> bool {
    matches!(config::of_registry(error), Some(flitch_registry::Error::Failed(_)))
}

impl App {
    /// Puts another configuration into force, but for its `data_dir`. What did not change is not restarted. Answers
    /// which filters changed, and which go on as they are, since what is in their files now cannot be used, and why not.
    ///
    /// # Errors
    /// The first part that cannot be put to work; then everything goes on as before.
    pub(super) async fn apply(
        &mut self,
        config: Config,
        occasion: impl Into<Occasion<'_>>,
    ) -> Result<Applied, AppError> {
        let Occasion { by, which, patience } = occasion.into();
        let before = self.made();
        // Positions that are looked for in another folder would be forgotten.
        let config = Config { data_dir: self.wiring.data_dir.clone(), ..config };
        let is_stale = |pipeline: &Pipeline| which.concerns(&pipeline.workers.program());
        let stale = self.pipelines.iter().filter(|(_, pipeline)| is_stale(pipeline));
        let stale: BTreeSet<&str> = stale.map(|(name, _)| &**name).collect();
        let diff = Diff::between(&diff::Running { config: self.config.as_ref(), stale }, &config);
        let mut making = Making::begin(Made::nothing(self.filters.clone()), &self.given_up);
        let pulls = if matches!(by, By::Start) { PULLS } else { 0 };
        let done = match self.make(&config, &diff, (which, pulls), making.made()).await {
            Ok(()) => self.replace_sources(&config, &diff, making.made(), patience).await,
            Err(error) => Err(error),
        };
        let applied = match done {
            Ok(()) => {
                let mut made = making.take();
                let kept = std::mem::take(&mut made.kept);
                self.commit(config, &diff, made, patience);
                let after = self.made();
                for Kept { filter, reason, lacks } in &kept {
                    // It is tried again and again.
                    if !lacks || !self.history.says(by, filter, reason) {
                        self.history.failed(by, filter, before.get(filter.as_str()), reason.clone());
                    }
                }
                self.history.changed(by, &before, &after);
                self.show();
                let changed = after.iter().filter(|(name, made)| before.get(*name) != Some(made));
                let changed = changed.map(|(name, _)| name.clone()).collect();
                Ok(Applied { changed, kept })
            }
            Err(error) => {
                self.discard(making.take()).await;
                self.failed(by, &before, &error);
                Err(error)
            }
        };
        apart(allocator::give_back).await;
        applied
    }

    /// What each filter that runs is made of.
    pub(super) fn made(&self) -> BTreeMap<Arc<str>, history::Made> {
        let programs = self.pipelines.values().map(|pipeline| pipeline.workers.program());
        programs
            .flat_map(|program| program.filters().to_vec())
            .map(|filter| history::Made::of(&filter))
            .collect()
    }

    /// Notes what cannot be used, where it is a filter.
    fn failed(&self, by: By, running: &BTreeMap<Arc<str>, history::Made>, error: &AppError) {
        let Some(filter) = error.path.strip_prefix("filters.") else { return };
        let reason = format!("{:#}", error.error);
        if !config::lacks(&error.error) || !self.history.says(by, filter, &reason) {
            self.history.failed(by, filter, running.get(filter), reason);
        }
    }

    /// Reads tables, opens outputs, builds filters and starts pipelines, as far as they are new.
    async fn make(
        &self,
        config: &Config,
        diff: &Diff,
        (which, mut pulls): (Which<'_>, u32),
        made: &mut Made,
    ) -> Result<(), AppError> {
        if diff.tables {
            let next = tables(&self.filters.tables, config, &self.filters.folder, &self.wiring.health).await;
            made.filters.tables = next.map_err(at("tables"))?;
        }
        if diff.registries {
            let (folder, health) = (&self.filters.folder, &self.wiring.health);
            let next = registries(config, folder, health, &self.placed).await;
            made.filters.registries = next.map_err(at("plugins"))?;
        }
        for name in diff.outputs.iter().filter(|(_, change)| change.makes()).map(|(name, _)| name) {
            let opened = self.open_output(name, config).await.map_err(at(format!("outputs.{name}")))?;
            made.leaving.push(opened.leave.clone().drop_guard());
            made.outputs.insert(name.as_str().into(), opened);
        }
        for (name, change) in &diff.pipelines {
            let running = self.pipelines.get(&**name);
            if change.change == Change::End
                || (change.change, change.filters) == (Change::Keep, Filters::Keep)
            {
                continue;
            }
            let built = match change.filters {
                Filters::Keep => None,
                Filters::Reload | Filters::Build => {
                    Some(self.program((running, which), config, name, &mut pulls, made).await?)
                }
            };
            let before = running.map(|running| running.workers.program());
            let program = match (before.clone(), built) {
                (Some(before), None) => before,
                (Some(before), Some(built)) if swap::is_same(&before, &built) => before,
                (_, built) => Arc::new(built.unwrap_or_default()),
            };
            match running {
                Some(_) if change.change == Change::Keep => {
                    if before.is_none_or(|before| !Arc::ptr_eq(&program, &before)) {
                        made.swaps.push((name.as_str().into(), program));
                    }
                }
                _ => {
                    let settings = config.pipelines[name].clone();
                    let workers = self
                        .wiring
                        .chain(name, &settings, program, &self.buffers(made))
                        .map_err(|e| at(format!("pipelines.{name}"))(e.into()))?;
                    made.pipelines.insert(name.as_str().into(), Pipeline { settings, workers });
                }
            }
        }
        Ok(())
    }

    async fn open_output(&self, name: &str, config: &Config) -> anyhow::Result<Output> {
        let (wiring, owned, settings) = (self.wiring.clone(), name.to_owned(), config.outputs[name].clone());
        let flow = apart(move || wiring.outflow(&owned, &settings)).await?;
        let part = Part::new(&self.wiring.health, "output", name);
        let before = self.outputs.get(name).map(|before| before.ended.clone());
        Ok(Output::start(flow, part, before))
    }

    /// Builds the filters of a pipeline, and as often again as `pulls` lets it where a registry is away.
    async fn program(
        &self,
        running: (Option<&Pipeline>, Which<'_>),
        config: &Config,
        name: &str,
        pulls: &mut u32,
        made: &mut Made,
    ) -> Result<Program, AppError> {
        loop {
            match self.build(running, config, name, made).await {
                Err(AppError { path, error }) if *pulls > 0 && is_passing(&error) => {
                    *pulls -= 1;
                    let pause = health::pause(PULLS - *pulls);
                    tracing::warn!(?pause, "{path}: {error:#}; it is asked for again");
                    sleep(pause).await;
                }
                built => return built,
            }
        }
    }

    /// Builds the filters of a pipeline, aside from those that run.
    async fn build(
        &self,
        (running, which): (Option<&Pipeline>, Which<'_>),
        config: &Config,
        name: &str,
        made: &mut Made,
    ) -> Result<Program, AppError> {
        // A pipeline's own filters come first: another may have an older generation of the same.
        let all: Vec<Arc<Program>> =
            running.into_iter().chain(self.pipelines.values()).map(|p| p.workers.program()).collect();
        let names = &config.pipelines[name].filters;
        let filters: Vec<(String, FilterSettings)> =
            names.iter().map(|name| (name.clone(), config.filters[name].clone())).collect();
        let cx = made.filters.clone();
        let one = if let Which::One(name) = which { Some(name.to_owned()) } else { None };
        let files = if let Which::Files(files) = which { Some(files.clone()) } else { None };
        let workers = running.map_or(1, |running| running.workers.count());
        let is_first = all.is_empty();
        let build = move || {
            let all: Vec<&Program> = all.iter().map(|program| &**program).collect();
            let named: Vec<_> = filters.iter().map(|(name, settings)| (name.as_str(), settings)).collect();
            let which = match (&one, &files) {
                (Some(name), _) => Which::One(name),
                (None, Some(files)) => Which::Files(files),
                (None, None) => Which::Changed,
            };
            let beside = swap::Beside { running: &all, which, workers };
            swap::next(beside, &named, &cx)
        };
        let next = apart(move || if is_first { build() } else { swap::aside(build) }).await;
        let next =
            next.map_err(|failed: LoadError| at(format!("filters.{}", failed.filter))(failed.error))?;
        for LoadError { filter, error } in next.kept {
            if made.kept.iter().all(|known| known.filter != filter) {
                let lacks = config::lacks(&error);
                made.kept.push(Kept { filter, reason: format!("{error:#}"), lacks });
            }
        }
        Ok(next.program)
    }

    /// The buffer of each output as it will be: those that were made before those that run.
    fn buffers(&self, made: &Made) -> Buffers {
        let all = self.outputs.iter().chain(&made.outputs);
        all.map(|(name, output)| (name.clone(), output.buffer.clone())).collect()
    }

    /// The inlets of the pipelines that read from a source, as they will be.
    fn inlets(&self, config: &Config, made: &Made, source: &str) -> Vec<Inlet> {
        let reads = config.pipelines.iter().filter(|(_, p)| p.from.iter().any(|from| from == source));
        let inlet = |name: &str| {
            let pipeline = made.pipelines.get(name).or_else(|| self.pipelines.get(name));
            pipeline.expect("every pipeline was made or runs").workers.inlet().clone()
        };
        reads.map(|(name, _)| inlet(name)).collect()
    }

    /// Starts the sources that are new, and replaces those whose settings changed: the old ones are stopped first, and
    /// come back if a new one cannot start.
    async fn replace_sources(
        &mut self,
        config: &Config,
        diff: &Diff,
        made: &Made,
        patience: Option<std::time::Duration>,
    ) -> Result<(), AppError> {
        let leaving =
            diff.sources.iter().filter(|(_, change)| matches!(change, Change::Replace | Change::End));
        let leaving: Vec<Arc<str>> = leaving.map(|(name, _)| name.as_str().into()).collect();
        let before = self.stop(&leaving, patience).await;
        let mut begun: Vec<Arc<str>> = Vec::new();
        for name in diff.sources.iter().filter(|(_, change)| change.makes()).map(|(name, _)| name) {
            let name: Arc<str> = name.as_str().into();
            let inlets = self.inlets(config, made, &name);
            let ledger = Exporter::get().ledger(&name);
            let flow = self.wiring.inflow(&name, &config.sources[&*name], config.batch.cut(), inlets, ledger);
            match flow.start().await {
                Ok(running) => {
                    let part = Part::new(&self.wiring.health, "source", &name);
                    self.sources.insert(name.clone(), Source::keep(flow, Ok(running), part));
                    begun.push(name);
                }
                Err(error) => {
                    // Those outputs would begin when the ones that now go on have ended.
                    made.outputs.values().for_each(|output| output.leave.cancel());
                    self.stop(&begun, patience).await;
                    self.restore(before).await;
                    return Err(AppError { path: format!("sources.{name}"), error });
                }
            }
        }
        Ok(())
    }

    /// Stops sources, and waits until their records are safe, for at most the drain timeout, or `most`. Answers their names and
    /// what they fed. Where it is given up in between, those that have not ended are still there.
    async fn stop(
        &mut self,
        names: &[Arc<str>],
        most: Option<std::time::Duration>,
    ) -> Vec<(Arc<str>, Vec<Inlet>)> {
        for source in names.iter().filter_map(|name| self.sources.get(name)) {
            source.stop.cancel();
        }
        // An output that is stuck may be what the new configuration mends.
        let patience = self.config.as_ref().map_or(FIRST, |config| config.drain_timeout.0);
        let deadline = Instant::now() + most.map_or(patience, |most| most.min(patience));
        let _rushed: Vec<_> = self.outputs.values().map(|output| output.buffer.rush()).collect();
        let mut stopped = Vec::new();
        for name in names {
            let Some(source) = self.sources.get_mut(name) else { continue };
            source.ended(name, deadline).await;
            if let Some(source) = self.sources.remove(name) {
                stopped.push((name.clone(), source.intake.inlets()));
            }
        }
        stopped
    }

    /// Starts sources again as they were before a configuration that is refused. One that cannot start is tried again
    /// until it can.
    async fn restore(&mut self, stopped: Vec<(Arc<str>, Vec<Inlet>)>) {
        for (name, inlets) in stopped {
            let Some(config) = &self.config else { continue };
            let Some(settings) = config.sources.get(&*name) else { continue };
            let ledger = Exporter::get().ledger(&name);
            let flow = self.wiring.inflow(&name, settings, config.batch.cut(), inlets, ledger);
            let first = flow.start().await;
            let part = Part::new(&self.wiring.health, "source", &name);
            self.sources.insert(name, Source::keep(flow, first, part));
        }
    }

    /// Connects what stays to what is new, and lets what is old finish beside it: a slow destination must not hold the
    /// reload up.
    fn commit(&mut self, config: Config, diff: &Diff, mut made: Made, patience: Option<std::time::Duration>) {
        made.leaving.drain(..).for_each(|guard| drop(guard.disarm()));
        let mut handovers = Vec::new();
        for (name, source) in &self.sources {
            let Some(handover) = source.intake.connect(self.inlets(&config, &made, name)) else { continue };
            let fed = self.pipelines.values().filter(|p| p.settings.from.iter().any(|from| **from == **name));
            let replaced = fed
                .flat_map(|p| &p.settings.to)
                .filter_map(|to| Some((self.outputs.get(&*to.output)?, made.outputs.get(&*to.output)?)));
            // What nobody waits for holds up no stream either, and what goes on in the same buffer keeps its order there.
            let holds_up = |(old, new): &(&Output, &Output)| {
                !old.buffer.is_best_effort() && !old.buffer.goes_on_as(&new.buffer)
            };
            let ends = replaced.filter(holds_up).map(|(old, _)| old.ended.clone());
            handovers.push((handover, ends.collect()));
        }
        self.filters = made.filters;
        for (name, program) in made.swaps {
            if let Some(pipeline) = self.pipelines.get(&name) {
                pipeline.workers.swap(program);
            }
        }
        let mut pipelines = replace(&mut self.pipelines, made.pipelines);
        pipelines.extend(
            self.pipelines
                .extract_if(.., |name, _| {
                    diff.pipelines.get(&**name).is_none_or(|change| change.change == Change::End)
                })
                .map(|(_, pipeline)| pipeline),
        );
        let mut outputs = replace(&mut self.outputs, made.outputs);
        outputs.extend(
            self.outputs
                .extract_if(.., |name, _| {
                    diff.outputs.get(&**name).is_none_or(|change| *change == Change::End)
                })
                .map(|(_, output)| output),
        );
        let left = config.drain_timeout.0;
        let deadline = Instant::now() + patience.map_or(left, |patience| patience.min(left));
        self.old.spawn(Old { handovers, pipelines, outputs }.finish(deadline));
        while let Some(ended) = self.old.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "what a reload left behind has panicked");
            }
        }
        self.wiring.dead_letters.configure(&config.dead_letter);
        let look = config.clone();
        let tell = move || {
            look.left_buffers().iter().for_each(|folder| tracing::warn!("{}", config::left_buffer(folder)));
            look.left_objects().iter().for_each(|folder| tracing::warn!("{}", config::left_object(folder)));
        };
        // Nobody waits for what it says.
        drop(tasks::joined(apart(tell)));
        self.config = Some(config);
    }
}

/// Puts parts in place of those of the same names, and answers these.
fn replace<T>(running: &mut BTreeMap<Arc<str>, T>, made: BTreeMap<Arc<str>, T>) -> Vec<T> {
    made.into_iter().filter_map(|(name, new)| running.insert(name, new)).collect()
}

#[cfg(test)]
mod tests;
