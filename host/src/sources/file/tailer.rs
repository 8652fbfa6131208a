//! All files of a source: finds them, looks after them, and gives each its turn.
//!
//! A state machine without a clock of its own: [`Tailer::turn`] is told the time, does one piece of work and answers
//! when it wants to be called again.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender as Channel;

use crate::batch::constants::Constants;
use crate::batch::{StreamId, TAG, TIMESTAMP};
use crate::buffers::Closed;
use crate::receipt::Watermark;
use crate::sources::SourceContext;
use crate::telemetry::Metric;

use super::checkpoint::{Checkpoint, KEEP, Store};
use super::discover::{FileId, Found, Globs, find_in_folder};
use super::fingerprint::{HEAD, read_at};
use super::read::{ReadError, Reader};
use super::sender::Sender;
use super::settings::{Codec, Compression, FileSettings, ReadFrom};
use super::tail::{Change, Tail, modified};
use super::{Hint, hostname};

/// How long a file that could not be read, or whose records came back, is left alone.
const REST: Duration = Duration::from_secs(1);
/// Hints make the source look for new files no sooner after it did before.
const SCAN_AGAIN: Duration = Duration::from_millis(50);

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
    pub folders: std::collections::BTreeSet<PathBuf>,
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
        hints: Channel<Hint>,
        now: Instant,
    ) -> anyhow::Result<Tailer> {
        anyhow::ensure!(
            settings.codec == Codec::Lines
                && settings.multiline.is_none()
                && settings.compression != Compression::Gzip,
            "`codec: json`, `multiline` and `compression: gzip` are not read yet"
        );
        let globs = Globs::new(&settings.include, &settings.exclude)?;
        let (store, known) = Store::open(&cx.state_dir)?;
        let labels = [("source", &*cx.name)];
        Ok(Tailer {
            globs,
            store,
            first_start: known.is_none(),
            kept: known.unwrap_or_default().into_iter().map(|c| (c.id(), c)).collect(),
            open_files: Metric::FilesOpen.gauge(&labels),
            behind: Metric::FileBytesBehind.gauge(&labels),
            reader: Reader::new(settings.max_line.0 as usize),
            out: Sender::new(cx.clone(), &settings.message_field, settings.invalid_utf8, hints),
            settings,
            tails: BTreeMap::new(),
            by_id: HashMap::new(),
            by_path: HashMap::new(),
            ready: VecDeque::new(),
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
        }
        if now >= self.next_poll {
            self.poll(now);
        }
        if let Some(key) = self.ready.pop_front() {
            self.read(key, now)?;
        }
        if now >= self.next_save {
            self.save_if_moved(now);
        }
        if !self.ready.is_empty() {
            return Ok(Next::Now);
        }
        Ok(Next::At(self.next_walk.min(self.next_poll).min(self.next_save)))
    }

    /// The system says that something happened at `path`.
    pub fn changed(&mut self, path: &Path, now: Instant) {
        match self.by_path.get(path) {
            Some(&key) => self.look(key, now),
            None if self.globs.matches(path) => self.walk_soon(now),
            None => {}
        }
    }

    /// The system says that names have changed, or that it has lost count.
    pub fn walk_soon(&mut self, now: Instant) {
        let earliest = self.last_walk.map_or(now, |last| last + SCAN_AGAIN);
        self.next_walk = self.next_walk.min(earliest.max(now));
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
        if !(self.out.settled.moved.swap(false, Ordering::AcqRel) | self.unsaved) {
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

    fn walk(&mut self, now: Instant) {
        self.last_walk = Some(now);
        self.next_walk = now + self.settings.scan_interval.0;
        self.walks += 1;
        let walk = self.globs.walk();
        self.folders = walk.folders;
        for (path, error) in walk.errors {
            self.complain(&path, &error);
        }
        for found in walk.files {
            let id = FileId::of(&found.meta);
            match self.by_id.get(&id).and_then(|key| self.tails.get_mut(key).map(|tail| (*key, tail))) {
                // Another name of the same file.
                Some((_, tail)) if tail.seen == self.walks => {}
                Some((key, tail)) => {
                    tail.seen = self.walks;
                    tail.gone = None;
                    if tail.path != found.path {
                        tracing::debug!(from = %tail.path.display(), to = %found.path.display(), "a file was renamed");
                        if self.by_path.get(&tail.path) == Some(&key) {
                            self.by_path.remove(&tail.path);
                        }
                        self.by_path.insert(found.path.clone(), key);
                        tail.path = found.path;
                    }
                }
                None => {
                    if let Err(error) = self.begin(&found, now) {
                        if self.walks == 1 {
                            self.there_before.insert(found.path.clone());
                        }
                        self.complain(&found.path, &error);
                    } else {
                        self.warned.remove(&found.path);
                    }
                }
            }
        }
        if self.walks == 1 {
            self.find_renamed(now);
        }
        for tail in self.tails.values_mut() {
            if tail.seen != self.walks && tail.gone.is_none() {
                tail.gone = Some(now);
            }
        }
    }

    /// Looks for files that were renamed while the source was away, to names that no glob matches: what was not read
    /// of them is read.
    fn find_renamed(&mut self, now: Instant) {
        let mut folders: HashMap<&Path, HashSet<FileId>> = HashMap::new();
        for (id, kept) in &self.kept {
            if let Some(folder) = kept.path.parent() {
                folders.entry(folder).or_default().insert(*id);
            }
        }
        let found: Vec<Found> =
            folders.into_iter().flat_map(|(folder, ids)| find_in_folder(folder, &ids)).collect();
        for found in found {
            let id = FileId::of(&found.meta);
            let unread = self.kept.get(&id).is_some_and(|kept| kept.position < found.meta.len());
            if !unread || self.by_id.contains_key(&id) || self.begin(&found, now).is_err() {
                continue;
            }
            if let Some(tail) = self.by_id.get(&id).and_then(|key| self.tails.get_mut(key)) {
                tracing::info!(path = %found.path.display(), "a file was renamed while flitch was away; its rest is read");
                tail.gone = Some(now);
            }
        }
    }

    /// Begins to follow a file.
    fn begin(&mut self, found: &Found, now: Instant) -> io::Result<()> {
        let id = FileId::of(&found.meta);
        let settings = &self.settings;
        let shown = found.path.to_string_lossy();
        let mut constants = Constants::new()
            .timestamp(TIMESTAMP, 0)
            .text(TAG, settings.tag.as_deref().unwrap_or(&self.out.cx.name));
        if !settings.file_field.is_empty() {
            constants = constants.text(&settings.file_field, &shown);
        }
        if !settings.host_field.is_empty() {
            constants = constants.text(&settings.host_field, hostname());
        }
        let mut tail = Tail {
            id,
            path: found.path.clone(),
            constants,
            stream: StreamId::next(),
            mark: Watermark::new(Some(0)),
            fingerprint: None,
            file: None,
            offset: 0,
            searched: None,
            size: found.meta.len(),
            modified: modified(&found.meta),
            grown: now,
            gone: None,
            seen: self.walks,
            queued: false,
            force: false,
            verify_at: now,
            rest_until: None,
            average: 0,
        };
        self.make_room();
        tail.open()?;
        tail.verify()?;
        let start = self.start_of(&tail, found)?;
        tail.offset = start;
        tail.mark = Watermark::new(Some(start));
        if tail.behind() == 0 {
            tail.file = None;
        }
        self.kept.remove(&id);
        self.there_before.remove(&found.path);
        let key = self.next_key;
        self.next_key += 1;
        // Only a name whose file is gone can have been ours.
        self.by_path.insert(found.path.clone(), key);
        self.by_id.insert(id, key);
        self.tails.insert(key, tail);
        self.unsaved = true;
        self.enqueue(key);
        Ok(())
    }

    /// Where to begin in a file that is new to this process.
    fn start_of(&self, tail: &Tail, found: &Found) -> io::Result<u64> {
        let Some(file) = &tail.file else { return Ok(0) };
        let mut head = [0; HEAD];
        let head = super::fingerprint::read_head(file, &mut head)?;
        if let Some(kept) = self.kept_for(tail.id, &found.path, head) {
            // A file that is shorter than its position was cut while we were away.
            return Ok(if kept.position <= tail.size { kept.position } else { 0 });
        }
        let there_before = self.walks == 1 || self.there_before.contains(&found.path);
        if self.first_start && there_before && self.settings.read_from == ReadFrom::End {
            return last_line(file, tail.size);
        }
        let age = self.out.cx.clock.now() - found.meta.modified().map_or(i64::MAX, nanoseconds);
        match self.settings.ignore_older {
            Some(limit) if age > 0 && age as u128 > limit.0.as_nanos() => Ok(tail.size),
            _ => Ok(0),
        }
    }

    /// The position that was saved for this file.
    fn kept_for(&self, id: FileId, path: &Path, head: &[u8]) -> Option<&Checkpoint> {
        // A device may have another number after the machine started again; then the name must be the same too.
        let same = self
            .kept
            .get(&id)
            .or_else(|| self.kept.values().find(|kept| kept.inode == id.inode && kept.path == path))?;
        same.fingerprint.fits(head).then_some(same)
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
        for key in keys {
            self.look(key, now);
        }
        self.open_files.set(self.tails.values().filter(|t| t.file.is_some()).count() as f64);
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
            Ok((Change::Grown, meta)) => {
                tail.size = meta.len();
                tail.modified = modified(&meta);
                tail.grown = now;
                tail.verify_at = now;
                return self.enqueue(key);
            }
            Ok((Change::Truncated, meta)) => {
                tracing::info!(path = %tail.path.display(), "a file was cut; it is read from its beginning");
                tail.renew(now);
                tail.size = meta.len();
                tail.modified = modified(&meta);
                self.unsaved = true;
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
        if tail.behind() > 0 && !tail.force && now >= tail.grown + self.settings.partial_timeout.0 {
            tail.force = true;
            return self.enqueue(key);
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
        let has_name = tail.file.as_ref().is_none_or(|f| {
            f.metadata().is_ok_and(|m| {
                use std::os::unix::fs::MetadataExt;
                m.nlink() > 0
            })
        });
        if has_name && let Some(kept) = tail.checkpoint(self.out.cx.clock.now() / 1_000_000_000) {
            self.kept.insert(tail.id, kept);
        }
        self.unsaved = true;
    }

    /// Gives a file its turn.
    fn read(&mut self, key: Key, now: Instant) -> Result<(), Closed> {
        if self.tails.get(&key).is_some_and(|t| t.file.is_none()) {
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
                        tail.offset = tail.size;
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
            if !tail.verify()? {
                tracing::info!(path = %tail.path.display(), "a file has new content; it is read from its beginning");
                tail.renew(now);
                tail.verify()?;
                self.unsaved = true;
            }
            tail.verify_at = now + self.settings.poll_interval.0;
        }
        let more = self.reader.turn(tail, &mut self.out, now)?;
        if !more {
            tail.force = false;
        }
        Ok(more)
    }

    /// Closes the file that was quiet longest where too many are open.
    fn make_room(&mut self) {
        let open = || self.tails.iter().filter(|(_, t)| t.file.is_some());
        if open().count() < self.settings.max_open_files.max(1) {
            return;
        }
        let idle = open().filter(|(_, t)| t.gone.is_none()).min_by_key(|(_, t)| (t.queued, t.grown));
        if let Some(key) = idle.map(|(key, _)| *key)
            && let Some(tail) = self.tails.get_mut(&key)
        {
            tail.file = None;
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

/// Where the last line begins that is not finished, of a file of `size` bytes.
fn last_line(file: &std::fs::File, size: u64) -> io::Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    let mut end = size;
    while end > 0 && size - end < 1 << 20 {
        let start = end.saturating_sub(buffer.len() as u64);
        let read = read_at(file, &mut buffer[..(end - start) as usize], start)?;
        if let Some(at) = memchr::memrchr(b'\n', &buffer[..read]) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(if end == 0 { 0 } else { size })
}

fn nanoseconds(time: std::time::SystemTime) -> i64 {
    time.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64)
}

#[cfg(test)]
mod tests;
