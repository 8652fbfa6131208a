//! The thread that has the log of a buffer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Core, Job};
use super::log::{Log, Parked, Read};
use super::shelf::Ledgers;
use super::state::{Entry, Queued, Slip, State};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::dead_letter::{Cause, DeadLetters};
use crate::machine::is_passing;
use crate::receipt::restore;
use crate::telemetry::{Metric, Part, Quiet, Tally};

mod write;

/// How often a frame is read again that the disk does not give out.
const TRIES: u32 = 3;
/// Frames that are read before what waits to be written has its turn.
const READS: usize = 16;

/// How long the thread waits after a disk has failed.
pub const PAUSES: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };

/// Where the worker tells what becomes of frames.
pub struct Telling {
    pub name: Arc<str>,
    pub ledgers: Ledgers,
    pub dead_letters: Option<DeadLetters>,
    pub clock: Clock,
    /// The disk, as a part that can be down.
    pub part: Part,
}

pub struct Worker {
    // Before the core: who hears that it is done can open the log.
    log: Option<Log>,
    core: Arc<Core>,
    telling: Telling,
    pauses: Backoff,
    /// What is not written yet, or could not be written.
    pending: Vec<Queued>,
    /// How many of them are written at a time: fewer after a failure, since a disk that is almost full may have room for
    /// some, and more again while it takes them.
    at_once: usize,
    write_at: Option<Instant>,
    read_at: Option<Instant>,
    failures: u32,
    failed_again: u32,
    /// Says that the disk takes nothing; one that is almost full may take some and refuse others all the time.
    said_full: Quiet,
    is_said_full: bool,
    /// Says that what is stored cannot be read.
    said_unread: Quiet,
    /// Says that acknowledgements cannot be written.
    said: Quiet,
    parked: metrics::Counter,
    dead: Tally,
}

impl Worker {
    pub fn new(log: Log, core: Arc<Core>, telling: Telling, pauses: Backoff) -> Worker {
        let labels = [("output", &*telling.name)];
        let mut log = log;
        log.measure(Metric::BufferSyncSeconds.histogram(&labels));
        let mut worker = Worker {
            log: Some(log),
            core,
            pauses,
            pending: Vec::new(),
            at_once: usize::MAX,
            write_at: None,
            read_at: None,
            failures: 0,
            failed_again: 0,
            said_full: Quiet::a_minute(),
            is_said_full: false,
            said_unread: Quiet::a_minute(),
            said: Quiet::a_minute(),
            parked: Metric::BufferParked.counter(&labels),
            dead: Tally::dead_lettered("output", &telling.name),
            telling,
        };
        worker.tell_disk();
        worker
    }

    /// Works until everybody has left the buffer, and what waits is written.
    pub fn run(&mut self) {
        loop {
            let job = self.core.job(self.pending.len(), self.write_at, self.read_at);
            let stop = job.stop;
            self.perform(job);
            if stop {
                return;
            }
        }
    }

    fn perform(&mut self, job: Job) {
        let Job { write, queued, settled, read, stop } = job;
        self.pending.extend(queued);
        if write {
            self.write();
        }
        if !settled.is_empty() || stop {
            self.settle(&settled, stop);
        }
        if read {
            self.read();
        }
        self.tell_disk();
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("it is there until the worker is dropped")
    }

    fn settle(&mut self, settled: &[(u64, u64)], stop: bool) {
        let log = self.log();
        settled.iter().for_each(|(from, to)| log.settle(*from, *to));
        let before = log.segments().0;
        let swept = if stop { log.close() } else { log.sweep() };
        if log.segments().0 < before {
            // A disk that was full may not be any more.
            self.write_at = None;
        }
        if let Err(error) = swept
            && self.said.may_say()
        {
            let name = &self.telling.name;
            tracing::error!(output = %name, %error, "what was delivered cannot be noted down; it may be sent twice after a restart");
        }
    }

    /// Reads what came back.
    fn read_again(&mut self) {
        for _ in 0..READS {
            let Some(slip) = self.core.state.lock().wants_again().cloned() else { return };
            let read = match self.log().read_again(slip.sequence) {
                Err(error) if is_passing(&error) || self.failed_again + 1 < TRIES => {
                    self.failed_again += u32::from(!is_passing(&error));
                    self.cannot_read(&error);
                    return;
                }
                read => read,
            };
            self.failed_again = 0;
            let mut state = self.core.state.lock();
            // It may have been left meanwhile.
            if state.again.remove(&slip.sequence).is_none() {
                return;
            }
            let error = match read {
                Ok(records) => {
                    let records = Arc::new(records);
                    state.returned.insert(slip.sequence, Entry { slip, records });
                    continue;
                }
                Err(error) => error,
            };
            state.let_go(slip.weight, slip.rows as u64);
            // What the disk does not give out now it may give out after the next start.
            let is_gone = error.kind() == std::io::ErrorKind::InvalidData;
            if is_gone {
                state.settle(slip.sequence);
            }
            state.disk.parked += 1;
            let held = state.held.remove(&slip.sequence);
            drop(state);
            // Its source may have it still.
            drop(held);
            self.parked.increment(1);
            let lost = if is_gone { "are lost" } else { "wait for the next start" };
            tracing::error!(output = %self.telling.name, records = slip.rows, %error, "a frame of the buffer that came back cannot be read any more; its records {lost}, unless their source has them");
        }
    }

    /// The disk has not given out what was to be read: it is read again after a pause.
    fn cannot_read(&mut self, error: &std::io::Error) {
        self.read_at = Some(Instant::now() + self.pauses.first);
        if self.said_unread.may_say() {
            tracing::error!(output = %self.telling.name, %error, "what is stored cannot be read; it is tried again");
        }
    }

    /// Reads ahead.
    fn read(&mut self) {
        self.read_at = None;
        self.read_again();
        let mut has_parked = false;
        let wants_more = |state: &State| state.has_unread && state.has_window(1);
        let reads = if wants_more(&self.core.state.lock()) { READS } else { 0 };
        for _ in 0..reads {
            match self.log().read() {
                Ok(Read::Frame(head, records, source)) => {
                    let ledger = (self.telling.ledgers)(&source);
                    let (sequence, weight, time) = (head.sequence, head.weight, head.time);
                    let has_unread = self.log().has_unread();
                    let mut state = self.core.state.lock();
                    state.has_unread = has_unread;
                    let slip = Slip { sequence, rows: records.rows(), ledger, weight, time };
                    state.publish(Entry { slip, records: Arc::new(records) });
                    let goes_on = state.has_window(weight);
                    drop(state);
                    self.core.item.notify_one();
                    if !goes_on {
                        break;
                    }
                }
                Ok(Read::Parked(parked)) => {
                    has_parked = true;
                    self.park(parked);
                }
                Ok(Read::End) => break,
                Err(error) => {
                    self.cannot_read(&error);
                    break;
                }
            }
        }
        let missing = self.log().take_missing();
        if missing > 0 {
            let core = self.core.clone();
            let mut state = core.state.lock();
            state.disk.parked += missing;
            let log = self.log();
            let gone: Vec<_> = state.held.extract_if(|sequence, _| log.is_settled(*sequence)).collect();
            drop(state);
            // Their sources may have them still.
            drop(gone);
            self.parked.increment(missing);
            tracing::error!(output = %self.telling.name, frames = missing, "frames of the buffer are not where they were written; what was in them is lost, unless their sources have it");
        }
        if has_parked || missing > 0 {
            self.settle(&[], false);
        }
        let has_unread = self.log().has_unread();
        let mut state = self.core.state.lock();
        state.has_unread = has_unread;
        state.reckon();
        drop(state);
        // Who waits for the end hears of it.
        self.core.item.notify_one();
        self.core.room.notify_one();
    }

    /// Counts what could not be read; the records of it that can be read all the same are dead letters.
    pub fn park(&mut self, parked: Parked) {
        let Parked { why, bytes, head, records } = parked;
        self.parked.increment(1);
        let held = {
            let mut state = self.core.state.lock();
            state.disk.parked += 1;
            head.and_then(|head| {
                state.let_go(head.weight, u64::from(head.rows));
                state.held.remove(&head.sequence)
            })
        };
        // Its source may have it still.
        drop(held);
        let name = self.telling.name.clone();
        let rows = head.map(|head| head.rows);
        tracing::error!(output = %name, why, bytes, records = rows, "a frame of the buffer cannot be read; it is put aside (`*.parked`)");
        let (Some((records, source)), Some(letters)) = (records, &self.telling.dead_letters) else { return };
        let reason: Arc<str> = format!("its frame in the buffer is broken: {why}").into();
        let cause = |row| Cause { row, reason: reason.clone() };
        let causes: Vec<Cause> = (0..records.rows() as u32).map(cause).collect();
        match letters.records("output", &name, &records, &causes) {
            Ok(()) => {
                self.dead.add(records.rows(), records.memory());
                restore(&(self.telling.ledgers)(&source), records.rows(), |_| {}).dead_lettered();
            }
            Err(error) => {
                tracing::error!(output = %name, %error, "the records of a broken frame cannot be put among the dead letters");
            }
        }
    }

    fn tell_disk(&mut self) {
        let core = self.core.clone();
        let mut state = core.state.lock();
        let log = self.log();
        log.set_segment_bytes(segment_bytes(state.limit));
        let (segments, bytes) = log.segments();
        (state.disk.segments, state.disk.bytes) = (segments, bytes);
    }
}

/// Segments are so large that some of them are the whole buffer, and no larger than is quickly looked through.
fn segment_bytes(max_bytes: u64) -> u64 {
    (max_bytes / 8).clamp(256 << 10, 64 << 20)
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.log = None;
        self.pending.clear();
        self.core.finish();
    }
}
