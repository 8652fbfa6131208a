//! The running daemon: builds what the configuration names, replaces what a new one changes, and drains it all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::admin::{PipelineStatus, StatusBoard};
use crate::clock::Clock;
use crate::config::Config;
use crate::dead_letter::{self, DeadLetters};
use crate::filters::{Engine, FilterContext, FilterSettings, Program, Tables, Workers};
use crate::pipeline::PipelineSettings;
use crate::telemetry::Exporter;

mod claim;
mod end;
mod output;
mod plan;
mod run;
mod source;
mod supervise;

use end::{Old, discard, finish};
use output::Output;
use plan::{Plan, tables, used_outputs};
pub use run::{Ended, RunError, run};
use source::Source;

/// A part of the configuration that could not be put to work.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error:#}")]
pub struct AppError {
    /// Where the part stands in the configuration, such as `outputs.events`.
    pub path: String,
    /// What is wrong with it.
    pub error: anyhow::Error,
}

fn at(path: impl Into<String>) -> impl FnOnce(anyhow::Error) -> AppError {
    move |error| AppError { path: path.into(), error }
}

struct Pipeline {
    settings: PipelineSettings,
    filters: Vec<(String, FilterSettings)>,
    program: Arc<Program>,
    workers: Workers,
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
    /// What reloads have left behind and is not finished yet.
    old: JoinSet<bool>,
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
            tables: tables(&Arc::new(Tables::default()), &config, folder).await.map_err(at("tables"))?,
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
            old: JoinSet::new(),
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
        let mut plan = Plan::new(self.filters.clone());
        let planned = match self.plan(&config, &mut plan).await {
            Ok(()) => self.sources_for(&config, &plan).await,
            Err(error) => Err(error),
        };
        match planned {
            Ok(()) => {
                let kept = std::mem::take(&mut plan.kept);
                self.commit(config, plan);
                Ok(kept)
            }
            Err(error) => {
                discard(plan).await;
                Err(error)
            }
        }
    }

    /// The files that plugins come from.
    pub fn plugin_files(&self) -> Vec<PathBuf> {
        self.pipelines.values().flat_map(|pipeline| pipeline.program.files()).collect()
    }

    /// Connects what stays to what is new, and lets what is old finish beside it: a slow destination must not hold the
    /// reload up.
    fn commit(&mut self, config: Config, plan: Plan) {
        let mut handovers = Vec::new();
        for (name, source) in &self.sources {
            let Some(handover) = source.intake.connect(self.inlets(&config, &plan, name)) else { continue };
            let fed = self.pipelines.values().filter(|p| p.settings.from.iter().any(|from| **from == **name));
            let replaced =
                fed.flat_map(|p| &p.settings.to).filter(|to| plan.outputs.contains_key(&*to.output));
            // What nobody waits for holds up no stream either.
            let replaced = replaced.filter_map(|to| self.outputs.get(&*to.output));
            let ends = replaced.filter(|old| !old.buffer.is_best_effort()).map(|old| old.ended.clone());
            handovers.push((handover, ends.collect()));
        }
        self.filters = plan.filters;
        for (name, program, filters) in plan.swaps {
            if let Some(pipeline) = self.pipelines.get_mut(&name) {
                pipeline.workers.swap(program.clone());
                pipeline.program = program;
                pipeline.filters = filters;
            }
        }
        let mut pipelines: Vec<_> =
            plan.pipelines.into_iter().filter_map(|(name, new)| self.pipelines.insert(name, new)).collect();
        let gone = self.pipelines.extract_if(.., |name, _| !config.pipelines.contains_key(&**name));
        pipelines.extend(gone.map(|(_, pipeline)| pipeline));
        let mut outputs: Vec<_> =
            plan.outputs.into_iter().filter_map(|(name, new)| self.outputs.insert(name, new)).collect();
        let used = used_outputs(&config);
        let gone = self.outputs.extract_if(.., |name, _| !used.contains(&**name));
        outputs.extend(gone.map(|(_, output)| output));
        let deadline = Instant::now() + config.drain_timeout.0;
        self.old.spawn(Old { handovers, pipelines, outputs }.finish(deadline));
        while let Some(ended) = self.old.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "what a reload left behind has panicked");
            }
        }
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
        let deadline = Instant::now() + timeout;
        for source in self.sources.values() {
            source.stop.cancel();
        }
        let mut in_time = true;
        for (name, mut source) in std::mem::take(&mut self.sources) {
            in_time &= source.ended(&name, deadline).await;
        }
        let pipelines = std::mem::take(&mut self.pipelines).into_values().collect();
        let outputs = std::mem::take(&mut self.outputs).into_values().collect();
        let mut old = std::mem::take(&mut self.old);
        // What earlier reloads had to leave was sent again.
        while old.try_join_next().is_some() {}
        let ends = async {
            while let Ok(Some(ended)) = timeout_at(deadline, old.join_next()).await {
                in_time &= ended.unwrap_or(false);
            }
            in_time &= old.is_empty();
            finish(pipelines, outputs, deadline).await && in_time
        };
        // Workers may wait for room among the dead letters.
        let give_up = async {
            tokio::time::sleep_until(deadline).await;
            self.dead_letters.give_up();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            in_time = ends => in_time,
            () = give_up => unreachable!("it waits for ever"),
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
