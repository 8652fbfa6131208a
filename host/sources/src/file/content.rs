//! The bytes of a file, plain or decompressed.

use std::fs::File;
use std::io;

use super::fingerprint::read_at;
use members::Members;

mod members;

/// Decompressed bytes that are kept so that they can be read again without starting over.
const KEPT: usize = 4 << 20;

/// An open file.
#[derive(Debug)]
pub(super) enum Content {
    Plain(File),
    Gzip(Box<Gunzip>),
}

/// How a compressed file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Whole,
    /// In the middle: more may come.
    Short,
    /// What comes next cannot be decompressed.
    Broken,
}

impl Content {
    /// The file itself, whose bytes may be compressed.
    pub fn file(&self) -> &File {
        match self {
            Content::Plain(file) => file,
            Content::Gzip(gunzip) => gunzip.members.file(),
        }
    }

    /// The file as its bytes are.
    pub fn into_plain(self) -> Content {
        match self {
            Content::Plain(file) => Content::Plain(file),
            Content::Gzip(gunzip) => Content::Plain(gunzip.members.into_file()),
        }
    }

    /// Reads until `buffer` is full or the content ends; answers how many bytes that were. Bytes from `keep` on may be
    /// asked for again.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64, keep: u64) -> io::Result<usize> {
        match self {
            Content::Plain(file) => read_at(file, buffer, offset),
            Content::Gzip(gunzip) => gunzip.read_at(buffer, offset, keep),
        }
    }

    /// How many bytes the content of a compressed file has that was read to its end.
    pub fn expanded(&self) -> Option<u64> {
        match self {
            Content::Plain(_) => None,
            Content::Gzip(gunzip) => gunzip.members.end().map(|_| gunzip.position()),
        }
    }

    /// How a compressed file that was read to its end has ended.
    pub fn end(&self) -> Option<End> {
        match self {
            Content::Plain(_) => None,
            Content::Gzip(gunzip) => gunzip.members.end(),
        }
    }
}

/// A gzip file (RFC 1952) of one or several members, read as a stream that can go back a little.
pub(super) struct Gunzip {
    members: Members,
    kept: Vec<u8>,
    /// Where `kept` begins in the decompressed content.
    start: u64,
}

impl std::fmt::Debug for Gunzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gunzip")
            .field("start", &self.start)
            .field("end", &self.members.end())
            .finish_non_exhaustive()
    }
}

impl Gunzip {
    /// Reads `file` from its beginning.
    pub fn new(file: File) -> io::Result<Gunzip> {
        Ok(Gunzip { members: Members::new(file)?, kept: Vec::new(), start: 0 })
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64, keep: u64) -> io::Result<usize> {
        if offset < self.start {
            self.begin_anew()?;
        }
        let until = offset + buffer.len() as u64;
        while self.members.end().is_none() && self.position() < until {
            // Skipped bytes, and those that nobody asks for again.
            let needed = keep.max(self.position().saturating_sub(KEPT as u64)).min(offset);
            let unused = (needed.saturating_sub(self.start) as usize).min(self.kept.len());
            if unused >= 64 << 10 {
                self.kept.drain(..unused);
                self.start += unused as u64;
            }
            self.read_more()?;
        }
        let from = offset.saturating_sub(self.start).min(self.kept.len() as u64) as usize;
        let there = &self.kept[from..];
        let read = there.len().min(buffer.len());
        buffer[..read].copy_from_slice(&there[..read]);
        Ok(read)
    }

    /// How far was decompressed.
    fn position(&self) -> u64 {
        self.start + self.kept.len() as u64
    }

    fn read_more(&mut self) -> io::Result<()> {
        let len = self.kept.len();
        self.kept.resize(len + (64 << 10), 0);
        let read = self.members.read(&mut self.kept[len..]);
        self.kept.truncate(len + *read.as_ref().unwrap_or(&0));
        if read.is_err() {
            self.begin_anew()?;
        }
        read.map(drop)
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        *self = Gunzip::new(self.members.file().try_clone()?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
