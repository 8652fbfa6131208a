//! What is in a buffer on disk, and where.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::frame::{Draft, Frame, encode};
use super::{DiskStats, QUEUE, WINDOW};
use crate::batch::{Batch, Records};
use crate::buffers::Ack;
use crate::receipt::{Held, Ledger};

/// A batch that is not written yet.
#[derive(Debug)]
pub struct Queued {
    pub batch: Batch,
    /// What it counts for as it stands in memory.
    pub bytes: u64,
    /// As it is to be written, or why it cannot be.
    frame: Result<Frame, String>,
}

impl Queued {
    pub fn new(batch: Batch, bytes: u64) -> Queued {
        let (stream, source) = (batch.stream.number(), batch.receipt.source());
        let frame = encode(&Draft { records: &batch.records, source, stream, weight: bytes });
        Queued { frame: frame.map_err(|error| error.to_string()), batch, bytes }
    }

    pub fn frame(&self) -> io::Result<&Frame> {
        self.frame.as_ref().map_err(|why| io::Error::other(why.clone()))
    }
}

/// A batch that was stored, without its records.
#[derive(Clone, Debug)]
pub struct Slip {
    pub sequence: u64,
    pub rows: usize,
    pub ledger: Arc<Ledger>,
    pub weight: u64,
    pub time: i64,
}

/// A batch that was stored, and is in memory.
#[derive(Debug)]
pub struct Entry {
    pub slip: Slip,
    pub records: Arc<Records>,
}

#[derive(Debug, Default)]
pub struct State {
    /// `max_bytes`.
    pub limit: u64,
    pub ack: Ack,
    /// Bytes and records that are not settled, wherever they are.
    pub used: u64,
    pub records: u64,
    pub queued: VecDeque<Queued>,
    pub queued_bytes: u64,
    /// Batches that the thread has in its hands.
    pub writing: usize,
    pub ready: VecDeque<Entry>,
    pub ready_bytes: u64,
    /// Leases that came back, to be read once more: who leases a batch may hold it for long, and lets go of its records.
    pub again: BTreeMap<u64, Slip>,
    /// Those of them that are in memory.
    pub returned: BTreeMap<u64, Entry>,
    /// What is leased, with the time at which it was stored.
    pub leases: BTreeMap<u64, i64>,
    /// Whether more is on disk than in memory.
    pub has_unread: bool,
    pub settled: Vec<(u64, u64)>,
    /// Shares of sources that wait for the delivery.
    pub held: HashMap<u64, Held>,
    /// Whether each of those who have the buffer takes batches. A later one takes over from those before it.
    pub views: BTreeMap<u64, bool>,
    pub next_view: u64,
    /// The last one of whom a batch came.
    pub pushed_by: u64,
    /// Everybody has left.
    pub stopping: bool,
    pub done: bool,
    pub disk: DiskStats,
}

impl State {
    /// Whether there is room for so many bytes.
    pub fn has_room(&self, bytes: u64) -> bool {
        let in_memory = self.queued.is_empty() || self.queued_bytes + bytes <= QUEUE;
        in_memory && (self.used == 0 || self.used + bytes <= self.limit)
    }

    /// Whether the next batch may have to wait: a disk that fails now may fail for long.
    pub fn is_full(&self) -> bool {
        self.disk.failing || !self.has_room(1)
    }

    pub fn is_open(&self, view: u64) -> bool {
        !self.done && self.views.get(&view).is_some_and(|open| *open)
    }

    pub fn is_superseded(&self, view: u64) -> bool {
        self.views.range(view + 1..).next().is_some()
    }

    /// Whether nothing is to come for `view`, whatever is there.
    pub fn is_past(&self, view: u64) -> bool {
        let left = !self.views.contains_key(&view) || self.done;
        left || (!self.is_open(view) && self.is_superseded(view))
    }

    /// Whether what is there is for a later one, from which batches have come; it may be gone again before `view` is.
    pub fn gives_way(&self, view: u64) -> bool {
        self.pushed_by > view && self.is_superseded(view)
    }

    /// Whether nothing waits to be leased, now or later.
    pub fn is_drained(&self) -> bool {
        let written = self.queued.is_empty() && self.writing == 0 && !self.has_unread;
        written && self.ready.is_empty() && self.returned.is_empty() && self.again.is_empty()
    }

    /// What came back and is to be read next.
    pub fn wants_again(&self) -> Option<&Slip> {
        let (_, slip) = self.again.first_key_value()?;
        // One that is older than all that wait is read in any case.
        let is_next = self.returned.first_key_value().is_none_or(|(first, _)| slip.sequence < *first);
        let bytes = || self.returned.values().map(|entry| entry.slip.weight).sum::<u64>();
        (!self.stopping && (is_next || bytes() <= WINDOW / 2)).then_some(slip)
    }

    pub fn wants_read(&self) -> bool {
        let wants_more = self.has_unread && self.ready_bytes <= WINDOW / 2 && !self.stopping;
        wants_more || self.wants_again().is_some()
    }

    /// Whether what comes next is to be read first.
    pub fn waits_for_again(&self) -> bool {
        let Some((again, _)) = self.again.first_key_value() else { return false };
        self.returned.first_key_value().is_none_or(|(returned, _)| again < returned)
    }

    /// Whether a batch may go to those that are in memory.
    pub fn has_window(&self, weight: u64) -> bool {
        self.ready.is_empty() || self.ready_bytes + weight <= WINDOW
    }

    /// Puts a batch to those that are leased next.
    pub fn publish(&mut self, entry: Entry) {
        self.ready_bytes += entry.slip.weight;
        self.ready.push_back(entry);
    }

    /// Counts a frame no more.
    pub fn let_go(&mut self, weight: u64, records: u64) {
        self.used = self.used.saturating_sub(weight);
        self.records = self.records.saturating_sub(records);
    }

    /// Nothing is there: what is still counted was lost with a frame whose size nobody knows any more.
    pub fn reckon(&mut self) {
        if self.is_drained() && self.leases.is_empty() {
            (self.used, self.records) = (0, 0);
        }
    }

    pub fn settle(&mut self, sequence: u64) {
        match self.settled.last_mut() {
            Some((_, end)) if *end == sequence => *end += 1,
            _ => self.settled.push((sequence, sequence + 1)),
        }
    }
}
