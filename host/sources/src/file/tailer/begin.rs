//! Where the tailer begins in a file.

use std::io;
use std::path::Path;
use std::time::Instant;

use flitch_core::batch::constants::Constants;
use flitch_core::batch::origin::Root;
use flitch_core::batch::{TAG, TIMESTAMP};
use flitch_core::machine::hostname;

use super::super::charset::Coding;
use super::super::checkpoint::Checkpoint;
use super::super::container::Position;
use super::super::discover::{FileId, Found};
use super::super::fingerprint::{HEAD, Trail, read_at, read_head};
use super::super::settings::ReadFrom;
use super::super::tail::Tail;
use super::{Key, Tailer};

/// Where to begin in a file.
enum Start {
    At(Position),
    /// A compressed file that was read to its end, which is this position.
    Finished(u64),
}

/// What is kept of a file that was read before.
struct Kept {
    root: Option<Root>,
    /// Its content is what it was.
    is_same: bool,
}

impl Tailer {
    /// Begins to follow a file, unless it is followed or cannot be read.
    pub(super) fn begin_or_complain(&mut self, found: &Found, now: Instant) -> Option<Key> {
        // It may have come twice, from a walk and by news.
        if self.by_id.contains_key(&FileId::of(&found.meta)) {
            return None;
        }
        match self.begin(found, now) {
            Ok(key) => {
                self.warned.remove(&found.path);
                Some(key)
            }
            Err(error) => {
                if found.there_before {
                    self.there_before.insert(found.path.clone());
                }
                self.complain(&found.path, &error);
                None
            }
        }
    }

    fn begin(&mut self, found: &Found, now: Instant) -> io::Result<Key> {
        self.settings.lets_read(&found.place)?;
        let mut tail = Tail::found(found, self.scan.real_folder(&found.place), self.walks, now);
        self.open(&mut tail)?;
        tail.verify(self.settings.compression)?;
        let (start, kept) = self.start_of(&tail, found)?;
        let is_other = kept.as_ref().is_some_and(|kept| !kept.is_same);
        match kept {
            Some(Kept { root, is_same: true }) => tail.root = root,
            Some(Kept { root, is_same: false }) => tail.root_before = root,
            None => {}
        }
        match start {
            Start::At(start) => tail.begin_at(start),
            Start::Finished(position) => {
                tail.begin_at(Position::at(position));
                tail.finished = Some(tail.size);
            }
        }
        if tail.is_compressed() {
            tail.content = None;
        } else {
            tail.leave_trail()?;
        }
        if found.path != found.place && !self.globs_lead_to(found) {
            // It lies under no name of ours any more.
            tail.gone = Some(now);
        }
        self.there_before.remove(&found.path);
        if let Some(kept) = self.kept_id(tail.id, &found.path) {
            let content = self.kept.remove(&kept).filter(|_| is_other);
            content.into_iter().for_each(|content| self.let_go.replaced(content, now));
            if kept != tail.id {
                self.forgotten.push(kept);
            }
        }
        Ok(self.follow(tail))
    }

    /// Follows a file from now on.
    fn follow(&mut self, tail: Tail) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        if tail.gone.is_none() {
            // Only a name whose file is gone can have been ours.
            self.by_path.insert(tail.path.clone(), key);
        }
        self.by_id.insert(tail.id, key);
        self.by_inode.insert(tail.id.inode, key);
        let plain = !tail.is_compressed();
        self.tails.insert(key, tail);
        self.note_open(key, true);
        self.rounds.lively.insert(key);
        if plain {
            self.enqueue(key);
        }
        key
    }

    /// Whether the name under which a file was found leads to it still, or it was renamed.
    fn globs_lead_to(&self, found: &Found) -> bool {
        std::fs::metadata(&found.path).is_ok_and(|meta| FileId::of(&meta) == FileId::of(&found.meta))
    }

    /// What all records of a file have in common.
    pub(super) fn constants(&self, path: &Path) -> Constants {
        let settings = &self.settings;
        let mut constants = Constants::new()
            .timestamp(TIMESTAMP, 0)
            .text(TAG, settings.tag.as_deref().unwrap_or(&self.out.cx.name));
        if !settings.file_field.is_empty() {
            constants = constants.text(&settings.file_field, &path.to_string_lossy());
        }
        if !settings.host_field.is_empty() {
            constants = constants.text(&settings.host_field, hostname());
        }
        constants
    }

    /// Where to begin in a file that is new to this process, and what is kept of it.
    fn start_of(&self, tail: &Tail, found: &Found) -> io::Result<(Start, Option<Kept>)> {
        let Some(content) = &tail.content else { return Ok((Start::At(Position::at(0)), None)) };
        let file = content.file();
        let mut head = [0; HEAD];
        let head = read_head(file, &mut head)?;
        let compressed = tail.is_compressed();
        if let Some(kept) = self.kept_for(tail, &found.path, head) {
            let same = Some(Kept { root: kept.root, is_same: true });
            if compressed && kept.finished == Some(tail.size) {
                return Ok((Start::Finished(kept.position), same));
            }
            if compressed {
                return Ok((Start::At(kept.start()), same));
            }
            // A file that is shorter than its position, or has other bytes before it, was cut while we were away.
            let trail = Trail::of(file, kept.position)?;
            let fits = trail.is_some_and(|trail| kept.before.is_none() || trail.before == kept.before);
            return Ok(match fits {
                true => (Start::At(kept.start()), same),
                false => (Start::At(Position::at(0)), Some(Kept { root: kept.root, is_same: false })),
            });
        }
        let other = self.kept_id(tail.id, &found.path).and_then(|id| self.kept.get(&id));
        let other = other.map(|kept| Kept { root: kept.root, is_same: false });
        let there_before = found.there_before || self.there_before.contains(&found.path);
        let skip_to_end = self.first_start && there_before && self.settings.read_from == ReadFrom::End;
        let age = self.out.cx.clock.now() - found.meta.modified().map_or(i64::MAX, nanoseconds);
        let limit = self.settings.ignore_older;
        let too_old = limit.is_some_and(|limit| age > 0 && age as u128 > limit.0.as_nanos());
        let start = match (skip_to_end || too_old, compressed) {
            (false, _) => Start::At(Position::at(0)),
            (true, true) => Start::Finished(0),
            (true, false) => {
                let coding = self.settings.charset.of_head(head, true).map_or(Coding::UTF_8, |known| known.0);
                Start::At(Position::at(last_line(file, tail.size, coding)?))
            }
        };
        Ok((start, other))
    }

    /// Under which identity a position was saved for this file. A device may have another number after the machine
    /// started again; then the name must be the same too. One that was saved by a flitch that did not ask when a file
    /// was made is found all the same.
    fn kept_id(&self, id: FileId, path: &Path) -> Option<FileId> {
        let unborn = FileId { born: None, ..id };
        let exact = [id, unborn].into_iter().find(|id| self.kept.contains_key(id));
        exact.or_else(|| {
            self.kept_paths.get(path).copied().filter(|kept| kept.fits(id) || kept.may_be_copied_to(id))
        })
    }

    /// The position that was saved for this file.
    fn kept_for(&self, tail: &Tail, path: &Path, head: &[u8]) -> Option<&Checkpoint> {
        let kept = self.kept.get(&self.kept_id(tail.id, path)?)?;
        let is_same = match tail.is_compressed() {
            // Its position is one in what it expands to.
            true => kept.fingerprint.is_none_or(|known| known.fits(head)),
            false => kept.begins(head),
        };
        is_same.then_some(kept)
    }
}

/// Where the last line begins that is not finished, of a file of `size` bytes.
pub(in super::super) fn last_line(file: &std::fs::File, size: u64, coding: Coding) -> io::Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    let size = size - size % coding.unit() as u64;
    let mut end = size;
    while end > 0 && size - end < 1 << 20 {
        let start = end.saturating_sub(buffer.len() as u64);
        let read = read_at(file, &mut buffer[..(end - start) as usize], start)?;
        if let Some(line_end) = coding.line_ends(&buffer[..read]).next_back() {
            return Ok(start + line_end as u64);
        }
        end = start;
    }
    Ok(if end == 0 { 0 } else { size })
}

fn nanoseconds(time: std::time::SystemTime) -> i64 {
    let since = time.duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
