//! Writing what waits, and what follows from it.

use std::io;
use std::time::Instant;

use super::super::frame::Frame;
use super::super::log::Placed;
use super::super::state::{Entry, Queued, Slip};
use super::Worker;
use crate::buffers::Ack;

impl Worker {
    /// Writes what is pending, or some of it, with one sync.
    pub(super) fn write(&mut self) {
        let now = self.telling.clock.now();
        let mut pending = std::mem::take(&mut self.pending);
        let count = pending.len().min(self.at_once);
        let frames: io::Result<Vec<&Frame>> = pending[..count].iter().map(Queued::frame).collect();
        let appended = frames.and_then(|frames| self.log().append(&frames, now));
        match appended {
            Ok(placed) => {
                self.pending = pending.split_off(count);
                self.at_once = self.at_once.saturating_mul(2);
                self.written();
                self.publish(pending, &placed, now);
            }
            Err(error) => {
                self.pending = pending;
                self.at_once = (count / 2).max(1);
                self.failed(&error);
            }
        }
    }

    /// Tells the sources of what is stored, and gives it out, from memory if nothing older waits on disk.
    fn publish(&mut self, queued: Vec<Queued>, placed: &[Placed], time: i64) {
        let core = self.core.clone();
        let ack = core.state.lock().ack;
        let mut held = Vec::new();
        let mut entries = Vec::with_capacity(queued.len());
        let mut grown = 0;
        for (Queued { batch, bytes, .. }, placed) in queued.into_iter().zip(placed) {
            grown += placed.weight.saturating_sub(bytes);
            let ledger = batch.receipt.ledger().clone();
            match ack {
                Ack::Stored => batch.receipt.stored(),
                Ack::Delivered => held.push((placed.sequence, batch.receipt.held())),
            }
            let Placed { sequence, weight, .. } = *placed;
            let slip = Slip { sequence, rows: batch.records.rows(), ledger, weight, time };
            entries.push(Entry { slip, records: batch.records });
        }
        let mut state = core.state.lock();
        state.used += grown;
        state.writing = self.pending.len();
        state.held.extend(held);
        let log = self.log();
        if !state.stopping {
            for (entry, placed) in entries.into_iter().zip(placed) {
                if !state.has_window(entry.slip.weight) || !log.pass(placed) {
                    break;
                }
                state.publish(entry);
            }
        }
        state.has_unread = log.has_unread();
        drop(state);
        core.item.notify_one();
    }

    fn failed(&mut self, error: &io::Error) {
        self.failures += 1;
        self.write_at = Some(Instant::now() + self.pauses.after(self.failures));
        let folder = self.log().folder().to_owned();
        if !self.core.state.lock().disk.failing {
            self.telling.part.stalls(&format!("{}: {error}", folder.display()));
        }
        if !self.is_said_full && self.said_full.may_say() {
            self.is_said_full = true;
            let name = &self.telling.name;
            tracing::error!(output = %name, ?folder, %error, "the buffer cannot be written; its sources wait, or records are dropped where the output is of best effort; it is tried again");
        }
        let mut state = self.core.state.lock();
        state.disk.failing = true;
        if !state.stopping {
            return;
        }
        // Nobody is there to wait for it.
        state.writing = 0;
        for queued in &self.pending {
            state.let_go(queued.bytes, queued.batch.records.rows() as u64);
        }
        drop(state);
        let records: usize = self.pending.iter().map(|queued| queued.batch.records.rows()).sum();
        tracing::error!(output = %self.telling.name, records, %error, "records cannot be stored; their sources send them again");
        self.pending.clear();
    }

    /// The disk has taken something.
    fn written(&mut self) {
        self.write_at = None;
        if self.failures == 0 {
            return;
        }
        if !self.pending.is_empty() {
            // The rest may fail once more.
            self.failures = 1;
            return;
        }
        self.failures = 0;
        self.core.state.lock().disk.failing = false;
        self.telling.part.goes_on();
        if std::mem::take(&mut self.is_said_full) {
            tracing::info!(output = %self.telling.name, "the buffer is written again");
        }
    }
}
