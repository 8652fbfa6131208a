//! The running daemon: all parts that the configuration names.
//!
//! A [`Diff`](diff::Diff) of two configurations says what is to be done, [`apply`] does it, [`drain`] ends it all, and
//! [`supervise`] starts parts again that fail. Whoever wants something of the daemon while it runs sends it a
//! [`Command`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;

use crate::admin::{Exporter, FilterStatus, PipelineStatus, Running, StatusBoard};
use crate::config::Config;
use crate::pipeline::{PipelineSettings, Wiring};
use flitch_core::buffers::{self, BufferContext, Shelf};
use flitch_core::clock::Clock;
use flitch_core::dead_letter::{self, DeadLetters};
use flitch_core::placed::Placed;
use flitch_filters::{Engine, FilterContext, States, Tables, Workers};

mod apart;
mod apply;
pub(crate) mod claim;
mod command;
mod daemon;
mod diff;
mod drain;
pub mod history;
mod manager;
mod output;
mod packages;
mod rollback;
mod run;
mod signals;
mod source;
mod supervise;

use apart::apart;
use apply::GivenUp;
use claim::Claim;
pub use command::{Answer, Applied, Command, Control, Kept, Refused, no_filter};
use history::{By, History};
use output::Output;
pub use run::{Ended, RunError, run};
pub use signals::Signals;
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
    workers: Workers,
}

/// All running parts.
pub struct App {
    claim: Arc<Claim>,
    board: Arc<StatusBoard>,
    wiring: Wiring,
    filters: FilterContext,
    history: Arc<History>,
    /// Files of plugins that flitch itself has put into their places.
    placed: Arc<Placed>,
    /// What is in force; none before the start is through.
    config: Option<Config>,
    sources: BTreeMap<Arc<str>, Source>,
    pipelines: BTreeMap<Arc<str>, Pipeline>,
    outputs: BTreeMap<Arc<str>, Output>,
    /// What reloads have left behind and is not finished yet.
    old: JoinSet<bool>,
    /// What was made for a configuration that was given up before it came into force.
    given_up: GivenUp,
}

impl App {
    /// Starts everything that `config` names. Relative paths of plugins and tables are looked for in `folder`.
    ///
    /// # Errors
    /// The first part that cannot be put to work. What was started before it is stopped.
    pub async fn start(config: Config, folder: &Path, board: Arc<StatusBoard>) -> Result<App, AppError> {
        // Handles on metrics are made while parts are; those made before there is an exporter would count for nobody.
        Exporter::get();
        let (data_dir, settings) = (config.data_dir.clone(), config.dead_letter.clone());
        let health = board.health().clone();
        let opened = apart(move || -> anyhow::Result<_> {
            let claim = Arc::new(claim::claim(&data_dir)?);
            let letters = data_dir.join(dead_letter::FOLDER);
            let letters = DeadLetters::open_with(&letters, &settings, Clock::system())
                .with_context(|| format!("cannot keep dead letters in {}", data_dir.display()))?
                .heard_by(&health);
            let engine = Engine::new(Some(&data_dir.join("compiled")), &health)?;
            let states = data_dir.join(flitch_filters::STATE_FOLDER);
            let states = States::open(&states, Clock::system(), &health)
                .with_context(|| format!("cannot keep the states of filters in {}", states.display()))?;
            Ok((claim, letters, engine, states))
        });
        let (claim, dead_letters, engine, states) = opened.await.map_err(at("data_dir"))?;
        let filters = FilterContext {
            engine,
            stock: crate::STOCK,
            registries: Arc::default(),
            tables: Arc::new(Tables::default()),
            dead_letters: Some(dead_letters.clone()),
            folder: folder.to_owned(),
            silent: false,
        };
        let buffers = BufferContext {
            folder: config.data_dir.join(buffers::FOLDER),
            shelf: Shelf::default(),
            ledgers: Arc::new(|source| Exporter::get().ledger(source)),
            dead_letters: Some(dead_letters.clone()),
            health: board.health().clone(),
            clock: Clock::system(),
        };
        let wiring = Wiring {
            health: board.health().clone(),
            dead_letters,
            buffers,
            states,
            data_dir: config.data_dir.clone(),
            clock: Clock::system(),
        };
        let history = Arc::new(History::open(&config.data_dir, Clock::system()));
        board.keeps(history.clone(), wiring.states.clone());
        let mut app = App {
            claim,
            board,
            wiring,
            filters,
            history,
            placed: Arc::default(),
            config: None,
            sources: BTreeMap::new(),
            pipelines: BTreeMap::new(),
            outputs: BTreeMap::new(),
            old: JoinSet::new(),
            given_up: GivenUp::default(),
        };
        let rolled_back = app.history.left_rolled_back();
        match app.apply(config, By::Start).await {
            Ok(_) => {
                app.warn_of_rolled_back(&rolled_back);
                Ok(app)
            }
            Err(error) => {
                app.drain(Duration::ZERO).await;
                Err(error)
            }
        }
    }

    /// Holds `data_dir` where somebody takes it away. To be called often.
    async fn hold(&self) {
        let (claim, health) = (self.claim.clone(), self.wiring.health.clone());
        apart(move || claim.hold(&health)).await;
    }

    /// The files that plugins come from.
    pub fn plugin_files(&self) -> Vec<PathBuf> {
        self.pipelines
            .values()
            .flat_map(|pipeline| pipeline.workers.program().files().collect::<Vec<_>>())
            .collect()
    }

    /// Those of them that flitch itself puts into their places.
    pub fn placed(&self) -> Arc<Placed> {
        self.placed.clone()
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
        self.board.wired(pipelines, self.filters_now(), buffers);
        self.board.runs(self.running());
        self.board.set_ready(true);
    }

    /// The filters that run.
    fn running(&self) -> Running {
        let mut all = Running::new();
        for (pipeline, running) in &self.pipelines {
            for filter in running.workers.program().filters() {
                all.entry(filter.name.clone()).or_default().insert(pipeline.clone(), Arc::downgrade(filter));
            }
        }
        all
    }

    /// The filters that run, for people.
    fn filters_now(&self) -> BTreeMap<Arc<str>, FilterStatus> {
        let runs_in = |filter: &str| {
            let all = self.pipelines.iter();
            let those = all.filter(|(_, pipeline)| pipeline.workers.program().filter(filter).is_some());
            those.map(|(name, _)| name.clone()).collect()
        };
        let filter = |(name, made): (Arc<str>, history::Made)| {
            let status = FilterStatus {
                plugin: made.settings.plugin,
                sha256: made.sha256,
                reference: made.provenance.as_ref().map(|from| from.reference.clone()),
                signed_by: made.provenance.and_then(|from| from.signed_by),
                since: self.history.since(&name),
                pipelines: runs_in(&name),
                shadow: None,
                state: BTreeMap::new(),
                probation: BTreeMap::new(),
            };
            (name, status)
        };
        self.made().into_iter().map(filter).collect()
    }

    /// The configuration in force.
    ///
    /// # Panics
    /// There is none, which is so only before [`App::start`] has answered.
    pub fn config(&self) -> &Config {
        self.config.as_ref().expect("a daemon that has started has a configuration")
    }
}
