//! Tables that the host keeps for filters: CSV and NDJSON files, held in columns with an index on one of them, and
//! MaxMind DBs, which answer for IP addresses.
//!
//! A table is read once and shared by all filters. [`Tables::refresh`] reads those again whose file has changed; one
//! that cannot be read, or lacks a column that it had, stays as it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;

use super::guest::bindings::ColumnResult;
use super::guest::limits::Bounds;
use super::guest::voice::cut;
use super::guest::{Lookup, LookupError};
use flitch_core::file_stamp::FileStamp;
use flitch_core::tasks;
use flitch_core::telemetry::health::{Health, Part};

mod answer;
mod networks;
mod rows;
mod settings;

pub use settings::{TableFormat, TableSettings};

use networks::Networks;
use rows::Rows;

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// The tables of a configuration.
#[derive(Debug, Default)]
pub struct Tables {
    tables: BTreeMap<String, Arc<Table>>,
}

#[derive(Debug)]
struct Table {
    name: String,
    configured: TableSettings,
    path: PathBuf,
    format: TableFormat,
    content: ArcSwap<Content>,
    /// What the file looked like when it was read last, also in vain.
    seen: parking_lot::Mutex<Option<FileStamp>>,
}

/// What a file holds.
#[derive(Debug)]
enum Content {
    Rows(Rows),
    Networks(Networks),
}

impl Content {
    fn read(path: &Path, key: &str, format: TableFormat) -> anyhow::Result<Content> {
        Ok(match format {
            TableFormat::Csv => Content::Rows(Rows::csv(path, key)?),
            TableFormat::Ndjson => Content::Rows(Rows::ndjson(path, key)?),
            TableFormat::Mmdb => Content::Networks(Networks::read(path)?),
        })
    }

    /// Rows of a file, or nodes of a tree.
    fn len(&self) -> usize {
        match self {
            Content::Rows(rows) => rows.len(),
            Content::Networks(networks) => networks.len(),
        }
    }

    /// What filters may ask this for, and may not ask `new` for.
    fn lost_by<'a>(&'a self, new: &Content) -> Option<&'a str> {
        match (self, new) {
            (Content::Rows(old), Content::Rows(new)) => old.lost_by(new),
            // A country's database where a city's was.
            (Content::Networks(old), Content::Networks(new)) => {
                (old.kind() != new.kind()).then(|| old.kind())
            }
            _ => None,
        }
    }
}

impl Tables {
    /// Reads all tables. Relative paths are from `folder`. An error names the table.
    pub fn load(settings: &BTreeMap<String, TableSettings>, folder: &Path) -> anyhow::Result<Tables> {
        Tables::default().next(settings, folder)
    }

    /// The tables of another configuration. One whose settings are the same is not read: its rows stay, also where
    /// its file cannot be read now.
    pub fn next(&self, settings: &BTreeMap<String, TableSettings>, folder: &Path) -> anyhow::Result<Tables> {
        let table = |(name, settings): (&String, &TableSettings)| {
            let same = self.tables.get(name).filter(|table| table.configured == *settings);
            let table = match same {
                Some(table) => table.clone(),
                None => {
                    let table = Table::load(name, settings, folder);
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

    /// Reads those again whose file has changed.
    pub fn refresh(&self) {
        self.tables.values().for_each(|table| table.refresh());
    }

    /// Refreshes the tables for as long as somebody uses them, on a thread of its own. `health` hears where it fails.
    pub fn watch(self: &Arc<Self>, health: &Arc<Health>) -> std::io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let tables = Arc::downgrade(self);
        let ticks = crossbeam_channel::tick(EVERY);
        tasks::kept_thread(Part::new(health, "refresh", "tables"), crossbeam_channel::never(), move || {
            for _ in &ticks {
                let Some(tables) = tables.upgrade() else { return };
                tables.refresh();
            }
        })?;
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
        };
        answer.map_err(|error| match error {
            LookupError::Refused(reason) => LookupError::Refused(format!("table `{table}`: {reason}")),
            error => error,
        })
    }
}

impl Table {
    fn load(name: &str, settings: &TableSettings, folder: &Path) -> anyhow::Result<Table> {
        let path = folder.join(&settings.path);
        let format = match settings.format {
            Some(format) => format,
            None => format_of(&path).with_context(|| {
                format!("cannot tell the format of {}: add `format: csv`, `ndjson` or `mmdb`", path.display())
            })?,
        };
        let seen = FileStamp::of(&path);
        let content = Content::read(&path, &settings.key, format)?;
        tracing::info!(table = name, rows = content.len(), path = %path.display(), "table read");
        Ok(Table {
            name: name.to_owned(),
            configured: settings.clone(),
            content: ArcSwap::from_pointee(content),
            seen: parking_lot::Mutex::new(seen),
            path,
            format,
        })
    }

    fn refresh(&self) {
        let mut seen_before = self.seen.lock();
        let now = FileStamp::of(&self.path);
        if now.is_none() || *seen_before == now {
            return;
        }
        *seen_before = now;
        let old = self.content.load();
        let new = Content::read(&self.path, &self.configured.key, self.format).and_then(|new| {
            match old.lost_by(&new) {
                Some(lost) => anyhow::bail!("`{lost}`, which filters may ask for, is gone"),
                None => Ok(new),
            }
        });
        match new {
            Ok(new) => {
                tracing::info!(table = self.name, rows = new.len(), "table read again");
                self.content.store(Arc::new(new));
            }
            Err(error) => tracing::error!(
                table = self.name,
                error = format!("{error:#}"),
                "the table has changed and cannot be read; the old rows stay"
            ),
        }
    }
}

fn format_of(path: &Path) -> Option<TableFormat> {
    match path.extension()?.to_str()? {
        "csv" => Some(TableFormat::Csv),
        "ndjson" | "jsonl" => Some(TableFormat::Ndjson),
        "mmdb" => Some(TableFormat::Mmdb),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
