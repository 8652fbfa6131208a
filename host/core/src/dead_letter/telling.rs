//! What is told of dead letters, in one place for all who write them: that there are some, that some were deleted, and that
//! none can be written. Each is said at once and then once a minute, with how many there were since; what is left is said at the
//! end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::telemetry::{Gathered, Health, Metric, Part, Quiet};

/// Most bytes of a reason that are kept until it is said.
const REASON: usize = 1 << 10;
const SAID: &str = "records went to the dead letters";

/// What is said, and what is kept for the next time.
#[derive(Debug, Default)]
pub(super) struct Telling {
    health: Arc<Health>,
    /// By stage and component: a source and an output may have one name.
    told: Mutex<BTreeMap<String, Arc<Gathered<Untold>>>>,
    /// By component.
    stalled: Mutex<BTreeMap<String, Stalled>>,
    deleted: Mutex<Option<Arc<Gathered<Deleted>>>>,
}

/// Letters that nothing was said of, and why the first of them is one.
#[derive(Debug)]
struct Untold {
    letters: usize,
    reason: String,
}

#[derive(Debug)]
struct Stalled {
    said: Quiet,
    /// How many wait until letters can be written, and what shows it.
    waiting: usize,
    part: Option<Part>,
}

#[derive(Debug)]
struct Deleted {
    file: PathBuf,
    letters: u64,
    bytes: u64,
}

/// Somebody waits until dead letters can be written; dropping it says that this is over.
#[derive(Debug)]
pub struct Stall {
    telling: Arc<Telling>,
    component: String,
}

impl Telling {
    /// One whose stalls show in `health`.
    pub fn of(health: &Arc<Health>) -> Telling {
        Telling { health: health.clone(), ..Telling::default() }
    }

    /// Letters of `component` are on disk; `reason` is that of the first.
    pub fn written(&self, stage: &str, component: &str, letters: usize, reason: &str) {
        if letters == 0 {
            return;
        }
        let new = || tells(stage, component);
        let told = self.told.lock().entry(format!("{stage} {component}")).or_insert_with(new).clone();
        told.add(|untold| match untold {
            Some(untold) => Untold { letters: untold.letters + letters, ..untold },
            None => Untold { letters, reason: reason[..reason.floor_char_boundary(REASON)].to_owned() },
        });
    }

    /// A file of letters was deleted to make room.
    pub fn deleted(&self, file: &Path, letters: u64, bytes: u64) {
        Metric::LettersDeleted.counter(&[]).increment(letters);
        let new = || {
            Gathered::new(|Deleted { file, letters, bytes }| {
                tracing::error!(
                    file = %file.display(), letters, bytes,
                    "the dead letters have reached `max_bytes`; the oldest are deleted, and their records are lost"
                );
            })
        };
        let deleted = self.deleted.lock().get_or_insert_with(new).clone();
        deleted.add(|before| {
            let (more, size) = before.map_or((0, 0), |before| (before.letters, before.bytes));
            Deleted { file: file.to_owned(), letters: letters + more, bytes: bytes + size }
        });
    }

    /// Letters of `component` cannot be written, and are tried again while the answer lives.
    pub fn stalled(self: &Arc<Telling>, component: &str, error: &dyn std::fmt::Display) -> Stall {
        let mut all = self.stalled.lock();
        let new = || Stalled { said: Quiet::a_minute(), waiting: 0, part: None };
        let told = all.entry(component.to_owned()).or_insert_with(new);
        told.waiting += 1;
        if told.part.is_none() {
            let part = Part::new(&self.health, "dead letters", component);
            part.stalls(&format!("they cannot be written, and their records wait: {error}"));
            told.part = Some(part);
            failing(component).set(1.0);
        }
        let says = told.said.may_say();
        drop(all);
        if says {
            tracing::error!(component, %error, "the dead letters cannot be written; their records wait, and with them their pipeline");
        }
        Stall { telling: self.clone(), component: component.to_owned() }
    }
}

/// What tells of the letters of a component.
fn tells(stage: &str, component: &str) -> Arc<Gathered<Untold>> {
    let (stage, component) = (stage.to_owned(), component.to_owned());
    Gathered::new(move |Untold { letters: records, reason }| match &*stage {
        "source" => tracing::warn!(source = component, records, reason, "{SAID}"),
        "filter" => tracing::warn!(filter = component, records, reason, "{SAID}"),
        _ => tracing::warn!(output = component, records, reason, "{SAID}"),
    })
}

fn failing(component: &str) -> metrics::Gauge {
    Metric::LettersFailing.gauge(&[("component", component)])
}

impl Drop for Stall {
    fn drop(&mut self) {
        let mut all = self.telling.stalled.lock();
        let Some(told) = all.get_mut(&self.component) else { return };
        told.waiting -= 1;
        if told.waiting == 0 {
            // Dropping it says that it goes on.
            told.part = None;
            failing(&self.component).set(0.0);
        }
    }
}

#[cfg(test)]
mod tests;
