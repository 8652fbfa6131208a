//! Limits of memory and time of one instance.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use super::deadline::Deadline;
use super::settings::LimitSettings;

/// One tick of the epoch: how exactly a deadline is kept.
pub const TICK: Duration = Duration::from_millis(10);

/// Most streams, clocks and the like of WASI that an instance may hold at once.
pub const MAX_HANDLES: usize = 256;
/// Core instances, memories and tables of one component. The largest that language tools make need some 200.
const MAX_PARTS: usize = 1000;
/// What an element of a table takes.
const ELEMENT: usize = size_of::<usize>();
/// What an answer may have beyond its share of the bytes handed in.
const ANSWER_FLOOR: usize = 1 << 20;

/// Sums what all memories and tables of one instance take, and refuses what goes beyond the limit.
#[derive(Debug)]
pub struct Limiter {
    limit: usize,
    used: usize,
    refused: bool,
}

impl Limiter {
    /// A limiter for an instance that has nothing yet.
    pub fn new(limits: &LimitSettings) -> Limiter {
        let limit = usize::try_from(limits.memory.0).unwrap_or(usize::MAX);
        Limiter { limit, used: 0, refused: false }
    }

    /// What it may take.
    pub fn limit(&self) -> flitch_core::units::Bytes {
        flitch_core::units::Bytes(self.limit as u64)
    }

    /// Bytes of all memories and tables.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether a wish was refused since the last time this was asked.
    pub fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    fn grow(&mut self, by: usize) -> bool {
        match self.used.checked_add(by) {
            Some(used) if used <= self.limit => {
                self.used = used;
                true
            }
            _ => {
                self.refused = true;
                false
            }
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current).saturating_mul(ELEMENT)))
    }

    fn instances(&self) -> usize {
        MAX_PARTS
    }

    fn tables(&self) -> usize {
        MAX_PARTS
    }

    fn memories(&self) -> usize {
        MAX_PARTS
    }
}

/// Ticks of the epoch after which `time` has passed. The tick that runs already is not counted, so that it is never less.
pub fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX).saturating_add(1)
}

/// What the host may spend on what a guest asks for.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Most bytes that it may come to.
    pub bytes: usize,
    /// When the host gives up.
    pub until: Deadline,
}

impl Bounds {
    /// What one answer may come to that is about records of `bytes` bytes.
    pub fn of(limits: &LimitSettings, bytes: usize) -> Bounds {
        Bounds { bytes: answer(limits, bytes), until: Deadline::of(limits.time.0) }
    }

    /// What the host does on its own account.
    pub fn none() -> Bounds {
        Bounds { bytes: usize::MAX, until: Deadline::of(Duration::from_secs(3600)) }
    }

    /// No time at all.
    #[cfg(test)]
    pub fn late() -> Bounds {
        Bounds { until: Deadline::of(Duration::ZERO), ..Bounds::none() }
    }

    /// Whether the time is up.
    pub fn is_late(&self) -> bool {
        self.until.is_over()
    }
}

/// Most bytes of an answer to a batch of which `bytes` bytes were handed in.
pub fn answer(limits: &LimitSettings, bytes: usize) -> usize {
    bytes.saturating_mul(limits.answer as usize).saturating_add(ANSWER_FLOOR)
}
