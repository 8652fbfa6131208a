//! Reading: one piece of one file, cut into batches.

use std::io;
use std::time::Instant;

use flitch_core::batch::Cut;
use flitch_core::buffers::Closed;
use flitch_core::net::budget::Budget;

use super::charset::{Charset, Coding, MARK};
use super::container::At;
use super::sender::Sender;
use super::settings::{Codec, FileSettings};
use super::tail::Tail;

mod blank;
mod owed;
mod piece;

pub(super) use blank::Blank;
pub(super) use owed::send as send_owed;
use piece::Piece;

/// Bytes that are read of a file at its turn. Even, so that no unit of a charset is cut.
pub(super) const PIECE: usize = 256 << 10;

/// Bytes at the ends of all files that are kept until they are sent, for files that are cut before.
const KEPT: usize = 64 << 20;

/// Why a turn ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Closed(#[from] Closed),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How far the end of a line longer than the limit was searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Searched {
    /// Up to here there is none.
    to: u64,
    /// From here up to there are NULs.
    written: u64,
}

/// What a turn at a file goes by.
#[derive(Clone, Copy, Debug)]
struct Turn {
    coding: Coding,
    now: Instant,
}

/// Reads pieces of files into one buffer.
pub(super) struct Reader {
    charset: Charset,
    /// Bytes that are read at a turn; even.
    pub piece: usize,
    buffer: Vec<u8>,
    /// The piece as UTF-8, where the file's charset is another. Never made shorter.
    text: Vec<u8>,
    /// Room for what files end with that is not sent yet.
    room: Budget,
}

impl Reader {
    pub fn new(settings: &FileSettings) -> Reader {
        let charset = match settings.codec {
            Codec::Lines | Codec::Json => settings.charset,
            Codec::Cri | Codec::DockerJson => Charset::Of(Coding::UTF_8),
        };
        let room = Budget::new(KEPT, 1);
        Reader { charset, piece: PIECE, buffer: vec![0; PIECE + 1], text: Vec::new(), room }
    }

    /// Reads the next piece of `tail` and sends its records. Answers whether there may be more to read.
    pub fn turn(&mut self, tail: &mut Tail, out: &mut Sender, now: Instant) -> Result<bool, ReadError> {
        let Some(coding) = self.coding(tail, out)? else { return Ok(false) };
        let turn = Turn { coding, now };
        out.gather.offsets.is_exact = coding.is_utf8();
        if let Some(searched) = tail.searched {
            return self.search_end(tail, searched, turn, out);
        }
        if let Blank::Asked { from, to } = tail.blank {
            return self.ask_blank(tail, (from, to), turn, out);
        }
        let mut want = want(tail.average, &out.cut, self.piece);
        loop {
            let read = self.fill(tail, tail.offset, want, now)?;
            let (written, at_end) = tail.written(&self.buffer[..read], read < want, coding);
            let consumed = self.split(tail, written, at_end, turn, out)?;
            let is_asked = matches!(tail.blank, Blank::Asked { .. });
            if consumed > 0 || at_end || tail.searched.is_some() || is_asked || out.is_blocked() {
                // The rest of the piece is read again when there is room for it.
                return Ok(!at_end || out.is_blocked());
            }
            // Not one record ends in the piece.
            want *= 2;
        }
    }

    /// The charset of the file; none while it has not the bytes that tell. Passes over its byte order mark.
    fn coding(&self, tail: &mut Tail, out: &Sender) -> io::Result<Option<Coding>> {
        if let Some(coding) = tail.coding {
            return Ok(Some(coding));
        }
        let mut head = [0; MARK];
        let content = tail.content.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let read = content.read_at(&mut head, 0, 0)?;
        let Some((coding, mark)) = self.charset.of_head(&head[..read], tail.force) else {
            tail.partial = read > 0;
            return Ok(None);
        };
        // A head of NULs may be written over, by a mark too.
        if head[0] != 0 || tail.is_compressed() {
            tail.coding = Some(coding);
        }
        if tail.offset < mark as u64 {
            tail.offset = mark as u64;
            out.pass(tail);
        }
        Ok(Some(coding))
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

    /// Sends the records that end in the first `read` bytes of the buffer. Answers how many bytes were passed.
    fn split(
        &mut self,
        tail: &mut Tail,
        read: usize,
        at_end: bool,
        turn: Turn,
        out: &mut Sender,
    ) -> Result<usize, ReadError> {
        tail.know_root(&out.cx.name)?;
        let (start, mut begin) = (tail.offset, tail.position());
        out.gather.end_open(&mut tail.streams, false, turn.now);
        let last = at_end && tail.force;
        let room = self.room.clone();
        let mut piece = self.text(tail, read, last, turn);
        // Where the batch begins, as text and in the file, and how much text the one before it took.
        let (mut batch, mut place, mut sent, mut rows) = (0, 0, 0, 0);
        loop {
            // A handful of lines behind a full batch would make a batch of their own: the next piece begins with them.
            if sent > 0 && batch == piece.taken && !at_end && piece.rest().len() < sent / 8 {
                break;
            }
            piece.append(tail, out);
            if !out.gather.full(&out.cut) && (piece.pass_nuls(tail, out) || piece.cut_long(tail, out)) {
                continue;
            }
            if last && piece.rest().is_empty() {
                out.gather.end_open(&mut tail.streams, true, turn.now);
            }
            let full = out.gather.full(&out.cut);
            let taken = out.gather.taken();
            if piece.taken > batch || taken > 0 {
                let end = piece.place();
                tail.offset = start + end as u64;
                match taken {
                    0 => out.pass(tail),
                    _ => out.send(tail, begin, end - place)?,
                }
                begin = tail.position();
                sent = piece.taken - batch;
                (batch, place) = (piece.taken, end);
                rows += taken;
            }
            // What comes behind records that came back would come twice.
            if !full || tail.mark.failed() || out.is_blocked() {
                break;
            }
        }
        // Where the turn ended before its time more stands there than has not ended.
        let is_through = at_end && tail.searched.is_none() && !tail.mark.failed() && !out.is_blocked();
        tail.keep(if is_through { piece.rest() } else { &[] }, &room);
        tail.average = place.checked_div(rows).unwrap_or(tail.average);
        tail.partial |= tail.streams.as_ref().is_some_and(|streams| streams.is_unfinished());
        Ok(place)
    }

    /// The first `read` bytes of the buffer as UTF-8. Where nothing more comes of the file (`last`), the line at its end ends.
    fn text(&mut self, tail: &mut Tail, read: usize, last: bool, turn: Turn) -> Piece<'_> {
        let is_utf8 = turn.coding.is_utf8();
        let (text, mut len) = match is_utf8 {
            true => (&mut self.buffer, read),
            false => {
                let len = turn.coding.decode(&self.buffer[..read], last, &mut self.text);
                (&mut self.text, len)
            }
        };
        tail.partial = len > 0 && text[len - 1] != b'\n';
        if last && tail.partial {
            text[len] = b'\n';
            len += 1;
        }
        let text = if is_utf8 { &self.buffer } else { &self.text };
        Piece::new(tail, &self.buffer[..read], &text[..len], last, turn)
    }

    /// Looks further for the end of a line that is longer than the limit; once it is there, sends what is kept of it.
    fn search_end(
        &mut self,
        tail: &mut Tail,
        searched: Searched,
        turn: Turn,
        out: &mut Sender,
    ) -> Result<bool, ReadError> {
        let Turn { coding, now } = turn;
        let read = self.fill(tail, searched.to, self.piece, now)?;
        tail.know_root(&out.cx.name)?;
        let at_end = read < self.piece;
        let raw = &self.buffer[..read];
        let end = coding.line_ends(raw).next();
        let Some(end) = end.map(|end| searched.to + end as u64).or_else(|| {
            // NULs at the end of the file are no part of the line: they may be written over.
            let written = match coding.written(raw) {
                0 => searched.written,
                written => searched.to + written as u64,
            };
            let to = if at_end { written } else { searched.to + read as u64 };
            tail.searched = Some(Searched { to, written });
            (at_end && tail.force).then_some(written)
        }) else {
            tail.partial = true;
            return Ok(!at_end);
        };
        // A character may take half as many bytes as UTF-8 as it does in the file.
        let head = out.gather.limit.saturating_add(4) * if coding.is_utf8() { 1 } else { 2 };
        let head = head.min((end - tail.offset) as usize);
        let head = self.fill(tail, tail.offset, head, now)?;
        let (begin, start) = (tail.position(), tail.offset);
        let at = At { base: start, now, streams: &mut tail.streams };
        match coding.is_utf8() {
            true => out.gather.push_cut(&self.buffer[..head], at),
            false => {
                let len = coding.decode(&self.buffer[..head], false, &mut self.text);
                out.gather.push_cut(&self.text[..len], at);
            }
        }
        tail.offset = end;
        tail.searched = None;
        match out.gather.taken() {
            0 => out.pass(tail),
            _ => out.send(tail, begin, (end - start) as usize)?,
        }
        Ok(true)
    }
}

/// Bytes to read for about as many lines as make whole batches. Even.
fn want(average: usize, cut: &Cut, piece: usize) -> usize {
    let batch = cut.rows.saturating_mul(average);
    if batch == 0 || batch >= piece {
        return piece;
    }
    let batches = piece / batch * batch;
    (batches + batches / 64).min(piece).next_multiple_of(2)
}

#[cfg(test)]
mod tests;
