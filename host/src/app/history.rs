//! Which code each filter ran, since when, and who changed it. Survives a restart.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use flitch_core::batch::time;
use flitch_core::clock::Clock;
use flitch_core::private;
use flitch_filters::{Filter, FilterSettings, Provenance};

/// The file in `data_dir`, an entry a line.
const FILE: &str = "filters.ndjson";
/// Entries that are kept; older ones go.
const KEPT: usize = 1000;

/// Who changed a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// flitch started.
    Start,
    /// The configuration was read again.
    Config,
    /// A plugin's file changed.
    File,
    /// The tag of a plugin of a registry stands for another one.
    Registry,
    /// Somebody asked for it: `POST /api/filters/{name}/swap`, or `rollback`.
    Api,
    /// It was worse than its probation allows.
    Probation,
    /// A server sent another configuration, or it was worse than what was before.
    Server,
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The filter runs what `to` says.
    InForce,
    /// It cannot be used, and what ran before goes on.
    Failed,
    /// The configuration has it no more.
    Removed,
    /// What ran before is in force again: `to`.
    RolledBack,
}

/// One change of a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// The filter's name in the configuration.
    pub filter: String,
    /// Who changed it.
    pub by: By,
    /// What came of it.
    pub result: Outcome,
    /// SHA-256 of the code that ran before, if any did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// SHA-256 of the code that runs now; the same as before where the settings changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a filter is made of.
#[derive(Clone, Debug)]
pub struct Made {
    /// SHA-256 of its code.
    pub sha256: Arc<str>,
    /// What the configuration says of it.
    pub settings: FilterSettings,
    /// Of which plugin of a registry the code is. The same code by another name, or with another signature, is no other
    /// filter.
    pub provenance: Option<Provenance>,
}

impl PartialEq for Made {
    fn eq(&self, other: &Made) -> bool {
        (&self.sha256, &self.settings) == (&other.sha256, &other.settings)
    }
}

impl Made {
    /// The name of a filter, and what it is made of.
    pub fn of(filter: &Filter) -> (Arc<str>, Made) {
        // What is tried beside it is no part of it.
        let settings = FilterSettings { shadow: None, ..filter.configured.clone() };
        let provenance = filter.plugin().origin().provenance();
        (filter.name.clone(), Made { sha256: filter.plugin().sha256().into(), settings, provenance })
    }
}

/// The changes of all filters, the oldest first.
pub struct History {
    path: PathBuf,
    clock: Clock,
    entries: Mutex<VecDeque<Entry>>,
}

impl History {
    /// Reads what an earlier run wrote below `data_dir`. A line that cannot be read is passed over.
    pub fn open(data_dir: &std::path::Path, clock: Clock) -> History {
        let path = data_dir.join(FILE);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let all: Vec<Entry> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let kept: VecDeque<Entry> = all.iter().skip(all.len().saturating_sub(KEPT)).cloned().collect();
        let history = History { path, clock, entries: Mutex::new(kept) };
        if text.lines().count() > KEPT {
            history.said(history.write_anew());
        }
        history
    }

    /// The entries of a filter, or of all.
    pub fn of(&self, filter: Option<&str>) -> Vec<Entry> {
        let entries = self.entries.lock();
        entries.iter().filter(|entry| filter.is_none_or(|filter| entry.filter == filter)).cloned().collect()
    }

    /// When the code and settings of a filter came into force.
    pub fn since(&self, filter: &str) -> Option<String> {
        let entries = self.entries.lock();
        let is_in_force = |result: Outcome| matches!(result, Outcome::InForce | Outcome::RolledBack);
        let last = entries.iter().rev().find(|e| e.filter == filter && is_in_force(e.result))?;
        Some(last.time.clone())
    }

    /// The code of filters that was rolled back, and what ran in its place: where that is the last that is known of them.
    pub fn left_rolled_back(&self) -> BTreeMap<String, (String, String)> {
        let mut last = BTreeMap::new();
        for entry in &*self.entries.lock() {
            match (entry.result, &entry.from, &entry.to) {
                (Outcome::RolledBack, Some(from), Some(to)) if from != to => {
                    last.insert(entry.filter.clone(), (from.clone(), to.clone()));
                }
                (Outcome::Failed, ..) => {}
                _ => drop(last.remove(&entry.filter)),
            }
        }
        last
    }

    /// Notes which filters are others than before.
    pub fn changed(&self, by: By, before: &BTreeMap<Arc<str>, Made>, after: &BTreeMap<Arc<str>, Made>) {
        for (name, made) in after {
            let old = before.get(name);
            if old != Some(made) {
                self.note(by, name, Outcome::InForce, old, Some(made), None);
            }
        }
        for (name, old) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
            self.note(by, name, Outcome::Removed, Some(old), None, None);
        }
    }

    /// Notes that the generation before of a filter is in force again, and why.
    pub fn rolled_back(&self, by: By, from: &Filter, to: &Filter, reason: String) {
        let (from, to) = (Made::of(from), Made::of(to));
        self.note(by, &from.0, Outcome::RolledBack, Some(&from.1), Some(&to.1), Some(reason));
    }

    /// Notes that a filter cannot be changed, and why.
    pub fn failed(&self, by: By, filter: &str, running: Option<&Made>, reason: String) {
        self.note(by, filter, Outcome::Failed, running, None, Some(reason));
    }

    /// Whether the last that is noted of a filter is that it failed for this reason.
    pub fn says(&self, by: By, filter: &str, reason: &str) -> bool {
        let entries = self.entries.lock();
        let last = entries.iter().rfind(|entry| entry.filter == filter);
        last.is_some_and(|last| {
            (last.by, last.result, last.reason.as_deref()) == (by, Outcome::Failed, Some(reason))
        })
    }

    fn note(
        &self,
        by: By,
        filter: &str,
        result: Outcome,
        from: Option<&Made>,
        to: Option<&Made>,
        reason: Option<String>,
    ) {
        let sha256 = |made: &Made| made.sha256.to_string();
        let entry = Entry {
            time: time::to_text(self.clock.now()).to_string(),
            filter: filter.to_owned(),
            by,
            result,
            from: from.map(sha256),
            to: to.map(sha256),
            reason,
        };
        let is_full = {
            let mut entries = self.entries.lock();
            entries.push_back(entry.clone());
            let is_full = entries.len() >= 2 * KEPT;
            if is_full {
                entries.drain(..KEPT);
            }
            is_full
        };
        self.said(if is_full { self.write_anew() } else { self.append(&entry) });
    }

    fn append(&self, entry: &Entry) -> std::io::Result<()> {
        let mut line = serde_json::to_string(entry)?;
        line.push('\n');
        fs::OpenOptions::new().create(true).append(true).open(&self.path)?.write_all(line.as_bytes())
    }

    fn write_anew(&self) -> std::io::Result<()> {
        let mut text = String::new();
        for entry in &*self.entries.lock() {
            text += &serde_json::to_string(entry)?;
            text.push('\n');
        }
        private::replace(&self.path, |out| out.write_all(text.as_bytes()))
    }

    /// The history is for people: that it cannot be kept holds up nothing else.
    fn said(&self, done: std::io::Result<()>) {
        if let Err(error) = done {
            tracing::warn!(file = %self.path.display(), %error, "the history of filters cannot be written");
        }
    }
}

#[cfg(test)]
mod tests;
