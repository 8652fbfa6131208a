//! An object that is built, and may still grow.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Held;
use super::keep::Keep;
use super::press::Press;
use flitch_core::private;
use flitch_core::receipt::Receipt;

/// An object that may still grow.
pub(super) struct Open {
    pub key: Arc<[u8]>,
    /// What is not in the file yet.
    pub text: Vec<u8>,
    /// Of all text that is in the file.
    pub digest: Sha256,
    /// Bytes of all its text.
    pub length: u64,
    pub rows: u64,
    pub path: PathBuf,
    /// Bytes in the file.
    pub written: u64,
    pub shares: Vec<Receipt>,
    pub held: Held,
    pub keep: Option<Keep>,
    /// Most bytes of its text.
    pub most: u64,
    /// When it is closed, however much is in it.
    pub ends: Instant,
    pub touched: Instant,
}

impl Open {
    /// Bytes of memory that it takes until it is written.
    pub fn memory(&self) -> usize {
        self.text.capacity() + self.keep.as_ref().map_or(0, |keep| keep.text.capacity())
    }

    /// Writes what is in memory.
    ///
    /// # Errors
    /// The disk's. Then it stays there, and what came into the file is written over.
    pub fn write(&mut self, press: &mut Press, buffered: &mut usize) -> io::Result<()> {
        if let Some(keep) = &mut self.keep {
            let memory = keep.text.capacity();
            let (text, length) = keep.write(press)?;
            *buffered -= memory - keep.text.capacity();
            self.held.add(length);
            self.held.remove(text as u64);
        }
        if self.text.is_empty() {
            return Ok(());
        }
        let Open { text, path, written, .. } = self;
        let length = press.press(text, |bytes| {
            let file = private::open(OpenOptions::new().write(true).create(true), path)?;
            file.write_all_at(bytes, *written)?;
            Ok(bytes.len() as u64)
        })?;
        let text = std::mem::take(&mut self.text);
        self.digest.update(&text);
        *buffered -= text.capacity();
        self.written += length;
        self.held.add(length);
        self.held.remove(text.len() as u64);
        Ok(())
    }
}
