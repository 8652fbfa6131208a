//! What something is known by, whoever keeps it: its SHA-256.

use std::fmt;
use std::str::FromStr;

use flitch_core::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of something, written as `sha256:` and 64 hex digits (OCI image-spec, descriptors).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest(String);

impl Digest {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::finish(Sha256::new_with_prefix(bytes))
    }

    /// What a hash has come to.
    pub fn finish(hash: Sha256) -> Digest {
        Digest(hex::encode(&hash.finalize()))
    }

    /// Its hex digits.
    pub fn hex(&self) -> &str {
        &self.0
    }

    /// As much of it as tells it from others, for people.
    pub fn short(&self) -> String {
        format!("sha256:{}", &self.0[..12])
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Digest, String> {
        let is_hex =
            |hex: &&str| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match text.strip_prefix("sha256:").filter(is_hex) {
            Some(hex) => Ok(Digest(hex.to_owned())),
            None => Err(format!("`{text}` is no digest, which is `sha256:` and 64 hex digits in lower case")),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Digest, String> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
