//! What the thread of a buffer shares with those who push and lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::super::{Ack, Closed};
use super::DiskStats;
use super::state::{Queued, Slip, State};
use crate::batch::{Batch, StreamId};
use crate::buffers::store::Stats;
use crate::receipt::{Verdict, restore};

/// What there is to lease.
pub enum Taken {
    Batch(Batch),
    /// There is nothing now.
    Nothing,
    /// There will be nothing more.
    Over,
}

/// What the thread does next.
#[derive(Default)]
pub struct Job {
    /// Whether to write; with what is left of the last time.
    pub write: bool,
    pub queued: Vec<Queued>,
    /// Ranges of sequences.
    pub settled: Vec<(u64, u64)>,
    pub read: bool,
    /// Whether it is the last one.
    pub stop: bool,
}

/// See [`super`].
#[derive(Debug)]
pub struct Core {
    pub state: Mutex<State>,
    /// Wakes the thread.
    pub work: Condvar,
    /// Wakes who waits for room.
    pub room: Notify,
    /// Wakes who waits for a batch.
    pub item: Notify,
    waiting: AtomicUsize,
    /// All that comes out is of one stream: its order is that of each stream that went in.
    stream: StreamId,
    /// Cancelled when the thread has ended.
    pub done: CancellationToken,
}

impl Core {
    /// The core of a buffer where so much waits.
    pub fn new(used: u64, records: u64) -> Core {
        let has_unread = records > 0 || used > 0;
        Core {
            state: Mutex::new(State { used, records, has_unread, next_view: 1, ..State::default() }),
            work: Condvar::new(),
            room: Notify::new(),
            item: Notify::new(),
            waiting: AtomicUsize::new(0),
            stream: StreamId::next(),
            done: CancellationToken::new(),
        }
    }

    /// Somebody more has the buffer, with settings that hold for all from now on. None where it has ended.
    pub fn open(&self, limit: u64, ack: Ack) -> Option<u64> {
        let mut state = self.state.lock();
        if state.done || state.stopping {
            return None;
        }
        let view = state.next_view;
        state.next_view += 1;
        state.views.insert(view, true);
        (state.limit, state.ack) = (limit, ack);
        self.room.notify_one();
        Some(view)
    }

    /// Takes nothing more from `view`.
    pub fn close(&self, view: u64) {
        if let Some(open) = self.state.lock().views.get_mut(&view) {
            *open = false;
        }
        self.wake_all();
    }

    /// `view` neither pushes nor leases any more.
    pub fn leave(&self, view: u64) {
        let mut state = self.state.lock();
        if state.views.remove(&view).is_some() && state.views.is_empty() {
            state.stopping = true;
            state.ready.clear();
            state.again.clear();
            state.returned.clear();
            state.ready_bytes = 0;
        }
        drop(state);
        self.wake_all();
    }

    fn wake_all(&self) {
        self.room.notify_waiters();
        self.room.notify_one();
        self.item.notify_waiters();
        self.item.notify_one();
        self.work.notify_one();
    }

    /// Waits until the thread has ended, unless somebody has the buffer.
    pub async fn ended(&self, view: u64) {
        let goes_on = self.state.lock().views.keys().any(|other| *other != view);
        if !goes_on {
            self.done.cancelled().await;
        }
    }

    /// See [`super::Store::try_push`].
    pub fn try_push(&self, view: u64, batch: Batch, bytes: u64) -> Result<Result<(), Batch>, Closed> {
        if !self.has_room(view, bytes)? {
            return Ok(Err(batch));
        }
        let put = self.put(view, Queued::new(batch, bytes))?;
        Ok(put.map_err(|back| back.batch))
    }

    /// See [`super::Store::push`].
    pub async fn push(&self, view: u64, batch: Batch, bytes: u64) -> Result<(), Closed> {
        loop {
            let room = self.room.notified();
            if self.has_room(view, bytes)? {
                break;
            }
            self.wait(room).await;
        }
        // Frames are made by those who push, all at the same time, and not by the thread that waits for the disk.
        let mut queued = Queued::new(batch, bytes);
        loop {
            let room = self.room.notified();
            match self.put(view, queued)? {
                Ok(()) => return Ok(()),
                Err(back) => queued = back,
            }
            self.wait(room).await;
        }
    }

    fn has_room(&self, view: u64, bytes: u64) -> Result<bool, Closed> {
        let state = self.state.lock();
        if state.is_open(view) { Ok(state.has_room(bytes)) } else { Err(Closed) }
    }

    /// Puts a batch to those that wait to be written, if there is room still.
    fn put(&self, view: u64, queued: Queued) -> Result<Result<(), Queued>, Closed> {
        let mut state = self.state.lock();
        if !state.is_open(view) {
            return Err(Closed);
        }
        if !state.has_room(queued.bytes) {
            return Ok(Err(queued));
        }
        if state.pushed_by < view {
            state.pushed_by = view;
        }
        state.used += queued.bytes;
        state.records += queued.batch.records.rows() as u64;
        state.queued_bytes += queued.bytes;
        state.queued.push_back(queued);
        if state.has_room(1) {
            self.room.notify_one();
        }
        self.work.notify_one();
        Ok(Ok(()))
    }

    /// Waits for room, as one who is seen to do so.
    async fn wait(&self, room: impl Future<Output = ()>) {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        room.await;
    }

    /// The oldest batch for `view`.
    pub fn take(self: &Arc<Core>, view: u64) -> Taken {
        let mut state = self.state.lock();
        if state.is_past(view) {
            self.item.notify_one();
            return Taken::Over;
        }
        if state.gives_way(view) {
            return Taken::Nothing;
        }
        if state.waits_for_again() {
            return Taken::Nothing;
        }
        let entry = match state.returned.pop_first() {
            Some((_, entry)) => Some(entry),
            None => state.ready.pop_front().inspect(|entry| state.ready_bytes -= entry.slip.weight),
        };
        let Some(entry) = entry else {
            let over = !state.is_open(view) && state.is_drained();
            if over {
                // All who wait hear of it, one after the other.
                self.item.notify_one();
                return Taken::Over;
            }
            return Taken::Nothing;
        };
        state.leases.insert(entry.slip.sequence, entry.slip.time);
        if state.wants_read() {
            self.work.notify_one();
        }
        // Who is closed hears of the last one.
        if !state.ready.is_empty() || !state.returned.is_empty() || !state.is_open(view) {
            self.item.notify_one();
        }
        drop(state);
        let (records, slip) = (entry.records, entry.slip);
        let (core, ledger) = (self.clone(), slip.ledger.clone());
        let receipt = restore(&ledger, slip.rows, move |verdict| core.end(slip, verdict));
        Taken::Batch(Batch { records, receipt, stream: self.stream })
    }

    /// A lease has ended.
    fn end(&self, slip: Slip, verdict: Verdict) {
        let mut state = self.state.lock();
        state.leases.remove(&slip.sequence);
        let held = match verdict {
            Verdict::Safe => {
                state.let_go(slip.weight, slip.rows as u64);
                state.settle(slip.sequence);
                self.room.notify_one();
                state.held.remove(&slip.sequence)
            }
            Verdict::Again => {
                if !state.stopping {
                    state.again.insert(slip.sequence, slip);
                }
                None
            }
        };
        drop(state);
        self.work.notify_one();
        // The source may do what it likes when it hears of it.
        if let Some(held) = held {
            held.let_go();
        }
    }

    /// What is inside.
    pub fn stats(&self, view: u64) -> Stats {
        let state = self.state.lock();
        let full = self.waiting.load(Ordering::Relaxed) > 0 || state.is_full();
        Stats { records: state.records, bytes: state.used, full, closed: !state.is_open(view) }
    }

    /// See [`super::Store::is_full`].
    pub fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.state.lock().is_full()
    }

    /// What is on disk.
    pub fn on_disk(&self) -> DiskStats {
        let state = self.state.lock();
        let leased = state.leases.first_key_value().map(|(sequence, time)| (*sequence, *time));
        let again = state.again.first_key_value().map(|(_, slip)| slip);
        let returned = state.returned.first_key_value().map(|(_, entry)| &entry.slip);
        let slips = [again, returned, state.ready.front().map(|entry| &entry.slip)];
        let inside = slips.into_iter().flatten().map(|slip| (slip.sequence, slip.time));
        let oldest = inside.chain(leased).min().map(|(_, time)| time);
        DiskStats { oldest, ..state.disk }
    }

    /// Waits for work. So many batches are left to be written, `pending`, and wait until `write_at`, as reading does
    /// until `read_at`.
    pub fn job(
        &self,
        pending: usize,
        write_at: Option<std::time::Instant>,
        read_at: Option<std::time::Instant>,
    ) -> Job {
        let mut state = self.state.lock();
        state.writing = pending;
        let pending = pending > 0;
        loop {
            let now = std::time::Instant::now();
            let is_due = |at: Option<std::time::Instant>| at.is_none_or(|at| at <= now);
            let to_write = pending || !state.queued.is_empty();
            let write = to_write && (is_due(write_at) || state.stopping);
            let read = state.wants_read() && is_due(read_at);
            let stop = state.stopping && !to_write && state.leases.is_empty();
            if write || read || stop || !state.settled.is_empty() {
                let mut job = Job { write, read, stop, ..Job::default() };
                job.settled = std::mem::take(&mut state.settled);
                if write && !pending {
                    job.queued = std::mem::take(&mut state.queued).into();
                    state.queued_bytes = 0;
                    state.writing = job.queued.len();
                    self.room.notify_one();
                }
                return job;
            }
            let until = [write_at.filter(|_| to_write), read_at.filter(|_| state.wants_read())];
            match until.into_iter().flatten().min() {
                Some(until) => _ = self.work.wait_until(&mut state, until),
                None => self.work.wait(&mut state),
            }
        }
    }

    /// The thread has ended.
    pub fn finish(&self) {
        let mut state = self.state.lock();
        state.done = true;
        let left = (std::mem::take(&mut state.queued), std::mem::take(&mut state.held));
        drop(state);
        // Their sources send them again.
        drop(left);
        self.done.cancel();
        self.wake_all();
    }
}
