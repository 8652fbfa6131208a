//! Hot swap: a new generation of a chain is built aside, and workers take it between two batches.
//!
//! What begins it is a file that changed ([`Watch`]) or a new configuration. [`next`] builds the new generation: load,
//! instantiate, configure, and run an empty batch. If that fails, the old one goes on, and the log, the metric
//! `flitch_filter_swaps_total` and the status say why. If not, [`Workers::swap`](super::Workers::swap) puts it to work.
//! A batch is run by one generation from its first filter to its last, and no record by two.

mod watch;

use std::sync::Arc;

use super::chain::{LoadError, Program};
use super::filter::{Filter, FilterContext};
use super::settings::FilterSettings;
use crate::telemetry::Metric;

pub use watch::Watch;

/// Builds the generation that follows `old`, aside. [`Workers::swap`](super::Workers::swap) puts it to work.
///
/// # Errors
/// Which filter cannot be built, and why; it is logged and counted already. The old generation goes on.
pub fn next(
    old: &Program,
    filters: &[(&str, &FilterSettings)],
    cx: &FilterContext,
) -> Result<Program, LoadError> {
    let built = Program::load(filters, cx);
    if let Err(failed) = &built {
        let sha256 = old.filters().iter().find(|f| *f.name == *failed.filter).map(|f| f.plugin.sha256());
        count(&failed.filter, "failed");
        tracing::error!(
            filter = failed.filter,
            running = sha256,
            error = format!("{:#}", failed.error),
            "the new generation of the filter cannot be used; the old one goes on"
        );
    }
    built
}

/// Says which filters are others in the new generation.
pub(super) fn announce(old: &Program, new: &Program) {
    for filter in new.filters() {
        let before = old.filters().iter().find(|f| f.name == filter.name);
        if before.is_some_and(|before| same(before, filter)) {
            continue;
        }
        count(&filter.name, "swapped");
        tracing::info!(
            filter = &*filter.name,
            from = before.map(|f| f.plugin.sha256()),
            to = filter.plugin.sha256(),
            "a new generation of the filter is in force"
        );
    }
}

fn same(one: &Arc<Filter>, other: &Arc<Filter>) -> bool {
    one.plugin.sha256() == other.plugin.sha256() && one.settings == other.settings
}

fn count(filter: &str, result: &'static str) {
    Metric::FilterSwaps.counter(&[("filter", filter), ("result", result)]).increment(1);
}

#[cfg(test)]
mod tests;
