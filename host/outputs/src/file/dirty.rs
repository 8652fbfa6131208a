//! What is written and not yet forced to the disk.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use flitch_core::durable::sync_folder;

/// Most closed files that wait to be forced to the disk together.
const MOST_CLOSED: usize = 16_384;

/// Which file it is, wherever it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    fn of(file: &File) -> io::Result<Inode> {
        file.metadata().map(|there| Inode { device: there.dev(), number: there.ino() })
    }
}

/// What is to be forced to the disk.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    files: Vec<(PathBuf, Arc<File>)>,
    /// Files that were closed to make room for others. Each is opened once more to be forced to the disk, however often it
    /// was opened and closed until then.
    closed: HashMap<PathBuf, Inode>,
    pub folders: HashSet<PathBuf>,
}

impl Dirty {
    /// Whether there is nothing to do.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.closed.is_empty() && self.folders.is_empty()
    }

    /// How many files there are.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.files.len() + self.closed.len()
    }

    /// A file that stays open.
    pub fn add(&mut self, path: &Path, file: &Arc<File>) {
        self.files.push((path.to_owned(), file.clone()));
    }

    /// A file that is closed now.
    pub fn close(&mut self, path: &Path, file: &File) {
        let inode = match Inode::of(file) {
            Ok(inode) => inode,
            Err(error) => return complain(path, &error),
        };
        if self.closed.len() >= MOST_CLOSED {
            self.sync();
        }
        if let Some(other) = self.closed.insert(path.to_owned(), inode)
            && other != inode
        {
            // It was moved away while nobody had it open.
            force_moved(path, other.device);
        }
    }

    /// Whether the file that was opened now was closed and is not forced to the disk; whoever has it open sees to that then.
    pub fn reopen(&mut self, path: &Path, file: &File) -> bool {
        let Some(closed) = self.closed.get(path) else { return false };
        let is_same = Inode::of(file).is_ok_and(|there| there == *closed);
        is_same && self.closed.remove(path).is_some()
    }

    /// Forces a closed file to the disk, which is about to be moved.
    pub fn force(&mut self, path: &Path) {
        if let Some(inode) = self.closed.remove(path) {
            force(path, inode);
        }
    }

    /// Adds what another has.
    pub fn extend(&mut self, other: Dirty) {
        self.files.extend(other.files);
        self.folders.extend(other.folders);
        for (path, inode) in other.closed {
            // What was closed since is known under its name; the one before it has been moved, or is the same.
            if self.closed.get(&path).is_some_and(|newer| *newer != inode) {
                force_moved(&path, inode.device);
            } else {
                self.closed.insert(path, inode);
            }
        }
    }

    /// Forces all of it to the disk; what is done is in it no more.
    pub fn sync(&mut self) {
        while let Some((path, file)) = self.files.last() {
            if let Err(error) = file.sync_data() {
                complain(path, &error);
            }
            self.files.pop();
        }
        self.closed.retain(|path, inode| {
            force(path, *inode);
            false
        });
        self.sync_folders();
    }

    /// Forces the new entries of folders to the disk.
    pub fn sync_folders(&mut self) {
        self.folders.retain(|folder| {
            if let Err(error) = sync_folder(folder) {
                complain(folder, &error);
            }
            false
        });
    }
}

/// Forces a file to the disk that nobody here has open.
fn force(path: &Path, inode: Inode) {
    // Something else may stand there by now: a pipe is not waited for.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let opened = OpenOptions::new().append(true).custom_flags(flags).open(path);
    let opened = opened.and_then(|file| Ok((Inode::of(&file)?, file)));
    match opened {
        Ok((there, file)) if there == inode => {
            if let Err(error) = file.sync_data() {
                complain(path, &error);
            }
        }
        _ => force_moved(path, inode.device),
    }
}

/// Forces a file to the disk that was moved, nobody knows where to, or cannot be opened: all of its file system.
fn force_moved(path: &Path, device: u64) {
    let folder = path.ancestors().skip(1).find_map(|folder| {
        let folder = File::open(folder).ok()?;
        (folder.metadata().ok()?.dev() == device).then_some(folder)
    });
    // Without one the file system is no longer mounted there.
    let done = folder.map_or(Ok(()), rustix::fs::syncfs);
    if let Err(error) = done {
        complain(path, &io::Error::from(error));
    }
}

/// Tells that a file, or the name of one, could not be forced to the disk.
pub(super) fn complain(path: &Path, error: &io::Error) {
    tracing::error!(path = %path.display(), "records may not be on the disk: {error}");
}
