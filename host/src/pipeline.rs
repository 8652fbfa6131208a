//! The whole way of a record, wired on one page, in the order in which the record meets the stages.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::buffers::MemoryBuffer;
use crate::filters::{Program, Workers};
use crate::router::{Condition, Route, Router};
use crate::telemetry::{Health, Tally};

mod route;

/// A way from sources through filters to outputs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineSettings {
    /// Names of the sources. A source may feed several pipelines; each gets every record.
    pub from: Vec<String>,
    /// Names of the filters, in the order in which they run.
    #[serde(default)]
    pub filters: Vec<String>,
    /// Where the records go. A record goes to every output whose condition holds; one that no output takes is
    /// counted as dropped.
    pub to: Vec<RouteSettings>,
    /// Threads that run the filters; as many as the machine has cores where this is not set. One, where a filter
    /// has `instances: 1`.
    #[schemars(range(min = 1, max = 1024))]
    #[serde(default)]
    pub workers: Option<usize>,
}

/// One output of a pipeline.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(transform = route::with_short_form)]
pub struct RouteSettings {
    /// Name of the output.
    pub output: String,
    /// Which records go there; all of them where this is not set.
    #[serde(default)]
    pub when: Option<Condition>,
}

/// Wires a pipeline: workers run the filters, the router picks the outputs, and the buffers wait in front of them.
/// (The sources are connected to [`Workers::inlet`]; a delivery loop empties each buffer.)
///
/// # Errors
/// The threads cannot be started.
pub fn wire(
    name: &str,
    settings: &PipelineSettings,
    program: Arc<Program>,
    buffers: &BTreeMap<Arc<str>, Arc<MemoryBuffer>>,
    health: &Arc<Health>,
) -> std::io::Result<Workers> {
    let route = |to: &RouteSettings| Route::to(buffers[&*to.output].clone()).when(to.when.clone());
    let router = Router::new(settings.to.iter().map(route).collect(), Tally::dropped_by_route(name));
    Workers::start(name, program, workers(settings), Arc::new(router), health)
}

/// How many threads run the filters of a pipeline.
pub fn workers(settings: &PipelineSettings) -> usize {
    settings.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}
