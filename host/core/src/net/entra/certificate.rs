//! What an application shows that has a certificate: an assertion that is signed by its key.
//!
//! Facts: Microsoft's *Certificate credentials* of the identity platform: PS256, and the certificate by its SHA-256.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::named_file;
use crate::net::tls::pem;

/// How long an assertion is good.
const LASTS: Duration = Duration::from_secs(600);

/// An assertion that the application `client` shows to whom answers at `url`. The file holds certificate and key.
///
/// # Errors
/// It does not, or the key is none of RSA; the text names the file.
pub(super) fn assertion(file: &Path, client: &str, url: &str) -> anyhow::Result<String> {
    let named = || file.display().to_string();
    let text = named_file::read(file).with_context(named)?;
    let certificate = pem::certificates(&text).with_context(named)?.swap_remove(0);
    let key = pem::key(&text).with_context(named)?;
    let key = any_supported_type(&key).with_context(named)?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]);
    let signer = signer.with_context(|| format!("{}: the key is none of RSA", file.display()))?;
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let print = URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let id = format!("{:016x}{:016x}", random(now), random(now + 1));
    let head = part(json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": print }));
    let claims = part(json!({
        "aud": url, "iss": client, "sub": client, "jti": id, "nbf": now, "exp": now + LASTS.as_secs(),
    }));
    let signed = format!("{head}.{claims}");
    let signature = signer.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// A number that is another each time: it tells assertions apart, and is no secret.
fn random(seed: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(seed)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn an_assertion_names_its_certificate_and_is_signed_by_its_key() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/net/entra/testdata");
        let file = folder.join("client.pem");
        let assertion = assertion(&file, "app", "https://login.example/t/oauth2/v2.0/token").unwrap();
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        let json = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let (head, claims) = signed.split_once('.').unwrap();
        let certificate = CertificateDer::from_pem_file(&file).unwrap();
        assert_eq!(json(head)["x5t#S256"], URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate)));
        let claims = json(claims);
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("app"), &json!("app")));
        assert_eq!(claims["aud"], "https://login.example/t/oauth2/v2.0/token");
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap(), 600);
        let public = std::fs::read(folder.join("client.pub.der")).unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let mut algorithms = provider.signature_verification_algorithms.mapping.iter();
        let (_, known) = algorithms.find(|(scheme, _)| *scheme == SignatureScheme::RSA_PSS_SHA256).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        known[0].verify_signature(&public, signed.as_bytes(), &signature).unwrap();
    }

    #[test]
    fn a_file_that_holds_no_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nothing.pem");
        std::fs::write(&file, "nothing").unwrap();
        let error = format!("{:#}", assertion(&file, "app", "https://login.example").unwrap_err());
        assert!(error.contains("nothing.pem"), "{error}");
    }
}
