//! When positions are saved: a file's first before its first record goes on, its first safe one at once, and all that
//! have moved each `checkpoint_interval`.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::checkpoint::{Checkpoint, KEEP};
use super::twin::{MOST, REMEMBER};
use super::{Key, Tailer};
use flitch_core::named_file;

/// First safe positions are saved together with others that come within this time.
const GATHER: Duration = Duration::from_millis(20);
/// After this time all entries are written again, with the time at which their files were seen.
const WHOLE: Duration = Duration::from_secs(60 * 60);

/// Whether nobody can say if a file is at this path.
fn is_hidden(path: &Path) -> bool {
    named_file::open(path)
        .is_err_and(|error| !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

impl Tailer {
    /// In seconds since 1970.
    pub(super) fn today(&self) -> i64 {
        self.out.cx.clock.now() / 1_000_000_000
    }

    /// A file has its first safe position.
    pub fn save_soon(&mut self, now: Instant) {
        let rest = self.saves.rest(GATHER).min(self.settings.checkpoint_interval.0);
        self.next_save = self.next_save.min(now + rest);
    }

    /// Saves the positions that have moved.
    pub fn save_moved(&mut self, now: Instant) {
        self.next_save = now + self.settings.checkpoint_interval.0;
        self.forget_nameless(now);
        // What was there at a first start is known by its having no position: until the walk has seen all of it there
        // is nothing to save.
        let is_changed =
            !(self.rounds.lively.is_empty() && self.kept_changed.is_empty() && self.forgotten.is_empty());
        if self.has_walked() && (self.is_whole_due(now) || is_changed) {
            self.save(now);
        }
    }

    /// Saves the positions at the end, when nothing is looked at any more.
    pub fn save_last(&mut self, now: Instant) {
        self.rounds
            .lively
            .extend(self.tails.iter().filter(|(_, tail)| tail.fingerprint.is_none()).map(|(key, _)| key));
        self.save_moved(now);
    }

    /// Forgets plain files without a name of which nobody asks any more.
    fn forget_nameless(&mut self, now: Instant) {
        let is_over = |(since, _): &mut (Instant, _)| now >= *since + REMEMBER;
        while let Some((_, id)) = match self.nameless.len() > MOST {
            true => self.nameless.pop_front(),
            false => self.nameless.pop_front_if(is_over),
        } {
            if self.kept.remove(&id).is_some() {
                self.forgotten.push(id);
            }
        }
    }

    /// Saves all that has changed. A file is saved so before its first record goes on: what is not read of it is found
    /// after a crash, whatever it is called then.
    pub(super) fn save(&mut self, now: Instant) {
        let began = (self.stopwatch)();
        let saved = self.save_changed(now);
        let spent = (self.stopwatch)() - began;
        self.saves.add(spent);
        if saved.is_err() {
            // The next save is a whole one.
            self.kept_changed.clear();
            self.forgotten.clear();
        }
        match saved {
            Ok(()) if std::mem::take(&mut self.save_fails) => {
                self.ailment.set(None);
                tracing::info!(source = %self.out.cx.name, "positions are saved again");
            }
            Ok(()) => {}
            Err(error) => {
                self.ailment.set(Some(format!(
                    "they cannot be saved, and records would come twice after a restart: {error}"
                )));
                if !std::mem::replace(&mut self.save_fails, true) {
                    tracing::error!(source = %self.out.cx.name, %error, "cannot save positions; records would come twice after a restart");
                }
            }
        }
    }

    fn save_changed(&mut self, now: Instant) -> std::io::Result<()> {
        let looked = self.looked;
        for key in &self.rounds.lively {
            if let Some(tail) = self.tails.get_mut(key) {
                tail.learn_head();
            }
        }
        if self.is_whole_due(now) {
            self.forget_unseen(self.today());
            let followed: Vec<(Key, Checkpoint)> =
                self.tails.iter().map(|(key, tail)| (*key, tail.checkpoint(looked))).collect();
            self.store
                .replace(self.kept.values().chain(followed.iter().map(|(_, checkpoint)| checkpoint)))?;
            self.next_whole_save = now + WHOLE;
            self.note_saved(followed);
        } else {
            let lively = self.rounds.lively.iter().filter_map(|key| Some((*key, self.tails.get(key)?)));
            let moved: Vec<(Key, Checkpoint)> =
                lively.filter_map(|(key, tail)| Some((key, tail.changed_checkpoint(looked)?))).collect();
            let kept = self.kept_changed.iter().filter_map(|id| self.kept.get(id));
            let changed: Vec<&Checkpoint> = moved.iter().map(|(_, moved)| moved).chain(kept).collect();
            if changed.is_empty() && self.forgotten.is_empty() {
                return Ok(());
            }
            self.store.append(&changed, &self.forgotten)?;
            self.note_saved(moved);
        }
        self.kept_changed.clear();
        self.forgotten.clear();
        Ok(())
    }

    /// Forgets files that have not been seen for long. One that cannot be read, or lies in a folder that cannot, may be there.
    fn forget_unseen(&mut self, today: i64) {
        if self.scan.is_under_way() {
            // What is there is known at its end.
            return;
        }
        self.kept.retain(|_, kept| {
            if kept.seen + KEEP <= today && is_hidden(&kept.path) {
                kept.seen = today;
            }
            kept.seen + KEEP > today
        });
    }

    fn is_whole_due(&self, now: Instant) -> bool {
        now >= self.next_whole_save || self.store.wants_whole(self.tails.len() + self.kept.len())
    }

    fn note_saved(&mut self, saved: Vec<(Key, Checkpoint)>) {
        for (key, checkpoint) in saved {
            if let Some(tail) = self.tails.get_mut(&key) {
                let has_moved = |saved: &Checkpoint| saved.position != checkpoint.position;
                tail.is_fresh &= !tail.saved.as_ref().is_some_and(has_moved);
                tail.saved = Some(checkpoint);
            }
        }
    }
}
