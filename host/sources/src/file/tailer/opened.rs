//! Which files are open, and which is closed where too many are.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use super::super::tail::Tail;
use super::{Key, Tailer};

/// The open files, in the order in which they were read last.
#[derive(Debug)]
pub(super) struct Opened {
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    most: usize,
}

impl Opened {
    /// None is open; `most` may be.
    pub fn new(most: usize) -> Opened {
        Opened { by_use: BTreeMap::new(), uses: 0, most: most.max(1) }
    }

    pub fn len(&self) -> usize {
        self.by_use.len()
    }

    /// A file is followed no more.
    pub fn forget(&mut self, tail: &Tail) {
        if let Some(used) = tail.used {
            self.by_use.remove(&used);
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
    }
}

impl Tailer {
    /// Enters whether a file is open after something was done with it, which was perhaps reading.
    pub(super) fn note_open(&mut self, key: Key, read: bool) {
        if let Some(tail) = self.tails.get_mut(&key) {
            self.opened.note(key, tail, read);
        }
    }

    /// Closes the file that was quiet longest where too many are open.
    pub(super) fn make_room(&mut self) {
        if self.opened.len() < self.opened.most {
            return;
        }
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
        }
    }
}
