//! An object that is built, and may still grow.

use std::io;
use std::sync::Arc;

use tokio::time::Instant;

use super::Held;
use super::content::{Broken, Content};
use super::keep::Keep;
use super::press::Press;
use super::trace::Trace;
use flitch_core::receipt::{Ledger, Receipt};

/// What is kept of an object that is written at once.
const PIECE: usize = 1 << 20;
/// What is counted for an object beside its bytes, and for a share of a receipt.
pub(super) const OBJECT: u64 = 4096;
const SHARE: u64 = 64;
/// What its place among the others takes of memory, about.
const NODE: usize = 64;

/// The key of another object for `key`, by the byte at its end, which is in no name.
pub(super) fn variant(key: &[u8], number: u8) -> Vec<u8> {
    let mut key = key.to_vec();
    if let Some(last) = key.last_mut() {
        *last = number;
    }
    key
}

/// Bytes of memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// Of what is not on the disk yet.
    pub content: usize,
    /// Of what an object takes however much is in it, and of what settles its records.
    pub beside: usize,
}

impl Memory {
    /// Counts for one part of it `now` instead of `before`.
    pub fn change(&mut self, before: &Memory, now: &Memory) {
        self.content = self.content - before.content + now.content;
        self.beside = self.beside - before.beside + now.beside;
    }
}

/// An object that may still grow.
pub(super) struct Open {
    pub key: Arc<[u8]>,
    pub content: Content,
    /// Where all its rows come from.
    pub trace: Trace,
    /// Bytes of all its rows.
    pub length: u64,
    pub rows: u64,
    /// What is not settled of it.
    pub shares: Vec<Receipt>,
    /// How many records of which source are stored.
    pub stored: Vec<(Arc<Ledger>, u64)>,
    pub held: Held,
    /// What is counted of it.
    pub memory: Memory,
    pub keep: Option<Keep>,
    /// Most bytes of its rows.
    pub most: u64,
    /// When it is closed, however much is in it.
    pub ends: Instant,
    pub touched: Instant,
}

impl Open {
    /// Whether it is worth to write what is in memory.
    pub fn is_due(&self) -> bool {
        self.content.is_due() || self.keep.as_ref().is_some_and(|keep| keep.memory() >= PIECE)
    }

    /// Writes what is in memory.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn write(&mut self, press: &mut Press) -> Result<(), Broken> {
        self.write_kept(press)?;
        self.content.write(press)
    }

    /// Puts what is in memory on the disk, in whatever form: there is no room for it.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn relieve(&mut self, press: &mut Press) -> Result<(), Broken> {
        self.write_kept(press)?;
        self.content.relieve(press)
    }

    /// Writes the end.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn finish(&mut self, press: &mut Press) -> Result<(), Broken> {
        self.write_kept(press)?;
        self.content.finish(press)
    }

    fn write_kept(&mut self, press: &mut Press) -> io::Result<()> {
        match &mut self.keep {
            Some(keep) => keep.write(press),
            None => Ok(()),
        }
    }

    /// Counts its memory and its bytes as they are now; `all` is the memory of all objects.
    pub fn count(&mut self, all: &mut Memory) {
        let own = NODE + size_of::<Open>() + 2 * self.key.len() + self.content.path().as_os_str().len();
        let shares = self.shares.capacity() * size_of::<Receipt>();
        let memory = Memory {
            content: self.content.memory() + self.keep.as_ref().map_or(0, Keep::memory),
            beside: own + shares + self.content.beside() + self.keep.as_ref().map_or(0, Keep::beside),
        };
        all.change(&self.memory, &memory);
        self.memory = memory;
        let kept = self.keep.as_ref().map_or(0, Keep::bytes);
        self.held.set(OBJECT + self.shares.len() as u64 * SHARE + self.content.bytes() + kept);
    }

    /// How its name begins: the key without the byte that stands for a name behind a slash.
    pub fn name_begin(&self) -> String {
        String::from_utf8_lossy(&self.key[..self.key.len() - 1]).into_owned()
    }

    /// Removes what is on disk.
    pub fn remove(&mut self) {
        self.content.remove();
        self.keep.iter_mut().for_each(Keep::remove);
    }
}
