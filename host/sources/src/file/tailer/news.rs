//! What the system says about changes, which saves the wait for the next look, and tells of files whose names changed
//! faster than anybody looks.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::super::discover::{FileId, Found};
use super::super::walk::Kind;
use super::super::watch::News;
use super::Tailer;

impl Tailer {
    /// The system says what has changed.
    pub fn changed(&mut self, news: &News, now: Instant) {
        self.moved(&news.moved, now);
        for path in &news.written {
            let name = self.name_of_ours(path);
            match name.as_ref().and_then(|name| self.by_path.get(name)) {
                Some(&key) => self.look(key, now),
                None => drop(name.map(|name| self.named(name, now))),
            }
        }
        let mut is_unknown = news.unknown;
        for path in &news.named {
            match self.name_of_ours(path) {
                Some(name) => self.named(name, now),
                // A folder that comes may bring files with it.
                None => is_unknown |= path.is_dir(),
            }
        }
        if is_unknown {
            self.walk_soon(now);
        }
        if news.unknown {
            self.rounds.all_soon(now);
        }
    }

    /// Under which name the globs lead to what lies at `path`, if they do.
    fn name_of_ours(&self, path: &Path) -> Option<PathBuf> {
        let link = self.links.get(path);
        let is_ours = || self.by_path.contains_key(path) || self.globs.matches(path);
        link.cloned().or_else(|| is_ours().then(|| path.to_owned()))
    }

    /// A name of ours came or went.
    fn named(&mut self, name: PathBuf, now: Instant) {
        let links = self.links.len();
        let found = self.consider(name.clone(), Kind::Link);
        if self.links.len() > links {
            // It leads to where nobody watches yet.
            self.walk_soon(now);
        }
        let id = found.as_ref().map(|found| FileId::of(&found.meta));
        let Some(&key) = self.by_path.get(&name) else {
            if let Some(found) = found {
                self.begin_now(found, now);
            }
            return;
        };
        if let Some(tail) = self.tails.get_mut(&key)
            && (id.is_some() || !name.exists())
        {
            tail.gone.get_or_insert(now);
            self.rounds.lively.insert(key);
        }
        if let Some(found) = found {
            self.begin_now(found, now);
        }
        self.look(key, now);
    }

    fn begin_now(&mut self, mut found: Found, now: Instant) {
        found.there_before = false;
        self.begin_or_complain(&found, now);
    }

    /// Names changed: follows files to what they are called now, and begins with those that had a name of ours for so
    /// short a time that nobody saw it.
    fn moved(&mut self, moved: &[(PathBuf, PathBuf)], now: Instant) {
        // Where files lie now, and the names of ours that they had.
        let mut places: HashMap<&Path, PathBuf> = HashMap::new();
        let mut order = Vec::new();
        for (from, to) in moved {
            if let Some(name) = places.remove(from.as_path()).or_else(|| self.name_of_ours(from)) {
                places.insert(to, name);
                order.push(to);
            }
        }
        for place in order {
            let Some(name) = places.remove(place.as_path()) else { continue };
            let Ok(meta) = fs::symlink_metadata(place) else { continue };
            if !meta.is_file() || self.name_of_ours(place).is_some() {
                continue;
            }
            if let Some(key) = self.followed(FileId::of(&meta)) {
                if let Some(tail) = self.tails.get_mut(&key) {
                    tail.place.clone_from(place);
                    tail.gone.get_or_insert(now);
                    self.rounds.lively.insert(key);
                }
                continue;
            }
            let found = Found { path: name, place: place.clone(), meta, there_before: false };
            if let Some(key) = self.begin_or_complain(&found, now)
                && let Some(tail) = self.tails.get_mut(&key)
            {
                tracing::debug!(path = %found.path.display(), now = %place.display(), "a file was renamed before it was seen");
                tail.gone = Some(now);
            }
        }
    }
}
