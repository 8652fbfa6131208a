//! Which files the tailer follows, and where it begins in them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::Instant;

use crate::batch::constants::Constants;
use crate::batch::{StreamId, TAG, TIMESTAMP};
use crate::receipt::Watermark;

use super::super::charset::Coding;
use super::super::checkpoint::Checkpoint;
use super::super::discover::{FileId, Found, find_in_folder};
use super::super::fingerprint::{HEAD, read_at, read_head};
use super::super::hostname;
use super::super::read::Blank;
use super::super::settings::ReadFrom;
use super::super::tail::{Compressed, Tail, modified};
use super::Tailer;

/// Where to begin in a file.
enum Start {
    At(u64),
    /// A compressed file that was read to its end, which is this position.
    Finished(u64),
}

impl Tailer {
    /// Looks which files there are.
    pub(super) fn walk(&mut self, now: Instant) {
        self.last_walk = Some(now);
        self.next_walk = now + self.settings.scan_interval.0;
        self.walks += 1;
        let walk = self.globs.walk();
        self.folders = walk.folders;
        for (path, error) in walk.errors {
            self.complain(&path, &error);
        }
        for found in walk.files {
            let id = FileId::of(&found.meta);
            match self.by_id.get(&id).and_then(|key| self.tails.get_mut(key).map(|tail| (*key, tail))) {
                // Another name of the same file.
                Some((_, tail)) if tail.seen == self.walks => {}
                Some((key, tail)) => {
                    tail.seen = self.walks;
                    tail.gone = None;
                    if tail.path != found.path {
                        tracing::debug!(from = %tail.path.display(), to = %found.path.display(), "a file was renamed");
                        if self.by_path.get(&tail.path) == Some(&key) {
                            self.by_path.remove(&tail.path);
                        }
                        self.by_path.insert(found.path.clone(), key);
                        tail.path = found.path;
                    }
                }
                None => {
                    if let Err(error) = self.begin(&found, now) {
                        if self.walks == 1 {
                            self.there_before.insert(found.path.clone());
                        }
                        self.complain(&found.path, &error);
                    } else {
                        self.warned.remove(&found.path);
                    }
                }
            }
        }
        if self.walks == 1 {
            self.find_renamed(now);
        }
        for tail in self.tails.values_mut() {
            if tail.seen != self.walks && tail.gone.is_none() {
                tail.gone = Some(now);
            }
        }
    }

    /// Looks for files that were renamed while the source was away, to names that no glob matches: what was not read
    /// of them is read, and what their writer, who may not know of the rotation yet, still adds.
    fn find_renamed(&mut self, now: Instant) {
        let mut folders: HashMap<&Path, HashSet<FileId>> = HashMap::new();
        for (id, kept) in &self.kept {
            if let Some(folder) = kept.path.parent() {
                folders.entry(folder).or_default().insert(*id);
            }
        }
        let found: Vec<Found> =
            folders.into_iter().flat_map(|(folder, ids)| find_in_folder(folder, &ids)).collect();
        for found in found {
            let id = FileId::of(&found.meta);
            let unread = self.kept.get(&id).is_some_and(|kept| match kept.finished {
                Some(finished) => finished != found.meta.len(),
                None => kept.position < found.meta.len() || kept.path != found.path,
            });
            if !unread || self.by_id.contains_key(&id) || self.begin(&found, now).is_err() {
                continue;
            }
            if let Some(tail) = self.by_id.get(&id).and_then(|key| self.tails.get_mut(key)) {
                tracing::info!(path = %found.path.display(), "a file was renamed while flitch was away; its rest is read");
                tail.gone = Some(now);
            }
        }
    }

    /// Begins to follow a file.
    fn begin(&mut self, found: &Found, now: Instant) -> io::Result<()> {
        let id = FileId::of(&found.meta);
        let mut tail = Tail {
            id,
            path: found.path.clone(),
            constants: self.constants(&found.path),
            stream: StreamId::next(),
            mark: Watermark::new(Some(0)),
            fingerprint: None,
            content: None,
            finished: None,
            compressed: Compressed::Unknown,
            offset: 0,
            coding: None,
            searched: None,
            blank: Blank::Unknown,
            told_nuls: false,
            size: found.meta.len(),
            modified: modified(&found.meta),
            grown: now,
            gone: None,
            seen: self.walks,
            partial: false,
            queued: false,
            force: false,
            verify_at: now,
            rest_until: None,
            average: 0,
        };
        self.make_room();
        tail.open()?;
        tail.verify(self.settings.compression)?;
        match self.start_of(&tail, found)? {
            Start::At(start) => tail.offset = start,
            Start::Finished(position) => {
                tail.offset = position;
                tail.finished = Some(tail.size);
            }
        }
        tail.mark = Watermark::new(Some(tail.offset));
        if tail.is_compressed() {
            tail.content = None;
        }
        self.kept.remove(&id);
        self.there_before.remove(&found.path);
        let key = self.next_key;
        self.next_key += 1;
        // Only a name whose file is gone can have been ours.
        self.by_path.insert(found.path.clone(), key);
        self.by_id.insert(id, key);
        let plain = !tail.is_compressed();
        self.tails.insert(key, tail);
        self.unsaved = true;
        if plain {
            self.enqueue(key);
        }
        Ok(())
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

    /// Where to begin in a file that is new to this process.
    fn start_of(&self, tail: &Tail, found: &Found) -> io::Result<Start> {
        let Some(content) = &tail.content else { return Ok(Start::At(0)) };
        let mut head = [0; HEAD];
        let head = read_head(content.file(), &mut head)?;
        let compressed = tail.is_compressed();
        if let Some(kept) = self.kept_for(tail.id, &found.path, head) {
            if compressed && kept.finished == Some(tail.size) {
                return Ok(Start::Finished(kept.position));
            }
            // A file that is shorter than its position was cut while we were away.
            let fits = compressed || kept.position <= tail.size;
            return Ok(Start::At(if fits { kept.position } else { 0 }));
        }
        let there_before = self.walks == 1 || self.there_before.contains(&found.path);
        let skip_to_end = self.first_start && there_before && self.settings.read_from == ReadFrom::End;
        let age = self.out.cx.clock.now() - found.meta.modified().map_or(i64::MAX, nanoseconds);
        let limit = self.settings.ignore_older;
        let too_old = limit.is_some_and(|limit| age > 0 && age as u128 > limit.0.as_nanos());
        Ok(match (skip_to_end || too_old, compressed) {
            (false, _) => Start::At(0),
            (true, true) => Start::Finished(0),
            (true, false) => {
                let coding = self.settings.charset.of_head(head, true).map_or(Coding::UTF_8, |known| known.0);
                Start::At(last_line(content.file(), tail.size, coding)?)
            }
        })
    }

    /// The position that was saved for this file.
    fn kept_for(&self, id: FileId, path: &Path, head: &[u8]) -> Option<&Checkpoint> {
        // A device may have another number after the machine started again; then the name must be the same too.
        let same = self
            .kept
            .get(&id)
            .or_else(|| self.kept.values().find(|kept| kept.inode == id.inode && kept.path == path))?;
        same.fingerprint.fits(head).then_some(same)
    }
}

/// Where the last line begins that is not finished, of a file of `size` bytes.
fn last_line(file: &std::fs::File, size: u64, coding: Coding) -> io::Result<u64> {
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
    time.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64)
}
