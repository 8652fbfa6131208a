//! The older form of cosign's signatures ("simple signing"): over a text of JSON that names the manifest's digest.

use serde::Deserialize;

use super::{Key, signer};
use crate::digest::Digest;

/// What the text says that it is.
const KIND: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: Digest,
}

/// The key that signed the manifest of this digest.
pub(super) fn check<'a>(
    payload: &str,
    signature: &str,
    digest: &Digest,
    keys: &[&'a Key],
) -> Result<&'a Key, String> {
    let key = signer(payload.as_bytes(), &[signature], keys)?;
    let payload: Payload =
        serde_json::from_str(payload).map_err(|error| format!("is over what names no manifest: {error}"))?;
    if payload.critical.kind != KIND {
        return Err(format!("is a `{}`, and not a `{KIND}`", payload.critical.kind));
    }
    match payload.critical.image.docker_manifest_digest == *digest {
        true => Ok(key),
        false => Err("is over another plugin".to_owned()),
    }
}
