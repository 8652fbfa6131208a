//! Reading: one piece of one file, cut into batches.

use std::io;
use std::time::Instant;

use crate::batch::Cut;
use crate::buffers::Closed;

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
}

impl Reader {
    pub fn new() -> Reader {
        Reader { buffer: vec![0; PIECE + 1] }
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
            // Not one record ends in the piece.
            want *= 2;
        }
    }

    /// Fills the buffer up to `want` bytes from `offset` on, and leaves room for one byte more.
    fn fill(&mut self, tail: &mut Tail, offset: u64, want: usize, now: Instant) -> io::Result<usize> {
        if self.buffer.len() <= want {
            self.buffer.resize(want + 1, 0);
        }
        let content = tail.content.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let read = content.read_at(&mut self.buffer[..want], offset, tail.offset)?;
        let end = offset + read as u64;
        if !tail.is_compressed() && end > tail.size {
            tail.size = end;
            tail.grown = now;
        }
        Ok(read)
    }

    /// Sends the records that end in the first `read` bytes of the buffer. Answers how many bytes they were.
    fn split(
        &mut self,
        tail: &mut Tail,
        read: usize,
        at_end: bool,
        out: &mut Sender,
    ) -> Result<usize, Closed> {
        let start = tail.offset;
        let last = at_end && tail.force;
        tail.partial = read > 0 && self.buffer[read - 1] != b'\n';
        let mut len = read;
        if last && tail.partial {
            // What is unfinished is taken as if its end was there.
            self.buffer[read] = b'\n';
            len += 1;
        }
        let data = &self.buffer[..len];
        let limit = out.gather.limit;
        // Where the batch begins, and how much the one before it took.
        let (mut batch, mut sent) = (0, 0);
        let (mut consumed, mut rows) = (0, 0);
        loop {
            let rest = &data[consumed..];
            // A handful of lines behind a full batch would make a batch of their own: the next piece begins with them.
            if sent > 0 && batch == consumed && !at_end && rest.len() < sent / 8 {
                break;
            }
            consumed += out.gather.append(rest, &out.cut, last);
            let rest = &data[consumed..];
            if !out.gather.full(&out.cut) && rest.len() > limit {
                match memchr::memchr(b'\n', rest) {
                    Some(end) if rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]).len() > limit => {
                        out.gather.push_cut(&rest[..end]);
                        consumed += end + 1;
                        if !out.gather.full(&out.cut) {
                            continue;
                        }
                    }
                    // A carriage return may be the first half of the line's end.
                    None if rest.len() > limit + 1 => tail.searched = Some(start + read as u64),
                    _ => {}
                }
            }
            let full = out.gather.full(&out.cut);
            if out.gather.taken() > 0 {
                rows += out.gather.taken();
                tail.offset = start + consumed.min(read) as u64;
                out.send(tail, tail.offset, consumed.min(read) - batch)?;
                sent = consumed - batch;
                batch = consumed;
            }
            // What comes behind records that came back would come twice.
            if !full || tail.mark.failed() {
                break;
            }
        }
        tail.average = consumed.checked_div(rows).unwrap_or(tail.average);
        Ok(consumed.min(read))
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
                tail.partial = true;
                tail.searched = Some(searched + read as u64);
                return Ok(!at_end);
            }
        };
        let head = self.fill(tail, tail.offset, out.gather.limit + 4, now)?;
        out.gather.push_cut(&self.buffer[..head]);
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

#[cfg(test)]
mod tests;
