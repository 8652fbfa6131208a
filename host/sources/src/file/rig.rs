//! What tests drive the tailer with: a folder, a clock that stands until it is moved, and a buffer to look into.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef};

use crate::{SourceContext, testing};
use flitch_core::batch::Batch;
use flitch_core::buffers::Buffer;
use flitch_core::receipt::Accounts;

use super::FileSettings;
use super::checkpoint::Store;
use super::settings::Glob;
use super::tailer::{Next, Tailer};
use super::watch::News;
use crate::bell::Bell;

const START: i64 = 1_700_000_000_000_000_000;

/// How the rig settles what it takes out of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    Delivered,
    /// Drops the receipts: send again.
    Again,
    /// Keeps the batches.
    Hold,
}

/// One record that came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// The name of the file, without its folder.
    pub file: String,
    /// The text; of a container's line, the stream and the time stand before it.
    pub line: String,
    pub truncated: bool,
}

pub struct Rig {
    pub dir: tempfile::TempDir,
    pub settings: FileSettings,
    pub now: Instant,
    began: Instant,
    /// When it began, in ns since 1970.
    pub start: i64,
    pub cx: SourceContext,
    pub settle: Settle,
    pub held: Vec<Batch>,
    pub got: Vec<Got>,
    pub batches: Vec<usize>,
    buffer: Buffer,
    /// How long a turn of the tailer takes.
    pub turn_cost: Duration,
    /// The output takes nothing.
    pub stalled: bool,
    bell: Arc<Bell>,
    pub tailer: Option<Tailer>,
}

impl Rig {
    /// A rig over the files `*.log` of a new folder.
    pub fn new() -> Rig {
        let now = Instant::now();
        let (cx, buffer, dir) = testing::context("logs");
        fs::create_dir(dir.path().join("logs")).expect("a folder");
        let include = vec![glob(format!("{}/logs/*.log", dir.path().display()))];
        Rig {
            dir,
            settings: FileSettings { include, ..Default::default() },
            now,
            began: now,
            start: START,
            cx,
            settle: Settle::Delivered,
            held: Vec::new(),
            got: Vec::new(),
            batches: Vec::new(),
            buffer,
            turn_cost: Duration::ZERO,
            stalled: false,
            bell: Arc::default(),
            tailer: None,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    pub fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file =
            fs::OpenOptions::new().append(true).create(true).open(self.path(name)).expect("opened");
        file.write_all(text.as_ref()).expect("written");
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("renamed");
    }

    /// What logrotate does for `copytruncate`.
    pub fn copytruncate(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).expect("copied");
        fs::OpenOptions::new().write(true).open(self.path(from)).and_then(|f| f.set_len(0)).expect("cut");
    }

    /// Makes the file `name` of a folder beside that of the globs, and a link `link` to it.
    pub fn link(&self, link: &str, name: &str) {
        fs::create_dir_all(self.real("")).expect("a folder");
        std::os::unix::fs::symlink(self.real(name), self.path(link)).expect("linked");
    }

    /// The path of a file to which a link leads.
    pub fn real(&self, name: &str) -> PathBuf {
        self.dir.path().join("pods").join(name)
    }

    /// Appends to a file to which a link leads.
    pub fn append_real(&self, name: &str, text: &str) {
        fs::create_dir_all(self.real("")).expect("a folder");
        self.append(&format!("../pods/{name}"), text);
    }

    /// What the system would say of names that changed.
    pub fn tell_moves(&mut self, moved: &[(PathBuf, PathBuf)]) {
        let mut news = News { moved: moved.to_vec(), ..News::default() };
        news.named = moved.iter().flat_map(|(from, to)| [from.clone(), to.clone()]).collect();
        let now = self.now;
        self.tailer().changed(&news, now);
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("removed");
    }

    /// Starts the tailer. One that runs is killed: nothing of it is saved.
    pub fn start(&mut self) {
        self.drain();
        self.held.clear();
        self.bell = Arc::default();
        let tailer = Tailer::new(self.settings.clone(), self.cx.clone(), self.bell.clone(), self.now);
        let mut tailer = tailer.expect("settings that make sense");
        let stopwatch = self.now;
        // Work takes no time.
        tailer.stopwatch = Box::new(move || stopwatch);
        self.tailer = Some(tailer);
    }

    /// Stops the tailer as the source does: what is on its way settles, positions are saved.
    pub fn stop(&mut self) {
        self.drain();
        let mut tailer = self.tailer.take().expect("it runs");
        tailer.save_last(self.now);
    }

    fn tailer(&mut self) -> &mut Tailer {
        self.tailer.as_mut().expect("it runs")
    }

    /// Lets the tailer work until it waits, without time passing.
    pub fn settle_down(&mut self) -> Instant {
        loop {
            let now = self.now;
            let next = self.tailer().turn(now).expect("open pipelines");
            if !self.turn_cost.is_zero() {
                self.set(now + self.turn_cost);
            }
            self.drain();
            let told = self.bell.take();
            if told.settled {
                self.tailer().settled();
            }
            if told.first {
                self.tailer().save_soon(now);
            }
            match next {
                Next::At(at) if at > now && !told.room => return at,
                _ => {}
            }
        }
    }

    /// Lets `time` pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.settle_down();
            if next >= end {
                break;
            }
            self.set(next.max(self.now));
        }
        self.set(end.max(self.now));
        self.settle_down();
    }

    /// Lets time pass without a turn.
    pub fn set_forward(&mut self, time: Duration) {
        self.set(self.now + time);
    }

    fn set(&mut self, now: Instant) {
        self.now = now;
        self.cx.clock.set(self.start + (now - self.began).as_nanos() as i64);
    }

    /// Takes out what is in the buffer and settles it.
    pub fn drain(&mut self) {
        while !self.stalled
            && let Some(batch) = self.buffer.try_lease()
        {
            self.take(&batch);
            match self.settle {
                Settle::Delivered => batch.receipt.delivered(),
                Settle::Again => drop(batch),
                Settle::Hold => self.held.push(batch),
            }
        }
    }

    fn take(&mut self, batch: &Batch) {
        let records = &batch.records;
        let file = records.column("file").expect("the path").array().as_string::<i32>().value(0).to_owned();
        let file = Path::new(&file).file_name().expect("a name").to_string_lossy().into_owned();
        let message = records.column("message").expect("the text").array().clone();
        let truncated = records.column("@truncated").map(|c| c.array().clone());
        let stream = records.column("stream");
        let time = records.column("@timestamp").expect("the time");
        self.batches.push(records.rows());
        for row in 0..records.rows() {
            let truncated = truncated.as_ref().is_some_and(|t| t.as_boolean().is_valid(row));
            let mut line = text(&message, row);
            if let Some(stream) = stream {
                let time = time.array().as_primitive::<TimestampNanosecondType>().value(time.place(row));
                let time = flitch_core::batch::time::to_text(time);
                line = format!("{} {time} {line}", text(stream.array(), stream.place(row)));
            }
            self.got.push(Got { file: file.clone(), line, truncated });
        }
    }

    /// The position of a file that is on disk.
    pub fn saved(&self, name: &str) -> Option<u64> {
        let kept = Store::open(&self.dir.path().join("state")).expect("checkpoints").1?;
        kept.iter().find(|kept| kept.path == self.path(name)).map(|kept| kept.position)
    }

    pub fn accounts(&self) -> Accounts {
        self.cx.intake.ledger().read()
    }

    /// The lines that came out since this was last called.
    pub fn lines(&mut self) -> Vec<String> {
        self.got.drain(..).map(|got| got.line).collect()
    }
}

fn text(array: &ArrayRef, row: usize) -> String {
    match array.as_string_opt::<i32>() {
        Some(text) => text.value(row).to_owned(),
        None => format!("{:?}", array.as_binary::<i32>().value(row)),
    }
}

pub fn glob(text: String) -> Glob {
    text.try_into().expect("a glob")
}

/// Seconds.
pub fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Milliseconds.
pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
