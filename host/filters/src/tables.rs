//! Tables that the host keeps for filters: CSV and NDJSON, held in columns with an index on one of them, and MaxMind DBs,
//! which answer for IP addresses. They are files, or what a server has.
//!
//! A table is read once and shared by all filters. It is read again when its file has changed, or the server has another
//! one; what cannot be read, or lacks a column that it had, leaves it as it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use arc_swap::ArcSwap;

use super::guest::bindings::ColumnResult;
use super::guest::limits::Bounds;
use super::guest::voice::cut;
use super::guest::{Lookup, LookupError};
use flitch_core::file_stamp::FileStamp;
use flitch_core::machine;
use flitch_core::tasks;
use flitch_core::telemetry::health::{Ailment, Health, Part};

mod answer;
mod content;
mod networks;
mod remote;
mod rows;
mod settings;

pub use settings::{TableFormat, TableSettings};

use content::Content;
use remote::Remote;

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(5);
/// How long a file must stay the same before it is taken for written.
const QUIET: Duration = Duration::from_millis(200);
/// How often it is looked whether a server is to be asked.
const LOOK: Duration = Duration::from_secs(1);
/// The folder of what servers have, below `data_dir`.
const FOLDER: &str = "tables";

/// The tables of a configuration.
#[derive(Debug, Default)]
pub struct Tables {
    tables: BTreeMap<String, Arc<Table>>,
}

/// Where tables come from.
#[derive(Clone, Copy, Debug)]
pub struct TablePlaces<'a> {
    /// Relative paths are from here: the folder of the configuration file.
    pub folder: &'a Path,
    /// Where tables of servers are kept; nowhere, where none is had from a server.
    pub data_dir: Option<&'a Path>,
    /// Whether servers are asked. Where not, what is kept of their tables counts.
    pub asks: bool,
}

#[derive(Debug)]
struct Table {
    name: String,
    configured: TableSettings,
    content: ArcSwap<Content>,
    whence: Whence,
}

/// Where a table comes from.
#[derive(Debug)]
enum Whence {
    File { path: PathBuf, format: TableFormat, seen: parking_lot::Mutex<Seen> },
    Server(Remote),
}

/// What a file looked like.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When it was read last, also in vain.
    read: Option<FileStamp>,
    /// At the last look, where that is another.
    changed: Option<FileStamp>,
    /// It was told that it cannot be read for what the machine lacks.
    is_told: bool,
}

impl Tables {
    /// Reads all tables, which are files. Relative paths are from `folder`.
    ///
    /// # Errors
    /// Which table cannot be read, and why.
    pub fn load(settings: &BTreeMap<String, TableSettings>, folder: &Path) -> anyhow::Result<Tables> {
        Tables::default().next(settings, &TablePlaces { folder, data_dir: None, asks: false })
    }

    /// The tables of another configuration. One whose settings are the same is not read: its rows stay, also where
    /// its file cannot be read now.
    ///
    /// # Errors
    /// Which table cannot be read, and why.
    pub fn next(
        &self,
        settings: &BTreeMap<String, TableSettings>,
        places: &TablePlaces<'_>,
    ) -> anyhow::Result<Tables> {
        let table = |(name, settings): (&String, &TableSettings)| {
            let same = self.tables.get(name).filter(|table| table.configured == *settings);
            let table = match same {
                Some(table) => table.clone(),
                None => {
                    let table = Table::load(name, settings, places);
                    Arc::new(table.with_context(|| format!("table `{name}`"))?)
                }
            };
            Ok((name.clone(), table))
        };
        Ok(Tables { tables: settings.iter().map(table).collect::<anyhow::Result<_>>()? })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Reads those again whose file has changed and is as it was at the look before. Answers whether one has changed since.
    pub fn refresh(&self) -> bool {
        // All are looked at, whatever the first of them says.
        self.tables.values().filter(|table| table.refresh()).count() > 0
    }

    /// Refreshes the tables for as long as somebody uses them, files on a thread of its own and what each server has on
    /// another: one that does not answer holds up no other table. `health` hears where it fails.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn watch(self: &Arc<Self>, health: &Arc<Health>) -> std::io::Result<()> {
        let keep = |name: &str, every: Duration, refresh: Box<dyn Fn(&Tables) -> bool + Send>| {
            let tables = Arc::downgrade(self);
            let part = Part::new(health, "refresh", name);
            let work = move || {
                let mut pause = every;
                while crossbeam_channel::after(pause).recv().is_ok() {
                    let Some(tables) = tables.upgrade() else { return };
                    pause = if refresh(&tables) { QUIET } else { every };
                }
            };
            tasks::kept_thread(part, crossbeam_channel::never(), work).map(drop)
        };
        if self.tables.values().any(|table| matches!(table.whence, Whence::File { .. })) {
            keep("tables", EVERY, Box::new(Tables::refresh))?;
        }
        for (name, table) in &self.tables {
            if let Whence::Server(remote) = &table.whence {
                remote.heard_by(Ailment::of(health, "table", name));
                let own = name.clone();
                let fetch = move |tables: &Tables| {
                    tables.tables[&own].fetch(Instant::now());
                    false
                };
                keep(name, LOOK, Box::new(fetch))?;
            }
        }
        Ok(())
    }
}

impl Lookup for Tables {
    fn lookup(
        &self,
        table: &str,
        keys: ColumnResult,
        want: &[String],
        bounds: &Bounds,
    ) -> Result<Vec<ColumnResult>, LookupError> {
        let Some(found) = self.tables.get(table) else {
            let all: Vec<_> = self.tables.keys().map(String::as_str).collect();
            let table = cut(table, 100);
            return Err(LookupError::Refused(match &all[..] {
                [] => format!("no table is named `{table}`: the configuration has no `tables`"),
                all => format!("no table is named `{table}`; there are {}", cut(&all.join(", "), 1000)),
            }));
        };
        let answer = match &**found.content.load() {
            Content::Rows(rows) => answer::of_rows(rows, keys, want, bounds),
            Content::Networks(networks) => answer::of_networks(networks, keys, want, bounds),
            Content::Unknown => answer::of_nothing(keys, want, bounds),
        };
        answer.map_err(|error| match error {
            LookupError::Refused(reason) => LookupError::Refused(format!("table `{table}`: {reason}")),
            error => error,
        })
    }
}

impl Table {
    fn load(name: &str, settings: &TableSettings, places: &TablePlaces<'_>) -> anyhow::Result<Table> {
        settings.check()?;
        let (content, whence) = match &settings.path {
            Some(path) => {
                let path = places.folder.join(path);
                let format = settings.format(&path)?;
                let seen = FileStamp::of(&path);
                let content = Content::read(&path, &settings.key, format)?;
                tracing::info!(table = name, rows = content.len(), path = %path.display(), "table read");
                let seen = parking_lot::Mutex::new(Seen { read: seen, changed: None, is_told: false });
                (content, Whence::File { path, format, seen })
            }
            None => Table::of_server(name, settings, places)?,
        };
        let content = ArcSwap::from_pointee(content);
        Ok(Table { name: name.to_owned(), configured: settings.clone(), content, whence })
    }

    fn of_server(
        name: &str,
        settings: &TableSettings,
        places: &TablePlaces<'_>,
    ) -> anyhow::Result<(Content, Whence)> {
        let data_dir = places.data_dir.context("there is no folder to keep in what a server has")?;
        let remote = Remote::new(name, settings, &data_dir.join(FOLDER))?;
        let kept = remote.kept().unwrap_or_else(|error| {
            tracing::warn!(table = name, "the copy of the table cannot be used: {error:#}");
            None
        });
        let content = match kept {
            Some(kept) => {
                tracing::info!(table = name, rows = kept.len(), "the table is what was fetched last");
                kept
            }
            None if places.asks => {
                let content = remote.first()?;
                tracing::info!(table = name, rows = content.len(), "table fetched");
                content
            }
            None => {
                tracing::warn!(table = name, "the table was never fetched here: no key is found in it");
                Content::Unknown
            }
        };
        Ok((content, Whence::Server(remote)))
    }

    /// Asks the server, where it is time for it.
    fn fetch(&self, now: Instant) {
        if let Whence::Server(remote) = &self.whence
            && let Some(new) = remote.refresh(&self.content.load(), now)
        {
            let new = new.after(&self.content.load());
            self.content.store(Arc::new(new));
        }
    }

    /// Reads the file again, where it has changed and is as it was at the look before. Answers whether it has changed and is to
    /// be looked at again: it may be half written.
    fn refresh(&self) -> bool {
        let Whence::File { path, format, seen } = &self.whence else { return false };
        let mut seen = seen.lock();
        let now = FileStamp::of(path);
        if now.is_none() || seen.read == now {
            seen.changed = None;
            return false;
        }
        if seen.changed != now {
            seen.changed = now;
            return true;
        }
        let old = self.content.load();
        let new =
            Content::read(path, &self.configured.key, *format).and_then(|new| match old.lost_by(&new) {
                Some(lost) => anyhow::bail!("`{lost}`, which filters may ask for, is gone"),
                None => Ok(new),
            });
        // Somebody began to write it meanwhile.
        if FileStamp::of(path) != now {
            seen.changed = FileStamp::of(path);
            return true;
        }
        match &new {
            // It comes back by itself, and the file is then what it is now.
            Err(error) if machine::lacks(error) => {
                if !std::mem::replace(&mut seen.is_told, true) {
                    tracing::warn!(
                        table = self.name,
                        error = format!("{error:#}"),
                        "the table has changed and cannot be read for now; the old rows stay until it can"
                    );
                }
                return false;
            }
            _ => *seen = Seen { read: now, changed: None, is_told: false },
        }
        match new {
            Ok(new) => {
                tracing::info!(table = self.name, rows = new.len(), "table read again");
                self.content.store(Arc::new(new.after(&old)));
            }
            Err(error) => tracing::error!(
                table = self.name,
                error = format!("{error:#}"),
                "the table has changed and cannot be read; the old rows stay"
            ),
        }
        false
    }
}

#[cfg(test)]
mod tests;
