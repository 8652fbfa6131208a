//! What is told of dead letters, in one place for all who write them: that there are some, that some were deleted, and that
//! none can be written. Each is said at once and then once a minute, with how many there were since.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::telemetry::{Health, Metric, Part, Quiet};

/// Most bytes of a reason that are kept until it is said.
const REASON: usize = 1 << 10;

/// What is said, and what is kept for the next time.
#[derive(Debug, Default)]
pub(super) struct Telling {
    health: Arc<Health>,
    components: Mutex<BTreeMap<String, Component>>,
    deleted: Mutex<Option<Deleted>>,
}

#[derive(Debug)]
struct Component {
    said: Quiet,
    /// Letters that nothing was said of, and why the first of them is one.
    letters: usize,
    reason: String,
    said_stalled: Quiet,
    /// How many wait until letters can be written, and what shows it.
    waiting: usize,
    part: Option<Part>,
}

impl Component {
    fn new() -> Component {
        let (said, said_stalled) = (Quiet::a_minute(), Quiet::a_minute());
        Component { said, letters: 0, reason: String::new(), said_stalled, waiting: 0, part: None }
    }
}

#[derive(Debug)]
struct Deleted {
    said: Quiet,
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
        let mut components = self.components.lock();
        let told = components.entry(component.to_owned()).or_insert_with(Component::new);
        if told.letters == 0 {
            reason[..reason.floor_char_boundary(REASON)].clone_into(&mut told.reason);
        }
        told.letters += letters;
        if !told.said.may_say() {
            return;
        }
        let (records, reason) = (std::mem::take(&mut told.letters), std::mem::take(&mut told.reason));
        drop(components);
        const SAID: &str = "records went to the dead letters";
        match stage {
            "source" => tracing::warn!(source = component, records, reason, "{SAID}"),
            "filter" => tracing::warn!(filter = component, records, reason, "{SAID}"),
            _ => tracing::warn!(output = component, records, reason, "{SAID}"),
        }
    }

    /// A file of letters was deleted to make room.
    pub fn deleted(&self, file: &Path, letters: u64, bytes: u64) {
        Metric::LettersDeleted.counter(&[]).increment(letters);
        let mut deleted = self.deleted.lock();
        let told = deleted.get_or_insert_with(|| Deleted { said: Quiet::a_minute(), letters: 0, bytes: 0 });
        told.letters += letters;
        told.bytes += bytes;
        if !told.said.may_say() {
            return;
        }
        let (letters, bytes) = (std::mem::take(&mut told.letters), std::mem::take(&mut told.bytes));
        drop(deleted);
        tracing::error!(
            file = %file.display(), letters, bytes,
            "the dead letters have reached `max_bytes`; the oldest are deleted, and their records are lost"
        );
    }

    /// Letters of `component` cannot be written, and are tried again while the answer lives.
    pub fn stalled(self: &Arc<Telling>, component: &str, error: &dyn std::fmt::Display) -> Stall {
        let mut components = self.components.lock();
        let told = components.entry(component.to_owned()).or_insert_with(Component::new);
        told.waiting += 1;
        if told.part.is_none() {
            let part = Part::new(&self.health, "dead letters", component);
            part.stalls(&format!("they cannot be written, and their records wait: {error}"));
            told.part = Some(part);
            failing(component).set(1.0);
        }
        let says = told.said_stalled.may_say();
        drop(components);
        if says {
            tracing::error!(component, %error, "the dead letters cannot be written; their records wait, and with them their pipeline");
        }
        Stall { telling: self.clone(), component: component.to_owned() }
    }
}

fn failing(component: &str) -> metrics::Gauge {
    Metric::LettersFailing.gauge(&[("component", component)])
}

impl Drop for Stall {
    fn drop(&mut self) {
        let mut components = self.telling.components.lock();
        let Some(told) = components.get_mut(&self.component) else { return };
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
