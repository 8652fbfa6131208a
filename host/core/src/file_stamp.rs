//! Whether a file is another than before, without reading it.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// Times of the last changes, length and inode of a file: another file, or another content, has another one, and so has one
/// that this user may read now and could not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    changed: SystemTime,
    /// When anything was changed last, its rights and its owner too: seconds and nanoseconds. Nobody can set it.
    touched: (i64, i64),
    bytes: u64,
    inode: u64,
}

impl FileStamp {
    /// The stamp of the file at `path`, behind a link too; none where there is none.
    pub fn of(path: &Path) -> Option<FileStamp> {
        let there = std::fs::metadata(path).ok()?;
        Some(FileStamp {
            changed: there.modified().ok()?,
            touched: (there.ctime(), there.ctime_nsec()),
            bytes: there.len(),
            inode: there.ino(),
        })
    }
}

/// Whether `path` leads to `file`: somebody may have taken it away, or put another in its place.
pub fn is_at(file: &File, path: &Path) -> bool {
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(a), Ok(b)) => is_same(&a, &b),
        _ => false,
    }
}

/// Whether both are of one file.
pub fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests;
