//! The probation of a new generation: for a time it is measured against the one before, which returns by itself where
//! the new one is worse than its bounds.
//!
//! A filter that took the place of another has a [`Probation`]. Workers look at it after each batch ([`Probation::look`]):
//! the first one that finds the filter worse puts the old one back, and the others take it before their next batch. What
//! the new one rejected meanwhile is [held](held), beside the dead letters that it became at once, and is run again
//! through the old one. The old filter is held for longer than that, so that somebody can put it back by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;

use super::filter::Filter;
use super::settings::FilterSettings;

pub mod conduct;
pub mod held;
pub mod settings;

use conduct::{Conduct, Reading};
use held::Held;
use settings::ProbationSettings;

/// What a filter knows of the generation before it, and of one after it that failed.
#[derive(Debug, Default)]
pub struct Past {
    /// How it has done so far.
    pub conduct: Conduct,
    probation: ArcSwapOption<Probation>,
    spurned: ArcSwapOption<Spurned>,
}

/// A generation that was put back: it is not taken up again by itself.
#[derive(Debug)]
pub struct Spurned {
    /// SHA-256 of its code.
    pub sha256: String,
    /// What it was made of.
    pub settings: FilterSettings,
}

impl Spurned {
    /// Whether it was made of these settings, whatever is tried beside it.
    pub fn is_of(&self, settings: &FilterSettings) -> bool {
        let shadow = self.settings.shadow.clone();
        self.settings == FilterSettings { shadow, ..settings.clone() }
    }
}

/// How it stands with a filter and the one before it.
#[derive(Debug)]
pub struct Probation {
    /// The filter before it.
    pub old: Arc<Filter>,
    baseline: Reading,
    bounds: ProbationSettings,
    until: Instant,
    /// What is held is behind its lock for as long as a batch is settled, which may take until there is room among the dead
    /// letters.
    phase: Mutex<Phase>,
    /// Whether the phase is the open one, for those who cannot wait that long.
    is_open: AtomicBool,
    /// The old filter is to be put back.
    is_called_off: AtomicBool,
}

#[derive(Debug)]
enum Phase {
    /// It is measured; what it rejected is held.
    Open(Held),
    /// It stood, or nobody measures it.
    Over,
    /// The old filter was put back.
    Failed,
}

/// How a filter does that is on probation, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProbationStatus {
    /// SHA-256 of the code that comes back where it does worse.
    pub before: String,
    /// How long it still has to stand; 0 where the next batch ends it.
    pub seconds_left: u64,
    /// Records that it has judged so far.
    pub records: u64,
    /// Of these, those that were lost to its faults.
    pub lost: u64,
    /// And those that it rejected.
    pub rejected: u64,
}

/// A filter was put back while a batch was judged by the one after it: the judgement does not count.
#[derive(Debug)]
pub struct PutBack(pub Arc<Filter>);

/// What is held of a filter whose probation is open.
pub struct Holding<'a>(MutexGuard<'a, Phase>);

impl Holding<'_> {
    /// What is held.
    pub fn held(&mut self) -> &mut Held {
        match &mut *self.0 {
            Phase::Open(held) => held,
            Phase::Over | Phase::Failed => unreachable!("it is open while it is locked"),
        }
    }
}

impl Past {
    /// The filter takes the place of `old`, whose own probation is over by that.
    pub fn follows(&self, new: &FilterSettings, old: &Arc<Filter>) {
        let bounds = new.probation.clone();
        let (before, known) = (old.past.probation.swap(None), old.past.conduct.read());
        // One that was hardly there tells less than the one that it replaced.
        let baseline = match &before {
            Some(before) if known.rows < before.baseline.rows => before.baseline,
            _ => known,
        };
        let now = Instant::now();
        let until = now.checked_add(bounds.r#for.0).unwrap_or(now);
        let phase = if bounds.r#for.0.is_zero() { Phase::Over } else { Phase::Open(Held::default()) };
        let is_open = AtomicBool::new(matches!(phase, Phase::Open(_)));
        let (phase, is_called_off) = (Mutex::new(phase), AtomicBool::new(false));
        let probation =
            Probation { old: old.clone(), baseline, bounds, until, phase, is_open, is_called_off };
        self.probation.store(Some(Arc::new(probation)));
    }

    /// The probation, where there is a filter that can be put back.
    pub fn probation(&self) -> Option<Arc<Probation>> {
        self.probation.load_full()
    }

    /// How the filter does while its probation is open.
    pub fn status(&self) -> Option<ProbationStatus> {
        let probation = self.probation().filter(|probation| probation.is_open())?;
        let (records, lost, rejected) = self.conduct.read().counts();
        let left = probation.until.saturating_duration_since(Instant::now());
        Some(ProbationStatus {
            before: probation.old.plugin().sha256().to_owned(),
            seconds_left: left.as_millis().div_ceil(1000) as u64,
            records,
            lost,
            rejected,
        })
    }

    /// Why the filter, which has this `name`, is to go, where it is worse than its probation allows, or was put back already.
    pub fn look(&self, name: &str) -> Option<String> {
        // Nearly always there is none, or it is over.
        self.probation.load().as_ref()?.look(name, &self.conduct)
    }

    /// The generation after it that was put back.
    pub fn spurned(&self) -> Option<Arc<Spurned>> {
        self.spurned.load_full()
    }

    /// The generation `after` it was put back.
    pub fn spurn(&self, after: &Filter) {
        let (sha256, settings) = (after.plugin().sha256().to_owned(), after.configured.clone());
        self.spurned.store(Some(Arc::new(Spurned { sha256, settings })));
    }
}

impl Probation {
    /// Whether the filter is still measured.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Whether the old filter is put back, as soon as who settles a batch lets go.
    pub fn is_called_off(&self) -> bool {
        self.is_called_off.load(Ordering::Acquire)
    }

    /// Whether the old filter was put back.
    pub fn has_failed(&self) -> bool {
        matches!(*self.phase.lock(), Phase::Failed)
    }

    fn look(&self, name: &str, conduct: &Conduct) -> Option<String> {
        let Some(mut phase) = self.phase.try_lock() else {
            let worse = || conduct.read().worse(&self.baseline, &self.bounds);
            return self.is_open().then(worse).flatten();
        };
        match *phase {
            Phase::Over => None,
            Phase::Failed => Some("it was put back".to_owned()),
            Phase::Open(_) => {
                let worse = conduct.read().worse(&self.baseline, &self.bounds);
                if worse.is_none() && Instant::now() >= self.until {
                    *phase = Phase::Over;
                    self.is_open.store(false, Ordering::Release);
                    tracing::info!(filter = name, "the new generation of the filter has stood its probation");
                }
                worse
            }
        }
    }

    /// Where what the filter rejects is held while its probation is open; none where it is over.
    ///
    /// # Errors
    /// The old filter was put back.
    pub fn hold(&self) -> Result<Option<Holding<'_>>, PutBack> {
        let phase = self.phase.lock();
        match *phase {
            Phase::Open(_) => Ok(Some(Holding(phase))),
            Phase::Over => Ok(None),
            Phase::Failed => Err(PutBack(self.old.clone())),
        }
    }

    /// The old filter is put back. Answers what was held, to the first one who says so.
    pub fn fail(&self) -> Option<Held> {
        self.is_called_off.store(true, Ordering::Release);
        let before = std::mem::replace(&mut *self.phase.lock(), Phase::Failed);
        self.is_open.store(false, Ordering::Release);
        match before {
            Phase::Open(held) => Some(held),
            Phase::Over => Some(Held::default()),
            Phase::Failed => None,
        }
    }
}
