//! Compressed files that were read before they were compressed, as logrotate leaves them: they are known by their
//! expanded content, and what was read is not read again.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::super::checkpoint::Checkpoint;
use super::super::fingerprint::{HEAD, Trail};
use super::super::tail::{Candidate, Compressed, Tail, Twin};
use super::{REST, Tailer};

/// How long content is remembered that is not on disk any more. Whoever compresses a file removes it right after.
const REMEMBER: Duration = Duration::from_secs(600);
/// Most of such content.
const MOST: usize = 1000;

/// Content of files that was read and is gone: removed, or cut.
#[derive(Debug, Default)]
pub(super) struct LetGo(VecDeque<(Instant, Checkpoint)>);

impl LetGo {
    /// Remembers how far the content of `tail` was read, which it has lost or is about to.
    pub fn content(&mut self, tail: &Tail, now: Instant) {
        while self.0.len() >= MOST || self.0.front().is_some_and(|(since, _)| now >= *since + REMEMBER) {
            self.0.pop_front();
        }
        if tail.compressed == Compressed::No && tail.fingerprint.is_some() {
            self.0.push_back((now, tail.checkpoint(0)));
        }
    }
}

impl Tailer {
    /// Whether a file can be read now. A compressed one that was followed as a plain one is read when that is let go,
    /// from where it was left.
    pub(super) fn is_readable(&self, tail: &mut Tail, now: Instant) -> io::Result<bool> {
        if !tail.is_compressed() || tail.twin == Twin::No {
            return Ok(true);
        }
        let candidates = match std::mem::replace(&mut tail.twin, Twin::No) {
            Twin::OneOf(candidates) => candidates,
            _ if tail.offset > 0 => return Ok(true),
            _ => self.candidates(tail)?,
        };
        for mut candidate in candidates {
            let followed = candidate.key.and_then(|key| self.tails.get(&key));
            if let Some(followed) = followed {
                candidate.is_alike |= is_continued(tail, &followed.checkpoint(0))?;
                if candidate.is_alike {
                    tail.twin = Twin::OneOf(vec![candidate]);
                    tail.content = None;
                    tail.rest_until = Some(now + REST);
                    return Ok(false);
                }
                continue;
            }
            let id = candidate.kept.id;
            let let_go = || self.let_go.0.iter().rev().map(|(_, kept)| kept).find(|kept| kept.id == id);
            // Where it was followed meanwhile it has come further.
            let last = candidate.key.and_then(|_| self.kept.get(&id).or_else(let_go));
            let kept = last.unwrap_or(&candidate.kept);
            if is_continued(tail, kept)? {
                tracing::info!(
                    path = %tail.path.display(), was = %kept.path.display(), from = kept.position,
                    "a file was compressed that was read before; only its rest is read"
                );
                tail.begin_at(kept.start());
                tail.root = kept.root;
                break;
            }
        }
        Ok(true)
    }

    /// The files whose content begins like that of `tail`.
    fn candidates(&self, tail: &mut Tail) -> io::Result<Vec<Candidate>> {
        let mut buffer = [0; HEAD];
        let read = match &mut tail.content {
            Some(content) => content.read_at(&mut buffer, 0, 0)?,
            None => 0,
        };
        let head = &buffer[..read];
        let is_alike = |kept: &&Checkpoint| kept.fingerprint.is_some_and(|known| known.fits(head));
        let read_before = self.kept.values().chain(self.let_go.0.iter().map(|(_, kept)| kept));
        let read_before = read_before.filter(is_alike).map(|kept| Candidate {
            key: None,
            kept: kept.clone(),
            is_alike: false,
        });
        let plain = self.tails.iter().filter(|(_, other)| other.compressed == Compressed::No);
        let alike = plain.filter(|(_, other)| other.fingerprint.is_some_and(|known| known.fits(head)));
        let followed = alike.map(|(key, other)| Candidate {
            key: Some(*key),
            kept: other.checkpoint(0),
            is_alike: false,
        });
        Ok(followed.chain(read_before).collect())
    }
}

/// Whether the content of `tail` has before a position what was read there.
fn is_continued(tail: &mut Tail, kept: &Checkpoint) -> io::Result<bool> {
    let Some(content) = &mut tail.content else { return Ok(false) };
    let trail = Trail::read(kept.position, |buffer, offset| content.read_at(buffer, offset, offset))?;
    Ok(trail.is_some_and(|trail| kept.before.is_none() || trail.before == kept.before))
}
