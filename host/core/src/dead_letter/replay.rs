//! Sending dead letters again.
//!
//! A file is taken away from the daemon first (which then begins a new one), then its letters are sent, and then the
//! file is kept among those that were replayed, where it makes room for new letters before any other. Letters that the
//! filter does not take go back among the dead letters. When sending fails the file goes back as it was, and where the
//! replay is killed the next one puts it back: some of its letters may have been sent already, and will be sent again.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::folder;
use super::read::{Filter, Letter, in_file};
use crate::batch::lossless;

/// Takes letters, to send their records again.
pub trait Letters {
    /// Takes a letter; it may be sent with later ones. Answers whether its record can be sent at all: else the letter is
    /// kept.
    ///
    /// # Errors
    /// What went wrong; the letters go back.
    fn take(&mut self, letter: &Letter) -> io::Result<bool>;

    /// Sends what was taken. `Ok` means that all of it is safe.
    ///
    /// # Errors
    /// As of [`Letters::take`].
    fn finish(&mut self) -> io::Result<()>;

    /// Which of the letters that it took since this was asked last were refused all the same, counted from zero. They are
    /// kept. Asked after [`Letters::finish`].
    fn refused(&mut self) -> Vec<usize> {
        Vec::new()
    }
}

/// Takes the records of letters as text.
pub trait Sink {
    /// Takes NDJSON: whole records, each with its newline. `Ok` means that they are safe.
    ///
    /// # Errors
    /// What went wrong; the letters go back. With [`io::ErrorKind::InvalidInput`] it is in the records, none of which was
    /// taken: those that are to blame are found, and kept, and the others sent.
    fn send(&mut self, records: &[u8]) -> io::Result<()>;
}

impl<W: Write> Sink for W {
    fn send(&mut self, records: &[u8]) -> io::Result<()> {
        self.write_all(records)?;
        self.flush()
    }
}

/// Turns letters into the text that a sink takes.
struct Lines<'a> {
    sink: &'a mut dyn Sink,
    chunk: Vec<u8>,
    /// Where the text of each letter in the chunk ends.
    ends: Vec<usize>,
    /// How many letters were taken before those in the chunk.
    before: usize,
    refused: Vec<usize>,
}

impl Letters for Lines<'_> {
    fn take(&mut self, letter: &Letter) -> io::Result<bool> {
        original(letter, &mut self.chunk);
        self.ends.push(self.chunk.len());
        if self.chunk.len() >= CHUNK {
            self.finish()?;
        }
        Ok(true)
    }

    fn finish(&mut self) -> io::Result<()> {
        let (mut parts, mut next) = (Vec::new(), Some(0..self.ends.len()));
        while let Some(part) = next.take().or_else(|| parts.pop()) {
            let end = |letters: usize| if letters == 0 { 0 } else { self.ends[letters - 1] };
            let text = &self.chunk[end(part.start)..end(part.end)];
            if text.is_empty() {
                continue;
            }
            match self.sink.send(text) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => match part.len() {
                    1 => self.refused.push(self.before + part.start),
                    letters => {
                        let middle = part.start + letters / 2;
                        parts.push(middle..part.end);
                        next = Some(part.start..middle);
                    }
                },
                sent => sent?,
            }
        }
        self.before += self.ends.len();
        self.chunk.clear();
        self.ends.clear();
        Ok(())
    }

    fn refused(&mut self) -> Vec<usize> {
        self.before = 0;
        std::mem::take(&mut self.refused)
    }
}

/// What a replay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Letters that were sent.
    pub sent: u64,
    /// Letters that the filter did not take, and those whose records cannot be sent.
    pub kept: u64,
    /// Letters that were sent and refused; they are kept too.
    pub refused: u64,
    /// Lines that are no letters; they stay in the replayed file.
    pub broken: u64,
}

/// Bytes that are sent at once, about.
pub const CHUNK: usize = 1 << 20;

/// Sends the records of all letters in `folder` that `filter` takes to `sink`, oldest first.
///
/// # Errors
/// The folder's and the sink's, and another replay that is under way. Everything before the file that failed counts as
/// replayed.
pub fn replay(folder: &Path, filter: &Filter, sink: &mut dyn Sink) -> io::Result<Replayed> {
    let (chunk, ends, refused) = (Vec::new(), Vec::new(), Vec::new());
    send(folder, filter, &mut Lines { sink, chunk, ends, before: 0, refused })
}

/// The same, as letters.
///
/// # Errors
/// As of [`replay`].
pub fn send(folder: &Path, filter: &Filter, to: &mut dyn Letters) -> io::Result<Replayed> {
    let mut done = Replayed::default();
    let _alone = folder::begin_replay(folder)?;
    for name in folder::files(folder)? {
        let taken = {
            let _lock = folder::lock(folder)?;
            let taken = name.path.with_extension(folder::TAKEN);
            match fs::rename(&name.path, &taken) {
                Ok(()) => taken,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            }
        };
        match file(&taken, filter, to) {
            Ok((part, rest)) => {
                let _lock = folder::lock(folder)?;
                finish(folder, &name.path, &taken, part, &rest)?;
                done.sent += part.sent;
                done.kept += part.kept;
                done.refused += part.refused;
                done.broken += part.broken;
            }
            Err(error) => {
                let _lock = folder::lock(folder)?;
                fs::rename(&taken, &name.path)?;
                return Err(error);
            }
        }
    }
    Ok(done)
}

/// Sends the letters of a file, and answers the lines that are to be kept.
fn file(path: &Path, filter: &Filter, to: &mut dyn Letters) -> io::Result<(Replayed, Vec<u8>)> {
    let mut done = Replayed::default();
    // For each letter whether it was taken.
    let mut taken = Vec::new();
    done.broken = in_file(path, |letter, _| {
        taken.push(filter.takes(&letter) && to.take(&letter)?);
        Ok(true)
    })?;
    to.finish()?;
    done.sent = taken.iter().filter(|taken| **taken).count() as u64;
    done.kept = taken.len() as u64 - done.sent;
    let refused = to.refused();
    if !refused.is_empty() {
        let places: Vec<usize> = (0..taken.len()).filter(|place| taken[*place]).collect();
        refused.iter().for_each(|refused| taken[places[*refused]] = false);
        done.refused = refused.len() as u64;
        done.sent -= done.refused;
    }
    let mut rest = Vec::new();
    if taken.contains(&false) {
        let mut taken = taken.into_iter();
        in_file(path, |_, line| {
            if taken.next() == Some(false) {
                rest.extend_from_slice(line);
            }
            Ok(true)
        })?;
    }
    Ok((done, rest))
}

/// Files a replayed file away, and puts the letters back that were not meant.
fn finish(folder: &Path, path: &Path, taken: &Path, part: Replayed, rest: &[u8]) -> io::Result<()> {
    if part.sent == 0 {
        return fs::rename(taken, path);
    }
    if !rest.is_empty() {
        let unfinished = path.with_extension("rest");
        let _ = fs::remove_file(&unfinished);
        let mut file = folder::private().write(true).create_new(true).open(&unfinished)?;
        file.write_all(rest)?;
        file.sync_data()?;
        fs::rename(&unfinished, path)?;
    }
    folder::archive(folder, taken, path)
}

/// Appends a letter's record as a line of NDJSON, or its raw bytes as a line.
///
/// Bytes are written as they are, between quotes: a source with `invalid_utf8: bytes` reads them back unchanged.
pub fn original(letter: &Letter, out: &mut Vec<u8>) {
    match (&letter.record, &letter.raw) {
        (Some(record), _) => {
            lossless::write_original(record.get().as_bytes(), out, |bytes, out| push_bytes(out, bytes));
        }
        (None, Some(raw)) => match lossless::read_bytes(raw.get().as_bytes()) {
            Some((bytes, _)) => out.extend_from_slice(&bytes),
            None => match serde_json::from_str::<String>(raw.get()) {
                Ok(text) => out.extend_from_slice(text.as_bytes()),
                Err(_) => out.extend_from_slice(raw.get().as_bytes()),
            },
        },
        (None, None) => return,
    }
    if out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
