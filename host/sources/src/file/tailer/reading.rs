//! The turn of one file to be read.

use std::time::Instant;

use flitch_core::buffers::Closed;

use super::{Key, REST, Tailer};
use crate::file::content::{Content, End};
use crate::file::discover::is_absent;
use crate::file::read::{ReadError, send_owed};
use crate::file::tail::{Compressed, Tail};

/// How the turn of a file ended.
enum Read {
    /// There may be more to read.
    More,
    Enough,
    /// It is to be on disk before its first record goes on.
    SaveFirst,
}

impl Tailer {
    /// Gives a file its turn.
    pub(super) fn read(&mut self, key: Key, now: Instant) -> Result<(), Closed> {
        let Some(mut tail) = self.tails.remove(&key) else { return Ok(()) };
        tail.queued = false;
        let result = self.read_tail(&mut tail, now);
        let path = tail.path.clone();
        self.tails.insert(key, tail);
        self.note_open(key, true);
        self.rounds.lively.insert(key);
        match result {
            Ok(Read::More) => self.enqueue(key),
            Ok(Read::Enough) => {}
            Ok(Read::SaveFirst) => {
                self.save(now);
                // It keeps its turn: older files come first.
                self.ready.push_front(key);
                if let Some(tail) = self.tails.get_mut(&key) {
                    tail.queued = true;
                }
            }
            Err(ReadError::Closed(closed)) => return Err(closed),
            Err(ReadError::Io(error)) => {
                if let Some(tail) = self.tails.get_mut(&key) {
                    tail.rest_until = Some(now + REST);
                    // So that the next look tries again.
                    tail.modified = (0, 0);
                    tail.close_if_stale(&error);
                    if is_absent(&error) {
                        tail.gone.get_or_insert(now);
                        if tail.behind() > 0 {
                            tracing::warn!(
                                path = %path.display(), bytes = tail.behind(),
                                "a file was removed while it was closed; what was not read of it is lost"
                            );
                        }
                        match tail.is_compressed() {
                            true => tail.finished = Some(tail.size),
                            false => tail.offset = tail.size,
                        }
                    }
                }
                if !is_absent(&error) {
                    self.complain(&path, &error);
                }
            }
        }
        Ok(())
    }

    fn read_tail(&mut self, tail: &mut Tail, now: Instant) -> Result<Read, ReadError> {
        if tail.mark.failed() {
            return Ok(Read::Enough);
        }
        if !self.send_owed(tail, now)? {
            return Ok(Read::More);
        }
        self.open(tail)?;
        let is_known = self.recognise(tail, now)?;
        if !self.send_owed(tail, now)? {
            return Ok(Read::More);
        }
        if !is_known {
            return Ok(Read::Enough);
        }
        if tail.saved.is_none() && !self.save_fails {
            return Ok(Read::SaveFirst);
        }
        tail.decompress()?;
        if !self.is_readable(tail, now)? {
            return Ok(Read::Enough);
        }
        self.name(tail);
        let more = self.reader.turn(tail, &mut self.out, now)?;
        if tail.fingerprint.is_none() && tail.offset > 0 {
            // It began with NULs.
            tail.verify(self.settings.compression)?;
        }
        if more {
            return Ok(Read::More);
        }
        tail.leave_trail()?;
        self.end(tail, now)
    }

    /// Sends what the file ended with before it was cut. Answers whether nothing more is owed, and there is room for what comes.
    fn send_owed(&mut self, tail: &mut Tail, now: Instant) -> Result<bool, Closed> {
        if tail.unsent.owed.is_none() {
            return Ok(true);
        }
        self.name(tail);
        Ok(send_owed(tail, &mut self.out, now)? && !self.out.is_blocked())
    }

    /// Has all records of a file say where they come from.
    fn name(&self, tail: &mut Tail) {
        if tail.constants.is_none() {
            tail.constants = Some(self.constants(tail.label.as_ref().unwrap_or(&tail.path)));
        }
    }

    /// Looks at what a file is by its first bytes, now and then anew. Whether that is known, and to be read now.
    fn recognise(&mut self, tail: &mut Tail, now: Instant) -> Result<bool, ReadError> {
        let was_unknown = tail.compressed == Compressed::Unknown;
        if was_unknown || now >= tail.verify_at {
            if !tail.verify(self.settings.compression)? {
                self.let_go.begin_anew(tail, now, "a file has new content");
                tail.verify(self.settings.compression)?;
                if tail.is_compressed() {
                    // Somebody may still write it: it is read when it is complete.
                    tail.content = None;
                    return Ok(false);
                }
            }
            tail.verify_at = now + self.settings.poll_interval.0;
        }
        if let Compressed::By(other) = tail.compressed {
            self.leave_out(tail, other);
            return Ok(false);
        }
        if was_unknown && tail.is_compressed() {
            // It was found before its first bytes were in it, and is still written.
            tail.content = None;
            tail.force = false;
            return Ok(false);
        }
        if tail.compressed == Compressed::Unknown && !tail.force {
            // What comes from here on may be gzip's first bytes, and nobody has looked at them.
            tail.partial = tail.size > 0;
            return Ok(false);
        }
        Ok(true)
    }

    /// Ends the turn of a file that has no more to read for now.
    fn end(&mut self, tail: &mut Tail, now: Instant) -> Result<Read, ReadError> {
        let forced = std::mem::take(&mut tail.force);
        if forced {
            tail.note_unended()?;
        }
        let Some(end) = tail.content.as_ref().and_then(Content::end) else { return Ok(Read::Enough) };
        if !forced {
            // Nothing more comes after the end; a file that stops in the middle may be written to yet.
            tail.force = end != End::Short;
            return Ok(if tail.force { Read::More } else { Read::Enough });
        }
        match end {
            End::Whole => {}
            End::Short => tracing::warn!(path = %tail.path.display(), "a gzip file ends in the middle"),
            End::Broken => tracing::error!(
                path = %tail.path.display(), position = tail.offset,
                "a gzip file is damaged; what comes after this position of its content cannot be read"
            ),
        }
        tail.finished = Some(tail.size);
        tail.content = None;
        self.rounds.soon(now);
        Ok(Read::Enough)
    }
}
