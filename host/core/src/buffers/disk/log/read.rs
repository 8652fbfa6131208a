//! Reading a log, in order, past whatever cannot be read.

use std::io;
use std::sync::Arc;

use super::{Log, Place, keep};
use crate::batch::Records;
use crate::buffers::disk::frame::{HEAD, Head};
use crate::buffers::disk::fs::File;
use crate::buffers::disk::recover;
use crate::buffers::disk::segment::{self, Found, HEADER};
use crate::machine::is_passing;

/// How often a frame is read that the disk does not give out.
const TRIES: u32 = 3;

/// What [`Log::read`] finds.
#[derive(Debug)]
pub enum Read {
    /// The next frame.
    Frame(Head, Records, Arc<str>),
    /// No frame that can be trusted. It was passed over, and its bytes are kept in a file of their own.
    Parked(Parked),
    /// Everything was read.
    End,
}

/// Bytes that are no frame, or not the one that was written.
#[derive(Debug)]
pub struct Parked {
    /// What is wrong.
    pub why: String,
    /// Bytes that were passed over.
    pub bytes: u64,
    /// What the head says, where it can be read.
    pub head: Option<Head>,
    /// The records, where they can be read all the same, and their source.
    pub records: Option<(Records, Arc<str>)>,
}

impl Log {
    /// The next frame that is not settled.
    ///
    /// # Errors
    /// The disk's: it may be tried again.
    pub fn read(&mut self) -> io::Result<Read> {
        let read = self.try_read();
        self.failed_reads = match &read {
            // Then the next one may find what this one did not get.
            Err(error) if is_passing(error) => self.failed_reads,
            Err(_) => self.failed_reads + 1,
            Ok(_) => 0,
        };
        match read {
            Err(error) if self.failed_reads >= TRIES => {
                self.failed_reads = 0;
                Ok(self.skip_segment(&error))
            }
            read => read,
        }
    }

    fn try_read(&mut self) -> io::Result<Read> {
        loop {
            let Some((&first, &segment)) = self.segments.range(self.place.segment..).next() else {
                self.unread = self.next;
                return Ok(Read::End);
            };
            if first != self.place.segment {
                self.miss(self.unread, first);
                self.place = Place { segment: first, at: HEADER as u64 };
                self.unread = first;
            }
            let is_current = self.current.as_ref().is_some_and(|(current, _)| *current == first);
            let at = self.place.at;
            if at >= segment.length {
                if is_current {
                    return Ok(Read::End);
                }
                self.miss(self.unread, segment.end);
                self.unread = self.unread.max(segment.end);
                if self.segments.range(first + 1..).next().is_none() {
                    self.unread = self.next;
                    return Ok(Read::End);
                }
                self.place = Place { segment: first + 1, at: HEADER as u64 };
                continue;
            }
            let file = match self.file(first) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Somebody has removed it: all that was not read of it is missing.
                    self.place.at = segment.length;
                    continue;
                }
                file => file?,
            };
            match segment::look(file, at, segment.length)? {
                Found::End => unreachable!("the place is before the end"),
                Found::Frame(head) if head.sequence < self.unread || self.acks.set().has(head.sequence) => {
                    self.go_on(at + head.bytes(), (head.sequence + 1).max(self.unread));
                }
                Found::Frame(head) => {
                    let payload = segment::read(self.file(first)?, at + HEAD as u64, head.length as usize)?;
                    let end = at + head.bytes();
                    let (why, records) = match (head.decode(&payload), head.fits(&payload)) {
                        (Ok((records, source)), true) => {
                            self.go_on(end, head.sequence + 1);
                            return Ok(Read::Frame(head, records, source));
                        }
                        (Err(why), true) => (why, None),
                        (decoded, false) => ("its checksum does not fit".to_owned(), decoded.ok()),
                    };
                    return self.park(end, Some(head), why, records);
                }
                Found::Broken { next, .. } if recover::is_blank(self.file(first)?, at, next)? => {
                    self.go_on(next, self.unread);
                }
                // It was put aside before, or what it was has been delivered.
                Found::Broken { next, head } if self.acks.set().ends(self.unread, head, segment.end) => {
                    self.go_on(next, self.unread);
                }
                Found::Broken { next, .. } => {
                    return self.park(next, None, "no frame begins where one should".to_owned(), None);
                }
            }
        }
    }

    /// The records of a frame that was given out before.
    ///
    /// # Errors
    /// The disk's, and that the frame is not there, or is not what was written.
    pub fn read_again(&mut self, sequence: u64) -> io::Result<Records> {
        let gone = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let found = self.segments.range(..=sequence).next_back();
        let Some((&first, &segment)) = found.filter(|(_, segment)| sequence < segment.end) else {
            return Err(gone("its segment is gone".to_owned()));
        };
        // What comes back comes back in order, mostly.
        let mut at = match self.again {
            Some((before, place)) if place.segment == first && before <= sequence => place.at,
            _ => HEADER as u64,
        };
        if let Err(error) = self.file(first)
            && error.kind() == io::ErrorKind::NotFound
        {
            return Err(gone("somebody has removed its segment".to_owned()));
        }
        loop {
            match segment::look(self.file(first)?, at, segment.length)? {
                Found::Frame(head) if head.sequence == sequence => {
                    let payload = segment::read(self.file(first)?, at + HEAD as u64, head.length as usize)?;
                    if !head.fits(&payload) {
                        return Err(gone("its checksum does not fit".to_owned()));
                    }
                    self.again = Some((sequence, Place { segment: first, at }));
                    return Ok(head.decode(&payload).map_err(gone)?.0);
                }
                Found::Frame(head) if head.sequence < sequence => at += head.bytes(),
                Found::Broken { next, .. } => at = next,
                Found::Frame(_) | Found::End => return Err(gone("it is not in its segment".to_owned())),
            }
        }
    }

    /// The next frame is read from `at`, and has the sequence `unread` or a later one.
    fn go_on(&mut self, at: u64, unread: u64) {
        self.miss(self.unread, unread.saturating_sub(1));
        self.place.at = at;
        self.unread = unread;
    }

    /// Settles the frames `from..to`, which are not where they should be.
    fn miss(&mut self, from: u64, to: u64) {
        if from < to && !self.acks.set().covers(from, to) {
            let missing = (from..to).filter(|sequence| !self.acks.set().has(*sequence)).count() as u64;
            // The first of them may be what was just put aside, and is counted as that.
            self.missing +=
                missing - u64::from(std::mem::take(&mut self.has_parked_unknown).min(missing > 0));
            self.acks.add(from, to);
        }
    }

    /// How many frames were found missing since this was asked last: bytes that were put aside were theirs, or somebody
    /// took them away.
    pub fn take_missing(&mut self) -> u64 {
        std::mem::take(&mut self.missing)
    }

    fn file(&mut self, first: u64) -> io::Result<&dyn File> {
        let is_it =
            |file: &Option<(u64, Box<dyn File>)>| file.as_ref().is_some_and(|(open, _)| *open == first);
        let is_current = is_it(&self.current);
        if !is_current && !is_it(&self.reading) {
            self.reading = Some((first, self.fs.open(&self.folder.join(segment::name(first)))?));
        }
        let open = if is_current { &self.current } else { &self.reading };
        Ok(&*open.as_ref().expect("it was opened").1)
    }

    /// Whether a frame is settled, be it that it is missing.
    pub fn is_settled(&self, sequence: u64) -> bool {
        self.acks.set().has(sequence)
    }

    /// Keeps the bytes up to `to` in a file of their own, and passes over them.
    fn park(
        &mut self,
        to: u64,
        head: Option<Head>,
        why: String,
        records: Option<(Records, Arc<str>)>,
    ) -> io::Result<Read> {
        let Place { segment, at } = self.place;
        self.has_parked_unknown |= head.is_none();
        let sequence = head.map_or(self.unread, |head| head.sequence);
        let raw = segment::read(self.file(segment)?, at, (to - at) as usize)?;
        let kept = keep(&*self.fs, &self.folder, sequence, raw);
        self.go_on(to, if head.is_some() { sequence + 1 } else { self.unread });
        match kept {
            Ok(()) => {
                if head.is_some() {
                    self.acks.add(sequence, sequence + 1);
                }
            }
            // Then the segment stays, and they are parked after the next start.
            Err(error) => {
                tracing::error!(folder = ?self.folder, %error, "a broken frame cannot be put aside")
            }
        }
        Ok(Read::Parked(Parked { why, bytes: to - at, head, records }))
    }

    /// Goes on behind a segment that the disk does not give out. It stays.
    fn skip_segment(&mut self, error: &io::Error) -> Read {
        let first = self.place.segment;
        let Some(segment) = self.segments.get(&first).copied() else { return Read::End };
        let bytes = segment.length.saturating_sub(self.place.at);
        self.unread = segment.end;
        self.place = Place { segment: first, at: segment.length };
        self.reading = None;
        let why = format!("{} cannot be read: {error}", segment::name(first));
        Read::Parked(Parked { why, bytes, head: None, records: None })
    }
}
