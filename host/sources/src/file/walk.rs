//! The walk through the folders in which files of ours may lie, one name at a time.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::discover::{Globs, Root, is_absent};

/// How a walk came by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A glob names it without wildcards; it may be anything, or not there.
    Named,
    /// A folder lists it as what is neither a folder nor a link.
    Listed,
    /// A folder lists it as a link that leads to no folder.
    Link,
    /// It lies in a folder that is searched for renamed files only.
    Aside,
}

/// A name.
#[derive(Debug)]
pub(super) struct Entry {
    pub path: PathBuf,
    pub kind: Kind,
    /// Its inode as the folder lists it. Says nothing about links.
    pub inode: Option<u64>,
}

/// A walk that goes on from name to name, so that reading need not wait for its end.
#[derive(Debug)]
pub(super) struct Walk {
    roots: std::vec::IntoIter<Root>,
    /// The folders that it is in, the deepest last.
    levels: Vec<Level>,
    aside: Vec<PathBuf>,
    /// The folders that it has listed.
    listed: HashSet<PathBuf>,
    /// The folders in which files of ours may come to be.
    pub folders: BTreeSet<PathBuf>,
    /// Folders that could not be listed.
    pub errors: Vec<(PathBuf, io::Error)>,
}

#[derive(Debug)]
struct Level {
    /// Device and inode.
    id: (u64, u64),
    depth: Option<usize>,
    is_aside: bool,
    entries: fs::ReadDir,
}

impl Walk {
    pub fn new(globs: &Globs) -> Walk {
        Walk {
            roots: globs.roots.clone().into_iter(),
            levels: Vec::new(),
            aside: Vec::new(),
            listed: HashSet::new(),
            folders: BTreeSet::new(),
            errors: Vec::new(),
        }
    }

    /// Lists these folders too, unless they have been.
    pub fn search(&mut self, folders: HashSet<PathBuf>) {
        self.aside.extend(folders.into_iter().filter(|folder| !self.listed.contains(folder)));
    }

    /// The next name; none at the end.
    pub fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(level) = self.levels.last_mut() {
                match level.entries.next() {
                    // A folder that fails while it is read is listed again by the next walk.
                    None | Some(Err(_)) => drop(self.levels.pop()),
                    Some(Ok(entry)) => {
                        if let Some(entry) = self.take(&entry) {
                            return Some(entry);
                        }
                    }
                }
            } else if let Some(root) = self.roots.next() {
                if root.depth == Some(0) {
                    self.folders.extend(root.path.parent().map(Path::to_owned));
                    return Some(Entry { path: root.path, kind: Kind::Named, inode: None });
                }
                self.enter(root.path, root.depth, false);
            } else {
                let folder = self.aside.pop()?;
                self.enter(folder, Some(1), true);
            }
        }
    }

    /// Goes into what is a folder; answers what is none.
    fn take(&mut self, entry: &fs::DirEntry) -> Option<Entry> {
        let level = self.levels.last()?;
        let (depth, is_aside) = (level.depth, level.is_aside);
        let path = entry.path();
        let kind = entry.file_type().ok()?;
        let is_link = kind.is_symlink();
        if is_aside {
            let inode = (!is_link && !kind.is_dir()).then(|| entry.ino());
            return inode.map(|inode| Entry { path, kind: Kind::Aside, inode: Some(inode) });
        }
        let is_folder = if is_link { fs::metadata(&path).is_ok_and(|m| m.is_dir()) } else { kind.is_dir() };
        if !is_folder {
            let kind = if is_link { Kind::Link } else { Kind::Listed };
            return Some(Entry { path, kind, inode: (!is_link).then(|| entry.ino()) });
        }
        let below = depth.map(|depth| depth - 1);
        if below != Some(0) {
            self.enter(path, below, false);
        }
        None
    }

    fn enter(&mut self, path: PathBuf, depth: Option<usize>, is_aside: bool) {
        let opened =
            fs::metadata(&path).and_then(|meta| Ok(((meta.dev(), meta.ino()), fs::read_dir(&path)?)));
        match opened {
            // A link to a folder above would lead round in a circle.
            Ok((id, _)) if self.levels.iter().any(|level| level.id == id) => {}
            Ok((id, entries)) => {
                if !is_aside {
                    self.folders.insert(path.clone());
                }
                self.listed.insert(path);
                self.levels.push(Level { id, depth, is_aside, entries });
            }
            Err(error) if is_aside || is_absent(&error) => {}
            Err(error) => self.errors.push((path, error)),
        }
    }
}

#[cfg(test)]
mod tests;
