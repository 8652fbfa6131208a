//! Where lines of the log go: to stderr, which may be full, slow, or read by nobody. None of that may hold up a record or
//! end the process, so a daemon writes its log by a thread of its own, from a queue that has a bound. What finds no room
//! there, or is not taken, is lost: counted, and told as soon as a line gets through again.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::tasks::kept_thread;
use crate::telemetry::{Metric, Part};

/// Most bytes of lines that wait for stderr, those that are being written included.
const MOST: usize = 1 << 20;
/// What the queue keeps of its memory when it is empty.
const KEPT: usize = 64 << 10;
/// How long the end of the process, or of a thread that panics, waits for the lines before it.
pub const PATIENCE: Duration = Duration::from_secs(1);

static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// Writes lines, each handed over as a whole, and never fails.
#[derive(Clone, Debug)]
pub enum Sink {
    /// At once, so that they stand in order with what a command prints.
    Direct,
    /// By the log's own thread.
    Queued(Arc<Queue>),
}

impl Sink {
    /// One whose lines a thread of its own writes to stderr from now on, as it does with those of [`print`].
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn queued() -> io::Result<Sink> {
        let queue = Arc::new(Queue::new(MOST));
        let work = queue.clone();
        let part = Part::new(&Arc::default(), "log", "stderr");
        kept_thread(part, crossbeam_channel::never(), move || work.work(&mut Stderr))?;
        let _ = QUEUE.set(queue.clone());
        Ok(Sink::Queued(queue))
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            // Nobody is left who could be told.
            Sink::Direct => drop(Stderr.write_all(line)),
            Sink::Queued(queue) => queue.put(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a text to stderr, behind the lines of the log that came before it.
pub fn print(text: &[u8]) {
    match QUEUE.get() {
        Some(queue) => queue.put(text),
        None => drop(Stderr.write_all(text)),
    }
}

/// Waits until the lines so far are written, for [`PATIENCE`] at most.
pub fn settle() {
    if let Some(queue) = QUEUE.get() {
        queue.settle(PATIENCE);
    }
}

/// Standard error without the lock of the standard library, which who waits for a reader would keep from all others.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        loop {
            match rustix::io::write(&stderr, bytes) {
                // Whoever shares the stream has set it so.
                Err(Errno::AGAIN) => {
                    let mut room = [PollFd::new(&stderr, PollFlags::OUT)];
                    match poll(&mut room, None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                other => return Ok(other?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines one after the other.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Lines {
    fn push(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.ends.push(self.text.len());
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.text.shrink_to(KEPT);
        self.ends.shrink_to(KEPT / 64);
    }
}

/// Lines that wait for the log's own thread.
#[derive(Debug)]
pub struct Queue {
    most: usize,
    state: Mutex<State>,
    /// There are lines.
    more: Condvar,
    /// All are written, or lost.
    done: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: Lines,
    /// Bytes of the lines that are being written.
    under_way: usize,
    /// What the log's own thread has to say; it has room always, for that thread makes it.
    own: Lines,
    /// Who that is.
    thread: Option<ThreadId>,
    /// Lines that were lost since that was told.
    untold: u64,
}

impl State {
    fn is_idle(&self) -> bool {
        self.waiting.ends.is_empty() && self.under_way == 0
    }
}

impl Queue {
    /// One for so many bytes.
    fn new(most: usize) -> Queue {
        let (state, more, done) = (Mutex::default(), Condvar::new(), Condvar::new());
        Queue { most, state, more, done, lost: AtomicU64::new(0) }
    }

    /// Takes a line, or loses it; nobody waits.
    fn put(&self, line: &[u8]) {
        let mut state = self.state.lock();
        if state.thread == Some(thread::current().id()) {
            return state.own.push(line);
        }
        let bytes = state.waiting.text.len() + state.under_way;
        // One that is longer than all the room has come from memory, and may stand there alone.
        if bytes + line.len() > self.most && bytes > 0 {
            state.untold += 1;
            drop(state);
            return self.count(1);
        }
        state.waiting.push(line);
        if state.waiting.ends.len() == 1 {
            self.more.notify_one();
        }
    }

    fn count(&self, lines: u64) {
        let all = self.lost.fetch_add(lines, Ordering::Relaxed) + lines;
        // Absolute, since the first may be lost before anybody counts.
        Metric::LogLinesLost.counter(&[]).absolute(all);
    }

    /// Writes lines to `stream` for ever.
    fn work(&self, stream: &mut impl Write) {
        self.state.lock().thread = Some(thread::current().id());
        let mut pen = Pen { stream, half: false };
        let mut lines = Lines::default();
        loop {
            let mut state = self.state.lock();
            // Those that it had taken went with a panic.
            state.under_way = 0;
            if state.is_idle() {
                self.done.notify_all();
            }
            while state.waiting.ends.is_empty() {
                self.more.wait(&mut state);
            }
            drop(state);
            self.round(&mut pen, &mut lines);
        }
    }

    /// Writes what waits, and tells what was lost before; `lines` is empty before and after.
    fn round(&self, pen: &mut Pen<impl Write>, lines: &mut Lines) {
        {
            let mut state = self.state.lock();
            std::mem::swap(&mut state.waiting, lines);
            state.under_way = lines.text.len();
        }
        let mut lost = 0;
        let goes_on = pen.lines(lines, &mut lost);
        lines.clear();
        if lost > 0 {
            self.count(lost);
        }
        let untold = {
            let mut state = self.state.lock();
            state.untold += lost;
            if goes_on { std::mem::take(&mut state.untold) } else { 0 }
        };
        if untold > 0 {
            tracing::warn!(
                lines = untold,
                "lines of the log were lost: stderr took none for a while, or too slowly"
            );
        }
        std::mem::swap(&mut self.state.lock().own, lines);
        let mut lost = 0;
        if !pen.lines(lines, &mut lost) {
            self.state.lock().untold += untold + lost;
        }
        lines.clear();
        if lost > 0 {
            self.count(lost);
        }
        let mut state = self.state.lock();
        state.under_way = 0;
        if state.is_idle() {
            self.done.notify_all();
        }
    }

    /// Waits until nothing waits, but no longer than `patience`.
    fn settle(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut state = self.state.lock();
        if state.thread == Some(thread::current().id()) {
            return;
        }
        while !state.is_idle() && !self.done.wait_until(&mut state, until).timed_out() {}
    }
}

/// Writes to a stream, and knows where it was left.
struct Pen<'a, W> {
    stream: &'a mut W,
    /// The last write failed in the middle of a line.
    half: bool,
}

impl<W: Write> Pen<'_, W> {
    /// Writes each line by itself, since a pipe that others write to as well keeps short writes whole. Adds those that were
    /// not taken to `lost`, and answers whether the last one was.
    fn lines(&mut self, lines: &Lines, lost: &mut u64) -> bool {
        let mut from = 0;
        let mut goes_on = true;
        for &end in &lines.ends {
            goes_on = self.line(&lines.text[from..end]).is_ok();
            *lost += u64::from(!goes_on);
            from = end;
        }
        goes_on
    }

    fn line(&mut self, mut line: &[u8]) -> io::Result<()> {
        if self.half {
            self.stream.write_all(b"\n")?;
            self.half = false;
        }
        while !line.is_empty() {
            match self.stream.write(line) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    self.half = line[bytes - 1] != b'\n';
                    line = &line[bytes..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
