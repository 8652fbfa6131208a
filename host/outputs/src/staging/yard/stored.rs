//! Objects that outlast the process (`ack: stored`): what has come is synced, written down, and safe for its source.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;

use super::{Open, Yard};
use crate::staging::Outlasting;
use crate::staging::content::Mark;
use crate::staging::journal::{Entry, Form};
use crate::staging::keep::Keep;
use crate::staging::recover::park;

/// How long records wait at most until they are synced, with all that comes meanwhile.
pub(super) const EVERY: Duration = Duration::from_secs(1);

impl Yard {
    /// Takes note that something has come.
    pub(super) fn came(&mut self, now: Instant) {
        if self.journal.is_some() && self.unstored.is_none() {
            self.unstored = Some(now);
        }
    }

    /// When what has come is to be synced.
    pub(super) fn store_due(&self) -> Option<Instant> {
        self.unstored.map(|since| since + EVERY)
    }

    /// Syncs what has come into all objects, and settles it.
    pub(super) fn store_all(&mut self) {
        let Some(journal) = self.journal.clone() else { return };
        if self.rest.is_some() || self.unstored.is_none() {
            return;
        }
        let mut broken = None;
        for (key, open) in self.open.iter_mut().filter(|(_, open)| !open.shares.is_empty()) {
            let wrote = open.write(&mut self.press);
            open.count(&mut self.memory);
            if let Err(error) = wrote {
                broken = Some((key.clone(), error));
                break;
            }
        }
        if let Some((key, broken)) = broken {
            return self.broken(&key, broken);
        }
        let fresh = || self.open.iter().map(|(_, open)| open).filter(|open| !open.shares.is_empty());
        let entries: Vec<Entry> = fresh().filter_map(|open| self.entry(open)).collect();
        if !entries.is_empty()
            && let Err(error) = journal.lock().write(&entries)
        {
            return self.wait(&error);
        }
        self.open.iter_mut().for_each(|(_, open)| open.settle());
        self.unstored = None;
    }

    /// The same for one that is closed: all of it is written.
    ///
    /// # Errors
    /// The disk's; nothing is settled then.
    pub(super) fn store(&self, open: &mut Open) -> io::Result<()> {
        let Some(journal) = &self.journal else { return Ok(()) };
        let Some(entry) = self.entry(open) else { return Ok(()) };
        // Of a table nobody knows yet that it stands for its rows.
        if !open.shares.is_empty() || entry.form == Form::Table {
            journal.lock().write(&[entry])?;
            open.settle();
        }
        Ok(())
    }

    /// How far an object is of which nothing is in memory.
    fn entry(&self, open: &Open) -> Option<Entry> {
        let header = self.header.as_ref().map_or(0, |header| header.len() as u64);
        let Mark { file, form, id } = open.content.mark()?;
        Some(Entry {
            file: file.path().file_name().unwrap_or_default().to_string_lossy().into_owned(),
            form,
            begin: open.name_begin(),
            end: self.plan.extension.clone(),
            compression: self.plan.compression,
            length: file.length(),
            header,
            text: open.length - header,
            id,
            origins: Some(open.trace),
            is_kept: open.keep.as_ref().is_some_and(Keep::is_text),
            rows: open.rows_by_source(),
        })
    }

    /// Gives up an object of which some records are safe for their sources: what is on disk of it stays.
    pub(super) fn put_aside(&mut self, open: &Open, reason: &str) {
        let Some(entry) = self.entry(open) else { return };
        let path = self.folder.join(&entry.file);
        if let Err(error) = park(&self.plan, &path, &entry, reason) {
            // The next process tries it again.
            tracing::error!(output = %self.plan.output, "{}: {error}", path.display());
        }
    }

    /// What a sealed object has to be told when it has arrived.
    pub(super) fn outlasting(&self, open: &mut Open) -> Option<Outlasting> {
        let journal = self.journal.as_ref()?.clone();
        let rows = std::mem::take(&mut open.stored);
        Some(Outlasting { rows, has_arrived: AtomicBool::new(false), _journal: journal })
    }

    /// Somebody waits, and nothing more comes: settles what can be.
    pub fn hurry(&mut self, now: Instant) {
        match self.journal {
            Some(_) => self.store_all(),
            None => return self.close_all(now),
        }
        self.look(now);
    }
}

impl Open {
    /// Settles what has come: it is stored.
    fn settle(&mut self) {
        for share in self.shares.drain(..) {
            let rows = share.records();
            match self.stored.iter_mut().find(|(ledger, _)| Arc::ptr_eq(ledger, share.ledger())) {
                Some((_, stored)) => *stored += rows,
                None => self.stored.push((share.ledger().clone(), rows)),
            }
            share.stored();
        }
    }

    /// The records of each source, stored or not.
    fn rows_by_source(&self) -> std::collections::BTreeMap<String, u64> {
        let mut rows = std::collections::BTreeMap::new();
        let stored = self.stored.iter().map(|(ledger, rows)| (ledger.source(), *rows));
        for (source, count) in stored.chain(self.shares.iter().map(|share| (share.source(), share.records())))
        {
            *rows.entry(source.to_string()).or_insert(0) += count;
        }
        rows
    }
}
