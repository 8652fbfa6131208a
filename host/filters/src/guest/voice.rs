//! What a plugin says, as lines of the log: cut, escaped, and no more of them than a bound.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tracing::Level;

/// Lines that may come at once, and how many more each second.
const BURST: f64 = 100.0;
const PER_SECOND: f64 = 10.0;
/// Most bytes of a line.
const MAX_LINE: usize = 4096;
/// Most bytes that are kept of what a guest says is wrong with a record, or with its batch.
pub const MAX_REASON: usize = 2048;

/// What the instances of one filter say in the host's log: so many lines and no more.
#[derive(Debug)]
pub struct Voice {
    filter: Arc<str>,
    /// What is left to say; a voice that nobody hears has none.
    state: Option<Mutex<Budget>>,
}

#[derive(Debug)]
struct Budget {
    left: f64,
    at: Instant,
    silenced: u64,
}

impl Budget {
    /// Whether one more line may come at `now`; if so, how many were silenced before it.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND;
        self.left = (self.left + gained).min(BURST);
        self.at = now;
        if self.left < 1.0 {
            self.silenced += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.silenced))
    }
}

impl Voice {
    /// The voice of `filter`.
    pub fn new(filter: Arc<str>) -> Voice {
        let budget = Budget { left: BURST, at: Instant::now(), silenced: 0 };
        Voice { filter, state: Some(Mutex::new(budget)) }
    }

    /// One that nobody hears.
    pub fn silent(filter: Arc<str>) -> Voice {
        Voice { filter, state: None }
    }

    /// Logs a line under the filter's name, unless it says too much.
    pub fn say(&self, level: Level, line: &str) {
        let Some(state) = &self.state else { return };
        let Some(silenced) = state.lock().take(Instant::now()) else { return };
        let filter = &*self.filter;
        if silenced > 0 {
            tracing::warn!(target: "flitch::filter", filter, silenced, "the filter logs too much");
        }
        let line = one_line(line, MAX_LINE);
        match level {
            Level::ERROR => tracing::error!(target: "flitch::filter", filter, "{line}"),
            Level::WARN => tracing::warn!(target: "flitch::filter", filter, "{line}"),
            Level::INFO => tracing::info!(target: "flitch::filter", filter, "{line}"),
            _ => tracing::debug!(target: "flitch::filter", filter, "{line}"),
        }
    }
}

/// What a guest says as one line that a log or a terminal can show: `bytes` bytes of it at most and how many more there
/// were, each control character a space.
pub fn one_line(text: &str, bytes: usize) -> Cow<'_, str> {
    let head = cut(text, bytes);
    let more = text.len() - head.len();
    if more == 0 && !head.contains(char::is_control) {
        return Cow::Borrowed(head);
    }
    let mut line = head.replace(char::is_control, " ");
    if more > 0 {
        line.push_str(&format!("… (and {more} bytes more)"));
    }
    Cow::Owned(line)
}

/// The head of `text` that has at most `bytes` bytes.
pub fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests;
