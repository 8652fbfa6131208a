//! What is kept of records beside the text of their object, so that those of one that is refused for good become dead
//! letters as they were: a line of lossless JSON each, for the records that the text itself does not hold like that.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::content::Rows;
use super::growing::Growing;
use super::press::Press;
use super::{Compression, Object};
use flitch_core::batch::encode::{Encoder, Encoding, ndjson_lossless};
use flitch_core::batch::{Encoded, Kind, Records};
use memchr::memmem;

/// How a member is called that dead letters write with one more `$`.
const ESCAPED: &[u8] = b"$bytes\"";
/// Text that is compressed at once.
const PIECE: usize = 1 << 20;
/// Bytes that are counted for a run.
const RUN: u64 = 16;

/// Rows one behind the other, and whether their lines stand beside the text.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    rows: u64,
    beside: bool,
}

/// What is kept for an object that may still grow.
#[derive(Debug)]
pub(super) struct Keep {
    file: Growing,
    /// What is not in the file yet.
    text: Vec<u8>,
    runs: Vec<Run>,
}

/// The lines of a batch that are to be kept; none where the text of the object is as good.
pub(super) fn whole(records: &Records, rows: &Rows, encoder: &Encoder) -> Option<Encoded> {
    let Rows::Text(text) = rows else { return Some(ndjson_lossless(records)) };
    let has_bytes = || records.iter().any(|column| Kind::of(column.field()) == Some(Kind::Bytes));
    let is_whole = is_plain(encoder) && !has_bytes() && memmem::find(&text.text, ESCAPED).is_none();
    (!is_whole).then(|| ndjson_lossless(records))
}

/// Whether texts are all of a record, where it has nothing that JSON cannot hold.
fn is_plain(encoder: &Encoder) -> bool {
    *encoder.encoding() == Encoding::default()
}

impl Keep {
    /// For the object that is built at `object`.
    pub fn of(object: &Path) -> Keep {
        Keep { file: Growing::new(object.with_extension("kept")), text: Vec::new(), runs: Vec::new() }
    }

    /// Adds rows of a batch, whose lines are `whole` where they must be kept.
    pub fn add(&mut self, whole: Option<&Encoded>, rows: Range<usize>) {
        let (beside, count) = (whole.is_some(), rows.len() as u64);
        match self.runs.last_mut() {
            Some(last) if last.beside == beside => last.rows += count,
            _ => self.runs.push(Run { rows: count, beside }),
        }
        if let Some(whole) = whole {
            let start = if rows.start == 0 { 0 } else { whole.ends[rows.start - 1] as usize };
            let lines = &whole.text[start..whole.ends[rows.end - 1] as usize];
            self.text.extend_from_slice(lines);
        }
    }

    /// Whether the text of the object is as good for all its records.
    pub fn is_text(&self) -> bool {
        self.runs.iter().all(|run| !run.beside)
    }

    /// Bytes of memory that are free once it is written.
    pub fn memory(&self) -> usize {
        self.text.capacity()
    }

    /// Bytes of memory that are not.
    pub fn beside(&self) -> usize {
        self.runs.capacity() * size_of::<Run>() + self.file.path().as_os_str().len()
    }

    /// Bytes in memory and on disk.
    pub fn bytes(&self) -> u64 {
        self.text.len() as u64 + self.file.length() + self.runs.len() as u64 * RUN
    }

    /// Writes what is in memory.
    ///
    /// # Errors
    /// The disk's. Then it stays in memory.
    pub fn write(&mut self, press: &mut Press) -> io::Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let Keep { file, text, .. } = self;
        press.press(text, |bytes| file.append(bytes))?;
        self.text = Vec::new();
        Ok(())
    }

    pub fn into_kept(self, compression: Compression) -> Kept {
        Kept { path: self.file.path().to_owned(), compression, runs: self.runs }
    }

    pub fn remove(&mut self) {
        self.file.remove();
    }
}

/// What is kept for an object that is whole.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    compression: Compression,
    runs: Vec<Run>,
}

impl Kept {
    /// That of an object whose text is as good for all its records.
    pub(super) fn text(object: &Path, compression: Compression, rows: u64) -> Kept {
        Kept { path: object.with_extension("kept"), compression, runs: vec![Run { rows, beside: false }] }
    }

    pub(super) fn remove(&self) {
        if self.runs.iter().any(|run| run.beside) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What is kept of an object that is cut, to be read once from its first row on.
pub(super) struct Uncut<'k> {
    runs: std::slice::Iter<'k, Run>,
    run: Run,
    beside: Option<Lines>,
}

impl<'k> Uncut<'k> {
    /// # Errors
    /// The disk's.
    pub fn of(kept: &'k Kept) -> io::Result<Uncut<'k>> {
        let has_lines = kept.runs.iter().any(|run| run.beside);
        let beside = has_lines.then(|| lines(&kept.path, kept.compression)).transpose()?;
        Ok(Uncut { runs: kept.runs.iter(), run: Run { rows: 0, beside: false }, beside })
    }

    /// Puts what is kept of the next so many rows to `part`.
    ///
    /// # Errors
    /// The disk's.
    pub fn split(&mut self, mut rows: u64, part: &mut Keep, press: &mut Press) -> io::Result<()> {
        while rows > 0 {
            if self.run.rows == 0 {
                let Some(next) = self.runs.next() else { break };
                self.run = *next;
            }
            let taken = self.run.rows.min(rows);
            self.run.rows -= taken;
            rows -= taken;
            part.runs.push(Run { rows: taken, beside: self.run.beside });
            let Some(from) = self.beside.as_mut().filter(|_| self.run.beside) else { continue };
            for _ in 0..taken {
                line(from, &mut part.text)?;
                if part.text.len() >= PIECE {
                    part.write(press)?;
                }
            }
        }
        part.write(press)
    }
}

type Lines = BufReader<Box<dyn Read + Send>>;

/// Reads the records of an object as lines of lossless JSON.
pub struct Letters {
    runs: std::vec::IntoIter<Run>,
    run: Run,
    text: Option<Lines>,
    beside: Option<Lines>,
}

impl Letters {
    /// The records of an object for which they are kept.
    ///
    /// # Errors
    /// The disk's.
    pub fn of(object: &Object) -> io::Result<Letters> {
        let Some(kept) = &object.kept else {
            return Err(io::Error::other("nothing is kept of its records"));
        };
        let open = |path: &Path, wanted: bool| wanted.then(|| lines(path, kept.compression)).transpose();
        let has = |beside: bool| kept.runs.iter().any(|run| run.beside == beside);
        Ok(Letters {
            text: open(&object.path, has(false))?,
            beside: open(&kept.path, has(true))?,
            runs: kept.runs.clone().into_iter(),
            run: Run { rows: 0, beside: false },
        })
    }

    /// The next lines, of `most` bytes and a record at the most, and how many they are; none at the end.
    ///
    /// # Errors
    /// The disk's; or the file is shorter than it was.
    pub fn next(&mut self, most: usize) -> io::Result<Option<(Vec<u8>, usize)>> {
        let (mut piece, mut count) = (Vec::new(), 0);
        while piece.len() < most {
            if self.run.rows == 0 {
                let Some(run) = self.runs.next() else { break };
                self.run = run;
                continue;
            }
            self.run.rows -= 1;
            let is_beside = self.run.beside;
            if let Some(text) = self.text.as_mut() {
                // What stands beside the text stands in it too.
                let mut skipped = Vec::new();
                line(text, if is_beside { &mut skipped } else { &mut piece })?;
            }
            if let Some(beside) = self.beside.as_mut().filter(|_| is_beside) {
                line(beside, &mut piece)?;
            }
            count += 1;
        }
        Ok((count > 0).then_some((piece, count)))
    }
}

fn line(from: &mut Lines, to: &mut Vec<u8>) -> io::Result<()> {
    match from.read_until(b'\n', to)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// What is in a file that is compressed.
pub(super) fn expanded(path: &Path, compression: Compression) -> io::Result<Box<dyn Read + Send>> {
    let file = File::open(path)?;
    Ok(match compression {
        // Snappy is within files alone that nobody reads as text.
        Compression::None | Compression::Snappy => Box::new(file),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
        Compression::Zstd => Box::new(zstd::Decoder::new(file)?),
    })
}

fn lines(path: &Path, compression: Compression) -> io::Result<Lines> {
    Ok(BufReader::new(expanded(path, compression)?))
}
