//! Hot swap: a new generation of a chain is built aside, and workers take it between two batches.
//!
//! What begins it is a file that changed ([`Watch`]), a new configuration, or somebody who asks. [`next`] builds the new
//! generation: load, instantiate, configure, run an empty batch, the plugin's cases, and a [`trial`] on the last batches
//! that the old one was given. If that fails, the old one goes on, and the log, the metric `flitch_filter_swaps_total`
//! and the status say why. If not, [`Workers::swap`](super::Workers::swap) puts it to work. A batch is run by one
//! generation from its first filter to its last, and no record by two.
//!
//! A filter whose code and settings are the same goes on with its instances. One whose settings are the same, and whose
//! file is broken, holds up nothing else: it goes on with the code that it has, and what else a new configuration changes
//! comes into force.

mod aside;
mod trial;
mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::chain::{self, LoadError, Program};
use super::filter::{Filter, FilterContext};
use super::probation::Spurned;
use super::settings::FilterSettings;
use flitch_core::machine;
use flitch_core::telemetry::Metric;

pub use aside::aside;
pub use watch::Watch;

/// The generation of a chain that follows others.
#[derive(Debug)]
pub struct Next {
    /// The chain.
    pub program: Program,
    /// Filters in it that have the code that runs now, since what is in their files cannot be used, and why not.
    pub kept: Vec<LoadError>,
}

/// What a generation is built beside.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// The chains that run, the one that it follows first.
    pub running: &'a [&'a Program],
    /// Which filters are loaded again: the others go on.
    pub which: Which<'a>,
    /// Workers that will take it: so many instances are made.
    pub workers: usize,
}

/// Which filters are loaded again.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All whose files have changed.
    Changed,
    /// Those of them that come from these files. Others may be half written.
    Files(&'a BTreeSet<PathBuf>),
    /// This one, whatever its file holds: somebody asked for it.
    One(&'a str),
}

impl Which<'_> {
    /// Whether a filter is one of them.
    fn has(self, filter: &Filter) -> bool {
        match self {
            Which::Changed => filter.is_stale(),
            Which::Files(files) => filter.files().any(|file| files.contains(file)) && filter.is_stale(),
            Which::One(name) => *filter.name == *name,
        }
    }

    fn is_one(self) -> bool {
        matches!(self, Which::One(_))
    }

    /// Whether a filter of a chain may be one of them.
    pub fn concerns(self, program: &Program) -> bool {
        program.filters().iter().any(|filter| self.has(filter))
    }
}

impl Beside<'_> {
    fn old(&self, name: &str) -> Option<&Arc<Filter>> {
        self.running.iter().flat_map(|program| program.filters()).find(|old| *old.name == *name)
    }
}

/// Builds a chain aside from those that run. [`Workers::swap`](super::Workers::swap) puts it to work.
///
/// # Errors
/// Which filter cannot be built, and why: one that is new, or whose settings are others than those of the one that
/// runs.
pub fn next(
    beside: Beside<'_>,
    filters: &[(&str, &FilterSettings)],
    cx: &FilterContext,
) -> Result<Next, LoadError> {
    let mut kept = Vec::new();
    let mut tried = Vec::with_capacity(filters.len());
    for (name, settings) in filters {
        let old = beside.old(name);
        if let Some(old) = old
            && is_what_is_asked_for(old, settings, cx)
            && !beside.which.has(old)
        {
            tried.push(old.clone());
            continue;
        }
        if let Some(old) = old.filter(|old| !beside.which.is_one() && was_put_back(old, settings)) {
            let error = anyhow::anyhow!(
                "it was rolled back with these settings and this code; change it, or `flitch filter swap {name}` tries it again"
            );
            kept.push(LoadError { filter: (*name).to_owned(), error });
            tried.push(old.clone());
            continue;
        }
        let one = build(name, settings, old, beside.workers, cx).or_else(|error| {
            let failed = LoadError { filter: (*name).to_owned(), error };
            let Some(old) = old else { return Err(failed) };
            report(old, &failed);
            match keep(old, settings, cx) {
                Some(old) => {
                    kept.push(failed);
                    Ok(old)
                }
                None => Err(failed),
            }
        });
        tried.push(one?);
    }
    Ok(Next { program: Program::of(tried), kept })
}

/// Whether what is asked for came after `old`, and had to go.
fn was_put_back(old: &Filter, settings: &FilterSettings) -> bool {
    let is_it =
        |spurned: &Spurned| spurned.is_of(settings) && !old.plugin().origin().is_stale(&spurned.sha256);
    old.past.spurned().is_some_and(|spurned| is_it(&spurned))
}

fn is_what_is_asked_for(old: &Filter, settings: &FilterSettings, cx: &FilterContext) -> bool {
    old.configured == *settings && cx.has_tables_of(old) && cx.has_terms_of(old)
}

fn is_same_beside_its_shadow(old: &Filter, settings: &FilterSettings, cx: &FilterContext) -> bool {
    let shadow = old.configured.shadow.clone();
    is_what_is_asked_for(old, &FilterSettings { shadow, ..settings.clone() }, cx)
}

/// A filter from where its plugin comes from; the `old` one, where that holds what runs.
fn build(
    name: &str,
    settings: &FilterSettings,
    old: Option<&Arc<Filter>>,
    workers: usize,
    cx: &FilterContext,
) -> anyhow::Result<Arc<Filter>> {
    let mut new = chain::load(name, settings, cx)?;
    if let Some(old) = old {
        if is_what_is_asked_for(old, settings, cx) && same(old, &new) {
            return Ok(old.clone());
        }
        // Another shadow makes no other generation of what it is beside.
        let is_same = is_same_beside_its_shadow(old, settings, cx) && does_the_same(old, &new);
        if !is_same {
            trial::hold(&new, old, cx)?;
        }
        if let Some(filter) = Arc::get_mut(&mut new) {
            filter.recent = old.recent.clone();
            if is_same {
                filter.past = old.past.clone();
            }
        }
    }
    new.fill(workers);
    Ok(new)
}

/// The filter `old` again, where it is what `settings` ask for.
fn keep(old: &Arc<Filter>, settings: &FilterSettings, cx: &FilterContext) -> Option<Arc<Filter>> {
    if is_what_is_asked_for(old, settings, cx) {
        return Some(old.clone());
    }
    // What may not run any more is not kept for having run.
    if old.configured != *settings || !cx.has_terms_of(old) {
        return None;
    }
    // What it needs besides its code may be what is missing now.
    let shadow = old.shadow.as_ref().map(|shadow| shadow.again(&old.name, settings, cx)).transpose().ok()?;
    chain::try_beside(&old.name, settings, old.plugin().clone(), shadow, cx).ok()
}

fn report(old: &Filter, failed: &LoadError) {
    count(&failed.filter, "failed");
    tracing::error!(
        filter = failed.filter,
        running = old.plugin().sha256(),
        error = format!("{:#}", failed.error),
        "the new generation of the filter cannot be used{}; the old one goes on",
        if machine::lacks(&failed.error) { " for now" } else { "" }
    );
}

/// Puts filters that take the place of others on probation, and says which they are.
pub(super) fn take_over(old: &Program, new: &Program) {
    for filter in new.filters() {
        let before = old.filter(&filter.name);
        // One that has another shadow goes on with its past.
        if before.is_some_and(|before| Arc::ptr_eq(&before.past, &filter.past)) {
            continue;
        }
        if let Some(before) = before {
            // One that was put back in this moment is no filter to come back.
            let failed = before.past.probation().filter(|probation| probation.has_failed());
            filter.past.follows(&filter.configured, failed.as_ref().map_or(before, |failed| &failed.old));
        }
        if before.is_some_and(|before| same(before, filter)) {
            continue;
        }
        count(&filter.name, "swapped");
        tracing::info!(
            filter = &*filter.name,
            from = before.map(|f| f.plugin().sha256()),
            to = filter.plugin().sha256(),
            "a new generation of the filter is in force"
        );
    }
}

/// Says that the filter before `new` is back.
pub(super) fn back(new: &Filter, old: &Filter, why: &str) {
    count(&new.name, "rolled_back");
    tracing::error!(
        filter = &*new.name,
        from = new.plugin().sha256(),
        to = old.plugin().sha256(),
        why,
        "the generation before of the filter is back in force"
    );
}

/// Whether two chains are of the same filters.
pub fn is_same(one: &Program, other: &Program) -> bool {
    let (one, other) = (one.filters(), other.filters());
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
}

/// Whether two filters do the same: the same code with the same settings.
fn does_the_same(one: &Filter, other: &Filter) -> bool {
    one.plugin().sha256() == other.plugin().sha256() && one.guest.settings == other.guest.settings
}

/// Whether two filters do the same, and what is tried beside them does.
fn same(one: &Filter, other: &Filter) -> bool {
    let shadows = match (&one.shadow, &other.shadow) {
        (Some(one), Some(other)) => one.is_same(other),
        (one, other) => one.is_none() && other.is_none(),
    };
    does_the_same(one, other) && shadows
}

fn count(filter: &str, result: &'static str) {
    Metric::FilterSwaps.counter(&[("filter", filter), ("result", result)]).increment(1);
}

#[cfg(test)]
mod tests;
