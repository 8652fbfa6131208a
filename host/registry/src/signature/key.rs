//! A public key.

use std::fmt;

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use crate::digest::Digest;

/// What stands before the point in the SubjectPublicKeyInfo of a key on P-256 (RFC 5480): id-ecPublicKey, secp256r1.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same of an Ed25519 key (RFC 8410). cosign signs with such a key by Ed25519ph, which `ring` does not have.
const EDWARDS: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key by which plugins may be signed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// An uncompressed point on P-256.
    point: Vec<u8>,
    id: Digest,
    name: String,
}

impl Key {
    /// The key in a text of PEM, as `cosign generate-key-pair` writes it to `cosign.pub`; `name` is how people call it.
    ///
    /// # Errors
    /// There is none that flitch can use.
    pub fn from_pem(text: &str, name: &str) -> Result<Key, String> {
        // Of two keys in one text the second would count for nothing, and nobody would know.
        if text.matches("-----BEGIN PUBLIC KEY-----").count() > 1 {
            return Err("holds more than one public key: put each into a file of its own".to_owned());
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).map_err(|_| {
            let hint = match text.contains("PRIVATE KEY") {
                true => ": it holds a private one, which does not belong here; `cosign public-key --key FILE` writes the other",
                false => "; `cosign generate-key-pair` writes one to `cosign.pub`",
            };
            format!("holds no public key in PEM (`-----BEGIN PUBLIC KEY-----`){hint}")
        })?;
        match der.strip_prefix(&P256).filter(|point| point.len() == 65) {
            Some(point) => Ok(Key { point: point.to_vec(), id: Digest::of(&der), name: name.to_owned() }),
            None if der.starts_with(&EDWARDS) => {
                Err("holds a key of Ed25519, whose signatures by cosign (Ed25519ph) flitch \
                 cannot verify; make one with `cosign generate-key-pair`"
                    .to_owned())
            }
            None => Err("holds no key of P-256; make one with `cosign generate-key-pair`".to_owned()),
        }
    }

    /// Whether it made `signature` over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point).verify(message, signature).is_ok()
    }
}

/// Its name, and the beginning of its SHA-256 (of the SubjectPublicKeyInfo).
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id.short())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
