//! One file that is followed.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Instant;

use flitch_core::batch::StreamId;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::origin::Root;
use flitch_core::receipt::Watermark;

use super::charset::Coding;
use super::checkpoint::Checkpoint;
use super::container::{Position, Streams};
use super::content::{Content, Gunzip};
use super::discover::{self, FileId, find_in_folder};
use super::fingerprint::{Fingerprint, HEAD, Trail, read_head};
use super::identity::{self, first_line};
use super::read::{Blank, Searched};
use super::settings::Compression;
use crate::packed;
use unended::Unended;
pub(super) use unsent::Owed;
use unsent::Unsent;

mod found;
mod unended;
mod unsent;

/// A file that is followed. Nothing of its content is kept but what it ends with and is not sent: that is read again.
#[derive(Debug)]
pub(super) struct Tail {
    pub id: FileId,
    /// What the system called it before it was copied within its overlay, until its tailer has heard of that.
    pub id_before: Option<FileId>,
    /// The name of ours that it has now, or had last.
    pub path: PathBuf,
    /// Where it lies: the same, or where a link leads, or what it was renamed to.
    pub place: PathBuf,
    /// The folder where it lay really when it was found, if a link leads there: it may lead elsewhere by now.
    pub folder: Option<PathBuf>,
    /// The name of ours that it had first, if it was renamed to another: its records go on under it.
    pub label: Option<PathBuf>,
    /// What all its records have in common, the time of reading aside. Made when it is read.
    pub constants: Option<Constants>,
    pub stream: StreamId,
    /// What its records are numbered in, once there is one.
    pub root: Option<Root>,
    /// The root of the content that it had before.
    pub root_before: Option<Root>,
    /// The safe position. A new one for new content: what is on its way from old content cannot be read again.
    pub mark: Watermark<Position>,
    pub fingerprint: Option<Fingerprint>,
    /// What stands before a position up to which it was read.
    pub trail: Option<Trail>,
    /// Its last line, where that had no end and was sent as it was.
    pub unended: Option<Unended>,
    /// What it ends with, where that has not ended and is not sent.
    pub unsent: Unsent,
    /// What is on disk about it.
    pub saved: Option<Checkpoint>,
    /// None of its batches has settled yet, so that its first safe position is saved at once.
    pub is_fresh: bool,
    /// The open file.
    pub content: Option<Content>,
    /// When it was read last, among the open files; none while it is closed.
    pub used: Option<u64>,
    /// Whether a compressed file is one that was read before it was compressed.
    pub twin: Twin,
    /// How much of a compressed file there was when it was read to its end. None for others.
    pub finished: Option<u64>,
    pub compressed: Compressed,
    /// Its charset; none while it has not the bytes that tell.
    pub coding: Option<Coding>,
    /// Where the first line begins that is not taken.
    pub offset: u64,
    /// What lines that were taken have begun and not ended, where the files are those of containers.
    pub streams: Option<Box<Streams>>,
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
    /// By what is not gzip: nothing is read of it.
    By(&'static str),
}

impl Compressed {
    /// Of a file that begins with `head`.
    fn of(head: &[u8]) -> Compressed {
        match packed::alike(head) {
            Some((_, false)) => Compressed::Unknown,
            Some((packed::GZIP, true)) => Compressed::Yes,
            Some((name, true)) => Compressed::By(name),
            None => Compressed::No,
        }
    }
}

/// Whether a compressed file is one that was read before it was compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Twin {
    /// Nobody has looked, or what was seen may be otherwise by now.
    Unknown,
    /// It holds what a plain file that is followed does, and waits until that is safe, let go, or another.
    Of(Box<Plain>),
    /// It is known how much of it was read before: it is read from there on.
    Known,
}

/// A plain file as it was when a compressed one was compared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub key: u64,
    pub kept: Checkpoint,
    /// Its size, and that of the compressed one.
    pub sizes: [u64; 2],
    /// Up to where both are the same, which is all of the compressed one. None where that is not known.
    pub end: Option<u64>,
}

/// What happened to a file since it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// It was written to, or lost at its end what was not sent: NULs that nobody has written over, a line without an end.
    Grown,
    /// It was cut.
    Truncated,
}

impl Tail {
    /// Looks at what the system says of the file, without reading it.
    pub fn look(&mut self) -> io::Result<(Change, Metadata)> {
        let meta = self.metadata()?;
        let change = if meta.len() < self.end() && (self.is_compressed() || meta.len() < self.offset) {
            Change::Truncated
        } else if meta.len() < self.end() {
            // A line without an end is taken back, of which nothing was sent.
            self.searched = None;
            self.blank = Blank::Unknown;
            Change::Grown
        } else if meta.len() != self.size || modified(&meta) != self.modified {
            Change::Grown
        } else {
            Change::None
        };
        Ok((change, meta))
    }

    /// What the system says of the file now.
    pub fn metadata(&mut self) -> io::Result<Metadata> {
        if self.content.is_none() {
            match fs::metadata(&self.place) {
                Ok(meta) if FileId::of(&meta) == self.id => return Ok(meta),
                Err(error) if !discover::is_absent(&error) => return Err(error),
                _ if self.is_compressed() => return Err(io::ErrorKind::NotFound.into()),
                // It has another name now. It may have grown before that, and its writer may still have it open.
                _ => self.open()?,
            }
        }
        let content = self.content.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let meta = content.file().metadata()?;
        let now = FileId::of(&meta);
        if self.id.may_be_copied_to(now) {
            self.is_copied_to(now);
        }
        Ok(meta)
    }

    fn is_copied_to(&mut self, now: FileId) {
        let before = std::mem::replace(&mut self.id, now);
        self.id_before.get_or_insert(before);
    }

    /// Opens what lies in its place, where that is its copy within an overlay: it begins alike, and has the same before what was read
    /// last.
    fn open_copy(&mut self) -> Option<File> {
        let now = FileId::of(&fs::metadata(&self.place).ok()?);
        let left = self.trail.map_or(0, |trail| trail.position);
        if !self.id.may_be_copied_to(now) || self.is_compressed() || left != self.offset {
            return None;
        }
        let file = discover::open(&self.place, now).ok()?;
        let mut buffer = [0; HEAD];
        let head = read_head(&file, &mut buffer).ok()?;
        let is_same = self.fingerprint.is_none_or(|known| known.fits(head));
        let trail = Trail::of(&file, left).ok()?;
        if !is_same || trail.is_none() || self.trail.is_some() && trail != self.trail {
            return None;
        }
        self.is_copied_to(now);
        Some(file)
    }

    /// Opens the file if it is not open, wherever its folder has it now.
    pub fn open(&mut self) -> io::Result<()> {
        if self.content.is_none() {
            self.content = Some(Content::Plain(self.open_file()?));
        }
        Ok(())
    }

    /// Closes a file that its server has removed or lost (NFS): it is opened again by its name, if it has one.
    pub fn close_if_stale(&mut self, error: &io::Error) {
        if error.kind() == io::ErrorKind::StaleNetworkFileHandle {
            self.content = None;
        }
    }

    fn open_file(&mut self) -> io::Result<File> {
        let absent = match discover::open(&self.place, self.id) {
            Err(error) if discover::is_absent(&error) => error,
            other => return other,
        };
        if let Some(copy) = self.open_copy() {
            return Ok(copy);
        }
        let folder = self.place.parent().ok_or(absent)?;
        let found = find_in_folder(folder, self.id);
        let found = found.or_else(|| find_in_folder(self.folder.as_ref()?, self.id));
        self.place = found.ok_or(io::ErrorKind::NotFound)?;
        discover::open(&self.place, self.id)
    }

    /// Whether the content is still what it was, as far as its first bytes tell and those before what was read last.
    /// Learns more of the first as they come.
    pub fn verify(&mut self, compression: Compression) -> io::Result<bool> {
        let Some(content) = &self.content else { return Ok(true) };
        let mut buffer = [0; HEAD];
        let head = read_head(content.file(), &mut buffer)?;
        // Of a short file all is known that was taken of it; a line without an end behind that may have become another.
        let taken = self.trail.filter(|trail| {
            let is_head = 0 < trail.position && trail.position <= HEAD as u64;
            is_head && trail.position == self.offset && !self.is_compressed()
        });
        let known = taken.map_or(self.fingerprint, |trail| trail.before);
        if known.is_some_and(|known| !known.fits(head)) {
            return Ok(false);
        }
        if let Some(trail) = self.trail
            && Trail::of(content.file(), trail.position)? != Some(trail)
        {
            return Ok(false);
        }
        self.fingerprint = self.firm(head);
        self.compressed = match compression {
            Compression::None => Compressed::No,
            Compression::Gzip => Compressed::Yes,
            Compression::Auto => Compressed::of(head),
        };
        Ok(true)
    }

    /// Learns the first bytes of a file that had none when it was found, though it was not read since: what it is compressed
    /// to is known by them.
    pub fn learn_head(&mut self) {
        let mut buffer = [0; HEAD];
        if self.fingerprint.is_none()
            && let Some(Content::Plain(file)) = &self.content
            && let Ok(head) = read_head(file, &mut buffer)
        {
            self.fingerprint = self.firm(head);
        }
    }

    /// What is known of a file that begins with `head`.
    fn firm(&self, head: &[u8]) -> Option<Fingerprint> {
        // NULs that may be written over tell nothing; those that are passed are there to stay.
        let firm = Coding::UTF_8.written(head).max(head.len().min(self.offset as usize));
        Fingerprint::of(&head[..firm])
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

    /// Remembers what stands before the place up to which it was read.
    pub fn leave_trail(&mut self) -> io::Result<()> {
        if self.trail.is_none_or(|trail| trail.position != self.offset)
            && let Some(Content::Plain(file)) = &self.content
        {
            self.trail = Trail::of(file, self.offset)?;
        }
        Ok(())
    }

    /// Begins at a position; nothing was sent yet.
    pub fn begin_at(&mut self, position: Position) {
        self.read_on(position);
        self.mark = Watermark::new(Some(position));
    }

    fn read_on(&mut self, position: Position) {
        self.offset = position.offset;
        let is_one = position == Position::at(position.offset);
        self.streams = (!is_one).then(|| Box::new(Streams::at(position)));
    }

    /// The position when all that was taken and is whole is safe.
    pub fn position(&self) -> Position {
        self.streams.as_ref().map_or(Position::at(self.offset), |streams| streams.position(self.offset))
    }

    /// Finds out what its records are numbered in, as soon as there is a record.
    pub fn know_root(&mut self, source: &str) -> io::Result<()> {
        if self.root.is_some() {
            return Ok(());
        }
        let content = self.content.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let mut head = [0; HEAD];
        let read = content.read_at(&mut head, 0, 0)?;
        if let Some(line) = first_line(&head[..read], self.force) {
            self.root = Some(identity::root(source, self.id, line, self.root_before));
        }
        Ok(())
    }

    /// Begins again at the start: the content is another, perhaps that of another file that was given the number of
    /// one that is gone.
    pub fn renew(&mut self, now: Instant) {
        self.owe();
        self.mark = Watermark::new(Some(Position::at(0)));
        self.root_before = self.root.take().or(self.root_before);
        self.label = None;
        self.constants = None;
        self.fingerprint = None;
        self.trail = None;
        self.unended = None;
        self.saved = None;
        self.is_fresh = true;
        self.twin = Twin::Unknown;
        self.compressed = Compressed::Unknown;
        self.coding = None;
        self.finished = None;
        self.content = self.content.take().map(Content::into_plain);
        self.offset = 0;
        self.streams = None;
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
        let position = self.mark.restart().unwrap_or(Position::at(0));
        self.read_on(position);
        self.searched = None;
        self.blank = Blank::Unknown;
        self.finished = None;
    }

    /// Bytes that are not sent, as they are on disk. What is not written yet is none.
    pub fn behind(&self) -> u64 {
        if let Compressed::By(_) = self.compressed {
            return 0;
        }
        if self.is_compressed() {
            return if self.finished == Some(self.size) { 0 } else { self.size };
        }
        let open = self.streams.as_ref().and_then(|streams| streams.first_open());
        self.end().saturating_sub(open.unwrap_or(self.offset))
    }

    /// Where what is written ended when it was last seen. Behind it are NULs, which its writer may cut off when it is done.
    fn end(&self) -> u64 {
        match self.blank {
            Blank::End { from, to } if to == self.size && !self.is_compressed() => from,
            _ => self.size,
        }
    }

    /// What is to be kept of it.
    pub fn checkpoint(&self, seen: i64) -> Checkpoint {
        let position = self.mark.safe().unwrap_or(Position::at(0));
        let safe = position.offset;
        let known = self.saved.as_ref().filter(|saved| saved.position == safe).and_then(|saved| saved.before);
        Checkpoint {
            path: self.path.clone(),
            place: (self.place != self.path).then(|| self.place.clone()),
            folder: self.folder.clone(),
            id: self.id,
            fingerprint: self.fingerprint,
            position: safe,
            streams: (position != Position::at(safe)).then_some(position.streams),
            before: known.or_else(|| self.before(safe)),
            finished: self.finished.filter(|_| position == Position::at(self.offset)),
            root: self.root,
            seen,
        }
    }

    /// What is to be kept of it, if that is not on disk.
    pub fn changed_checkpoint(&self, seen: i64) -> Option<Checkpoint> {
        (!self.is_saved()).then(|| self.checkpoint(seen))
    }

    /// Whether what is to be kept of it is on disk. Asked of every lively file at each save.
    pub fn is_saved(&self) -> bool {
        let Some(saved) = &self.saved else { return false };
        let position = self.mark.safe().unwrap_or(Position::at(0));
        saved.start() == position
            && saved.fingerprint == self.fingerprint
            && saved.root == self.root
            && saved.finished == self.finished.filter(|_| position == Position::at(self.offset))
            && saved.path == self.path
            && *saved.place() == self.place
    }

    /// The fingerprint of the bytes before a safe position, if they can be read at once.
    fn before(&self, safe: u64) -> Option<Fingerprint> {
        match (self.trail, &self.content) {
            (Some(trail), _) if trail.position == safe => trail.before,
            // Without it the first bytes have to do.
            (_, Some(Content::Plain(file))) if !self.is_compressed() => Trail::of(file, safe).ok()??.before,
            _ => None,
        }
    }
}

pub(super) fn modified(meta: &Metadata) -> (i64, i64) {
    (meta.mtime(), meta.mtime_nsec())
}
