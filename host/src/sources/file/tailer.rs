//! All files of a source: finds them, looks after them, and gives each its turn.
//!
//! A state machine without a clock of its own: [`Tailer::turn`] is told the time, does one piece of work and answers
//! when it wants to be called again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::buffers::Closed;
use crate::sources::SourceContext;
use crate::telemetry::Metric;

use super::bell::Bell;
use super::checkpoint::{Checkpoint, KEEP, Store};
use super::content::{Content, End};
use super::discover::{FileId, Globs};
use super::gather::Gather;
use super::read::{ReadError, Reader};
use super::sender::Sender;
use super::settings::FileSettings;
use super::tail::{Change, Tail, modified};
use super::watch::News;

mod discovery;

/// How long a file that could not be read, or whose records came back, is left alone.
const REST: Duration = Duration::from_secs(1);
/// Hints make the source look for new files no sooner after it did before.
const SCAN_AGAIN: Duration = Duration::from_millis(50);

/// A compressed file is read once it was quiet for this long.
const QUIET: Duration = Duration::from_secs(1);
/// Most compressed files that are read at once.
const MOST_DECODING: usize = 16;

/// Names a file that is followed.
type Key = u64;

/// All files of a source.
pub(super) struct Tailer {
    settings: FileSettings,
    globs: Globs,
    store: Store,
    pub out: Sender,
    reader: Reader,
    tails: BTreeMap<Key, Tail>,
    by_id: HashMap<FileId, Key>,
    by_path: HashMap<PathBuf, Key>,
    ready: VecDeque<Key>,
    /// Compressed files that are being read.
    decoding: usize,
    next_key: Key,
    /// Positions of files that are not there, or not there yet.
    kept: HashMap<FileId, Checkpoint>,
    /// No position was ever saved: what is there now was there before us.
    first_start: bool,
    /// Paths seen at the first walk that could not be opened then.
    there_before: HashSet<PathBuf>,
    /// Paths that were complained about.
    warned: HashSet<PathBuf>,
    /// Folders in which files were looked for at the last walk.
    pub folders: BTreeSet<PathBuf>,
    walks: u64,
    next_walk: Instant,
    last_walk: Option<Instant>,
    next_poll: Instant,
    next_save: Instant,
    /// Positions are to be saved though none was settled.
    unsaved: bool,
    open_files: metrics::Gauge,
    behind: metrics::Gauge,
}

/// When the tailer wants its next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Now,
    At(Instant),
}

impl Tailer {
    /// A tailer that has looked for nothing yet. Refuses settings and checkpoints that make no sense.
    pub fn new(
        settings: FileSettings,
        cx: SourceContext,
        bell: Arc<Bell>,
        now: Instant,
    ) -> anyhow::Result<Tailer> {
        let globs = Globs::new(&settings.include, &settings.exclude)?;
        let gather = Gather::new(&settings)?;
        let (store, known) = Store::open(&cx.state_dir)?;
        let labels = [("source", &*cx.name)];
        Ok(Tailer {
            globs,
            store,
            first_start: known.is_none(),
            kept: known.unwrap_or_default().into_iter().map(|c| (c.id(), c)).collect(),
            open_files: Metric::FilesOpen.gauge(&labels),
            behind: Metric::FileBytesBehind.gauge(&labels),
            reader: Reader::new(&settings),
            out: Sender::new(cx.clone(), gather, settings.invalid_utf8, bell),
            settings,
            tails: BTreeMap::new(),
            by_id: HashMap::new(),
            by_path: HashMap::new(),
            ready: VecDeque::new(),
            decoding: 0,
            next_key: 0,
            there_before: HashSet::new(),
            warned: HashSet::new(),
            folders: Default::default(),
            walks: 0,
            next_walk: now,
            last_walk: None,
            next_poll: now,
            next_save: now,
            unsaved: true,
        })
    }

    /// Does what is due, and one piece of reading.
    pub fn turn(&mut self, now: Instant) -> Result<Next, Closed> {
        if now >= self.next_walk {
            self.walk(now);
            // New folders are to be watched before their files are read, so that nothing falls between.
            return Ok(Next::Now);
        }
        if now >= self.next_poll {
            self.poll(now);
        }
        self.out.push_on()?;
        // While a batch waits nothing more is read, but files that come are opened, and positions saved.
        if !self.out.is_blocked()
            && let Some(key) = self.ready.pop_front()
        {
            self.read(key, now)?;
        }
        if now >= self.next_save {
            self.save_if_moved(now);
        }
        if !self.ready.is_empty() && !self.out.is_blocked() {
            return Ok(Next::Now);
        }
        Ok(Next::At(self.next_walk.min(self.next_poll).min(self.next_save)))
    }

    /// The system says what has changed.
    pub fn changed(&mut self, news: &News, now: Instant) {
        for path in &news.written {
            if let Some(&key) = self.by_path.get(path) {
                self.look(key, now);
            }
        }
        let ours = |path: &PathBuf| self.by_path.contains_key(path) || self.globs.matches(path);
        let unread = |path: &PathBuf| ours(path) && !self.by_path.contains_key(path);
        // A folder that comes may bring files with it.
        if news.unknown
            || news.written.iter().any(unread)
            || news.named.iter().any(|path| ours(path) || path.is_dir())
        {
            let earliest = self.last_walk.map_or(now, |last| last + SCAN_AGAIN);
            self.next_walk = self.next_walk.min(earliest.max(now));
        }
    }

    /// Records came back.
    pub fn settled(&mut self, now: Instant) {
        for tail in self.tails.values_mut() {
            if tail.mark.failed() && tail.rest_until.is_none() {
                tail.rest_until = Some(now + REST);
            }
        }
    }

    /// Saves the positions if they have moved.
    pub fn save_if_moved(&mut self, now: Instant) {
        self.next_save = now + self.settings.checkpoint_interval.0;
        if !(self.out.settled.take_moved() | self.unsaved) {
            return;
        }
        let today = self.out.cx.clock.now() / 1_000_000_000;
        self.kept.retain(|_, kept| kept.seen + KEEP > today);
        let mut all: Vec<_> = self.kept.values().cloned().collect();
        all.extend(self.tails.values().filter_map(|tail| tail.checkpoint(today)));
        all.sort_by(|a, b| a.path.cmp(&b.path));
        match self.store.save(all) {
            Ok(()) => self.unsaved = false,
            Err(error) => {
                self.unsaved = true;
                tracing::error!(source = %self.out.cx.name, %error, "cannot save positions; records would come twice after a restart");
            }
        }
    }

    fn enqueue(&mut self, key: Key) {
        if let Some(tail) = self.tails.get_mut(&key)
            && !tail.queued
        {
            tail.queued = true;
            self.ready.push_back(key);
        }
    }

    /// Looks at all files that wait for something.
    fn poll(&mut self, now: Instant) {
        self.next_poll = now + self.settings.poll_interval.0;
        let keys: Vec<Key> = self.tails.keys().copied().collect();
        let decoding = |t: &&Tail| t.is_compressed() && (t.queued || t.content.is_some());
        self.decoding = self.tails.values().filter(decoding).count();
        for key in keys {
            self.look(key, now);
        }
        self.open_files.set(self.tails.values().filter(|t| t.content.is_some()).count() as f64);
        self.behind.set(self.tails.values().map(Tail::behind).sum::<u64>() as f64);
    }

    /// Looks at one file: whether it has grown, was cut, may be let go.
    fn look(&mut self, key: Key, now: Instant) {
        let Some(tail) = self.tails.get_mut(&key) else { return };
        if tail.queued || tail.rest_until.is_some_and(|until| now < until) {
            return;
        }
        tail.rest_until = None;
        if tail.mark.failed() {
            tail.go_back();
            tracing::warn!(path = %tail.path.display(), from = tail.offset, "records came back; they are read again");
            return self.enqueue(key);
        }
        match tail.look() {
            Ok((Change::None, _)) => {}
            Ok((change, meta)) => {
                if change == Change::Truncated {
                    tracing::info!(path = %tail.path.display(), "a file was cut; it is read from its beginning");
                    tail.renew(now);
                    self.unsaved = true;
                }
                tail.size = meta.len();
                tail.modified = modified(&meta);
                tail.grown = now;
                tail.verify_at = now;
                if tail.is_compressed() {
                    // Somebody writes it: it is read when it is complete.
                    tail.content = None;
                    return;
                }
                return self.enqueue(key);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tail.gone.get_or_insert(now);
            }
            Err(error) => {
                tail.rest_until = Some(now + REST);
                let path = tail.path.clone();
                return self.complain(&path, &error);
            }
        }
        if tail.behind() > 0 && !tail.force {
            if tail.is_compressed() && tail.content.is_none() {
                if now >= tail.grown + QUIET && self.decoding < MOST_DECODING {
                    self.decoding += 1;
                    self.enqueue(key);
                }
                return;
            }
            let wait = match &self.settings.multiline {
                Some(multiline) if !tail.partial => multiline.timeout,
                _ => self.settings.partial_timeout,
            };
            if now >= tail.grown + wait.0 {
                tail.force = true;
                return self.enqueue(key);
            }
        }
        if let Some(gone) = tail.gone
            && now >= gone.max(tail.grown) + self.settings.rotate_wait.0
            && tail.mark.open() == 0
            && (tail.behind() == 0 || tail.force)
        {
            self.forget(key);
        }
    }

    /// Lets a file go that is read to its end and safe.
    fn forget(&mut self, key: Key) {
        let Some(tail) = self.tails.remove(&key) else { return };
        tracing::debug!(path = %tail.path.display(), "a file is read to its end and let go");
        if self.by_id.get(&tail.id) == Some(&key) {
            self.by_id.remove(&tail.id);
        }
        if self.by_path.get(&tail.path) == Some(&key) {
            self.by_path.remove(&tail.path);
        }
        // It may come back if it still has a name somewhere: a volume that is mounted again.
        let has_name =
            tail.content.as_ref().is_none_or(|c| c.file().metadata().is_ok_and(|meta| meta.nlink() > 0));
        if has_name && let Some(kept) = tail.checkpoint(self.out.cx.clock.now() / 1_000_000_000) {
            self.kept.insert(tail.id, kept);
        }
        self.unsaved = true;
    }

    /// Gives a file its turn.
    fn read(&mut self, key: Key, now: Instant) -> Result<(), Closed> {
        if self.tails.get(&key).is_some_and(|t| t.content.is_none()) {
            self.make_room();
        }
        let Some(mut tail) = self.tails.remove(&key) else { return Ok(()) };
        tail.queued = false;
        let result = self.read_tail(&mut tail, now);
        let path = tail.path.clone();
        self.tails.insert(key, tail);
        match result {
            Ok(true) => self.enqueue(key),
            Ok(false) => {}
            Err(ReadError::Closed(closed)) => return Err(closed),
            Err(ReadError::Io(error)) => {
                if let Some(tail) = self.tails.get_mut(&key) {
                    tail.rest_until = Some(now + REST);
                    // So that the next look tries again.
                    tail.modified = (0, 0);
                    if error.kind() == io::ErrorKind::NotFound {
                        tail.gone.get_or_insert(now);
                        match tail.is_compressed() {
                            true => tail.finished = Some(tail.size),
                            false => tail.offset = tail.size,
                        }
                    }
                }
                self.complain(&path, &error);
            }
        }
        Ok(())
    }

    fn read_tail(&mut self, tail: &mut Tail, now: Instant) -> Result<bool, ReadError> {
        if tail.mark.failed() {
            return Ok(false);
        }
        tail.open()?;
        if now >= tail.verify_at {
            if !tail.verify(self.settings.compression)? {
                tracing::info!(path = %tail.path.display(), "a file has new content; it is read from its beginning");
                tail.renew(now);
                tail.verify(self.settings.compression)?;
                // It may be another file that was given the number of one that is gone.
                tail.constants = self.constants(&tail.path);
                self.unsaved = true;
            }
            tail.verify_at = now + self.settings.poll_interval.0;
        }
        tail.decompress()?;
        let more = self.reader.turn(tail, &mut self.out, now)?;
        if tail.fingerprint.is_none() && tail.offset > 0 {
            // It began with NULs.
            tail.verify(self.settings.compression)?;
        }
        if more {
            return Ok(true);
        }
        let forced = std::mem::take(&mut tail.force);
        let Some(end) = tail.content.as_ref().and_then(Content::end) else { return Ok(false) };
        if !forced {
            // Nothing more comes after the end; a file that stops in the middle may be written to yet.
            tail.force = end != End::Short;
            return Ok(tail.force);
        }
        match end {
            End::Whole => {}
            End::Short => tracing::warn!(path = %tail.path.display(), "a gzip file ends in the middle"),
            End::Broken => tracing::error!(
                path = %tail.path.display(), position = tail.offset,
                "a gzip file is damaged; what comes after this position of its content cannot be read"
            ),
        }
        tail.finished = Some(tail.size);
        tail.content = None;
        self.unsaved = true;
        self.next_poll = now;
        Ok(false)
    }

    /// Closes the file that was quiet longest where too many are open.
    fn make_room(&mut self) {
        let open = || self.tails.iter().filter(|(_, t)| t.content.is_some());
        if open().count() < self.settings.max_open_files.max(1) {
            return;
        }
        let idle =
            open().filter(|(_, t)| t.gone.is_none()).min_by_key(|(_, t)| (t.queued, t.grown, t.modified));
        if let Some(key) = idle.map(|(key, _)| *key)
            && let Some(tail) = self.tails.get_mut(&key)
        {
            tail.content = None;
        }
    }

    fn complain(&mut self, path: &Path, error: &io::Error) {
        if self.warned.insert(path.to_owned()) {
            tracing::warn!(
                source = %self.out.cx.name, path = %path.display(), %error,
                "cannot read; tried again until it can"
            );
        }
    }
}

#[cfg(test)]
mod tests;
