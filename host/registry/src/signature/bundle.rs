//! Sigstore bundles (protobuf-specs, `sigstore_bundle.proto`, as JSON).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::{Key, signer};
use crate::digest::Digest;

/// What a statement is, in a text of JSON that DSSE signs.
const STATEMENT: &str = "application/vnd.in-toto+json";
/// What `cosign sign` states. The same key may state other things of a plugin, such as what is in it: they are no consent
/// to run it.
pub const SIGNS: &str = "https://sigstore.dev/cosign/sign/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<MessageSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
struct MessageSignature {
    signature: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: std::collections::BTreeMap<String, String>,
}

/// The key that signed the manifest of this digest.
pub(super) fn of_manifest<'a>(text: &str, digest: &Digest, keys: &[&'a Key]) -> Result<&'a Key, String> {
    let envelope = read(text)?.dsse_envelope.ok_or("is over a file, and not over a manifest")?;
    let (payload, key) = opened(&envelope, keys)?;
    let statement: Statement =
        serde_json::from_slice(&payload).map_err(|error| format!("is over what is no statement: {error}"))?;
    if statement.predicate_type != SIGNS {
        return Err(format!(
            "states {}, which is no consent to run it ({SIGNS} is)",
            statement.predicate_type
        ));
    }
    let is_it = |subject: &Subject| subject.digest.get("sha256").is_some_and(|hex| hex == digest.hex());
    match statement.subject.iter().any(is_it) {
        true => Ok(key),
        false => Err("is over another plugin".to_owned()),
    }
}

/// The key that signed a file.
pub(super) fn of_file<'a>(text: &str, content: &[u8], keys: &[&'a Key]) -> Result<&'a Key, String> {
    let bundle = read(text)?;
    let signature = bundle.message_signature.ok_or("is not over a file")?;
    signer(content, &[&signature.signature], keys)
}

fn read(text: &str) -> Result<Bundle, String> {
    let bundle: Bundle = serde_json::from_str(text).map_err(|error| format!("is no bundle: {error}"))?;
    let is_known = bundle.media_type.starts_with("application/vnd.dev.sigstore.bundle");
    if !is_known {
        return Err(format!("is of a type that flitch does not know, {}", bundle.media_type));
    }
    Ok(bundle)
}

/// The content of an envelope, and the key that stands behind it (DSSE, protocol.md).
fn opened<'a>(envelope: &Envelope, keys: &[&'a Key]) -> Result<(Vec<u8>, &'a Key), String> {
    if envelope.payload_type != STATEMENT {
        return Err(format!("is over {}, and not over {STATEMENT}", envelope.payload_type));
    }
    let payload = BASE64_STANDARD.decode(&envelope.payload).map_err(|_| "has a payload that is no base64")?;
    let kind = &envelope.payload_type;
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend_from_slice(&payload);
    let signatures: Vec<&str> = envelope.signatures.iter().map(|signature| signature.sig.as_str()).collect();
    let key = signer(&message, &signatures, keys)?;
    Ok((payload, key))
}
