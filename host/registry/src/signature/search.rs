//! Signatures of one plugin as they are looked for, wherever they are.

use super::{Key, MANY, Signature};
use crate::digest::Digest;

/// Most signatures of one plugin that are read.
const MOST_READ: usize = 256;

/// What was found so far. A plugin that is signed again with each build has more signatures than are kept, and whoever may push
/// there can put others before the one that counts: so one that counts has a place however many there are.
#[derive(Debug)]
pub struct Search<'a> {
    digest: &'a Digest,
    keys: &'a [&'a Key],
    found: Vec<Signature>,
    read: usize,
    is_signed: bool,
}

impl<'a> Search<'a> {
    /// Looks for those of the manifest of this digest, until there is one by one of `keys`.
    pub fn new(digest: &'a Digest, keys: &'a [&'a Key]) -> Search<'a> {
        Search { digest, keys, found: Vec::new(), read: 0, is_signed: false }
    }

    /// Takes one that was found.
    pub fn add(&mut self, one: Signature) {
        self.read += 1;
        if self.found.contains(&one) {
            return;
        }
        let counts = one.by(self.digest, self.keys).is_ok();
        self.is_signed |= counts;
        if self.found.len() < MANY {
            self.found.push(one);
        } else if counts {
            self.found[MANY - 1] = one;
        }
    }

    /// Whether one of the keys signed.
    pub fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// Whether no more need be read: one of the keys signed, or it is enough.
    pub fn is_over(&self) -> bool {
        self.is_signed || self.read >= MOST_READ || self.keys.is_empty() && self.found.len() >= MANY
    }

    /// What was found.
    pub fn found(self) -> Vec<Signature> {
        self.found
    }
}
