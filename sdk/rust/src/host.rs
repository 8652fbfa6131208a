//! What the host gives a filter: a log, counters and lookup tables.
//!
//! In a native test these go to a stand-in, see [`testing`](crate::testing).

use crate::{Column, Result};

pub use crate::bindings::flitch::filter::host::Level;

/// Writes a line to the host's log, under the filter's name. The host limits the rate.
pub fn log(level: Level, message: &str) {
    sys::log(level, message);
}

/// [`log`] at level `debug`.
pub fn debug(message: &str) {
    log(Level::Debug, message);
}

/// [`log`] at level `info`.
pub fn info(message: &str) {
    log(Level::Info, message);
}

/// [`log`] at level `warn`.
pub fn warn(message: &str) {
    log(Level::Warn, message);
}

/// [`log`] at level `error`.
pub fn error(message: &str) {
    log(Level::Error, message);
}

/// Adds to a counter that the host exports under the filter's name.
pub fn count(counter: &str, delta: u64) {
    sys::count(counter, delta);
}

/// Looks every key up in a table that the host keeps, and answers the wanted fields, one row
/// per key; a key that is not found has no value. One call for a whole batch.
///
/// # Errors
/// When the host has no such table or the table no such field.
pub fn lookup(table: &str, keys: &Column, want: &[String]) -> Result<Vec<Column>> {
    sys::lookup(table, keys, want)
        .map_err(|reason| crate::Error::new(reason).at(format_args!("table {table}")))
}

#[cfg(target_family = "wasm")]
mod sys {
    pub(super) use crate::bindings::flitch::filter::host::{count, log, lookup};
}

#[cfg(not(target_family = "wasm"))]
mod sys {
    pub(super) use crate::testing::host::{count, log, lookup};
}
