//! The segments of one buffer: frames are appended, read in order, and settled in any order. One thread has it.
//!
//! - What [`Log::append`] answered for outlives a crash: the file is synced, and so is the folder where a file was made.
//! - A write or a sync that fails promises nothing, and what is in the file after what was synced before is given up: the
//!   same frames go to a new segment. (After a failed sync a file may say that all is well, and hold something else.)
//! - A segment is removed when all its frames are settled.
//! - A segment that was there at the start is never appended to.
//! - A file that somebody has removed promises nothing either: what is appended then goes to a new one, in a folder that is
//!   made again.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow_buffer::Buffer;

use super::acks::Acks;
use super::frame::Frame;
use super::fs::{File, Fs};
use super::recover::{self, Segment, Segments, Tail, Waiting};
use super::segment::{self, HEADER, Header};

mod read;

pub use read::{Parked, Read};

/// The file whose lock says that a buffer is in use.
pub const LOCK: &str = "lock";
/// What raw frames are called that nobody can read, after their sequence.
pub const PARKED: &str = ".parked";
/// Parts of a write that are gathered.
const PARTS: usize = 1000;

/// A place in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    segment: u64,
    at: u64,
}

/// A frame that was written and synced.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Its sequence.
    pub sequence: u64,
    /// What it counts for.
    pub weight: u64,
    end: Place,
}

/// See the text of the module.
pub struct Log {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    /// The next segment begins when one has so many bytes.
    segment_bytes: u64,
    segments: Segments,
    acks: Acks,
    /// The segment that is appended to, by its first frame, and where it was synced.
    current: Option<(u64, Box<dyn File>)>,
    /// The sequence of the next frame to be written.
    next: u64,
    /// Where the next frame is read from, and its sequence.
    place: Place,
    unread: u64,
    reading: Option<(u64, Box<dyn File>)>,
    failed_reads: u32,
    /// The frame that was read again last, and where it begins.
    again: Option<(u64, Place)>,
    missing: u64,
    /// Bytes were put aside that do not say which frame they were.
    has_parked_unknown: bool,
    sync_seconds: metrics::Histogram,
    /// None where the folder was removed and could not be made again.
    lock: Option<Box<dyn Any + Send>>,
}

/// What was found when a log was opened.
#[derive(Debug)]
pub struct Opened {
    /// What waits.
    pub waiting: Waiting,
    /// Bytes of a torn frame that were cut off.
    pub torn: u64,
    /// The end of the last segment, where it is no frame.
    pub parked: Option<Parked>,
}

impl Log {
    /// Opens the log in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// The disk's; [`io::ErrorKind::WouldBlock`] where somebody else has it; [`segment::Newer`].
    pub fn open(fs: Arc<dyn Fs>, folder: &Path) -> io::Result<(Log, Opened)> {
        fs.make_folder(folder)?;
        let lock = fs.lock(&folder.join(LOCK))?;
        let acks = Acks::open(&*fs, folder)?;
        let (mut segments, waiting, tail) = recover::survey(&*fs, folder, acks.set())?;
        let next = segments.values().map(|segment| segment.end).max().unwrap_or(1).max(acks.set().end());
        let mut opened = Opened { waiting, torn: 0, parked: None };
        if let Some((&first, &last)) = segments.last_key_value() {
            opened.cut(&*fs, folder, first, last, &tail)?;
        }
        let gone: Vec<u64> = segments
            .iter()
            .filter(|(first, segment)| acks.set().covers(**first, segment.end))
            .map(|(first, _)| *first)
            .collect();
        for first in gone {
            fs.remove(&folder.join(segment::name(first)))?;
            segments.remove(&first);
        }
        let first = segments.keys().next().copied().unwrap_or(next);
        let log = Log {
            fs,
            folder: folder.to_owned(),
            segment_bytes: 64 << 20,
            segments,
            acks,
            current: None,
            next,
            place: Place { segment: first, at: HEADER as u64 },
            unread: first,
            reading: None,
            failed_reads: 0,
            again: None,
            missing: 0,
            has_parked_unknown: false,
            sync_seconds: metrics::Histogram::noop(),
            lock: Some(lock),
        };
        Ok((log, opened))
    }

    /// Takes down how long syncs take.
    pub fn measure(&mut self, sync_seconds: metrics::Histogram) {
        self.sync_seconds = sync_seconds;
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How large segments become before the next one begins.
    pub fn set_segment_bytes(&mut self, bytes: u64) {
        self.segment_bytes = bytes;
    }

    /// How many segments there are, and their bytes.
    pub fn segments(&self) -> (u64, u64) {
        (self.segments.len() as u64, self.segments.values().map(|segment| segment.length).sum())
    }

    /// Whether there is something to read.
    pub fn has_unread(&self) -> bool {
        self.unread < self.next
    }

    /// Writes frames and syncs them.
    ///
    /// # Errors
    /// None of them is promised to be there; they can be appended again.
    pub fn append(&mut self, frames: &[&Frame], time: i64) -> io::Result<Vec<Placed>> {
        let appended = self.try_append(frames, time);
        if appended.is_err() {
            self.give_up_current();
        }
        appended
    }

    fn try_append(&mut self, frames: &[&Frame], time: i64) -> io::Result<Vec<Placed>> {
        self.make_current()?;
        let (first, file) = self.current.as_ref().expect("it was made");
        let segment = self.segments.get_mut(first).expect("the current segment is one of them");
        let is_new = segment.length == 0;
        let mut parts: Vec<Buffer> = Vec::new();
        if is_new {
            parts.push(Buffer::from(&Header::write()[..]));
        }
        let (mut at, mut end) = (segment.length, segment.length.max(HEADER as u64));
        let mut placed = Vec::with_capacity(frames.len());
        for (sequence, frame) in (self.next..).zip(frames) {
            let (head, frame) = frame.at(sequence, time);
            if !parts.is_empty() && parts.len() + frame.size_hint().0 > PARTS {
                file.write_at(&parts, at)?;
                at = end;
                parts.clear();
            }
            parts.extend(frame);
            end += head.bytes();
            placed.push(Placed { sequence, weight: head.weight, end: Place { segment: *first, at: end } });
        }
        file.write_at(&parts, at)?;
        let begin = Instant::now();
        file.sync()?;
        if is_new {
            // After the file: most file systems have made its name last with it then, and this costs little.
            self.fs.sync_folder(&self.folder)?;
        }
        self.sync_seconds.record(begin.elapsed().as_secs_f64());
        if !file.is_at(&self.folder.join(segment::name(*first))) {
            // What is in it is gone with the process.
            return Err(io::Error::new(io::ErrorKind::NotFound, "somebody has removed its files"));
        }
        self.next += frames.len() as u64;
        (segment.end, segment.length) = (self.next, end);
        Ok(placed)
    }

    /// Sees that there is a segment to append to; one that is new has no header yet.
    fn make_current(&mut self) -> io::Result<()> {
        if let Some((first, _)) = &self.current {
            if self.segments.get(first).is_some_and(|segment| segment.length < self.segment_bytes) {
                return Ok(());
            }
            self.current = None;
        }
        let path = self.folder.join(segment::name(self.next));
        let file = match self.fs.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folder()?;
                self.fs.create(&path)?
            }
            created => created?,
        };
        self.segments.insert(self.next, Segment { end: self.next, length: 0 });
        self.current = Some((self.next, file));
        Ok(())
    }

    /// Makes the folder again, which somebody has removed with the lock in it.
    fn make_folder(&mut self) -> io::Result<()> {
        self.lock = None;
        self.fs.make_folder(&self.folder)?;
        self.lock = Some(self.fs.lock(&self.folder.join(LOCK))?);
        Ok(())
    }

    /// Ends the current segment where it was synced last.
    fn give_up_current(&mut self) {
        let Some((first, file)) = self.current.take() else { return };
        let Some(segment) = self.segments.get(&first) else { return };
        if segment.end > first {
            // Where that fails too, what stays there is passed over: the next segment says where this one ends.
            let _ = file.truncate(segment.length).and_then(|()| file.sync());
            if self.place.segment == first {
                // What is not read of it can be read for as long as it is open, if it was removed.
                self.reading = Some((first, file));
            }
        } else {
            self.segments.remove(&first);
            let _ = self.fs.remove(&self.folder.join(segment::name(first)));
        }
    }

    /// Passes over a frame that need not be read, if it is the next one.
    pub fn pass(&mut self, placed: &Placed) -> bool {
        if self.unread != placed.sequence {
            return false;
        }
        self.unread += 1;
        self.place = placed.end;
        true
    }

    /// Settles the frames `from..to`.
    pub fn settle(&mut self, from: u64, to: u64) {
        self.acks.add(from, to);
    }

    /// Writes what was settled, and removes segments of which all frames are.
    ///
    /// # Errors
    /// The disk's: it is tried again the next time.
    pub fn sweep(&mut self) -> io::Result<()> {
        let current = self.current.as_ref().map(|(first, _)| *first);
        let set = self.acks.set();
        let gone = |(first, segment): &(&u64, &Segment)| {
            current != Some(**first) && set.covers(**first, segment.end)
        };
        let gone: Vec<u64> = self.segments.iter().filter(gone).map(|(first, _)| *first).collect();
        for first in &gone {
            match self.fs.remove(&self.folder.join(segment::name(*first))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.segments.remove(first),
            };
            // A file that is open takes its room until it is let go of.
            self.reading.take_if(|(open, _)| open == first);
        }
        self.acks.write(&*self.fs)
    }

    /// Makes last what was settled, and removes the current segment too if it holds nothing more.
    ///
    /// # Errors
    /// The disk's: some frames may come again.
    pub fn close(&mut self) -> io::Result<()> {
        self.current = None;
        self.sweep()?;
        self.acks.sync()
    }
}

impl Opened {
    /// Cuts off what comes after the last frame, which is kept if it may have been one, and makes what is left last: a
    /// process that was killed may have written it without a sync.
    fn cut(&mut self, fs: &dyn Fs, folder: &Path, first: u64, last: Segment, tail: &Tail) -> io::Result<()> {
        let file = fs.open(&folder.join(segment::name(first)))?;
        let bytes = match tail {
            Tail::None => return file.sync(),
            Tail::Torn(bytes) | Tail::Broken(bytes) => *bytes,
        };
        if *tail == Tail::Torn(bytes) {
            self.torn = bytes;
        } else {
            let raw = segment::read(&*file, last.length, bytes as usize)?;
            if let Err(error) = keep(fs, folder, last.end, raw) {
                tracing::error!(?folder, %error, "a broken frame cannot be put aside");
                return Ok(());
            }
            let why = "no frame begins where one should".to_owned();
            self.parked = Some(Parked { why, bytes, head: None, records: None });
        }
        file.truncate(last.length)?;
        file.sync()
    }
}

/// Keeps raw bytes in a file that is called after a sequence.
fn keep(fs: &dyn Fs, folder: &Path, sequence: u64, raw: Buffer) -> io::Result<()> {
    let file = fs.create(&folder.join(format!("{sequence:020}{PARKED}")))?;
    file.write_at(&[raw], 0)?;
    file.sync()?;
    fs.sync_folder(folder)
}

#[cfg(test)]
pub(super) mod tests;
