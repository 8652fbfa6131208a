//! How often files are looked at.
//!
//! Files at which something happens are looked at each `poll_interval`, and so are all others while they are few. Where
//! looking takes long, because files are many or the disk is slow, the pauses grow with it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Key, REST, Tailer};

/// Files that are looked at in one turn.
const LOOKS: usize = 128;
/// The same while files wait to be read.
const LOOKS_BETWEEN: usize = 16;
/// A pause is at least so many times as long as the work before it.
const PAUSE: u32 = 20;
/// A file is lively for this long after it has grown.
const LIVELY: Duration = Duration::from_secs(10);

/// Adds up how long a kind of work takes, to rest in proportion.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace(Duration);

impl Pace {
    pub fn add(&mut self, spent: Duration) {
        self.0 += spent;
    }

    /// How long to rest after the work that was added since this was last asked.
    pub fn rest(&mut self, at_least: Duration) -> Duration {
        at_least.max(std::mem::take(&mut self.0) * PAUSE)
    }
}

/// The looks that are due.
#[derive(Debug)]
pub(super) struct Rounds {
    /// Files at which something happens: they have grown, are to be read, saved or let go.
    pub lively: BTreeSet<Key>,
    queue: Vec<Key>,
    /// The round takes in all files.
    is_full: bool,
    pace: Pace,
    next: Instant,
    next_full: Instant,
}

impl Rounds {
    pub fn new(now: Instant) -> Rounds {
        Rounds {
            lively: BTreeSet::new(),
            queue: Vec::new(),
            is_full: false,
            pace: Pace::default(),
            next: now,
            next_full: now,
        }
    }

    /// When the next round begins.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Whether files wait to be looked at.
    pub fn is_under_way(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Begins the next round now.
    pub fn soon(&mut self, now: Instant) {
        self.next = self.next.min(now);
    }

    /// Begins the next round now, with all files.
    pub fn all_soon(&mut self, now: Instant) {
        self.next_full = self.next_full.min(now);
        self.soon(now);
    }
}

impl Tailer {
    /// Looks at some of the files that are due.
    pub(super) fn poll_on(&mut self, now: Instant) {
        if self.rounds.queue.is_empty() {
            if now < self.rounds.next {
                return;
            }
            self.rounds.is_full = now >= self.rounds.next_full;
            self.rounds.queue = match self.rounds.is_full {
                true => self.tails.keys().rev().copied().collect(),
                false => self.rounds.lively.iter().rev().copied().collect(),
            };
            self.note_failures(now);
            let is_decoding = |key: &&Key| {
                let tail = self.tails.get(key);
                tail.is_some_and(|t| t.is_compressed() && (t.queued || t.content.is_some()))
            };
            self.decoding = self.rounds.lively.iter().filter(is_decoding).count();
            if self.rounds.queue.is_empty() {
                self.rounds.next = now + self.settings.poll_interval.0;
                return;
            }
        }
        let began = (self.stopwatch)();
        let looks = if self.ready.is_empty() { LOOKS } else { LOOKS_BETWEEN };
        for _ in 0..looks {
            let Some(key) = self.rounds.queue.pop() else { break };
            self.look(key, now);
        }
        let spent = (self.stopwatch)() - began;
        let rounds = &mut self.rounds;
        rounds.pace.add(spent);
        if rounds.queue.is_empty() {
            let rest = rounds.pace.rest(self.settings.poll_interval.0);
            rounds.next = now + rest;
            if rounds.is_full {
                rounds.next_full = now + rest;
                rounds.next = now + self.settings.poll_interval.0;
            }
            self.give_back();
            self.open_files.set(self.opened.len() as f64);
            let lively = self.rounds.lively.iter().filter_map(|key| self.tails.get(key));
            self.behind.set(lively.map(|tail| tail.behind()).sum::<u64>() as f64);
        }
    }

    /// Leaves files alone for a while whose records came back.
    fn note_failures(&mut self, now: Instant) {
        if !std::mem::take(&mut self.came_back) {
            return;
        }
        for key in &self.rounds.lively {
            if let Some(tail) = self.tails.get_mut(key)
                && tail.mark.failed()
                && tail.rest_until.is_none()
            {
                tail.rest_until = Some(now + REST);
            }
        }
    }

    /// Enters whether something happens at a file.
    pub(super) fn note_activity(&mut self, key: Key, now: Instant) {
        let Some(tail) = self.tails.get(&key) else { return };
        let is_quiet = now >= tail.grown + LIVELY
            && !tail.queued
            && tail.gone.is_none()
            && tail.behind() == 0
            && tail.mark.open() == 0
            && tail.rest_until.is_none()
            && tail.is_saved();
        match is_quiet {
            true => self.rounds.lively.remove(&key),
            false => self.rounds.lively.insert(key),
        };
    }
}
