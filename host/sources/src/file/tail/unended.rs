//! A last line without an end that was sent as it was, and that its writer takes back: a program that shows how far it is
//! cuts its file at the beginning of that line and writes it again.

use std::io;
use std::time::Instant;

use super::super::container::Position;
use super::super::content::Content;
use super::super::fingerprint::{Fingerprint, HEAD, Trail, read_head};
use super::super::tailer::last_line;
use super::Tail;

/// The beginning of such a line, and what stands before it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Unended {
    before: Trail,
    head: Option<Fingerprint>,
}

impl Tail {
    /// Remembers the line at whose end it is now, if that has none.
    pub fn note_unended(&mut self) -> io::Result<()> {
        let (Some(Content::Plain(file)), Some(coding)) = (&self.content, self.coding) else { return Ok(()) };
        let begin = last_line(file, self.offset, coding)?;
        if begin == 0 || begin == self.offset {
            return Ok(());
        }
        let mut buffer = [0; HEAD];
        let head = read_head(file, &mut buffer)?;
        let head = Fingerprint::of(&head[..head.len().min(begin as usize)]);
        self.unended = Trail::of(file, begin)?.map(|before| Unended { before, head });
        Ok(())
    }

    /// Whether the content that it has now is what it had but for such a line. Then it goes on with what stands there
    /// instead, which is other content: where the line stood another record begins.
    pub fn take_back(&mut self, now: Instant) -> io::Result<bool> {
        let Some(Unended { before, head }) = self.unended else { return Ok(false) };
        self.open()?;
        let Some(Content::Plain(file)) = &self.content else { return Ok(false) };
        let mut buffer = [0; HEAD];
        let there = read_head(file, &mut buffer)?;
        if head.is_some_and(|known| !known.fits(there)) || Trail::of(file, before.position)? != Some(before) {
            return Ok(false);
        }
        let (label, safe) = (self.label.take(), self.mark.safe().unwrap_or(Position::at(0)));
        self.forget_kept();
        self.renew(now);
        self.label = label;
        // What is on its way from before it may come back, and is still there.
        self.begin_at(if safe.offset < before.position { safe } else { Position::at(before.position) });
        Ok(true)
    }
}
