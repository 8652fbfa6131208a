//! SHA-256 in hex, by which code is known.

use flitch_core::hex;
use sha2::{Digest, Sha256};

/// SHA-256 of `bytes`, in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}
