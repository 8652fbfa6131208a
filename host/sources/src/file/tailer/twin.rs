//! Compressed files that were read before they were compressed, as logrotate leaves them: they are known by their
//! expanded content, and what was read is not read again.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use super::super::checkpoint::Checkpoint;
use super::super::container::Position;
use super::super::content::{Content, End};
use super::super::discover::is_absent;
use super::super::fingerprint::{HEAD, Trail};
use super::super::settings::Compression;
use super::super::tail::{Compressed, Plain, Tail, Twin};
use super::{Key, REST, Tailer};

/// How long content is remembered that is not on disk any more. Whoever compresses a file removes it right after.
pub(super) const REMEMBER: Duration = Duration::from_secs(600);
/// Most of such content.
pub(super) const MOST: usize = 1000;

/// Content of files that was read and is gone: cut, or written over.
#[derive(Debug, Default)]
pub(super) struct LetGo(VecDeque<(Instant, Checkpoint)>);

impl LetGo {
    /// Remembers how far the content of `tail` was read, which it has lost or is about to.
    pub fn content(&mut self, tail: &Tail, now: Instant) {
        self.make_room(now);
        if tail.compressed == Compressed::No && tail.fingerprint.is_some() {
            self.0.push_back((now, tail.checkpoint(0)));
        }
    }

    /// Reads a file from its beginning whose content is not what it was, for what is said to have happened (`what`); or, where that
    /// is all that is another, from the beginning of a last line that had no end.
    pub fn begin_anew(&mut self, tail: &mut Tail, now: Instant, what: &str) {
        let path = tail.path.clone();
        // A file that cannot be read now is read from its beginning when it can be.
        if tail.take_back(now).unwrap_or(false) {
            tracing::info!(path = %path.display(), from = tail.offset, "{what}; its last line, which had no end, is read again");
            return;
        }
        tracing::info!(path = %path.display(), "{what}; it is read from its beginning");
        self.content(tail, now);
        tail.renew(now);
    }

    /// Remembers how far content was read that stood in a file which has other content now.
    pub fn replaced(&mut self, kept: Checkpoint, now: Instant) {
        self.make_room(now);
        self.0.push_back((now, kept));
    }

    fn make_room(&mut self, now: Instant) {
        while self.0.len() >= MOST || self.0.front().is_some_and(|(since, _)| now >= *since + REMEMBER) {
            self.0.pop_front();
        }
    }
}

/// What a compressed file is to a plain one that is followed.
enum Likeness {
    /// Another file, though it may begin alike.
    None,
    /// The same up to this end of it, or not to be told yet.
    Waits(Option<u64>),
    /// The same, and all of it is safe, which are so many bytes.
    Safe(u64),
}

impl Tailer {
    /// Whether a file can be read now. A compressed one that holds what a followed plain one does is read when that is
    /// safe or let go, from where it was left.
    pub(super) fn is_readable(&mut self, tail: &mut Tail, now: Instant) -> io::Result<bool> {
        if !tail.is_compressed() || tail.twin == Twin::Known {
            return Ok(true);
        }
        let before = match std::mem::replace(&mut tail.twin, Twin::Unknown) {
            Twin::Of(plain) if self.is_as_it_was(&plain, tail) => {
                wait(tail, *plain, now);
                return Ok(false);
            }
            Twin::Of(plain) => match plain.end.filter(|end| self.was_safe(&plain, *end)) {
                Some(end) => return Ok(begin_behind(tail, end)),
                None => Some(plain.kept),
            },
            _ if tail.offset > 0 => {
                tail.twin = Twin::Known;
                return Ok(true);
            }
            _ => None,
        };
        let (followed, mut read_before) = self.that_begin_alike(tail)?;
        for key in followed {
            match self.likeness(tail, key)? {
                Likeness::None => {}
                Likeness::Waits(end) => {
                    let Some(other) = self.tails.get(&key) else { continue };
                    let sizes = [other.size, tail.size];
                    wait(tail, Plain { key, kept: other.checkpoint(0), sizes, end }, now);
                    return Ok(false);
                }
                Likeness::Safe(end) => return Ok(begin_behind(tail, end)),
            }
        }
        read_before.extend(before);
        // What was read furthest counts. Expanded content is read forwards.
        read_before.sort_by_key(|kept| kept.position);
        let mut furthest = None;
        for kept in read_before {
            if is_continued(tail, &kept)? {
                furthest = Some(kept);
            }
        }
        if let Some(kept) = furthest {
            tracing::info!(
                path = %tail.path.display(), was = %kept.path.display(), from = kept.position,
                "a file was compressed that was read before; only its rest is read"
            );
            tail.begin_at(kept.start());
            tail.root = kept.root;
        }
        tail.twin = Twin::Known;
        Ok(true)
    }

    /// Whether nothing has happened to a plain file, and to the compressed one, since they were found to be the same.
    fn is_as_it_was(&self, plain: &Plain, tail: &Tail) -> bool {
        self.tails.get(&plain.key).is_some_and(|other| {
            [other.size, tail.size] == plain.sizes && other.mark.safe() == Some(plain.kept.start())
        })
    }

    /// Whether a plain file that was let go was safe up to `end`.
    fn was_safe(&self, plain: &Plain, end: u64) -> bool {
        let id = plain.kept.id;
        let let_go = || self.let_go.0.iter().rev().map(|(_, kept)| kept).find(|kept| kept.id == id);
        let last = self.kept.get(&id).or_else(let_go);
        // With another root it has got other content.
        let last = last.filter(|last| last.root.is_some() && last.root == plain.kept.root);
        let is_safe = |last: &Checkpoint| last.start() == Position::at(last.position) && last.position >= end;
        !self.tails.contains_key(&plain.key) && last.is_some_and(is_safe)
    }

    /// The plain files that are followed, and what was read before and is not, whose content begins like that of `tail`.
    fn that_begin_alike(&self, tail: &mut Tail) -> io::Result<(Vec<Key>, Vec<Checkpoint>)> {
        let mut buffer = [0; HEAD];
        let read = match &mut tail.content {
            Some(content) => content.read_at(&mut buffer, 0, 0)?,
            None => 0,
        };
        let head = &buffer[..read];
        let is_alike = |kept: &&Checkpoint| kept.fingerprint.is_some() && kept.begins(head);
        let read_before = self.kept.values().chain(self.let_go.0.iter().map(|(_, kept)| kept));
        let plain = self.tails.iter().filter(|(_, other)| other.compressed == Compressed::No);
        let alike = plain.filter(|(_, other)| other.fingerprint.is_some_and(|known| known.fits(head)));
        Ok((alike.map(|(key, _)| *key).collect(), read_before.filter(is_alike).cloned().collect()))
    }

    /// Compares a compressed file with a plain one that is followed.
    fn likeness(&mut self, tail: &mut Tail, key: Key) -> io::Result<Likeness> {
        let Some(plain) = self.tails.get_mut(&key) else { return Ok(Likeness::None) };
        let was_open = plain.content.is_some();
        let likeness = match plain.open() {
            Ok(()) => likeness(tail, plain, self.settings.compression),
            // It was removed while it was closed, and is let go as soon as somebody looks at it.
            Err(error) if is_absent(&error) => match is_continued(tail, &plain.checkpoint(0))? {
                true => Ok(Likeness::Waits(None)),
                false => Ok(Likeness::None),
            },
            Err(error) => Err(error),
        };
        if !was_open {
            plain.content = None;
        }
        likeness
    }
}

/// Begins to read a compressed file behind its content, all of which was read and is safe. Answers that it can be read.
fn begin_behind(tail: &mut Tail, end: u64) -> bool {
    tracing::debug!(path = %tail.path.display(), "a file was compressed that was read; it is not read again");
    tail.begin_at(Position::at(end));
    tail.twin = Twin::Known;
    true
}

/// Leaves a compressed file alone for a while.
fn wait(tail: &mut Tail, plain: Plain, now: Instant) {
    tail.twin = Twin::Of(Box::new(plain));
    tail.content = None;
    tail.rest_until = Some(now + REST);
}

/// Compares a compressed file with a plain one that is open. A plain file only grows: one that holds less than the
/// compressed one is not what that was made of, be it that both begin with the same header.
fn likeness(tail: &mut Tail, plain: &mut Tail, compression: Compression) -> io::Result<Likeness> {
    // Where it has other content than what was read of it, that will be seen when it is looked at.
    if !plain.verify(compression)? {
        return Ok(Likeness::Waits(None));
    }
    let (Some(content), Some(Content::Plain(file))) = (&mut tail.content, &plain.content) else {
        return Ok(Likeness::None);
    };
    let meta = file.metadata()?;
    let len = meta.len();
    if len < plain.size {
        return Ok(Likeness::Waits(None));
    }
    let mut trail =
        |position| Trail::read(position, |buffer, offset| content.read_at(buffer, offset, offset));
    let end = match trail(len)? {
        Some(_) if content.read_at(&mut [0], len, len)? > 0 => return Ok(Likeness::None),
        Some(_) => len,
        None => content.expanded().unwrap_or_default(),
    };
    // One that is not written to its end may come to hold more; one that is, and holds less than the plain file, is not
    // made of it, unless that was written to once more before it was removed.
    let is_short = end < len && content.end() == Some(End::Short);
    if end < len && !is_short && meta.nlink() > 0 {
        return Ok(Likeness::None);
    }
    let mut trail =
        |position| Trail::read(position, |buffer, offset| content.read_at(buffer, offset, offset));
    if end == 0 || trail(end)? != Trail::of(file, end)? {
        return Ok(Likeness::None);
    }
    let is_safe =
        plain.mark.safe().is_some_and(|safe| safe == Position::at(safe.offset) && safe.offset >= end);
    Ok(if is_safe && !is_short {
        Likeness::Safe(end)
    } else {
        Likeness::Waits(Some(end).filter(|_| !is_short))
    })
}

/// Whether the content of `tail` has before a position what was read there. At the beginning nothing was.
fn is_continued(tail: &mut Tail, kept: &Checkpoint) -> io::Result<bool> {
    let Some(content) = &mut tail.content else { return Ok(false) };
    holds(content, kept)
}

/// Whether some content has before the position of `kept` what was read there.
pub(super) fn holds(content: &mut Content, kept: &Checkpoint) -> io::Result<bool> {
    let trail = Trail::read(kept.position, |buffer, offset| content.read_at(buffer, offset, offset))?;
    Ok(trail.is_some_and(|trail| trail.before.is_some() && trail.before == kept.before))
}
