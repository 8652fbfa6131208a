//! What a configuration will run, made before anything that runs is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::{App, AppError, Output, Pipeline, at};
use crate::buffers::MemoryBuffer;
use crate::config::Config;
use crate::filters::{FilterContext, FilterSettings, Inlet, LoadError, Program, Tables, swap};
use crate::pipeline;

/// A pipeline, and the filters that it goes on with.
pub(super) type Swap = (Arc<str>, Arc<Program>, Vec<(String, FilterSettings)>);

/// What a configuration will run.
pub(super) struct Plan {
    pub outputs: BTreeMap<Arc<str>, Output>,
    pub pipelines: BTreeMap<Arc<str>, Pipeline>,
    /// What filters are loaded with from now on.
    pub filters: FilterContext,
    /// Pipelines that go on with other filters.
    pub swaps: Vec<Swap>,
    /// Filters that go on as they are, since what is in their files cannot be used.
    pub kept: Vec<AppError>,
}

/// The outputs that a pipeline writes to; others are not opened.
pub(super) fn used_outputs(config: &Config) -> BTreeSet<&str> {
    config.pipelines.values().flat_map(|pipeline| &pipeline.to).map(|to| &*to.output).collect()
}

/// Reads the tables of a configuration that are not among those `before`, and all of them again when their files
/// change.
pub(super) async fn tables(
    before: &Arc<Tables>,
    config: &Config,
    folder: &Path,
) -> anyhow::Result<Arc<Tables>> {
    let (before, settings, folder) = (before.clone(), config.tables.clone(), folder.to_owned());
    apart(move || {
        let tables = Arc::new(before.next(&settings, &folder)?);
        tables.watch()?;
        Ok(tables)
    })
    .await
}

/// Does work that blocks where it holds up nobody: who waits for it can be asked to end meanwhile.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends.
            Err(_) => std::future::pending().await,
        },
    }
}

impl Plan {
    pub fn new(filters: FilterContext) -> Plan {
        Plan {
            outputs: BTreeMap::new(),
            pipelines: BTreeMap::new(),
            filters,
            swaps: Vec::new(),
            kept: Vec::new(),
        }
    }
}

impl App {
    /// Opens new outputs, builds new filters and starts new pipelines.
    pub(super) async fn plan(&self, config: &Config, plan: &mut Plan) -> Result<(), AppError> {
        let same_tables = config.tables == self.config.tables;
        if !same_tables {
            let next = tables(&self.filters.tables, config, &self.filters.folder).await;
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
                    let program = self.program(running, &filters, plan).await?;
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
                    let workers =
                        pipeline::wire(name, settings, program.clone(), &buffers, self.board.health())
                            .map_err(|e| at(format!("pipelines.{name}"))(e.into()))?;
                    let pipeline = Pipeline { settings: settings.clone(), filters, program, workers };
                    plan.pipelines.insert(name.as_str().into(), pipeline);
                }
            }
        }
        Ok(())
    }

    /// Builds a chain of filters, aside from those that run.
    async fn program(
        &self,
        running: Option<&Pipeline>,
        filters: &[(String, FilterSettings)],
        plan: &mut Plan,
    ) -> Result<Program, AppError> {
        // A pipeline's own filters come first: another may have an older generation of the same.
        let all: Vec<Arc<Program>> =
            running.into_iter().chain(self.pipelines.values()).map(|p| p.program.clone()).collect();
        let (filters, cx) = (filters.to_vec(), plan.filters.clone());
        let build = move || {
            let all: Vec<&Program> = all.iter().map(|program| &**program).collect();
            let named: Vec<_> = filters.iter().map(|(name, settings)| (name.as_str(), settings)).collect();
            swap::next(&all, &named, &cx)
        };
        let wrong = |failed: LoadError| at(format!("filters.{}", failed.filter))(failed.error);
        let next = apart(build).await.map_err(wrong)?;
        for kept in next.kept.into_iter().map(wrong) {
            if plan.kept.iter().all(|known| known.path != kept.path) {
                plan.kept.push(kept);
            }
        }
        Ok(next.program)
    }

    /// The buffer of each output as it will be: those of the plan before those that run.
    fn buffers(&self, plan: &Plan) -> BTreeMap<Arc<str>, Arc<MemoryBuffer>> {
        let running = self.outputs.iter().chain(&plan.outputs);
        running.map(|(name, output)| (name.clone(), output.buffer.clone())).collect()
    }

    /// The pipelines that read from a source, as they will be.
    pub(super) fn inlets(&self, config: &Config, plan: &Plan, source: &str) -> Vec<Inlet> {
        let reads = config.pipelines.iter().filter(|(_, p)| p.from.iter().any(|from| from == source));
        let workers = |name: &str| {
            let pipeline = plan.pipelines.get(name).or_else(|| self.pipelines.get(name));
            pipeline.expect("every pipeline is planned or runs").workers.inlet().clone()
        };
        reads.map(|(name, _)| workers(name)).collect()
    }
}
