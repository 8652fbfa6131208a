//! NULs where text should be.
//!
//! A writer that does not append goes on at its old place when its file is cut (logrotate's `copytruncate`): all before
//! it is NULs, which hold no record. Others make their files larger than what is in them: NULs at the end of a file are
//! text that is not written yet. Which of both a run of NULs is, only what comes behind it tells.

use std::io;

use rustix::fs::SeekFrom;

use super::super::charset::Coding;
use super::super::content::Content;
use super::super::sender::Sender;
use super::super::tail::Tail;
use super::{ReadError, Reader, Turn};

/// What is known of the NULs that come next in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Blank {
    /// Nothing.
    #[default]
    Unknown,
    /// From `from` up to `to` they are NULs; what comes then is to be looked at.
    Asked { from: u64, to: u64 },
    /// From `from` up to `to`, the end of the file, nothing is written yet.
    End { from: u64, to: u64 },
    /// Something else comes at this place.
    Until(u64),
}

impl Tail {
    /// How much of `raw`, which was read at the offset, may be looked at: not the NULs that may reach to the end of
    /// the file. And whether it is all that is written (`at_end`: `raw` ends with the file).
    pub(super) fn written(&mut self, raw: &[u8], at_end: bool, coding: Coding) -> (usize, bool) {
        let written = coding.written(raw);
        let (from, to) = (self.offset + written as u64, self.offset + raw.len() as u64);
        if at_end {
            self.blank = if from < to { Blank::End { from, to } } else { Blank::Unknown };
            return (written, true);
        }
        if written == raw.len() {
            return (written, false);
        }
        match self.blank {
            // Whoever writes into what was made ready for it writes from its beginning on.
            Blank::End { from: known, to: end }
                if known < to && (end == self.size || self.is_compressed()) =>
            {
                self.blank = Blank::End { from, to: end };
                (written, true)
            }
            Blank::Until(place) if to <= place => (raw.len(), false),
            _ => {
                self.blank = Blank::Asked { from, to };
                (written, false)
            }
        }
    }
}

impl Reader {
    /// Looks one piece further whether the NULs from `from` up to `to` go on to the end of the file, and passes over
    /// them if they do not and a line begins with them. Answers whether there may be more to read.
    pub(super) fn ask_blank(
        &mut self,
        tail: &mut Tail,
        (from, to): (u64, u64),
        turn: Turn,
        out: &Sender,
    ) -> Result<bool, ReadError> {
        let Turn { coding, now } = turn;
        let to = after_hole(tail, to)?;
        let read = self.fill(tail, to, self.piece, now)?;
        let nuls = coding.nuls(&self.buffer[..read]);
        let place = to + nuls as u64;
        if read - nuls >= coding.unit() {
            tail.blank = Blank::Until(place);
            if from == tail.offset {
                out.count_nuls(tail, (place - from) as usize);
                tail.offset = place;
                out.pass(tail);
            }
        } else if read < self.piece {
            tail.blank = Blank::End { from, to: to + read as u64 };
        } else {
            tail.blank = Blank::Asked { from, to: place };
        }
        Ok(true)
    }
}

/// The first place from `from` on that is no hole in the file, or its end; `from` where that cannot be told.
fn after_hole(tail: &Tail, from: u64) -> io::Result<u64> {
    let Some(Content::Plain(file)) = &tail.content else { return Ok(from) };
    Ok(match rustix::fs::seek(file, SeekFrom::Data(from)) {
        Ok(place) => (place & !1).max(from),
        // No more data: the rest is a hole.
        Err(rustix::io::Errno::NXIO) => file.metadata()?.len().max(from),
        Err(_) => from,
    })
}
