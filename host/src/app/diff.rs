//! What one configuration changes of another: which parts go on, which are made, replaced or ended. Nothing is touched
//! here, and nothing is looked at but the two and what is said of the world around them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::config::Config;
use crate::pipeline::PipelineSettings;

/// What happens to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It goes on as it is.
    Keep,
    /// It is new.
    Make,
    /// One with other settings takes its place.
    Replace,
    /// It ends.
    End,
}

impl Change {
    /// Whether there is something to be built.
    pub fn makes(self) -> bool {
        matches!(self, Change::Make | Change::Replace)
    }
}

/// What happens to the filters of a pipeline. Where it goes on, its threads take new ones between two batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filters {
    /// They go on.
    Keep,
    /// They are loaded again from files that have changed, and go on where these hold the same as before.
    Reload,
    /// They are built.
    Build,
}

/// What happens to a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PipelineChange {
    /// To its threads and its routes.
    pub change: Change,
    /// To what the threads run.
    pub filters: Filters,
}

/// What there is to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Diff {
    /// Whether tables are read anew.
    pub tables: bool,
    /// Whether plugins of registries are had by other terms.
    pub registries: bool,
    pub sources: BTreeMap<String, Change>,
    pub pipelines: BTreeMap<String, PipelineChange>,
    pub outputs: BTreeMap<String, Change>,
}

/// What runs.
#[derive(Default)]
pub(super) struct Running<'a> {
    /// What all parts were made from; nothing runs without one.
    pub config: Option<&'a Config>,
    /// Pipelines of which a plugin's file holds other code by now.
    pub stale: BTreeSet<&'a str>,
}

impl Diff {
    /// What is to be done for `new` where `running` runs.
    pub fn between(running: &Running<'_>, new: &Config) -> Diff {
        let Some(old) = running.config else { return Diff::from_nothing(new) };
        let tables = old.tables != new.tables;
        let polled = |config: &Config| config.polled(Path::new(""));
        let registries = (old.plugins != new.plugins && (old.has_references() || new.has_references()))
            || polled(old) != polled(new);
        let outputs = changes(&used_outputs(old), &used_outputs(new), |name| {
            old.outputs.get(name) == new.outputs.get(name)
        });
        let cut_stands = old.batch.cut() == new.batch.cut();
        let sources = changes(&read_sources(old), &read_sources(new), |name| {
            cut_stands && old.sources.get(name) == new.sources.get(name)
        });
        let before: BTreeSet<&str> = old.pipelines.keys().map(String::as_str).collect();
        let after: BTreeSet<&str> = new.pipelines.keys().map(String::as_str).collect();
        let threads_stand = |name: &str| {
            let (was, is) = (&old.pipelines[name], &new.pipelines[name]);
            let routes_stand = is.to.iter().all(|to| outputs.get(&to.output) == Some(&Change::Keep));
            was == is && routes_stand && can_run(threads(old, was), new, is)
        };
        let filters = |name: &str| match (old.pipelines.get(name), new.pipelines.get(name)) {
            (Some(was), Some(is)) if tables || registries || !same_filters(old, was, new, is) => {
                Filters::Build
            }
            (Some(_), Some(_)) if running.stale.contains(name) => Filters::Reload,
            (None, Some(_)) => Filters::Build,
            _ => Filters::Keep,
        };
        let pipelines = changes(&before, &after, threads_stand).into_iter();
        let pipelines = pipelines.map(|(name, change)| {
            let filters = filters(&name);
            (name, PipelineChange { change, filters })
        });
        Diff { tables, registries, pipelines: pipelines.collect(), sources, outputs }
    }

    fn from_nothing(new: &Config) -> Diff {
        let all_new = |names: BTreeSet<&str>| changes(&BTreeSet::new(), &names, |_| false);
        let pipelines = new.pipelines.keys().map(|name| {
            let change = PipelineChange { change: Change::Make, filters: Filters::Build };
            (name.clone(), change)
        });
        Diff {
            tables: !new.tables.is_empty(),
            registries: true,
            pipelines: pipelines.collect(),
            sources: all_new(read_sources(new)),
            outputs: all_new(used_outputs(new)),
        }
    }
}

fn changes(
    before: &BTreeSet<&str>,
    after: &BTreeSet<&str>,
    stands: impl Fn(&str) -> bool,
) -> BTreeMap<String, Change> {
    let change = |name: &str| match (before.contains(name), after.contains(name)) {
        (true, true) if stands(name) => Change::Keep,
        (true, true) => Change::Replace,
        (true, false) => Change::End,
        (false, _) => Change::Make,
    };
    before.union(after).map(|name| ((*name).to_owned(), change(name))).collect()
}

/// The outputs that a pipeline writes to; others are not opened.
fn used_outputs(config: &Config) -> BTreeSet<&str> {
    config.pipelines.values().flat_map(|pipeline| &pipeline.to).map(|to| &*to.output).collect()
}

/// The sources that a pipeline reads from; others are not started: their records would come back for ever.
fn read_sources(config: &Config) -> BTreeSet<&str> {
    let read: BTreeSet<&str> = config.pipelines.values().flat_map(|p| &p.from).map(String::as_str).collect();
    config.sources.keys().map(String::as_str).filter(|name| read.contains(name)).collect()
}

fn same_filters(old: &Config, was: &PipelineSettings, new: &Config, is: &PipelineSettings) -> bool {
    let same = |name: &String| old.filters.get(name) == new.filters.get(name);
    was.filters == is.filters && is.filters.iter().all(same)
}

/// Most instances that every filter of a pipeline may have.
fn most_instances(config: &Config, pipeline: &PipelineSettings) -> usize {
    let filters = pipeline.filters.iter().filter_map(|name| config.filters.get(name));
    filters.filter_map(|filter| filter.instances).map(|most| most.get()).min().unwrap_or(usize::MAX)
}

/// How many threads a pipeline has.
fn threads(config: &Config, pipeline: &PipelineSettings) -> usize {
    if pipeline.filters.is_empty() {
        return 0;
    }
    pipeline.workers().clamp(1, most_instances(config, pipeline))
}

/// Whether so many threads can run the filters of a pipeline: a chain that is not empty by some, one that is by none,
/// and with no fewer instances than there are threads.
fn can_run(threads: usize, config: &Config, pipeline: &PipelineSettings) -> bool {
    pipeline.filters.is_empty() == (threads == 0) && threads <= most_instances(config, pipeline)
}

#[cfg(test)]
mod tests;
