//! The end of an object in the making: sealed, or given up.

use std::io;

use tokio::time::Instant;

use super::{REST, Sealed, Yard};
use crate::staging::content::Broken;
use crate::staging::open::{Memory, Open};
use crate::staging::{Object, trace};
use flitch_core::telemetry::Metric;

impl Yard {
    /// Closes the object to which nothing came for the longest time.
    pub(super) fn close_idle(&mut self) {
        if let Some((_, open)) = self.open.pop_lru() {
            self.finish(open);
        }
    }

    pub(super) fn close(&mut self, key: &[u8]) {
        if let Some(open) = self.open.pop(key) {
            self.finish(open);
        }
    }

    /// Writes what is left of an object, and seals it.
    pub(super) fn finish(&mut self, mut open: Open) {
        let finished = open.finish(&mut self.press);
        open.count(&mut self.memory);
        match finished {
            Ok(()) => self.seal(open),
            Err(Broken::Disk(error)) => {
                self.wait(&error);
                self.closing.push(open);
            }
            Err(Broken::Lost(reason)) => self.lose(open, &reason),
        }
    }

    fn seal(&mut self, mut open: Open) {
        if let Err(error) = self.store(&mut open) {
            self.wait(&error);
            return self.closing.push(open);
        }
        let outlasting = self.outlasting(&mut open);
        let mut name = open.name_begin();
        let key = name.len();
        self.memory.change(&open.memory, &Memory::default());
        let Open { content, trace, length, rows, shares, held, keep, .. } = open;
        let (file, id) = content.into_file();
        if self.plan.has_id {
            name.push_str(&trace::name(&id, Some(trace)));
        }
        name.push_str(&self.plan.extension);
        let header = self.header.as_ref().map_or(0, |header| header.len() as u64);
        let object = Object {
            name,
            key,
            rows,
            text: length - header,
            path: file.path().to_owned(),
            length: file.length(),
            progress: Default::default(),
            kept: keep.map(|keep| keep.into_kept(self.plan.compression)),
            outlasting,
            _held: held,
        };
        self.sealed.push_back(Sealed { object, shares });
    }

    /// What is open for a key could not be written.
    pub(super) fn broken(&mut self, key: &[u8], broken: Broken) {
        match broken {
            Broken::Disk(error) => self.wait(&error),
            Broken::Lost(reason) => {
                if let Some(open) = self.open.pop(key) {
                    self.lose(open, &reason);
                }
            }
        }
    }

    fn failed(&self, kind: &str) {
        Metric::StagingFailures.counter(&[("output", &self.plan.output), ("kind", kind)]).increment(1);
    }

    /// Lets the disk rest.
    pub(super) fn wait(&mut self, error: &io::Error) {
        self.rest = Some(Instant::now() + REST);
        self.failed("disk");
        if self.said_disk.may_say() {
            let folder = self.folder.display();
            tracing::error!(output = %self.plan.output, "cannot build objects in {folder}: {error}; records wait");
        }
    }

    /// Gives an object up: its sources send again what is in it, after a rest.
    fn lose(&mut self, mut open: Open, reason: &str) {
        self.rest = Some(Instant::now() + REST);
        self.memory.change(&open.memory, &Memory::default());
        if !open.stored.is_empty() {
            return self.put_aside(&open, reason);
        }
        open.remove();
        self.failed("lost");
        if self.said_lost.may_say() {
            let (key, rows) = (open.name_begin(), open.rows);
            tracing::error!(output = %self.plan.output, key, rows, "an object could not be built, and its records are sent again: {reason}");
        }
    }
}
