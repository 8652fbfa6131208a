//! The running daemon: builds what the configuration names, replaces what a new one changes, and drains it all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{PipelineStatus, StatusBoard};
use crate::batch::Cut;
use crate::buffers::MemoryBuffer;
use crate::clock::Clock;
use crate::config::Config;
use crate::dead_letter::{self, DeadLetters};
use crate::filters::{
    Engine, FilterContext, FilterSettings, Inlet, LoadError, Program, Tables, Workers, swap,
};
use crate::outputs::OutputConfig;
use crate::pipeline::{self, PipelineSettings};
use crate::sources::{Intake, SourceContext, SourceSettings};
use crate::telemetry::Exporter;

mod claim;
mod end;
mod run;

use end::{discard, finish, report};
pub use run::{Ended, RunError, run};

/// A part of the configuration that could not be put to work.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error:#}")]
pub struct AppError {
    /// Where the part stands in the configuration, such as `outputs.events`.
    pub path: String,
    /// What is wrong with it.
    pub error: anyhow::Error,
}

/// Reads the tables of a configuration that are not among those `before`, and all of them again when their files
/// change.
fn tables(before: &Tables, config: &Config, folder: &Path) -> anyhow::Result<Arc<Tables>> {
    let tables = Arc::new(before.next(&config.tables, folder)?);
    tables.watch()?;
    Ok(tables)
}

fn at(path: impl Into<String>) -> impl FnOnce(anyhow::Error) -> AppError {
    move |error| AppError { path: path.into(), error }
}

/// The outputs that a pipeline writes to; others are not opened.
fn used_outputs(config: &Config) -> BTreeSet<&str> {
    config.pipelines.values().flat_map(|pipeline| &pipeline.to).map(|to| &*to.output).collect()
}

struct Source {
    settings: SourceSettings,
    cut: Cut,
    intake: Intake,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

/// What a source is started with.
type Before = (SourceSettings, Cut, Vec<Inlet>);

struct Pipeline {
    settings: PipelineSettings,
    filters: Vec<(String, FilterSettings)>,
    program: Arc<Program>,
    workers: Workers,
}

struct Output {
    config: OutputConfig,
    buffer: Arc<MemoryBuffer>,
    /// Cancelled to leave what is not delivered.
    leave: CancellationToken,
    task: JoinHandle<()>,
}

/// All running parts.
pub struct App {
    _lock: std::fs::File,
    board: Arc<StatusBoard>,
    filters: FilterContext,
    dead_letters: DeadLetters,
    config: Config,
    sources: BTreeMap<Arc<str>, Source>,
    pipelines: BTreeMap<Arc<str>, Pipeline>,
    outputs: BTreeMap<Arc<str>, Output>,
}

/// A pipeline, and the filters that it goes on with.
type Swap = (Arc<str>, Arc<Program>, Vec<(String, FilterSettings)>);

/// What a configuration will run, before anything that runs is touched.
struct Plan {
    outputs: BTreeMap<Arc<str>, Output>,
    pipelines: BTreeMap<Arc<str>, Pipeline>,
    /// What filters are loaded with from now on.
    filters: FilterContext,
    /// Pipelines that go on with other filters.
    swaps: Vec<Swap>,
    /// Filters that go on as they are, since what is in their files cannot be used.
    kept: Vec<AppError>,
}

impl App {
    /// Starts everything that `config` names.
    ///
    /// # Errors
    /// The first part that cannot be put to work. What was started before it is stopped.
    pub async fn start(config: Config, folder: &Path, board: Arc<StatusBoard>) -> Result<App, AppError> {
        // Handles on metrics are made while parts are; those made before there is an exporter would count for nobody.
        Exporter::get();
        let lock = claim::claim(&config.data_dir).map_err(at("data_dir"))?;
        let folder_of_letters = config.data_dir.join(dead_letter::FOLDER);
        let dead_letters = DeadLetters::open_with(&folder_of_letters, &config.dead_letter, Clock::system())
            .with_context(|| format!("cannot keep dead letters in {}", config.data_dir.display()))
            .map_err(at("data_dir"))?;
        let engine = Engine::new(Some(&config.data_dir.join("compiled"))).map_err(at("data_dir"))?;
        let filters = FilterContext {
            engine,
            tables: tables(&Tables::default(), &config, folder).map_err(at("tables"))?,
            dead_letters: Some(dead_letters.clone()),
            folder: folder.to_owned(),
        };
        let mut app = App {
            _lock: lock,
            board,
            filters,
            dead_letters,
            config: config.clone(),
            sources: BTreeMap::new(),
            pipelines: BTreeMap::new(),
            outputs: BTreeMap::new(),
        };
        match app.apply(config).await {
            Ok(_) => Ok(app),
            Err(error) => {
                app.drain(Duration::ZERO).await;
                Err(error)
            }
        }
    }

    /// Puts another configuration into force, but for its `data_dir`. What did not change is not restarted. Answers
    /// which filters go on as they are, since what is in their files now cannot be used, and why not.
    ///
    /// # Errors
    /// The first part that cannot be put to work; then everything goes on as before.
    pub async fn apply(&mut self, config: Config) -> Result<Vec<AppError>, AppError> {
        // Positions that are looked for in another folder would be forgotten.
        let config = Config { data_dir: self.config.data_dir.clone(), ..config };
        let mut plan = Plan {
            outputs: BTreeMap::new(),
            pipelines: BTreeMap::new(),
            filters: self.filters.clone(),
            swaps: Vec::new(),
            kept: Vec::new(),
        };
        let planned = match self.plan(&config, &mut plan) {
            Ok(()) => self.sources_for(&config, &plan).await,
            Err(error) => Err(error),
        };
        match planned {
            Ok(()) => {
                let kept = std::mem::take(&mut plan.kept);
                self.commit(config, plan).await;
                Ok(kept)
            }
            Err(error) => {
                discard(plan).await;
                Err(error)
            }
        }
    }

    /// Opens new outputs, builds new filters and starts new pipelines.
    fn plan(&self, config: &Config, plan: &mut Plan) -> Result<(), AppError> {
        let same_tables = config.tables == self.config.tables;
        if !same_tables {
            let next = tables(&self.filters.tables, config, &self.filters.folder);
            plan.filters.tables = next.map_err(at("tables"))?;
        }
        let used = used_outputs(config);
        for (name, output) in config.outputs.iter().filter(|(name, _)| used.contains(&***name)) {
            if self.outputs.get(&**name).is_none_or(|running| running.config != *output) {
                let opened = self.open_output(name, output).map_err(at(format!("outputs.{name}")))?;
                plan.outputs.insert(name.as_str().into(), opened);
            }
        }
        for (name, settings) in &config.pipelines {
            let filters: Vec<_> =
                settings.filters.iter().map(|f| (f.clone(), config.filters[f].clone())).collect();
            let running = self.pipelines.get(&**name);
            let program = match running {
                Some(p) if p.filters == filters && same_tables && !p.program.is_stale() => p.program.clone(),
                _ => {
                    let program = self.program(running, &filters, plan)?;
                    let is_that = |p: &&Pipeline| {
                        p.filters == filters && same_tables && swap::is_same(&p.program, &program)
                    };
                    running.filter(is_that).map_or(Arc::new(program), |p| p.program.clone())
                }
            };
            let routes_stand = !settings.to.iter().any(|to| plan.outputs.contains_key(&*to.output));
            match running {
                Some(p) if p.settings == *settings && routes_stand && p.workers.can_run(&program) => {
                    if !Arc::ptr_eq(&program, &p.program) {
                        plan.swaps.push((name.as_str().into(), program, filters));
                    }
                }
                _ => {
                    let buffers = self.buffers(plan);
                    let workers = pipeline::wire(name, settings, program.clone(), &buffers)
                        .map_err(|e| at(format!("pipelines.{name}"))(e.into()))?;
                    let pipeline = Pipeline { settings: settings.clone(), filters, program, workers };
                    plan.pipelines.insert(name.as_str().into(), pipeline);
                }
            }
        }
        Ok(())
    }

    /// Builds a chain of filters, aside from those that run.
    fn program(
        &self,
        running: Option<&Pipeline>,
        filters: &[(String, FilterSettings)],
        plan: &mut Plan,
    ) -> Result<Program, AppError> {
        // A pipeline's own filters come first: another may have an older generation of the same.
        let all: Vec<&Program> =
            running.into_iter().chain(self.pipelines.values()).map(|p| &*p.program).collect();
        let named: Vec<_> = filters.iter().map(|(name, settings)| (name.as_str(), settings)).collect();
        let wrong = |failed: LoadError| at(format!("filters.{}", failed.filter))(failed.error);
        let next = swap::next(&all, &named, &plan.filters).map_err(wrong)?;
        for kept in next.kept.into_iter().map(wrong) {
            if plan.kept.iter().all(|known| known.path != kept.path) {
                plan.kept.push(kept);
            }
        }
        Ok(next.program)
    }

    /// The files that plugins come from.
    pub fn plugin_files(&self) -> Vec<PathBuf> {
        self.pipelines.values().flat_map(|pipeline| pipeline.program.files()).collect()
    }

    /// Opens an output and starts the loop that empties its buffer.
    fn open_output(&self, name: &str, config: &OutputConfig) -> anyhow::Result<Output> {
        let output = config.open(name)?;
        let dropped = crate::telemetry::Tally::dropped_by_route(name);
        let buffer = MemoryBuffer::new(&config.buffer, dropped).in_front_of(name, config.best_effort);
        let buffer = Arc::new(buffer);
        let leave = CancellationToken::new();
        let delivery = crate::outputs::deliver(
            name.into(),
            output,
            buffer.clone(),
            config.retry.clone(),
            self.dead_letters.clone(),
            leave.clone(),
        );
        Ok(Output { config: config.clone(), buffer, leave, task: tokio::spawn(delivery) })
    }

    /// The buffer of each output as it will be: those of the plan before those that run.
    fn buffers(&self, plan: &Plan) -> BTreeMap<Arc<str>, Arc<MemoryBuffer>> {
        let running = self.outputs.iter().chain(&plan.outputs);
        running.map(|(name, output)| (name.clone(), output.buffer.clone())).collect()
    }

    /// The pipelines that read from a source, as they will be.
    fn inlets(&self, config: &Config, plan: &Plan, source: &str) -> Vec<Inlet> {
        let reads = config.pipelines.iter().filter(|(_, p)| p.from.iter().any(|from| from == source));
        let workers = |name: &str| {
            let pipeline = plan.pipelines.get(name).or_else(|| self.pipelines.get(name));
            pipeline.expect("every pipeline is planned or runs").workers.inlet().clone()
        };
        reads.map(|(name, _)| workers(name)).collect()
    }

    /// Starts the sources that are new, and replaces those whose settings changed: the old one is stopped first,
    /// since both want the same address or the same checkpoints, and comes back if the new one cannot start.
    async fn sources_for(&mut self, config: &Config, plan: &Plan) -> Result<(), AppError> {
        let mut begun: Vec<(Arc<str>, Option<Before>)> = Vec::new();
        for (name, settings) in &config.sources {
            let cut = config.batch.cut();
            let inlets = self.inlets(config, plan, name);
            // What no pipeline reads from is not started: its records would come back for ever.
            if inlets.is_empty() {
                continue;
            }
            let name: Arc<str> = name.as_str().into();
            if self
                .sources
                .get(&name)
                .is_some_and(|running| running.settings == *settings && running.cut == cut)
            {
                continue;
            }
            let before = self.stop(&name).await;
            begun.push((name.clone(), before));
            match self.start_source(&name, settings, cut, inlets).await {
                Ok(source) => {
                    self.sources.insert(name, source);
                }
                Err(error) => {
                    self.restore(begun).await;
                    return Err(AppError { path: format!("sources.{name}"), error });
                }
            }
        }
        Ok(())
    }

    /// Stops a source, if it runs, and waits until its records are safe, for at most the drain timeout. Answers how to
    /// start it again.
    async fn stop(&mut self, name: &Arc<str>) -> Option<Before> {
        let source = self.sources.remove(name)?;
        source.stop.cancel();
        let before = (source.settings, source.cut, source.intake.inlets());
        let mut task = source.task;
        // An output that is stuck may be what the new configuration mends.
        match tokio::time::timeout(self.config.drain_timeout.0, &mut task).await {
            Ok(ended) => report(name, ended),
            Err(_) => {
                task.abort();
                let left = source.intake.ledger().read().in_flight();
                tracing::warn!(
                    source = &**name,
                    records = left,
                    "the drain timeout passed; what has not arrived is sent again if its source can"
                );
            }
        }
        Some(before)
    }

    /// Puts sources back to what they were before a configuration that is refused.
    async fn restore(&mut self, begun: Vec<(Arc<str>, Option<Before>)>) {
        for (name, before) in begun.into_iter().rev() {
            self.stop(&name).await;
            let Some((settings, cut, inlets)) = before else { continue };
            match self.start_source(&name, &settings, cut, inlets).await {
                Ok(source) => {
                    self.sources.insert(name, source);
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(
                        source = &*name,
                        error,
                        "the source does not come back; reload to try again"
                    );
                }
            }
        }
    }

    async fn start_source(
        &self,
        name: &Arc<str>,
        settings: &SourceSettings,
        cut: Cut,
        inlets: Vec<Inlet>,
    ) -> anyhow::Result<Source> {
        let stop = CancellationToken::new();
        let intake = Intake::new(Exporter::get().ledger(name), inlets);
        let cx = SourceContext {
            name: name.clone(),
            intake: intake.clone(),
            cut,
            state_dir: self.config.data_dir.join("sources").join(&**name),
            dead_letters: self.dead_letters.clone(),
            clock: Clock::system(),
            stop: stop.clone(),
        };
        let running = settings.clone().start(cx).await?;
        Ok(Source { settings: settings.clone(), cut, intake, stop, task: tokio::spawn(running) })
    }

    /// Connects what stays to what is new, and stops what is gone, in the order in which a record meets it.
    async fn commit(&mut self, config: Config, plan: Plan) {
        for (name, source) in &self.sources {
            source.intake.connect(self.inlets(&config, &plan, name));
        }
        let is_gone =
            |name: &str| !config.sources.contains_key(name) || self.inlets(&config, &plan, name).is_empty();
        let gone: Vec<_> = self.sources.keys().filter(|name| is_gone(name)).cloned().collect();
        for name in gone {
            self.stop(&name).await;
        }
        self.filters = plan.filters;
        for (name, program, filters) in plan.swaps {
            if let Some(pipeline) = self.pipelines.get_mut(&name) {
                pipeline.workers.swap(program.clone());
                pipeline.program = program;
                pipeline.filters = filters;
            }
        }
        let mut old_pipelines: Vec<_> =
            plan.pipelines.into_iter().filter_map(|(name, new)| self.pipelines.insert(name, new)).collect();
        let gone = self.pipelines.extract_if(.., |name, _| !config.pipelines.contains_key(&**name));
        old_pipelines.extend(gone.map(|(_, pipeline)| pipeline));
        let mut old_outputs: Vec<_> =
            plan.outputs.into_iter().filter_map(|(name, new)| self.outputs.insert(name, new)).collect();
        let used = used_outputs(&config);
        let gone = self.outputs.extract_if(.., |name, _| !used.contains(&**name));
        old_outputs.extend(gone.map(|(_, output)| output));
        // What the old parts hold is finished beside the new ones; a slow destination must not hold the reload up.
        let timeout = config.drain_timeout.0;
        tokio::spawn(async move { finish(old_pipelines, old_outputs, timeout).await });
        self.dead_letters.configure(&config.dead_letter);
        self.config = config;
        self.show();
    }

    fn show(&self) {
        let status = |pipeline: &Pipeline| PipelineStatus {
            from: pipeline.settings.from.clone(),
            filters: pipeline.settings.filters.clone(),
            to: pipeline.settings.to.iter().map(|to| to.output.clone()).collect(),
            workers: pipeline.workers.count(),
        };
        let pipelines = self.pipelines.iter().map(|(name, p)| (name.clone(), status(p))).collect();
        let buffers = self.outputs.iter().map(|(name, o)| (name.clone(), o.buffer.clone())).collect();
        self.board.wired(pipelines, buffers);
        self.board.set_ready(true);
    }

    /// Stops the sources, lets everything on its way arrive, and ends all parts. What has not arrived after `timeout`
    /// is left: its sources send it again after the next start, where they can. Answers whether all of it arrived.
    pub async fn drain(mut self, timeout: Duration) -> bool {
        self.board.set_ready(false);
        let deadline = tokio::time::Instant::now() + timeout;
        for source in self.sources.values() {
            source.stop.cancel();
        }
        let mut in_time = true;
        for (name, source) in std::mem::take(&mut self.sources) {
            let abort = source.task.abort_handle();
            match tokio::time::timeout_at(deadline, source.task).await {
                Ok(ended) => report(&name, ended),
                Err(_) => {
                    abort.abort();
                    in_time = false;
                }
            }
        }
        let pipelines = std::mem::take(&mut self.pipelines).into_values().collect();
        let outputs = std::mem::take(&mut self.outputs).into_values().collect();
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        // Workers may wait for room among the dead letters.
        let give_up = async {
            tokio::time::sleep_until(deadline).await;
            self.dead_letters.give_up();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            all = finish(pipelines, outputs, left) => all && in_time,
            () = give_up => unreachable!("it waits for ever"),
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
