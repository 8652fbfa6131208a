//! A file that grows at its end.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use super::disk;
use flitch_core::private;

/// A file that is opened for each write: there may be very many. What a write left that failed is written over.
#[derive(Debug)]
pub(super) struct Growing {
    path: PathBuf,
    length: u64,
}

impl Growing {
    /// A file that is made by its first write.
    pub fn new(path: PathBuf) -> Growing {
        Growing { path, length: 0 }
    }

    /// # Errors
    /// The system's; nothing has become longer then.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = private::open(OpenOptions::new().write(true).create(true), &self.path)?;
        disk::write_at(&file, bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are in it.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Removes it; it may begin again.
    pub fn remove(&mut self) {
        if self.length > 0 {
            let _ = std::fs::remove_file(&self.path);
        }
        self.length = 0;
    }
}
