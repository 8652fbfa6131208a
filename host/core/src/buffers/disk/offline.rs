//! Folders of buffers that no flitch has open: looking at them, and taking out what waits.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::acks;
use super::frame::{HEAD, Head};
use super::fs::{Fs, Real};
use super::log::{LOCK, Log, PARKED, Parked, Read};
use super::recover::{self, Tail, Waiting};
use super::segment::{self, Found, HEADER};
use crate::batch::Records;

/// What is in a folder.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The folder.
    pub folder: PathBuf,
    /// Files of frames.
    pub segments: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Frames that wait.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of them, as `max_bytes` counts them.
    pub bytes: u64,
    /// When the oldest was stored.
    #[serde(serialize_with = "text")]
    pub oldest: Option<jiff::Timestamp>,
    /// Files of what could not be read.
    pub parked: u64,
    /// Whether a process has it.
    pub in_use: bool,
}

/// One segment.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentSummary {
    /// Its file.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// The sequences of its first and last frame.
    pub first: u64,
    /// See `first`.
    pub last: u64,
    /// Frames in it.
    pub frames: u64,
    /// Frames that wait.
    pub waiting: u64,
    /// Records in those.
    pub records: u64,
    /// When the oldest and the newest frame were stored.
    #[serde(serialize_with = "text")]
    pub oldest: Option<jiff::Timestamp>,
    /// See `oldest`.
    #[serde(serialize_with = "text")]
    pub newest: Option<jiff::Timestamp>,
}

/// What is not as it was written.
#[derive(Clone, Debug, Serialize)]
pub struct Broken {
    /// The file.
    pub segment: String,
    /// Where in it.
    pub at: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The sequence, where it can be read.
    pub sequence: Option<u64>,
    /// What is wrong.
    pub why: String,
}

/// What was found by reading everything.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verified {
    /// Frames that are as they were written.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// What is not.
    pub broken: Vec<Broken>,
    /// Bytes at the end of a frame that was not written to its end; that is no loss.
    pub torn: u64,
}

/// A time as RFC 3339 has it.
fn text<S: serde::Serializer>(time: &Option<jiff::Timestamp>, s: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(s)
}

fn time(ns: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_nanosecond(ns.into()).ok()
}

/// What waits in a folder. Nothing is changed; of one that is in use the numbers are about right.
///
/// # Errors
/// It is none of a buffer; a newer flitch wrote it; the disk's.
pub fn summary(folder: &Path) -> io::Result<Summary> {
    let fs = Real;
    let settled = acks::read(&fs, folder)?;
    let (segments, waiting, _) = recover::survey(&fs, folder, &settled)?;
    let Waiting { frames, records, bytes, oldest } = waiting;
    Ok(Summary {
        folder: folder.to_owned(),
        segments: segments.len() as u64,
        file_bytes: segments.values().map(|segment| segment.length).sum(),
        frames,
        records,
        bytes,
        oldest: oldest.and_then(time),
        parked: fs.list(folder)?.iter().filter(|name| name.ends_with(PARKED)).count() as u64,
        in_use: is_in_use(folder)?,
    })
}

/// Whether a process has the folder.
///
/// # Errors
/// The disk's.
pub fn is_in_use(folder: &Path) -> io::Result<bool> {
    let path = folder.join(LOCK);
    match path.exists().then(|| Real.lock(&path)).transpose() {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

/// The segments of a folder, oldest first.
///
/// # Errors
/// As of [`summary`].
pub fn segments(folder: &Path) -> io::Result<Vec<SegmentSummary>> {
    let fs = Real;
    let settled = acks::read(&fs, folder)?;
    let firsts = recover::list(&fs, folder)?;
    let mut all = Vec::new();
    for (place, first) in firsts.iter().enumerate() {
        let limit = firsts.get(place + 1).copied();
        let (mut frames, mut waiting, mut ends) = (0, Waiting::default(), None);
        let (segment, _) = recover::walk(&fs, folder, *first, limit, &settled, |_, _, head| {
            frames += 1;
            let (_, newest) = ends.get_or_insert((head.time, head.time));
            *newest = head.time;
            if !settled.has(head.sequence) {
                waiting.add(head);
            }
            Ok(())
        })?;
        all.push(SegmentSummary {
            name: segment::name(*first),
            bytes: segment.length,
            first: *first,
            last: segment.end.saturating_sub(1),
            frames,
            waiting: waiting.frames,
            records: waiting.records,
            oldest: ends.and_then(|(oldest, _)| time(oldest)),
            newest: ends.and_then(|(_, newest)| time(newest)),
        });
    }
    Ok(all)
}

/// Reads all frames of a folder, settled or not, and says what is broken of those that wait. Nothing is changed.
///
/// # Errors
/// As of [`summary`].
pub fn verify(folder: &Path) -> io::Result<Verified> {
    let fs = Real;
    let settled = acks::read(&fs, folder)?;
    let mut verified = Verified::default();
    let firsts = recover::list(&fs, folder)?;
    for (place, first) in firsts.iter().enumerate() {
        let limit = firsts.get(place + 1).copied();
        let (segment, tail) = recover::walk(&fs, folder, *first, limit, &settled, |_, _, _| Ok(()))?;
        let name = segment::name(*first);
        let file = fs.open(&folder.join(&name))?;
        let mut broken = |at: u64, bytes: u64, sequence, why: &str| {
            let (segment, why) = (name.clone(), why.to_owned());
            verified.broken.push(Broken { segment, at, bytes, sequence, why });
        };
        let (mut at, mut next_sequence) = (HEADER as u64, *first);
        loop {
            match segment::look(&*file, at, segment.length)? {
                Found::End => break,
                Found::Frame(head) => {
                    next_sequence = head.sequence + 1;
                    let payload = segment::read(&*file, at + HEAD as u64, head.length as usize)?;
                    let wrong = match (head.fits(&payload), head.decode(&payload)) {
                        (true, Ok(_)) => None,
                        (true, Err(why)) => Some(why),
                        (false, _) => Some("its checksum does not fit".to_owned()),
                    };
                    match wrong {
                        None => {
                            verified.frames += 1;
                            verified.records += u64::from(head.rows);
                        }
                        // It was delivered before, or put aside.
                        Some(_) if settled.has(head.sequence) => {}
                        Some(why) => broken(at, head.bytes(), Some(head.sequence), &why),
                    }
                    at += head.bytes();
                }
                Found::Broken { next, head } => {
                    let is_settled = settled.ends(next_sequence, head, segment.end);
                    if !is_settled && !recover::is_blank(&*file, at, next)? {
                        broken(at, next - at, None, "no frame begins where one should");
                    }
                    at = next;
                }
            }
        }
        match tail {
            Tail::None => {}
            Tail::Torn(bytes) => verified.torn += bytes,
            Tail::Broken(bytes) => {
                broken(segment.length, bytes, None, "no frame begins where one should");
            }
        }
    }
    Ok(verified)
}

/// What is taken out of a folder.
#[derive(Debug)]
pub enum Out {
    /// A frame, to be settled.
    Frame {
        /// Its sequence.
        sequence: u64,
        /// Its records.
        records: Records,
        /// The name of their source.
        source: Arc<str>,
    },
    /// Bytes that could not be read, and were put aside; with the records that can be read all the same.
    Parked {
        /// What is wrong.
        why: String,
        /// The records and their source.
        records: Option<(Records, Arc<str>)>,
    },
}

/// A folder that this process has, to take out what waits.
pub struct Drain {
    log: Log,
    /// What was put aside when it was opened.
    parked: Option<Parked>,
    /// What waits.
    pub frames: u64,
    /// Records in it.
    pub records: u64,
    /// Bytes of a torn frame that were cut off.
    pub torn: u64,
}

impl Drain {
    /// Takes a folder.
    ///
    /// # Errors
    /// As of [`summary`], and [`io::ErrorKind::WouldBlock`] where a process has it.
    pub fn open(folder: &Path) -> io::Result<Drain> {
        let (log, opened) = Log::open(Arc::new(Real), folder)?;
        let (frames, records) = (opened.waiting.frames, opened.waiting.records);
        Ok(Drain { log, parked: opened.parked, frames, records, torn: opened.torn })
    }

    /// The next that waits.
    ///
    /// # Errors
    /// The disk's.
    pub fn take(&mut self) -> io::Result<Option<Out>> {
        if let Some(Parked { why, records, .. }) = self.parked.take() {
            return Ok(Some(Out::Parked { why, records }));
        }
        Ok(match self.log.read()? {
            Read::Frame(Head { sequence, .. }, records, source) => {
                Some(Out::Frame { sequence, records, source })
            }
            Read::Parked(Parked { why, records, .. }) => Some(Out::Parked { why, records }),
            Read::End => None,
        })
    }

    /// A frame is safe elsewhere.
    ///
    /// # Errors
    /// It cannot be noted down, and will be taken out again.
    pub fn settle(&mut self, sequence: u64) -> io::Result<()> {
        self.log.settle(sequence, sequence + 1);
        self.log.sweep()
    }

    /// Makes last what was settled.
    ///
    /// # Errors
    /// The disk's: what was settled may be taken out again.
    pub fn close(mut self) -> io::Result<()> {
        self.log.close()
    }
}

#[cfg(test)]
mod tests;
