//! Where the records of an object come from: by that it differs from another one with the same text.

use std::ops::Range;

use blake3::Hasher;
use serde::{Deserialize, Serialize};

use super::content::hex;
use flitch_core::batch::origin::{Origins, Root};

/// The origins of records in their order, in 128 bits: no more, since very many objects may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Trace(Root);

impl Trace {
    /// That of no record.
    pub fn new() -> Trace {
        Trace(Root::from_bytes([0; 16]))
    }

    /// Adds rows of a batch behind those that are there, wherever batches end.
    pub fn add(&mut self, origins: &Origins, rows: Range<usize>) {
        for row in rows {
            self.0 = self.0.along(Root::from_bytes(origins.id(row).to_be_bytes()));
        }
    }
}

/// What a name has of an object: what is in it (`id`), and where that comes from. One that was stored by a flitch that knew
/// nothing of the latter has the name that it had.
pub(super) fn name(id: &str, trace: Option<Trace>) -> String {
    let Some(Trace(root)) = trace else { return id.to_owned() };
    hex(&Hasher::new().update(id.as_bytes()).update(&root.to_bytes()).finalize())
}

/// That of a part of the object of this name.
pub(super) fn part(of: &str, number: usize, id: &str) -> String {
    let number = (number as u64).to_be_bytes();
    hex(&Hasher::new().update(of.as_bytes()).update(&number).update(id.as_bytes()).finalize())
}
