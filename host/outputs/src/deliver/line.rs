//! Objects that did not arrive, and those behind them with the same key: so that what a destination refuses for one key, or
//! one object over which it fails, holds up no other.
//!
//! Of a key that is in the line one object at a time is tried. What it holds is on disk, and counted there; so there are no
//! more of them than an output may have staged.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::WriteError;
use crate::staging::Sealed;

/// What is between two tries of keys that are refused, where there are many of them.
const PACE: Duration = Duration::from_millis(100);

/// When a key is tried, and its turn among those that are tried at once.
type Turn = (Instant, u64);

/// See the module.
#[derive(Default)]
pub(super) struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    keys: HashMap<Arc<str>, Waiting>,
    /// The keys of which no object is under way.
    due: BTreeMap<Turn, Arc<str>>,
    /// Objects whose key is free again.
    ready: VecDeque<Sealed>,
    /// How many keys are refused, and what was said of the last one.
    barred: usize,
    said: String,
    /// Objects that have arrived.
    passed: u64,
    turns: u64,
}

/// The objects of a key.
#[derive(Default)]
struct Waiting {
    objects: VecDeque<Sealed>,
    /// When the first is tried; none while one is.
    turn: Option<Turn>,
    /// How many objects had arrived when this key was refused, if it is.
    barred: Option<u64>,
}

/// What becomes of an object that did not arrive.
pub(super) enum Next {
    /// It waits.
    Waits,
    /// It is refused for good: others arrive, and so it is for its key alone.
    Refused(Sealed),
}

impl Line {
    /// The object that is to be written next; `fresh` answers those that were never tried.
    pub fn next(&self, now: Instant, mut fresh: impl FnMut() -> Option<Sealed>) -> Option<Sealed> {
        let mut state = self.0.lock();
        while let Some(sealed) = state.ready.pop_front() {
            if let Some(sealed) = state.admit(sealed) {
                return Some(sealed);
            }
        }
        // One of the line in any case, however much comes; the others when nothing else does.
        if state.keys.len() == state.due.len()
            && let Some(sealed) = state.first(now)
        {
            return Some(sealed);
        }
        while let Some(sealed) = fresh() {
            if let Some(sealed) = state.admit(sealed) {
                return Some(sealed);
            }
        }
        state.first(now)
    }

    /// When the next one may be tried.
    pub fn due(&self) -> Option<Instant> {
        self.0.lock().due.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn is_empty(&self) -> bool {
        let state = self.0.lock();
        state.keys.is_empty() && state.ready.is_empty()
    }

    /// What keys are refused, if any are.
    pub fn refused(&self) -> Option<String> {
        let state = self.0.lock();
        let others = match state.barred {
            0 => return None,
            1 => String::new(),
            count => format!(", and {} other keys", count - 1),
        };
        Some(format!("{}{others}; their objects wait, all others go on", state.said))
    }

    /// An object did not arrive, and is not to be tried before `until`.
    pub fn failed(&self, sealed: Sealed, error: &WriteError, until: Option<Instant>) -> Next {
        let mut state = self.0.lock();
        let key: Arc<str> = sealed.object.key().into();
        let mut waiting = state.keys.remove(&key).unwrap_or_default();
        let mut at = until.unwrap_or_else(Instant::now);
        let mut refused = None;
        match error {
            WriteError::Barred { reason, is_final } => {
                let since = waiting.barred.unwrap_or_else(|| {
                    state.barred += 1;
                    state.passed
                });
                waiting.barred = Some(since);
                at = at.max(Instant::now() + PACE.saturating_mul(state.barred as u32));
                state.said = format!("`{key}` is refused ({reason})");
                if *is_final && state.passed > since && sealed.object.kept.is_some() {
                    at = Instant::now();
                    refused = Some(sealed);
                } else {
                    waiting.put(sealed);
                }
            }
            _ => {
                state.free(&mut waiting);
                waiting.put(sealed);
            }
        }
        if waiting.objects.is_empty() && waiting.turn.is_none() {
            state.free(&mut waiting);
        } else {
            if waiting.turn.is_none() {
                state.turns += 1;
                let turn = (at, state.turns);
                waiting.turn = Some(turn);
                state.due.insert(turn, key.clone());
            }
            state.keys.insert(key, waiting);
        }
        refused.map_or(Next::Waits, Next::Refused)
    }

    /// The destination has taken an object (`arrived`), or has decided over it: nothing holds up its key. Answers whether that
    /// was refused before.
    pub fn passed(&self, key: &str, arrived: bool) -> bool {
        let mut state = self.0.lock();
        state.passed += u64::from(arrived);
        let Some(mut waiting) = state.keys.remove(key) else { return false };
        if let Some(turn) = waiting.turn {
            state.due.remove(&turn);
        }
        let was_refused = waiting.barred.is_some();
        state.free(&mut waiting);
        state.ready.append(&mut waiting.objects);
        if was_refused {
            state.hurry(Instant::now());
        }
        was_refused && arrived
    }
}

impl State {
    /// Answers an object that may go; one whose key waits goes behind what waits there, so that all of a key keep their order.
    fn admit(&mut self, sealed: Sealed) -> Option<Sealed> {
        match self.keys.get_mut(sealed.object.key()) {
            Some(waiting) => {
                waiting.objects.push_back(sealed);
                None
            }
            None => Some(sealed),
        }
    }

    /// The first object of the key whose turn it is.
    fn first(&mut self, now: Instant) -> Option<Sealed> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= now)?;
        let waiting = self.keys.get_mut(&entry.remove())?;
        waiting.turn = None;
        waiting.objects.pop_front()
    }

    /// The key is refused no more.
    fn free(&mut self, waiting: &mut Waiting) {
        if waiting.barred.take().is_some() {
            self.barred -= 1;
        }
    }

    /// One that was refused is taken: perhaps somebody has mended it for all, so they are tried now.
    fn hurry(&mut self, now: Instant) {
        for (turn, key) in self.due.split_off(&(now, u64::MAX)) {
            let Some(waiting) = self.keys.get_mut(&key) else { continue };
            let turn = if waiting.barred.is_some() { (now, turn.1) } else { turn };
            waiting.turn = Some(turn);
            self.due.insert(turn, key);
        }
    }
}

impl Waiting {
    /// Puts back what was tried: before all others, where it was the first of them.
    fn put(&mut self, sealed: Sealed) {
        match self.turn {
            None => self.objects.push_front(sealed),
            Some(_) => self.objects.push_back(sealed),
        }
    }
}
