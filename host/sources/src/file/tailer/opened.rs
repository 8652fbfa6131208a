//! Which files are open, and which is closed where too many are.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;

use super::super::discover::FileId;
use super::super::pool::Part;
use super::super::tail::Tail;
use super::{Key, Tailer, remove_if};

/// The open files, in the order in which they were read last.
#[derive(Debug)]
pub(super) struct Opened {
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    most: usize,
    /// What it holds of all that file sources may.
    part: Part,
}

impl Opened {
    /// None is open; `most` may be, and no more than this part allows.
    pub fn new(most: usize, part: Part) -> Opened {
        Opened { by_use: BTreeMap::new(), uses: 0, most: most.max(1), part }
    }

    pub fn len(&self) -> usize {
        self.by_use.len()
    }

    /// A file is followed no more.
    pub fn forget(&mut self, tail: &Tail) {
        if let Some(used) = tail.used {
            self.by_use.remove(&used);
            self.part.set(self.by_use.len());
        }
    }

    /// Enters whether a file is open now, which was perhaps `read`.
    fn note(&mut self, key: Key, tail: &mut Tail, read: bool) {
        if tail.content.is_some() && tail.used.is_some() && !read {
            return;
        }
        self.forget(tail);
        tail.used = tail.content.is_some().then(|| {
            self.uses += 1;
            self.by_use.insert(self.uses, key);
            self.uses
        });
        self.part.set(self.by_use.len());
    }
}

impl Tailer {
    /// Enters whether a file is open after something was done with it, which was perhaps reading.
    pub(super) fn note_open(&mut self, key: Key, read: bool) {
        if let Some(tail) = self.tails.get_mut(&key) {
            self.opened.note(key, tail, read);
            if let Some(before) = tail.id_before.take() {
                remove_if(&mut self.by_id, &before, key);
                self.by_id.insert(tail.id, key);
                self.forgotten.push(before);
                // Its position is saved under the other name.
                self.rounds.lively.insert(key);
            }
        }
    }

    /// The file that is followed and that the system calls so, perhaps since a moment ago.
    pub(super) fn followed(&mut self, id: FileId) -> Option<Key> {
        if let Some(&key) = self.by_id.get(&id) {
            return Some(key);
        }
        let key = *self.by_inode.get(&id.inode)?;
        let tail = self.tails.get_mut(&key).filter(|tail| tail.id.may_be_copied_to(id))?;
        // It hears of its copy.
        let _ = tail.metadata();
        self.note_open(key, false);
        self.by_id.get(&id).copied()
    }

    /// Opens a file, for which others are closed that were quiet longest where too many are open.
    pub(super) fn open(&mut self, tail: &mut Tail) -> io::Result<()> {
        if tail.content.is_some() {
            return Ok(());
        }
        while self.opened.len() >= self.opened.most && self.close_one() {}
        if self.opened.part.is_full() {
            self.opened.part.want();
        }
        while self.opened.part.is_full() && self.close_one() {}
        if self.opened.part.is_full() && self.opened.len() > 0 {
            // What is open has no name any more. Nothing is lost where the next one waits, for that has one.
            return Err(io::Error::other(
                "no more files may be open, and none of those that are can be closed",
            ));
        }
        loop {
            match tail.open() {
                // Others took what is left to them.
                Err(error) if is_exhausted(&error) && self.close_one() => {}
                done => return done,
            }
        }
    }

    /// Closes files that were quiet longest, down to the source's part of all, where another one needs them.
    pub(super) fn give_back(&mut self) {
        if self.opened.part.is_owed() {
            while self.opened.part.is_large() && self.close_one() {}
        }
    }

    /// Closes the file that was quiet longest. Answers whether one could be closed.
    fn close_one(&mut self) -> bool {
        // What was removed cannot be opened again, and what was renamed must be searched for.
        let has_name = |key: &&Key| self.tails.get(key).is_some_and(|tail| tail.gone.is_none());
        let is_linked = |key: &&Key| {
            let content = self.tails.get(key).and_then(|tail| tail.content.as_ref());
            content.is_some_and(|content| content.file().metadata().is_ok_and(|meta| meta.nlink() > 0))
        };
        let by_use = || self.opened.by_use.values();
        if let Some(&key) = by_use().find(has_name).or_else(|| by_use().find(is_linked))
            && let Some(tail) = self.tails.get_mut(&key)
        {
            tail.content = None;
            tail.constants = None;
            self.opened.note(key, tail, false);
            return true;
        }
        false
    }
}

/// Whether the process, or the system, has no descriptor left.
fn is_exhausted(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}
