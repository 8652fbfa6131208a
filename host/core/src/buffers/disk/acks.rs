//! Which frames are settled: a set of sequences, and the file in which it survives.
//!
//! The file `settled` has a head like that of a segment (see [`super::segment`]) and then notes of 24 bytes, each appended
//! when frames are settled: the first sequence, the one after the last, and the CRC-32C of both (4 bytes, then 4 zeros).
//! A note that is lost makes frames come again, and nothing worse; so notes are not synced one by one. When they are
//! many more than what is in the set, the file is written anew beside the old one and renamed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use arrow_buffer::Buffer;

use super::frame::Head;
use super::fs::{File, Fs};
use super::segment::{self, Header};

/// The name of the file.
pub const FILE: &str = "settled";
const NEXT: &str = "settled.new";
const NOTE: usize = 24;
/// Notes that are no reason to write the file anew.
const FEW: usize = 2048;

/// The settled sequences as ranges that do not touch: the first of each, and the one after its last.
#[derive(Debug)]
pub struct Set(BTreeMap<u64, u64>);

impl Default for Set {
    /// Sequences begin with 1.
    fn default() -> Self {
        Set(BTreeMap::from([(0, 1)]))
    }
}

impl Set {
    /// Adds `from..to`.
    pub fn add(&mut self, mut from: u64, mut to: u64) {
        if from >= to {
            return;
        }
        if let Some((&before, &end)) = self.0.range(..=from).next_back()
            && end >= from
        {
            from = before;
            to = to.max(end);
        }
        while let Some((&next, &end)) = self.0.range(from..=to).next() {
            to = to.max(end);
            self.0.remove(&next);
        }
        self.0.insert(from, to);
    }

    /// Whether all of `from..to` is in it.
    pub fn covers(&self, from: u64, to: u64) -> bool {
        from >= to || self.0.range(..=from).next_back().is_some_and(|(_, end)| *end >= to)
    }

    /// Whether a sequence is in it.
    pub fn has(&self, sequence: u64) -> bool {
        self.covers(sequence, sequence + 1)
    }

    /// Whether all frames are in it that can have been where none begins, before the frame `next`, or the `end` of a
    /// segment; `from` is the first of them.
    pub fn ends(&self, from: u64, next: Option<Head>, end: u64) -> bool {
        let to = next.map_or(end, |head| head.sequence);
        from < to && self.covers(from, to)
    }

    /// The sequence after the last one.
    pub fn end(&self) -> u64 {
        self.0.last_key_value().map_or(1, |(_, end)| *end)
    }
}

/// The set with its file.
pub struct Acks {
    set: Set,
    folder: PathBuf,
    file: Option<Box<dyn File>>,
    /// Bytes of the file that are written.
    length: u64,
    /// What is in the set and not in the file.
    unwritten: Set,
    is_unsynced: bool,
}

/// The set that the file in `folder` holds; nothing where there is none. Notes that are broken count for nothing.
///
/// # Errors
/// The disk's, and [`segment::Newer`].
pub fn read(fs: &dyn Fs, folder: &Path) -> io::Result<Set> {
    let mut set = Set::default();
    let file = match fs.open(&folder.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(set),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; file.length()? as usize];
    file.read_at(&mut bytes, 0)?;
    Header::read(&bytes, &folder.join(FILE))?;
    for note in bytes.get(segment::HEADER..).unwrap_or_default().as_chunks::<NOTE>().0 {
        let (range, sum) = note.split_at(16);
        let long = |from: usize| u64::from_le_bytes(range[from..from + 8].try_into().expect("eight bytes"));
        if sum[..4] == crc32c::crc32c(range).to_le_bytes() {
            set.add(long(0), long(8));
        }
    }
    Ok(set)
}

fn note(from: u64, to: u64, bytes: &mut Vec<u8>) {
    let begin = bytes.len();
    bytes.extend_from_slice(&from.to_le_bytes());
    bytes.extend_from_slice(&to.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[begin..]);
    bytes.extend_from_slice(&u64::from(sum).to_le_bytes());
}

impl Acks {
    /// The set of a folder. The file is written anew when the next note is.
    ///
    /// # Errors
    /// As of [`read`].
    pub fn open(fs: &dyn Fs, folder: &Path) -> io::Result<Acks> {
        let set = read(fs, folder)?;
        Ok(Acks {
            set,
            folder: folder.to_owned(),
            file: None,
            length: 0,
            unwritten: Set(BTreeMap::new()),
            is_unsynced: false,
        })
    }

    /// The set.
    pub fn set(&self) -> &Set {
        &self.set
    }

    /// Adds `from..to`; [`Acks::write`] makes it last.
    pub fn add(&mut self, from: u64, to: u64) {
        self.set.add(from, to);
        self.unwritten.add(from, to);
    }

    /// Writes what was added.
    ///
    /// # Errors
    /// The disk's: it is written the next time.
    pub fn write(&mut self, fs: &dyn Fs) -> io::Result<()> {
        if self.unwritten.0.is_empty() {
            return Ok(());
        }
        let notes = (self.length as usize).saturating_sub(segment::HEADER) / NOTE;
        let (is_long, path) = (notes >= FEW.max(4 * self.set.0.len()), self.folder.join(FILE));
        // Where somebody has removed it, notes in it are lost with the process.
        let Some(file) = self.file.as_ref().filter(|file| !is_long && file.is_at(&path)) else {
            return self.write_anew(fs);
        };
        let mut bytes = Vec::with_capacity(self.unwritten.0.len() * NOTE);
        self.unwritten.0.iter().for_each(|(from, to)| note(*from, *to, &mut bytes));
        let written = bytes.len() as u64;
        file.write_at(&[Buffer::from_vec(bytes)], self.length)?;
        self.length += written;
        self.is_unsynced = true;
        self.unwritten.0.clear();
        Ok(())
    }

    fn write_anew(&mut self, fs: &dyn Fs) -> io::Result<()> {
        let mut bytes = Header::write().to_vec();
        self.set.0.iter().for_each(|(from, to)| note(*from, *to, &mut bytes));
        let length = bytes.len() as u64;
        let next = self.folder.join(NEXT);
        let file = fs.create(&next)?;
        file.write_at(&[Buffer::from_vec(bytes)], 0)?;
        file.sync()?;
        fs.rename(&next, &self.folder.join(FILE))?;
        fs.sync_folder(&self.folder)?;
        (self.file, self.length, self.is_unsynced) = (Some(file), length, false);
        self.unwritten.0.clear();
        Ok(())
    }

    /// Makes what was written outlive a crash of the machine.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.as_ref().filter(|_| self.is_unsynced) {
            file.sync()?;
            self.is_unsynced = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
