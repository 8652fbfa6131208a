//! Which files the tailer follows: what a walk finds.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::checkpoint::Checkpoint;
use super::super::discover::{self, FileId, Found, hops, is_absent};
use super::super::walk::{Entry, Kind, Walk};
use super::rounds::Pace;
use super::{Key, Tailer, remove_if};

/// Hints make the source walk no sooner after it did before.
const WALK_AGAIN: Duration = Duration::from_millis(50);
/// Names that are taken in one turn, and of them those that the system must be asked about.
const NAMES: usize = 2048;
const QUESTIONS: usize = 64;
/// Files that are begun in one turn.
const BEGINNINGS: usize = 64;

/// How far the search for files has come.
#[derive(Debug)]
pub(super) struct Scan {
    step: Step,
    pace: Pace,
    /// When it began, in seconds since 1970.
    began: i64,
    /// No hint makes the source walk before.
    rest_until: Instant,
    /// Files that nobody follows yet.
    pub(super) found: Vec<Found>,
    /// Inodes of files that were followed when the source ran last; for the first walk.
    sought: HashSet<u64>,
    /// Names that links of ours lead over, and the links.
    links: HashMap<PathBuf, PathBuf>,
    /// Where folders lie really, if links lead to them.
    real: HashMap<PathBuf, Option<PathBuf>>,
}

#[derive(Debug)]
enum Step {
    Idle,
    Walking(Walk),
    /// The folders in which files lie that the walk has not seen under their names.
    Searching(Walk),
    Beginning(VecDeque<Found>),
}

impl Scan {
    pub fn new(now: Instant) -> Scan {
        Scan {
            step: Step::Idle,
            pace: Pace::default(),
            began: 0,
            rest_until: now,
            found: Vec::new(),
            sought: HashSet::new(),
            links: HashMap::new(),
            real: HashMap::new(),
        }
    }

    /// The folder where a file lies really, if a link leads there.
    pub(super) fn real_folder(&mut self, place: &Path) -> Option<PathBuf> {
        let folder = place.parent()?;
        if !self.real.contains_key(folder) {
            let real = fs::canonicalize(folder).ok().filter(|real| real != folder);
            self.real.insert(folder.to_owned(), real);
        }
        self.real.get(folder)?.clone()
    }

    pub fn is_under_way(&self) -> bool {
        !matches!(self.step, Step::Idle)
    }
}

impl Tailer {
    /// Whether the first walk has ended.
    pub(super) fn has_walked(&self) -> bool {
        self.walks > 1 || (self.walks == 1 && !self.scan.is_under_way())
    }

    /// Goes on with the search for files, if it is due. Answers whether all names are known by now, so that their
    /// folders can be watched.
    pub(super) fn walk_on(&mut self, now: Instant) -> bool {
        if !self.scan.is_under_way() && now < self.next_walk {
            return false;
        }
        let began = (self.stopwatch)();
        let mut has_seen_all = false;
        self.scan.step = match std::mem::replace(&mut self.scan.step, Step::Idle) {
            Step::Idle => Step::Walking(self.begin_walk()),
            Step::Walking(mut walk) => match self.take_names(&mut walk, now) {
                true => {
                    walk.search(self.folders_of_missing());
                    Step::Searching(walk)
                }
                false => Step::Walking(walk),
            },
            Step::Searching(mut walk) => match self.take_names(&mut walk, now) {
                true => {
                    has_seen_all = true;
                    self.end_walk(walk, now)
                }
                false => Step::Searching(walk),
            },
            Step::Beginning(found) => self.begin_some(found, now),
        };
        let spent = (self.stopwatch)() - began;
        self.scan.pace.add(spent);
        if !self.scan.is_under_way() {
            let rest = self.scan.pace.rest(WALK_AGAIN);
            self.scan.rest_until = now + rest;
            self.next_walk = now + rest.max(self.settings.scan_interval.0);
        }
        has_seen_all
    }

    /// Walks before it is due, as soon as the rest after the last walk is over.
    pub(super) fn walk_soon(&mut self, now: Instant) {
        self.next_walk = self.next_walk.min(self.scan.rest_until.max(now));
    }

    fn begin_walk(&mut self) -> Walk {
        self.walks += 1;
        self.scan.began = self.today();
        self.scan.links.clear();
        self.scan.real.clear();
        if self.walks == 1 {
            self.scan.sought = self.kept.keys().map(|id| id.inode).collect();
        }
        Walk::new(&self.globs)
    }

    /// Takes some names of a walk; answers whether they were the last.
    fn take_names(&mut self, walk: &mut Walk, now: Instant) -> bool {
        let mut questions = 0;
        for _ in 0..NAMES {
            let Some(entry) = walk.next() else { return true };
            questions += usize::from(self.take_name(entry, now));
            if questions >= QUESTIONS {
                break;
            }
        }
        false
    }

    /// Takes a name. Answers whether the system had to be asked what it is.
    fn take_name(&mut self, entry: Entry, now: Instant) -> bool {
        if let Some(key) = self.by_path.get(&entry.path)
            && let Some(tail) = self.tails.get_mut(key)
            && entry.inode == Some(tail.id.inode)
            && tail.gone.is_none()
            && tail.place == entry.path
        {
            // As it was.
            tail.seen = self.walks;
            return false;
        }
        if entry.kind == Kind::Aside || !self.globs.matches(&entry.path) {
            return self.take_other_name(&entry, now);
        }
        if let Some(found) = self.consider(entry.path, entry.kind) {
            self.scan.found.push(found);
        }
        true
    }

    /// Looks at a name that the globs match. Answers the file if nobody follows it yet.
    pub(super) fn consider(&mut self, path: PathBuf, kind: Kind) -> Option<Found> {
        let hops = if kind == Kind::Listed { Vec::new() } else { hops(&path) };
        for hop in &hops {
            self.links.insert(hop.clone(), path.clone());
            self.scan.links.insert(hop.clone(), path.clone());
        }
        let meta = match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => meta,
            Ok(_) => {
                if kind == Kind::Named {
                    self.complain(&path, &io::Error::other("it is no regular file"));
                }
                return None;
            }
            Err(error) => {
                if !is_absent(&error) {
                    self.complain(&path, &error);
                }
                return None;
            }
        };
        let place = hops.into_iter().next_back().unwrap_or_else(|| path.clone());
        let id = FileId::of(&meta);
        let Some(key) = self.followed(id) else {
            return Some(Found { path, place, meta, there_before: self.walks == 1 });
        };
        let tail = self.tails.get_mut(&key)?;
        if tail.path != path {
            let leads_to_it = |path: &Path| fs::metadata(path).is_ok_and(|meta| FileId::of(&meta) == id);
            if tail.gone.is_none() && leads_to_it(&tail.path) {
                // Another name of the same file.
                return None;
            }
            tracing::debug!(from = %tail.path.display(), to = %path.display(), "a file was renamed");
            remove_if(&mut self.by_path, &tail.path, key);
            self.by_path.insert(path.clone(), key);
            let before = std::mem::replace(&mut tail.path, path);
            if tail.offset > 0 {
                tail.label.get_or_insert(before);
            }
        }
        tail.seen = self.walks;
        tail.gone = None;
        tail.place = place;
        self.rounds.lively.insert(key);
        None
    }

    /// Looks at a name that no glob matches: it may be what a file of ours was renamed to.
    fn take_other_name(&mut self, entry: &Entry, now: Instant) -> bool {
        let Some(inode) = entry.inode else { return false };
        let key = self.by_inode.get(&inode).copied();
        let is_elsewhere = |key: &Key| self.tails.get(key).is_some_and(|tail| tail.place != entry.path);
        let is_followed = key.filter(is_elsewhere).is_some();
        let was_followed = self.walks == 1 && self.scan.sought.contains(&inode);
        if !is_followed && !was_followed {
            return self.walks == 1 && self.take_successor(&entry.path);
        }
        if let Ok(meta) = fs::symlink_metadata(&entry.path)
            && meta.is_file()
        {
            let id = FileId::of(&meta);
            if let Some(key) = self.followed(id)
                && let Some(tail) = self.tails.get_mut(&key)
            {
                if tail.seen != self.walks {
                    tail.place.clone_from(&entry.path);
                    tail.gone.get_or_insert(now);
                }
            } else if let Some(path) = self.was_renamed(id, &entry.path, &meta) {
                let place = entry.path.clone();
                self.scan.found.push(Found { path, place, meta, there_before: true });
            } else if self.walks == 1 && self.kept_as(id).is_none() {
                // A file of ours that is gone had its inode.
                self.take_successor(&entry.path);
            }
        }
        true
    }

    /// What is kept of this file, by a flitch too that did not ask when it was made.
    fn kept_as(&self, id: FileId) -> Option<&Checkpoint> {
        let unborn = FileId { born: None, ..id };
        self.kept.get(&id).or_else(|| self.kept.get(&unborn))
    }

    /// Whether a file was followed when the source ran last, and has something to read, or a writer that may not know
    /// of the new name yet. Answers its name of then.
    fn was_renamed(&self, id: FileId, place: &Path, meta: &fs::Metadata) -> Option<PathBuf> {
        let kept = self.kept_as(id)?;
        let is_unread = match kept.finished {
            Some(finished) => finished != meta.len(),
            None => kept.position < meta.len() || kept.place() != place,
        };
        is_unread.then(|| kept.path.clone())
    }

    /// The folders in which files lay that the walk has not seen, and at the first one those of last time.
    fn folders_of_missing(&self) -> HashSet<PathBuf> {
        let missing = self.tails.values().filter(|tail| tail.seen != self.walks).map(|tail| &tail.place);
        let kept = self.kept.values().filter(|_| self.walks == 1);
        let real = self.kept.values().filter(|_| self.walks == 1).filter_map(|kept| kept.folder.clone());
        let mut folders = discover::folders(missing.chain(kept.flat_map(|kept| [&kept.path, kept.place()])));
        folders.extend(real);
        folders
    }

    /// All names are known: tells which folders to watch, and which files are gone.
    fn end_walk(&mut self, mut walk: Walk, now: Instant) -> Step {
        self.looked = self.scan.began;
        for (path, error) in std::mem::take(&mut walk.errors) {
            self.complain(&path, &error);
        }
        // What a link leads over may be renamed, and replaced, without a sign in the folder of the link.
        self.links = std::mem::take(&mut self.scan.links);
        walk.folders.extend(discover::folders(self.links.keys()));
        self.folders = Some(walk.folders);
        self.scan.sought = HashSet::new();
        for (key, tail) in &mut self.tails {
            if tail.seen != self.walks && tail.gone.is_none() {
                tail.gone = Some(now);
                self.rounds.lively.insert(*key);
            }
        }
        let mut found = std::mem::take(&mut self.scan.found);
        found.sort_by_cached_key(Found::order);
        match found.is_empty() {
            true => Step::Idle,
            false => Step::Beginning(found.into()),
        }
    }

    fn begin_some(&mut self, mut found: VecDeque<Found>, now: Instant) -> Step {
        for found in found.drain(..found.len().min(BEGINNINGS)) {
            self.begin_or_complain(&found, now);
        }
        match found.is_empty() {
            true => Step::Idle,
            false => Step::Beginning(found),
        }
    }
}
