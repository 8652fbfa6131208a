//! All files of a source: finds them, looks after them, and gives each its turn.
//!
//! A state machine without a clock of its own: [`Tailer::turn`] is told the time, does one piece of work of each kind
//! (a part of a walk, looks at some files, one piece of reading, a save) and answers when it wants to be called again.
//! So none of them keeps the others waiting, however many files there are, or however slow the disk is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::SourceContext;
use flitch_core::buffers::Closed;
use flitch_core::telemetry::health::Ailment;
use flitch_core::telemetry::{Metric, Quiet, Shown};

use super::checkpoint::{Checkpoint, Store};
use super::discover::{FileId, Globs, is_absent};
use super::gather::Gather;
use super::pool::Pool;
use super::read::Reader;
use super::sender::Sender;
use super::settings::FileSettings;
use super::tail::{Change, Compressed, Tail, modified};
use crate::bell::Bell;

mod begin;
mod complaints;
mod discovery;
mod news;
mod opened;
mod reading;
mod rounds;
mod saving;
mod successor;
mod twin;

pub(super) use begin::last_line;
use discovery::Scan;
use opened::Opened;
use rounds::{Pace, Rounds};
use successor::{Rotations, Series};
use twin::LetGo;

/// How long a file that could not be read, or whose records came back, is left alone.
const REST: Duration = Duration::from_secs(1);
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
    by_inode: HashMap<u64, Key>,
    ready: VecDeque<Key>,
    opened: Opened,
    /// Compressed files that are being read.
    decoding: usize,
    next_key: Key,
    /// Positions of files that are not there, or not there yet.
    kept: HashMap<FileId, Checkpoint>,
    /// The same by name, for those that were saved before the source started.
    kept_paths: HashMap<PathBuf, FileId>,
    /// The same by where they lay.
    kept_places: HashMap<PathBuf, FileId>,
    /// The same by what files to which links led have in common.
    kept_series: Series,
    /// The same by the names from which they may have been rotated.
    kept_rotations: Rotations,
    /// Content that is gone from files that are there.
    let_go: LetGo,
    /// Plain files without a name that were let go not long ago, the last one last.
    nameless: VecDeque<(Instant, FileId)>,
    /// No position was ever saved: what is there now was there before us.
    first_start: bool,
    /// Paths seen at the first walk that could not be opened then.
    there_before: HashSet<PathBuf>,
    /// Paths that were complained about.
    warned: HashSet<PathBuf>,
    /// Names that links of ours lead over, and the links.
    links: HashMap<PathBuf, PathBuf>,
    /// Folders in which files of ours may come to be, if they have changed.
    folders: Option<BTreeSet<PathBuf>>,
    scan: Scan,
    walks: u64,
    /// When the walk began that has seen all names last, in seconds since 1970: what came since nobody may have seen.
    looked: i64,
    next_walk: Instant,
    rounds: Rounds,
    /// Records came back.
    came_back: bool,
    told_came_back: Quiet,
    saves: Pace,
    next_save: Instant,
    /// Files that were let go since the last save, and may come back.
    kept_changed: Vec<FileId>,
    /// Files that need no entry on disk any more.
    forgotten: Vec<FileId>,
    next_whole_save: Instant,
    /// Positions cannot be saved, which was said.
    save_fails: bool,
    /// The same, for whoever asks how flitch is.
    ailment: Ailment,
    /// Measures how long work takes.
    pub stopwatch: Box<dyn Fn() -> Instant + Send>,
    open_files: Shown,
    behind: Shown,
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
        let first_start = known.is_none();
        let mut known = known.unwrap_or_default();
        // Of several that had one name the last one counts.
        known.sort_by_key(|kept| (kept.seen, kept.id.born));
        let labels = [("source", &*cx.name)];
        let ailment = Ailment::of(&cx.health, "positions", &cx.name);
        Ok(Tailer {
            globs,
            store,
            first_start,
            kept_paths: known.iter().map(|kept| (kept.path.clone(), kept.id)).collect(),
            kept_places: known.iter().map(|kept| (kept.place().clone(), kept.id)).collect(),
            kept_series: Series::of(known.iter()),
            kept_rotations: Rotations::of(known.iter()),
            kept: known.into_iter().map(|kept| (kept.id, kept)).collect(),
            open_files: Metric::FilesOpen.shown(&labels),
            behind: Metric::FileBytesBehind.shown(&labels),
            reader: Reader::new(&settings),
            out: Sender::new(cx.clone(), gather, settings.invalid_utf8, bell),
            opened: Opened::new(settings.max_open_files, Pool::of_process().join()),
            settings,
            tails: BTreeMap::new(),
            by_id: HashMap::new(),
            by_path: HashMap::new(),
            by_inode: HashMap::new(),
            ready: VecDeque::new(),
            decoding: 0,
            next_key: 0,
            let_go: LetGo::default(),
            nameless: VecDeque::new(),
            there_before: HashSet::new(),
            warned: HashSet::new(),
            links: HashMap::new(),
            folders: None,
            scan: Scan::new(now),
            walks: 0,
            looked: 0,
            next_walk: now,
            rounds: Rounds::new(now),
            came_back: false,
            told_came_back: Quiet::a_minute(),
            saves: Pace::default(),
            next_save: now,
            kept_changed: Vec::new(),
            forgotten: Vec::new(),
            next_whole_save: now,
            save_fails: false,
            ailment,
            stopwatch: Box::new(Instant::now),
        })
    }

    /// Does a part of what is due.
    pub fn turn(&mut self, now: Instant) -> Result<Next, Closed> {
        if self.walk_on(now) {
            // New folders are to be watched before their files are read, so that nothing falls between.
            return Ok(Next::Now);
        }
        if !self.has_walked() {
            // What was there at the start is known, and saved, before the first of it is read.
            return Ok(Next::Now);
        }
        self.poll_on(now);
        self.out.push_on()?;
        // While a batch waits nothing more is read, but files that come are opened, and positions saved.
        if !self.out.is_blocked()
            && let Some(key) = self.ready.pop_front()
        {
            self.read(key, now)?;
        }
        if now >= self.next_save {
            self.save_moved(now);
        }
        let can_read = !self.ready.is_empty() && !self.out.is_blocked();
        if can_read || self.scan.is_under_way() || self.rounds.is_under_way() {
            return Ok(Next::Now);
        }
        Ok(Next::At(self.next_walk.min(self.rounds.next()).min(self.next_save)))
    }

    /// Shares these descriptors with others, and not those of the process.
    #[cfg(test)]
    pub fn share(&mut self, pool: &Arc<Pool>) {
        self.opened = Opened::new(self.settings.max_open_files, pool.join());
    }

    /// The folders to watch from now on, if they are others than those that were answered last.
    pub fn take_folders(&mut self) -> Option<BTreeSet<PathBuf>> {
        self.folders.take()
    }

    /// Records came back.
    pub fn settled(&mut self) {
        self.came_back = true;
    }

    fn enqueue(&mut self, key: Key) {
        if let Some(tail) = self.tails.get_mut(&key)
            && !tail.queued
        {
            tail.queued = true;
            self.ready.push_back(key);
        }
    }

    /// Looks at one file: whether it has grown, was cut, may be let go.
    fn look(&mut self, key: Key, now: Instant) {
        self.look_closer(key, now);
        self.note_open(key, false);
        self.note_activity(key, now);
    }

    fn look_closer(&mut self, key: Key, now: Instant) {
        let Some(tail) = self.tails.get_mut(&key) else { return };
        if tail.queued || tail.rest_until.is_some_and(|until| now < until) {
            return;
        }
        tail.rest_until = None;
        if tail.mark.failed() {
            tail.go_back();
            if self.told_came_back.may_say() {
                tracing::warn!(path = %tail.path.display(), from = tail.offset, "records came back; they are read again");
            }
            return self.enqueue(key);
        }
        match tail.look() {
            Ok((Change::None, _)) => {}
            Ok((change, meta)) => {
                if change == Change::Truncated {
                    self.let_go.begin_anew(tail, now, "a file was cut");
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
            Err(error) if is_absent(&error) => {
                tail.gone.get_or_insert(now);
            }
            Err(error) => {
                tail.rest_until = Some(now + REST);
                tail.close_if_stale(&error);
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
            self.forget(key, now);
        }
    }

    /// Lets a file go that is read to its end and safe.
    fn forget(&mut self, key: Key, now: Instant) {
        let Some(tail) = self.tails.remove(&key) else { return };
        tracing::debug!(path = %tail.path.display(), "a file is read to its end and let go");
        self.opened.forget(&tail);
        self.rounds.lively.remove(&key);
        remove_if(&mut self.by_inode, &tail.id.inode, key);
        remove_if(&mut self.by_id, &tail.id, key);
        remove_if(&mut self.by_path, &tail.path, key);
        // It may come back if it still has a name somewhere: a volume that is mounted again.
        let has_name =
            tail.content.as_ref().is_none_or(|c| c.file().metadata().is_ok_and(|meta| meta.nlink() > 0));
        let is_plain = tail.compressed == Compressed::No && tail.fingerprint.is_some();
        if has_name || is_plain {
            self.kept.insert(tail.id, tail.checkpoint(self.looked));
            self.kept_changed.push(tail.id);
        } else {
            self.forgotten.push(tail.id);
        }
        if !has_name && is_plain {
            // What it was compressed to may be read after it, by the next process too.
            self.nameless.push_back((now, tail.id));
        }
    }
}

/// Removes what a map says of `name`, unless it is another file by now.
fn remove_if<K: Eq + std::hash::Hash>(map: &mut HashMap<K, Key>, name: &K, key: Key) {
    if map.get(name) == Some(&key) {
        map.remove(name);
    }
}

#[cfg(test)]
mod tests;
