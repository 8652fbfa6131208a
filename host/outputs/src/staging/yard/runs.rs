//! Which rows of a batch go into one object.

use std::sync::Arc;

use super::Yard;
use crate::staging::content::{ID_LENGTH, Rows};
use flitch_core::batch::template::Rendered;

/// Rows of a batch, one behind the other, and their key: none where they have no text.
pub(super) struct Run<'k> {
    pub key: Result<Option<&'k [u8]>, Arc<str>>,
    pub end: usize,
}

impl Yard {
    /// Rows from `from` on that share a key.
    pub(super) fn run<'k>(&self, keys: &'k Rendered, text: &Rows, from: usize, rows: usize) -> Run<'k> {
        let Some(key) = keys.row(from) else {
            return Run { key: Err(self.keyless.clone()), end: from + 1 };
        };
        if !self.is_short(key) {
            return Run { key: Err(self.too_long.clone()), end: from + 1 };
        }
        if !text.has(from as u32) {
            return Run { key: Ok(None), end: from + 1 };
        }
        let is_same = |row: &usize| keys.row(*row) == Some(key) && text.has(*row as u32);
        let end = (from + 1..rows).find(|row| !is_same(row)).unwrap_or(rows);
        Run { key: Ok(Some(key)), end }
    }

    /// Whether a name that begins with `key` is short enough: what a store may want escaped counts as that.
    pub(super) fn is_short(&self, key: &[u8]) -> bool {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.=/+@!$&'(),; ".contains(byte);
        let end = ID_LENGTH + self.plan.extension.len();
        let length = |part: &[u8]| -> usize { part.iter().map(|byte| if plain(byte) { 1 } else { 3 }).sum() };
        // The last part has the end too, and all others are no longer for it.
        let is_short = |part: &[u8]| length(part) + end <= self.plan.part;
        length(key) + end <= self.plan.longest
            && (self.plan.part >= self.plan.longest || key.split(|byte| *byte == b'/').all(is_short))
    }
}
