//! Signatures by keys: what cosign makes of a key pair, in its form of today (a sigstore bundle) and in the older one
//! ("simple signing"). What a signature says is believed only as far as a key stands behind it; certificates and logs of
//! signatures are not asked.

mod bundle;
mod key;
mod search;
mod simple;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

pub use bundle::SIGNS;
pub use key::Key;
pub use search::Search;

use crate::Error;
use crate::digest::Digest;

/// Media type of a bundle.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Media type of what an older signature is over.
pub const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation in which an older signature stands.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// Most bytes of a signature, with what it is over.
pub const MOST: u64 = 256 << 10;
/// Most signatures of one plugin that are kept.
pub const MANY: usize = 32;

/// A signature as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// A sigstore bundle, JSON.
    Bundle(String),
    /// An older one.
    Simple {
        /// What it is over, JSON.
        payload: String,
        /// The signature, in base64.
        signature: String,
    },
}

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// One of the keys.
    By(Key),
    /// None of them. Why, in words that go on behind "it".
    Not(String),
}

impl Signature {
    /// The key that stands behind it.
    ///
    /// # Errors
    /// It is none of `digest`, or by none of `keys`; in words that go on behind "one".
    fn by<'a>(&self, digest: &Digest, keys: &[&'a Key]) -> Result<&'a Key, String> {
        match self {
            Signature::Bundle(text) => bundle::of_manifest(text, digest, keys),
            Signature::Simple { payload, signature } => simple::check(payload, signature, digest, keys),
        }
    }
}

/// Who of `keys` signed the manifest of this digest.
pub fn signed(signatures: &[Signature], digest: &Digest, keys: &[&Key]) -> Signed {
    let mut whys = Vec::new();
    for signature in signatures {
        match signature.by(digest, keys) {
            Ok(key) => return Signed::By(key.clone()),
            Err(why) if whys.contains(&why) => {}
            Err(why) => whys.push(why),
        }
    }
    Signed::Not(match &whys[..] {
        [] => "has no signature".to_owned(),
        [why] => format!("has a signature that does not count: {why}"),
        whys => format!("has {} signatures of which none counts: {}", signatures.len(), whys.join("; ")),
    })
}

/// Whether a file was signed by one of `keys`, by the bundle that `cosign sign-blob --bundle` makes.
///
/// # Errors
/// It was not, and why.
pub fn of_file<'a>(content: &[u8], bundle: &str, keys: &[&'a Key]) -> Result<&'a Key, Error> {
    bundle::of_file(bundle, content, keys).map_err(|why| Error::Refused(format!("its signature {why}")))
}

/// The first of `keys` that made one of these signatures over `message`.
fn signer<'a>(message: &[u8], signatures: &[&str], keys: &[&'a Key]) -> Result<&'a Key, String> {
    for text in signatures {
        let signature = BASE64_STANDARD.decode(text).map_err(|_| "is no base64".to_owned())?;
        if let Some(key) = keys.iter().find(|key| key.verifies(message, &signature)) {
            return Ok(key);
        }
    }
    Err("is by none of the keys".to_owned())
}

#[cfg(test)]
mod tests;
