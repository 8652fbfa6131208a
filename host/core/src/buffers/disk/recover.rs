//! What is in a folder when it is opened.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::acks::Set;
use super::frame::{HEAD, Head};
use super::fs::{File, Fs};
use super::segment::{self, Found, HEADER, Header};

/// A segment, as far as its frames count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The sequence after its last frame.
    pub end: u64,
    /// Where its last frame ends.
    pub length: u64,
}

/// Segments by the sequence of their first frame.
pub type Segments = BTreeMap<u64, Segment>;

/// What is not settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Frames.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes, as `max_bytes` counts them.
    pub bytes: u64,
    /// When the oldest was stored (ns since 1970).
    pub oldest: Option<i64>,
}

impl Waiting {
    /// Adds a frame.
    pub fn add(&mut self, head: &Head) {
        self.frames += 1;
        self.records += u64::from(head.rows);
        self.bytes += head.weight;
        self.oldest = Some(self.oldest.map_or(head.time, |oldest| oldest.min(head.time)));
    }
}

/// What comes after the last frame of the last segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    None,
    /// So many bytes of a frame that was being written; nobody was told that it is safe.
    Torn(u64),
    /// So many bytes that are no frame, and may have been one.
    Broken(u64),
}

/// The sequences of the first frames of the segments in a folder, ascending.
pub fn list(fs: &dyn Fs, folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts: Vec<u64> = fs.list(folder)?.iter().filter_map(|name| segment::first(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// Walks over the heads of a segment. `limit` is the first sequence of the next one; none for the last segment, whose
/// tail is answered.
///
/// # Errors
/// The disk's, and [`segment::Newer`].
pub fn walk(
    fs: &dyn Fs,
    folder: &Path,
    first: u64,
    limit: Option<u64>,
    settled: &Set,
    mut each: impl FnMut(&dyn File, u64, &Head) -> io::Result<()>,
) -> io::Result<(Segment, Tail)> {
    let path = folder.join(segment::name(first));
    let file = fs.open(&path)?;
    let length = file.length()?;
    let mut header = vec![0; HEADER.min(length as usize)];
    file.read_at(&mut header, 0)?;
    Header::read(&header, &path)?;
    let (mut at, mut end) = (HEADER as u64, first);
    if length <= at {
        return Ok((Segment { end: limit.unwrap_or(first), length }, Tail::None));
    }
    // What comes after the last frame before the next segment was left by a write that failed.
    while limit.is_none_or(|limit| !settled.covers(end, limit)) {
        match segment::look(&*file, at, length)? {
            Found::End => break,
            Found::Frame(head) if limit.is_some_and(|limit| head.sequence >= limit) => break,
            Found::Frame(head) => {
                if head.sequence >= end {
                    each(&*file, at, &head)?;
                    end = head.sequence + 1;
                }
                at += head.bytes();
            }
            Found::Broken { head: None, .. } if limit.is_none() => {
                let tail = tail(&*file, at, length)?;
                return Ok((Segment { end, length: at }, tail));
            }
            Found::Broken { next, .. } => at = next,
        }
    }
    Ok((Segment { end: limit.unwrap_or(end), length: at }, Tail::None))
}

fn tail(file: &dyn File, at: u64, length: u64) -> io::Result<Tail> {
    let rest = length - at;
    if rest < HEAD as u64 {
        return Ok(Tail::Torn(rest));
    }
    let mut head = [0; HEAD];
    file.read_at(&mut head, at)?;
    if Head::read(&head).is_some() || is_blank(file, at, length)? {
        return Ok(Tail::Torn(rest));
    }
    Ok(Tail::Broken(rest))
}

/// Whether there are zeros alone: a file that grew before its bytes were written.
pub fn is_blank(file: &dyn File, mut at: u64, end: u64) -> io::Result<bool> {
    while at < end {
        let mut bytes = vec![0; (end - at).min(64 << 10) as usize];
        file.read_at(&mut bytes, at)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += bytes.len() as u64;
    }
    Ok(true)
}

/// All segments of a folder, what waits in them, and the tail of the last one. Nothing is changed.
///
/// # Errors
/// As of [`walk`].
pub fn survey(fs: &dyn Fs, folder: &Path, settled: &Set) -> io::Result<(Segments, Waiting, Tail)> {
    let firsts = list(fs, folder)?;
    let (mut segments, mut waiting, mut last) = (Segments::new(), Waiting::default(), Tail::None);
    for (place, first) in firsts.iter().enumerate() {
        let limit = firsts.get(place + 1).copied();
        let (segment, tail) = walk(fs, folder, *first, limit, settled, |_, _, head| {
            if !settled.has(head.sequence) {
                waiting.add(head);
            }
            Ok(())
        })?;
        segments.insert(*first, segment);
        last = tail;
    }
    Ok((segments, waiting, last))
}
