//! The streams of a source, whose lines are joined on their way to its intake.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow_schema::ArrowError;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::out::{Ready, Taken};
use super::stream::{Manner, Stream};
use super::{JoinSettings, Waits};
use flitch_core::batch::{Records, StreamId};
use flitch_core::buffers::Closed;
use flitch_core::clock::until;
use flitch_core::inlet::Intake;
use flitch_core::telemetry::{Metric, Quiet};

/// Most bytes of open records in all streams of a source; where there is no room, those of a stream go on as they are.
pub(super) const MOST_HELD: usize = 64 << 20;
/// So many times as long as otherwise a record waits while the pipelines take nothing in, on top.
const PATIENCE: u32 = 9;
/// So many looks are as long as `timeout` then.
const LOOKS: u32 = 4;
/// And each of them is as long as this at least.
const LOOK: Duration = Duration::from_millis(10);

/// Joins the lines of a source's batches on their way to its intake.
#[derive(Debug)]
pub struct Joiner {
    source: Arc<str>,
    manner: Manner,
    pub(super) streams: Mutex<HashMap<StreamId, Cell>>,
    /// Bytes of open records.
    pub(super) held: Arc<AtomicUsize>,
    /// There may be a record that is due sooner than those before.
    sooner: Notify,
    /// Records that were ended since there was no room for more lines.
    cut: metrics::Counter,
    said_cut: Quiet,
    said_failed: Quiet,
}

/// A stream with open records, or one that is looked at.
#[derive(Debug)]
pub(super) struct Cell {
    /// Locked while its records go on, so that they do so in their order.
    lines: Arc<tokio::sync::Mutex<Lines>>,
    due: Option<Instant>,
}

#[derive(Debug)]
struct Lines {
    stream: Stream,
    /// Bytes that it counts for in all that is held.
    counted: usize,
    held: Arc<AtomicUsize>,
}

impl Lines {
    /// Counts what is open now, in the place of what was.
    fn count(&mut self) {
        let counted = self.stream.memory();
        self.held.fetch_add(counted, Ordering::Relaxed);
        self.held.fetch_sub(std::mem::replace(&mut self.counted, counted), Ordering::Relaxed);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.held.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

/// What is done with a stream: batches that go on, one behind the other, and how it ended otherwise.
struct Done {
    ready: [Option<Ready>; 2],
    /// Whether a record with a line of the batch is open.
    is_open: bool,
    /// Records that were ended since there was no room.
    cut: usize,
}

impl Done {
    fn ready(ready: Option<Ready>) -> Done {
        Done { ready: [ready, None], is_open: false, cut: 0 }
    }
}

impl Joiner {
    /// Joins the records of a source as the settings say.
    ///
    /// # Errors
    /// They do not [`JoinSettings::check`].
    pub fn new(source: &Arc<str>, settings: &JoinSettings) -> anyhow::Result<Joiner> {
        Ok(Joiner {
            source: source.clone(),
            manner: settings.manner()?,
            streams: Mutex::default(),
            held: Arc::default(),
            sooner: Notify::new(),
            cut: Metric::MultilineCut.counter(&[("source", source)]),
            said_cut: Quiet::a_minute(),
            said_failed: Quiet::a_minute(),
        })
    }

    /// See [`Intake::send`]. Answers whether a record with a line of these is open.
    ///
    /// # Errors
    /// See [`Intake::send`].
    pub async fn send(
        &self,
        intake: &Intake,
        records: Arc<Records>,
        bytes: usize,
        stream: StreamId,
        waits: Waits,
    ) -> Result<bool, Closed> {
        let records = Records::with_any_origins(records);
        self.turn(intake, stream, |lines, manner, others| {
            let Taken { ready, is_open, cut } = lines.take(records, bytes, waits, manner, Instant::now())?;
            // Where there is no room, the records of this stream end here.
            if others + lines.memory() <= MOST_HELD {
                return Ok(Done { ready: [ready, None], is_open, cut });
            }
            let cut = cut + lines.open();
            Ok(Done { ready: [ready, lines.all(manner)?], is_open: false, cut })
        })
        .await
    }

    /// Sends what is open in a stream of which nothing more comes.
    ///
    /// # Errors
    /// See [`Intake::send`].
    pub async fn end(&self, intake: &Intake, stream: StreamId) -> Result<(), Closed> {
        self.turn(intake, stream, |lines, manner, _| Ok(Done::ready(lines.all(manner)?))).await.map(drop)
    }

    /// Gives back what is open in a stream: all of it comes once more. What is on its way goes on.
    pub fn forget(&self, stream: StreamId) {
        let cell = self.streams.lock().remove(&stream);
        // Whoever waits hears it, and not under the lock.
        drop(cell);
    }

    /// Gives back the record that is open in a stream of which nothing more comes for now, where all ahead of it has gone on:
    /// it comes once more, and is whole then. Others go on when they are due.
    pub fn give_back(&self, stream: StreamId) {
        let lines = self.streams.lock().get(&stream).map(|cell| cell.lines.clone());
        let Some(lines) = lines else { return };
        let is_alone = lines.try_lock().is_ok_and(|lines| lines.stream.is_alone());
        if is_alone {
            drop(lines);
            self.forget(stream);
        }
    }

    /// Sends records for whose next line was waited long enough, for ever. While the pipelines take nothing in, next lines may be
    /// there and not come through, so that more patience is had then.
    pub async fn keep(&self, intake: &Intake) {
        let timeout = self.manner.timeout;
        let look = (timeout / LOOKS).max(LOOK);
        let (mut not_before, mut flows_from) = (Instant::now(), Instant::now());
        loop {
            let first = self.streams.lock().values().filter_map(|cell| cell.due).min();
            tokio::select! {
                () = until(first.map(|due| due.max(not_before))) => {}
                () = self.sooner.notified() => continue,
            }
            for stream in self.due(Instant::now()) {
                let asked = Instant::now();
                if intake.is_full() {
                    flows_from = asked + timeout;
                }
                let overdue = |lines: &mut Stream, manner: &Manner, _: usize| {
                    let now = Instant::now();
                    if now >= asked + look {
                        // So long did a batch of it wait for the pipelines.
                        flows_from = now + timeout;
                    }
                    let more = if now < flows_from { timeout * PATIENCE } else { Duration::ZERO };
                    Ok(Done::ready(lines.overdue(manner, more, now)?))
                };
                // Where the pipelines take nothing more at all, it is given back.
                let _ = self.turn(intake, stream, overdue).await;
            }
            let now = Instant::now();
            if now < flows_from {
                not_before = now + look;
            }
        }
    }

    /// The streams of which a record may have waited long enough.
    fn due(&self, now: Instant) -> Vec<StreamId> {
        let is_due = |cell: &Cell| cell.due.is_some_and(|due| due <= now);
        let streams = self.streams.lock();
        streams.iter().filter(|(_, cell)| is_due(cell)).map(|(stream, _)| *stream).collect()
    }

    fn lines(&self, stream: StreamId) -> Arc<tokio::sync::Mutex<Lines>> {
        let new = || {
            let lines = Lines { stream: Stream::default(), counted: 0, held: self.held.clone() };
            Cell { lines: Arc::new(tokio::sync::Mutex::new(lines)), due: None }
        };
        self.streams.lock().entry(stream).or_insert_with(new).lines.clone()
    }

    /// Does something with the lines of a stream, which is told how many bytes the others hold, and sends what goes on by that
    /// before anything else of the stream does.
    async fn turn(
        &self,
        intake: &Intake,
        stream: StreamId,
        work: impl FnOnce(&mut Stream, &Manner, usize) -> Result<Done, ArrowError>,
    ) -> Result<bool, Closed> {
        let cell = self.lines(stream);
        let mut lines = cell.lock().await;
        let others = self.held.load(Ordering::Relaxed).saturating_sub(lines.counted);
        let done = work(&mut lines.stream, &self.manner, others).unwrap_or_else(|error| {
            // It should never be. What is open is dropped, and so it comes once more.
            if self.said_failed.may_say() {
                tracing::error!(source = %self.source, %error, "lines cannot be joined; they are sent again");
            }
            lines.stream = Stream::default();
            Done::ready(None)
        });
        lines.count();
        self.cut(done.cut);
        let due = lines.stream.due(&self.manner);
        if let Some(kept) = self.streams.lock().get_mut(&stream)
            && Arc::ptr_eq(&kept.lines, &cell)
        {
            let before = std::mem::replace(&mut kept.due, due);
            if due.is_some_and(|due| before.is_none_or(|before| due < before)) {
                self.sooner.notify_one();
            }
        }
        let sent = send(intake, stream, done.ready).await;
        drop(lines);
        let mut streams = self.streams.lock();
        // Two hold it where nobody else waits for it: the map, and we.
        let is_last = |kept: &Cell| Arc::ptr_eq(&kept.lines, &cell) && Arc::strong_count(&cell) == 2;
        if due.is_none() && streams.get(&stream).is_some_and(is_last) {
            streams.remove(&stream);
        }
        sent.map(|()| done.is_open)
    }

    fn cut(&self, records: usize) {
        if records == 0 {
            return;
        }
        self.cut.increment(records as u64);
        if self.said_cut.may_say() {
            tracing::warn!(
                source = %self.source,
                "so many records are open that some go on before they are whole, or their writers are silent"
            );
        }
    }
}

async fn send(intake: &Intake, stream: StreamId, ready: [Option<Ready>; 2]) -> Result<(), Closed> {
    for ready in ready.into_iter().flatten() {
        let Ready { records, owed, bytes } = ready;
        // The last one first: a position goes over all of them at once, and never into a record.
        let settle = move |verdict| owed.into_iter().rev().for_each(|owed| owed.settle(verdict));
        intake.send(records, bytes, stream, settle).await?;
    }
    Ok(())
}
