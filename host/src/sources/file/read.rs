//! Reading: one piece of one file, cut into batches.

use std::io;
use std::time::Instant;

use crate::batch::Cut;
use crate::buffers::Closed;

use super::fingerprint::read_at;
use super::sender::Sender;
use super::tail::Tail;

/// Bytes that are read of a file at its turn.
pub(super) const PIECE: usize = 256 << 10;

/// Why a turn ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Closed(#[from] Closed),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads pieces of files into one buffer.
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// Longest line.
    limit: usize,
}

impl Reader {
    pub fn new(limit: usize) -> Reader {
        Reader { buffer: vec![0; PIECE], limit }
    }

    /// Reads the next piece of `tail` and sends its records. Answers whether there may be more to read.
    pub fn turn(&mut self, tail: &mut Tail, out: &mut Sender, now: Instant) -> Result<bool, ReadError> {
        if let Some(searched) = tail.searched {
            return self.search_end(tail, searched, out, now);
        }
        let mut want = want(tail.average, &out.cut);
        loop {
            let read = self.fill(tail, tail.offset, want, now)?;
            let at_end = read < want;
            let consumed = self.split(tail, read, at_end, out)?;
            if consumed > 0 || at_end || tail.searched.is_some() {
                return Ok(!at_end);
            }
            // Not one line ends in the piece.
            want *= 2;
        }
    }

    /// Fills the buffer up to `want` bytes from `offset` on.
    fn fill(&mut self, tail: &mut Tail, offset: u64, want: usize, now: Instant) -> io::Result<usize> {
        if self.buffer.len() < want {
            self.buffer.resize(want, 0);
        }
        let file = tail.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let read = read_at(file, &mut self.buffer[..want], offset)?;
        let end = offset + read as u64;
        if end > tail.size {
            tail.size = end;
            tail.grown = now;
        }
        Ok(read)
    }

    /// Sends the lines that end in the first `read` bytes of the buffer. Answers how many bytes they were.
    fn split(
        &mut self,
        tail: &mut Tail,
        read: usize,
        at_end: bool,
        out: &mut Sender,
    ) -> Result<usize, Closed> {
        let data = &self.buffer[..read];
        let start = tail.offset;
        let mut consumed = 0;
        let (mut batch, mut rows, mut sent) = (0, 0, 0);
        loop {
            let rest = &data[consumed..];
            // A handful of lines behind a full batch would make a batch of their own: the next piece begins with them.
            if sent > 0 && batch == consumed && !at_end && rest.len() < sent / 8 {
                break;
            }
            let taken = out.lines.append(rest, &out.cut, self.limit);
            consumed += taken;
            let rest = &data[consumed..];
            if !out.lines.full(&out.cut) && rest.len() > self.limit {
                let within = memchr::memchr(b'\n', rest);
                match within {
                    Some(end) => {
                        push_cut(out, &rest[..end], self.limit);
                        consumed += end + 1;
                    }
                    None => tail.searched = Some(start + read as u64),
                }
                if within.is_some() && !out.lines.full(&out.cut) {
                    continue;
                }
            }
            let complete = out.lines.rows();
            let full = out.lines.full(&out.cut);
            if complete > 0 {
                tail.offset = start + consumed as u64;
                out.send(tail, tail.offset, consumed - batch)?;
                sent = consumed - batch;
                batch = consumed;
                rows += complete;
            }
            if !full {
                break;
            }
        }
        if rows > 0 {
            tail.average = consumed / rows;
        }
        if at_end && tail.force && tail.searched.is_none() {
            let rest = &data[consumed..];
            if !rest.is_empty() {
                out.lines.push(rest.strip_suffix(b"\r").unwrap_or(rest));
                tail.offset = start + read as u64;
                out.send(tail, tail.offset, read - consumed)?;
                consumed = read;
            }
        }
        Ok(consumed)
    }

    /// Looks further for the end of a line that is longer than the limit; once it is there, sends what is kept of it.
    fn search_end(
        &mut self,
        tail: &mut Tail,
        searched: u64,
        out: &mut Sender,
        now: Instant,
    ) -> Result<bool, ReadError> {
        let read = self.fill(tail, searched, PIECE, now)?;
        let at_end = read < PIECE;
        let end = match memchr::memchr(b'\n', &self.buffer[..read]) {
            Some(end) => searched + end as u64 + 1,
            None if at_end && tail.force => searched + read as u64,
            None => {
                tail.searched = Some(searched + read as u64);
                return Ok(!at_end);
            }
        };
        let head = self.fill(tail, tail.offset, self.limit + 4, now)?;
        push_cut(out, &self.buffer[..head], self.limit);
        let bytes = (end - tail.offset) as usize;
        tail.offset = end;
        tail.searched = None;
        out.send(tail, end, bytes)?;
        Ok(true)
    }
}

/// Bytes to read for about as many lines as make whole batches.
fn want(average: usize, cut: &Cut) -> usize {
    let batch = cut.rows.saturating_mul(average);
    if batch == 0 || batch >= PIECE {
        return PIECE;
    }
    let batches = PIECE / batch * batch;
    (batches + batches / 64).min(PIECE)
}

/// Adds the first part of a line that is too long, cut between two characters.
fn push_cut(out: &mut Sender, line: &[u8], limit: usize) {
    let mut end = limit.min(line.len());
    let is_inside = |at: usize| line.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    for _ in 0..3 {
        if !is_inside(end) || end == 0 {
            break;
        }
        end -= 1;
    }
    out.lines.push(&line[..end]);
    out.lines.mark_truncated();
}

#[cfg(test)]
mod tests;
