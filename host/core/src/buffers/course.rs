//! How far whoever empties a buffer is with what has come out of it: whether it gathers, whether it writes, and whether it gets
//! on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is told of it, by the one who empties the buffer.
#[derive(Debug, Default)]
pub(super) struct Course {
    gathers: AtomicBool,
    writes: AtomicBool,
    turns: AtomicU64,
}

/// How far it is at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records are gathered, which are written when that is due: that none arrives until then is no fault.
    pub gathers: bool,
    /// A write is under way.
    pub writes: bool,
    /// Another number when a write has come to its end, however it ended.
    pub turns: u64,
}

impl Course {
    pub fn is(&self, gathers: bool, writes: bool) {
        self.gathers.store(gathers, Ordering::Relaxed);
        self.writes.store(writes, Ordering::Relaxed);
    }

    pub fn turned(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    pub fn progress(&self) -> Progress {
        Progress {
            gathers: self.gathers.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            turns: self.turns.load(Ordering::Relaxed),
        }
    }
}
