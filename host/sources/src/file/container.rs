//! The log files of containers: lines with a time and the stream that they came from, long ones in pieces.
//!
//! Both runtimes cut what a container writes at 16 KiB. The pieces of a line stand in the order of the file, with those
//! of the container's other stream between them, so each stream has a slot where its open line grows. A line's record
//! stands where its first piece does: see [`Streams`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gather::{Bad, Groups, boundary, without_cr};
use entries::Entries;
use flitch_core::batch::Cut;
use stamp::Stamps;

use streams::Total;
pub(super) use streams::{PARTS, Position, Streams};

mod cri;
mod docker;
mod entries;
mod stamp;
mod streams;

/// The column of the stream that a line came from.
pub(super) const STREAM: &str = "stream";
/// The columns of what Docker was told to add to each line (`--log-opt labels`, `env`, `tag`) stand below this.
pub(super) const ATTRS: &str = "attrs";

/// Open lines that have less than this in all are never ended for want of room.
const OPEN_BYTES: usize = 64 << 20;
/// Open lines of full length for which there is room in any case.
const OPEN_LINES: usize = 16;

/// So many lines of a chunk are taken for what most are, and are not, before the others are read with care at once.
const VAIN: u32 = 4;

/// How the lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// containerd, CRI-O: the Kubernetes container runtime interface.
    Cri,
    /// Docker's driver `json-file`.
    Docker,
}

/// Which stream a line came from, as the number of its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
    /// Docker leaves the name out where it knows none.
    Unnamed,
}

/// One line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry<'a> {
    /// ns since 1970.
    time: i64,
    stream: Stream,
    /// The text goes on in the next entry of the stream.
    partial: bool,
    text: &'a [u8],
    /// A JSON object, or nothing.
    attrs: &'a [u8],
    /// The text is the first part of a longer one.
    cut: bool,
}

/// A line of a file that is a record by itself, without its text.
struct Alone {
    /// ns since 1970.
    time: i64,
    stream: Stream,
    /// The line's bytes, its end included.
    length: usize,
}

/// What a chunk of a file is taken with.
pub(super) struct At<'a> {
    /// Where the chunk begins in the file.
    pub base: u64,
    pub now: Instant,
    /// What the file has open; made when it is needed.
    pub streams: &'a mut Option<Box<Streams>>,
}

/// When lines are joined, and no longer.
#[derive(Debug)]
struct Rules {
    /// Longest text in bytes.
    longest: usize,
    groups: Option<Groups>,
    /// How long an open line waits for its next piece, and a record of several lines for its next line.
    piece_wait: Duration,
    group_wait: Duration,
    /// What all open records of the source hold.
    total: Arc<Total>,
}

/// Gathers the records of a batch.
#[derive(Debug)]
pub(super) struct Container {
    format: Format,
    rules: Rules,
    entries: Entries,
    stamps: Stamps,
    /// How the last line ended that was taken by itself.
    tail: Option<docker::Tail>,
    /// Room for text without its escapes.
    scratch: Vec<u8>,
}

impl Container {
    /// Gathers texts of up to `longest` bytes in the column `message`. `groups` says which lines make one record, and
    /// how long one waits for the next.
    pub fn new(
        format: Format,
        message: &str,
        longest: usize,
        piece_wait: Duration,
        groups: Option<(Groups, Duration)>,
    ) -> Container {
        let (groups, group_wait) = groups.map_or((None, piece_wait), |(groups, wait)| (Some(groups), wait));
        Container {
            format,
            rules: Rules { longest, groups, piece_wait, group_wait, total: Arc::default() },
            entries: Entries::new(message),
            stamps: Stamps::default(),
            tail: None,
            scratch: Vec::new(),
        }
    }

    /// The longest line in bytes that is taken apart: `longest` bytes of text, and what a runtime writes beside them.
    pub fn limit(format: Format, longest: usize) -> usize {
        match format {
            Format::Cri => longest + 256,
            // Escapes make the text longer: what Docker writes has 16 KiB, of which each byte may become six.
            Format::Docker => 2 * longest + (128 << 10),
        }
    }

    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    pub fn entries_mut(&mut self) -> &mut Entries {
        &mut self.entries
    }

    /// See [`super::gather::Gather::append`].
    pub fn append(&mut self, chunk: &[u8], cut: &Cut, limit: usize, at: At<'_>, bad: &mut Vec<Bad>) -> usize {
        let streams = at.streams.get_or_insert_with(|| Box::new(Streams::at(Position::at(at.base))));
        let mut start = 0;
        let mut alone = self.are_alone(streams, at.base);
        let mut vain = 0;
        while !self.entries.full(cut) && self.entries.rows() + bad.len() < cut.rows {
            if alone && vain < VAIN {
                if let Some(length) = self.alone(at.base + start as u64, &chunk[start..], limit) {
                    start += length;
                    continue;
                }
                vain += 1;
            }
            let Some(length) = memchr::memchr(b'\n', &chunk[start..]) else { break };
            let line = &chunk[start..start + length];
            if length > limit + 1 || line.first() == Some(&0) {
                break;
            }
            self.line(line, at.base + start as u64, at.now, streams, bad);
            start += length + 1;
            alone = self.are_alone(streams, at.base + start as u64);
        }
        start
    }

    /// Whether each complete line from `place` on is a record by itself.
    fn are_alone(&self, streams: &Streams, place: u64) -> bool {
        self.format == Format::Docker && self.rules.groups.is_none() && streams.are_closed_from(place)
    }

    /// Takes the line at the head of `chunk` as [`Container::line`] would, and answers its length; none where it is one
    /// that this does not know.
    #[inline]
    fn alone(&mut self, place: u64, chunk: &[u8], limit: usize) -> Option<usize> {
        let Container { rules, entries, stamps, tail, .. } = self;
        entries.write(place, |text| docker::alone(chunk, limit, rules.longest, stamps, tail, text))
    }

    #[inline]
    fn line(&mut self, line: &[u8], place: u64, now: Instant, streams: &mut Streams, bad: &mut Vec<Bad>) {
        let Container { format, rules, entries, stamps, scratch, .. } = self;
        let entry = match format {
            Format::Cri => cri::entry(line, stamps),
            Format::Docker => docker::entry(line, stamps, scratch),
        };
        match entry {
            Ok(mut entry) => {
                if entry.text.len() > rules.longest {
                    entry.text = &entry.text[..boundary(entry.text, rules.longest)];
                    entry.cut = true;
                }
                streams.take(&entry, place, rules, entries, now);
            }
            Err(_) if line.trim_ascii().is_empty() || streams.has_passed(place) => {}
            Err(what) => bad.push(Bad {
                reason: format!("no line of {}: {what}", format.name()),
                line: without_cr(line).to_vec(),
            }),
        }
    }

    /// Takes the first part of a line that is longer than the limit.
    pub fn push_cut(&mut self, line: &[u8], at: At<'_>, bad: &mut Vec<Bad>) {
        let streams = at.streams.get_or_insert_with(|| Box::new(Streams::at(Position::at(at.base))));
        match self.format {
            Format::Cri => self.line(line, at.base, at.now, streams, bad),
            Format::Docker if streams.has_passed(at.base) => {}
            Format::Docker => {
                let longest = self.rules.longest;
                bad.push(Bad::longer(longest, &line[..boundary(line, longest)]));
            }
        }
    }

    /// Ends the records that have waited long enough for what is missing, or all of them.
    pub fn end(&mut self, streams: &mut Streams, all: bool, now: Instant) {
        streams.end(all, &self.rules, &mut self.entries, now);
    }
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Cri => "the container runtime interface (`codec: cri`)",
            Format::Docker => "Docker's json-file (`codec: docker_json`)",
        }
    }
}

impl Stream {
    /// The name that the runtimes give it.
    fn name(self) -> Option<&'static str> {
        match self {
            Stream::Out => Some("stdout"),
            Stream::Err => Some("stderr"),
            Stream::Unnamed => None,
        }
    }
}
