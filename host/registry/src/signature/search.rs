//! Signatures of one plugin as they are looked for, wherever they are.

use super::{Key, MANY, Signature};
use crate::digest::Digest;

/// Most signatures of one plugin that are read.
const MOST_READ: usize = 256;

/// What was found so far, and how much of it is kept. A plugin that is signed again with each build has more signatures than are
/// kept, and whoever may push there can put others before the one that counts: so one that counts has a place however many there
/// are.
#[derive(Debug)]
pub struct Search<'a> {
    digest: &'a Digest,
    keys: &'a [&'a Key],
    most: usize,
    found: Vec<Signature>,
    read: usize,
    is_signed: bool,
    is_part: bool,
}

impl<'a> Search<'a> {
    /// Looks for those of the manifest of this digest, until there is one by one of `keys`.
    pub fn new(digest: &'a Digest, keys: &'a [&'a Key]) -> Search<'a> {
        Search { digest, keys, most: MANY, found: Vec::new(), read: 0, is_signed: false, is_part: false }
    }

    /// Looks for all of them, whoever made them, as far as signatures are read.
    pub fn all(digest: &'a Digest) -> Search<'a> {
        Search { most: MOST_READ, ..Search::new(digest, &[]) }
    }

    /// Of what they are.
    pub fn digest(&self) -> &'a Digest {
        self.digest
    }

    /// Takes one that was found.
    pub fn add(&mut self, one: Signature) {
        self.read += 1;
        if self.found.contains(&one) {
            return;
        }
        let counts = one.by(self.digest, self.keys).is_ok();
        self.is_signed |= counts;
        if self.found.len() < self.most {
            self.found.push(one);
        } else if counts {
            self.found[self.most - 1] = one;
        }
    }

    /// Whether one of the keys signed.
    pub fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// Whether the next one is to be read. It is not where one of the keys signed, or what was read is enough.
    pub fn takes_more(&mut self) -> bool {
        let is_enough = self.read >= MOST_READ || self.keys.is_empty() && self.found.len() >= self.most;
        let is_over = self.is_signed || is_enough;
        self.is_part |= is_over;
        !is_over
    }

    /// Leaves out what is too many to be looked at.
    pub fn leave_out(&mut self) {
        self.is_part = true;
    }

    /// Whether something was left out.
    pub fn is_part(&self) -> bool {
        self.is_part
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What was found.
    pub fn found(self) -> Vec<Signature> {
        self.found
    }
}
