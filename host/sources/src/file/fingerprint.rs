//! By which content a file is known: hashes of its first bytes, and of those just before a position.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes at the head of a file that are hashed, at most.
pub(super) const HEAD: usize = 256;

/// A hash of the first bytes of a file, and how many they were: files shorter than [`HEAD`] are known by what they
/// have, and by more when they grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    len: u16,
    hash: u64,
}

impl Fingerprint {
    /// The fingerprint of a file that begins with `head`; none for an empty one.
    pub fn of(head: &[u8]) -> Option<Fingerprint> {
        let head = &head[..head.len().min(HEAD)];
        (!head.is_empty()).then(|| Fingerprint { len: head.len() as u16, hash: hash(head) })
    }

    /// Whether a file that begins with `head` can be the one that had this fingerprint and has only grown.
    pub fn fits(self, head: &[u8]) -> bool {
        head.get(..self.len as usize).is_some_and(|known| hash(known) == self.hash)
    }
}

/// A position of a file and the hash of the bytes just before it, by which content is known that was replaced by other
/// content that begins alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trail {
    pub position: u64,
    /// None at the beginning.
    pub before: Option<Fingerprint>,
}

impl Trail {
    /// The trail that ends at `position`, for which `read` gets the bytes: it fills a buffer from an offset on
    /// as far as there are bytes. None where the content ends before the position.
    pub fn read(
        position: u64,
        mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<Option<Trail>> {
        let mut buffer = [0; HEAD];
        let len = position.min(HEAD as u64) as usize;
        let there = read(&mut buffer[..len], position - len as u64)? == len;
        Ok(there.then(|| Trail { position, before: Fingerprint::of(&buffer[..len]) }))
    }

    /// The trail of a file as it is on disk.
    pub fn of(file: &File, position: u64) -> io::Result<Option<Trail>> {
        Trail::read(position, |buffer, offset| read_at(file, buffer, offset))
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

/// Reads the first bytes of a file.
pub(super) fn read_head<'a>(file: &File, buffer: &'a mut [u8; HEAD]) -> io::Result<&'a [u8]> {
    let read = read_at(file, buffer, 0)?;
    Ok(&buffer[..read])
}

/// Reads until `buffer` is full or the file ends. Answers how many bytes that were.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
