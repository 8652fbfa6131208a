//! One file that is followed.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Instant;

use crate::batch::StreamId;
use crate::batch::constants::Constants;
use crate::receipt::Watermark;

use super::charset::Coding;
use super::checkpoint::Checkpoint;
use super::content::{Content, Gunzip};
use super::discover::{FileId, find_in_folder};
use super::fingerprint::{Fingerprint, HEAD, read_head};
use super::read::{Blank, Searched};
use super::settings::Compression;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A file that is followed. Nothing of its content is kept: what is not sent is read again.
#[derive(Debug)]
pub(super) struct Tail {
    pub id: FileId,
    /// The name it has now, or had last.
    pub path: PathBuf,
    /// What all its records have in common, the time of reading aside.
    pub constants: Constants,
    pub stream: StreamId,
    /// The safe position. A new one for new content: what is on its way from old content cannot be read again.
    pub mark: Watermark<u64>,
    pub fingerprint: Option<Fingerprint>,
    /// The open file.
    pub content: Option<Content>,
    /// How much of a compressed file there was when it was read to its end. None for others.
    pub finished: Option<u64>,
    pub compressed: Compressed,
    /// Its charset; none while it has not the bytes that tell.
    pub coding: Option<Coding>,
    /// Where the first line begins that is not sent.
    pub offset: u64,
    /// How far a line longer than the limit, which begins at `offset`, was searched for its end.
    pub searched: Option<Searched>,
    /// What is known of the NULs that come next.
    pub blank: Blank,
    /// It was said that NULs were skipped in it.
    pub told_nuls: bool,
    /// Where the file ended when it was last seen.
    pub size: u64,
    /// When it was last written, as the system says: seconds and ns.
    pub modified: (i64, i64),
    /// When it was last seen to grow.
    pub grown: Instant,
    /// Since when none of our globs leads to it.
    pub gone: Option<Instant>,
    /// The walk that saw it last.
    pub seen: u64,
    /// What it ends with is no whole line.
    pub partial: bool,
    /// It waits for its turn to be read.
    pub queued: bool,
    /// What is unfinished at its end is to be sent as it is.
    pub force: bool,
    /// Its content is to be compared with the fingerprint before the first reading after this.
    pub verify_at: Instant,
    /// Nothing is done with it before: it could not be read, or records came back.
    pub rest_until: Option<Instant>,
    /// Bytes of a record, on average; 0: not known.
    pub average: usize,
}

/// Whether a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compressed {
    /// Not known before it has content.
    Unknown,
    No,
    Yes,
}

/// What happened to a file since it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// It was written to.
    Grown,
    /// It was cut.
    Truncated,
}

impl Tail {
    /// Looks at what the system says of the file, without reading it.
    pub fn look(&mut self) -> io::Result<(Change, Metadata)> {
        let meta = self.metadata()?;
        let change = if meta.len() < self.size {
            Change::Truncated
        } else if meta.len() > self.size || modified(&meta) != self.modified {
            Change::Grown
        } else {
            Change::None
        };
        Ok((change, meta))
    }

    fn metadata(&mut self) -> io::Result<Metadata> {
        if self.content.is_none() {
            match fs::metadata(&self.path) {
                Ok(meta) if FileId::of(&meta) == self.id => return Ok(meta),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ if self.is_compressed() => return Err(io::ErrorKind::NotFound.into()),
                // It has another name now. It may have grown before that, and its writer may still have it open.
                _ => self.open()?,
            }
        }
        let content = self.content.as_ref().ok_or(io::ErrorKind::NotFound)?;
        content.file().metadata()
    }

    /// Opens the file if it is not open, wherever its folder has it now.
    pub fn open(&mut self) -> io::Result<()> {
        if self.content.is_none() {
            self.content = Some(Content::Plain(self.open_file()?));
        }
        Ok(())
    }

    fn open_file(&self) -> io::Result<File> {
        let open = |path: &PathBuf| -> io::Result<File> {
            let file = File::open(path)?;
            if FileId::of(&file.metadata()?) != self.id {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(file)
        };
        match open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = self.path.parent().ok_or(error)?;
                let found = find_in_folder(folder, &HashSet::from([self.id])).pop();
                open(&found.ok_or(io::ErrorKind::NotFound)?.path)
            }
            other => other,
        }
    }

    /// Whether the content is still what it was, as far as its first bytes tell. Learns more of them as they come.
    pub fn verify(&mut self, compression: Compression) -> io::Result<bool> {
        let Some(content) = &self.content else { return Ok(true) };
        let mut buffer = [0; HEAD];
        let head = read_head(content.file(), &mut buffer)?;
        if self.fingerprint.is_some_and(|known| !known.fits(head)) {
            return Ok(false);
        }
        // NULs that may be written over tell nothing; those that are passed are there to stay.
        let firm = Coding::UTF_8.written(head).max(head.len().min(self.offset as usize));
        self.fingerprint = Fingerprint::of(&head[..firm]);
        self.compressed = match compression {
            Compression::None => Compressed::No,
            Compression::Gzip => Compressed::Yes,
            Compression::Auto if head.starts_with(&GZIP_MAGIC) => Compressed::Yes,
            Compression::Auto if head.len() < 2 && GZIP_MAGIC.starts_with(head) => Compressed::Unknown,
            Compression::Auto => Compressed::No,
        };
        Ok(true)
    }

    /// Makes the open file one that is decompressed, if that is what it is.
    pub fn decompress(&mut self) -> io::Result<()> {
        if self.compressed == Compressed::Yes
            && let Some(Content::Plain(_)) = &self.content
            && let Some(Content::Plain(file)) = self.content.take()
        {
            self.content = Some(Content::Gzip(Box::new(Gunzip::new(file)?)));
            self.blank = Blank::Unknown;
        }
        Ok(())
    }

    pub fn is_compressed(&self) -> bool {
        self.compressed == Compressed::Yes
    }

    /// Begins again at the start: the content is another.
    pub fn renew(&mut self, now: Instant) {
        self.mark = Watermark::new(Some(0));
        self.fingerprint = None;
        self.compressed = Compressed::Unknown;
        self.coding = None;
        self.finished = None;
        self.content = self.content.take().map(Content::into_plain);
        self.offset = 0;
        self.searched = None;
        self.blank = Blank::Unknown;
        self.told_nuls = false;
        self.size = 0;
        self.force = false;
        self.grown = now;
        self.verify_at = now;
    }

    /// Goes back to the safe position: what was sent after it is sent again.
    pub fn go_back(&mut self) {
        self.offset = self.mark.restart().unwrap_or(0);
        self.searched = None;
        self.blank = Blank::Unknown;
        self.finished = None;
    }

    /// Bytes that are not sent, as they are on disk. What is not written yet is none.
    pub fn behind(&self) -> u64 {
        if self.is_compressed() {
            return if self.finished == Some(self.size) { 0 } else { self.size };
        }
        let end = match self.blank {
            Blank::End { from, to } if to == self.size => from,
            _ => self.size,
        };
        end.saturating_sub(self.offset)
    }

    /// What is to be kept of it; none while it is empty.
    pub fn checkpoint(&self, seen: i64) -> Option<Checkpoint> {
        let safe = self.mark.safe().unwrap_or(0);
        Some(Checkpoint {
            path: self.path.clone(),
            device: self.id.device,
            inode: self.id.inode,
            fingerprint: self.fingerprint?,
            position: safe,
            finished: self.finished.filter(|_| safe == self.offset),
            seen,
        })
    }
}

pub(super) fn modified(meta: &Metadata) -> (i64, i64) {
    (meta.mtime(), meta.mtime_nsec())
}
