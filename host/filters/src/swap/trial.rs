//! The trial of a new generation: its cases, and the last batches that the old one was given.
//!
//! Nobody hears of it: what is tried are twins of the filters, whose instances, counters and lines in the log are for
//! nobody. What a plugin rejects is its own business, and no reason to refuse it; what it cannot survive is, where the
//! generation that runs can.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;
use flitch_model::cases::Case;

use crate::cases::{Component, Held};
use crate::chain::{self, apart};
use crate::filter::{Filter, FilterContext};
use crate::guest::FaultKind;
use crate::judge::Judge;
use crate::judgement::Judgement;
use crate::timer::Timer;

/// How long batches are tried; what is left of them then is not.
const PATIENCE: Duration = Duration::from_secs(10);

/// Holds `new` to its cases, where its code is other than that of `old`, and to the last batches of `old`.
///
/// # Errors
/// What it does not stand.
pub(super) fn hold(new: &Filter, old: &Filter, cx: &FilterContext) -> anyhow::Result<()> {
    let cx = cx.silent();
    if new.plugin().sha256() != old.plugin().sha256()
        && let Some(folder) = new.plugin().origin().file().and_then(cases_of)
    {
        apart(|| hold_to_cases(new, &folder, &cx))?;
    }
    let batches = old.recent.batches();
    if batches.is_empty() {
        return Ok(());
    }
    let mut judge = twin(new, &cx)?;
    let mut of_old = None;
    let began = Instant::now();
    for (number, records) in batches.iter().enumerate() {
        if began.elapsed() > PATIENCE {
            tracing::info!(
                filter = &*new.name,
                "{number} of {} batches were tried in {PATIENCE:?}",
                batches.len()
            );
            break;
        }
        let (said, time) = apart(|| Ok(measured(|| judge.judge(records))))?;
        if said.faults.is_empty() {
            continue;
        }
        let of_old = match &mut of_old {
            Some(of_old) => of_old,
            none => none.insert(twin(old, &cx)?),
        };
        let said_before = apart(|| Ok(of_old.judge(records)))?;
        if let Some(why) = worse(&said, &said_before, time.is_short()) {
            let rows = records.rows();
            bail!("{} fails in a trial on the last batches: {why} (of {rows} records)", new.plugin().name());
        }
    }
    Ok(())
}

/// A filter of the same code and settings that nobody hears of.
fn twin(filter: &Filter, cx: &FilterContext) -> anyhow::Result<Judge> {
    let twin = chain::try_out(&filter.name, &filter.configured, filter.plugin().clone(), cx)?;
    let instance = twin.take_ready();
    // What goes on is for nobody.
    Ok(Judge::new(twin, instance).keeping_nothing())
}

/// How long something took, by the clock and of the processor.
#[derive(Clone, Copy, Debug)]
struct Time {
    wall: Duration,
    own: Duration,
}

impl Time {
    /// Whether others had the processor for most of the time: then a deadline that has passed says nothing.
    fn is_short(self) -> bool {
        self.own < self.wall / 2
    }
}

fn measured<T>(work: impl FnOnce() -> T) -> (T, Time) {
    let (began, timer) = (Instant::now(), Timer::start());
    let done = work();
    (done, Time { own: timer.elapsed(), wall: began.elapsed() })
}

/// What a generation cannot do with a batch that the one before could. Of records that it did not come to nothing is known; nor
/// of those that took too long, where it was `short` of time.
fn worse(new: &Judgement, old: &Judgement, short: bool) -> Option<String> {
    let counts = |kind: FaultKind| !(short && kind == FaultKind::Deadline);
    let is_lost = |said: &Judgement, kind| said.faults.contains(&kind);
    // What cannot start cannot judge.
    let unjudged = |said: &Judgement| -> BTreeSet<u32> {
        let rows = said.unjudged.iter().map(|(row, _)| *row);
        if is_lost(said, FaultKind::Start) { rows.collect() } else { BTreeSet::new() }
    };
    let mut of_old: BTreeSet<u32> = old.condemned.iter().copied().collect();
    of_old.extend(old.unjudged.iter().map(|(row, _)| *row));
    let reason = |row: u32| {
        let mut reasons = new.rejected.iter().chain(&new.unjudged);
        reasons.find(|(at, _)| *at == row).map_or("", |(_, reason)| &**reason)
    };
    let took_too_long = |row: &u32| reason(*row).starts_with(FaultKind::Deadline.name());
    let mut lost = unjudged(new);
    lost.extend(new.condemned.iter().filter(|row| counts(FaultKind::Deadline) || !took_too_long(row)));
    if let Some(row) = lost.difference(&of_old).next() {
        return Some(format!("it cannot survive record {row}: {}", reason(*row)));
    }
    // Some of its records may be why.
    if !new.unjudged.is_empty() || !new.condemned.is_empty() {
        return None;
    }
    let kind = new.faults.iter().find(|kind| counts(**kind)).filter(|_| old.faults.is_empty())?;
    Some(format!("an instance was lost over a whole batch ({})", kind.name()))
}

/// The folder of the cases of a plugin in a file: `mine.cases` beside `mine.wasm`, or `cases`, where no other plugin is in
/// the same folder.
fn cases_of(file: &Path) -> Option<PathBuf> {
    let own = file.with_extension("cases");
    if own.is_dir() {
        return Some(own);
    }
    let folder = file.parent()?;
    let cases = Some(folder.join("cases")).filter(|cases| cases.is_dir())?;
    let is_other = |path: PathBuf| path != file && path.extension().is_some_and(|ending| ending == "wasm");
    let mut others = std::fs::read_dir(folder).ok()?.flatten();
    (!others.any(|entry| is_other(entry.path()))).then_some(cases)
}

fn hold_to_cases(new: &Filter, folder: &Path, cx: &FilterContext) -> anyhow::Result<()> {
    let cases = Case::all(folder).map_err(anyhow::Error::msg)?;
    let mut component = Component::of_code(&new.configured, new.plugin().clone(), cx);
    for case in &cases {
        if let Err(why) = Held::new(folder, case).run(&mut component) {
            bail!("its case `{}` in {} does not hold: {why}", case.name, folder.display());
        }
    }
    tracing::info!(filter = &*new.name, cases = cases.len(), "the cases of the new generation hold");
    Ok(())
}

#[cfg(test)]
mod tests;
