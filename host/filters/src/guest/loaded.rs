//! Code that is loaded, for as long as somebody has it: what a hundred filters of one plugin are made from is read and hashed once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::component::Code;

/// The code that somebody has.
#[derive(Default)]
pub(super) struct Loaded {
    /// By the SHA-256 of the component.
    by_hash: Known<String>,
    /// By where the program has the component, and how many bytes.
    by_place: Known<(usize, usize)>,
}

type Known<K> = Mutex<HashMap<K, Weak<Code>>>;

impl Loaded {
    /// The code of the component with this SHA-256.
    pub(super) fn of_hash(&self, sha256: &str) -> Option<Arc<Code>> {
        self.by_hash.lock().get(sha256)?.upgrade()
    }

    /// The code of what the program has in itself.
    pub(super) fn of_constant(&self, packed: &'static [u8]) -> Option<Arc<Code>> {
        self.by_place.lock().get(&place(packed))?.upgrade()
    }

    /// Somebody has this code, which may be made of what the program has in itself.
    pub(super) fn add(&self, code: &Arc<Code>, packed: Option<&'static [u8]>) {
        note(&self.by_hash, code.sha256.clone(), code);
        if let Some(packed) = packed {
            note(&self.by_place, place(packed), code);
        }
    }
}

fn place(packed: &'static [u8]) -> (usize, usize) {
    (packed.as_ptr().addr(), packed.len())
}

fn note<K: Eq + Hash>(known: &Known<K>, key: K, code: &Arc<Code>) {
    let mut known = known.lock();
    known.retain(|_, code| code.strong_count() > 0);
    known.insert(key, Arc::downgrade(code));
}
