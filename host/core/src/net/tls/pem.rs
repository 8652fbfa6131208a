//! What files in PEM hold, and what is told of one that holds something else.

use anyhow::bail;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a text, one or more.
///
/// # Errors
/// There are none; the text says what there is instead, and stands behind the name of the file.
pub fn certificates(text: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>()?;
    if !all.is_empty() {
        return Ok(all);
    }
    match labels(text).next() {
        Some(label) if label.ends_with("PRIVATE KEY") => {
            bail!("it holds no certificate in PEM, but a private key: are certificate and key swapped?")
        }
        Some(label) => bail!("it holds no certificate in PEM, but `{}`", label.escape_debug()),
        None => bail!("it holds no certificate in PEM{}", der(text)),
    }
}

/// The first private key of a text.
///
/// # Errors
/// The same.
pub fn key(text: &[u8]) -> anyhow::Result<PrivateKeyDer<'static>> {
    let error = match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => return Ok(key),
        Err(error) => error,
    };
    // In PKCS #8 by the label; in the older forms by a line of its own.
    let is_locked = |line: &str| line.starts_with("Proc-Type:") && line.ends_with("ENCRYPTED");
    if labels(text).any(|label| label == "ENCRYPTED PRIVATE KEY") || lines(text).any(is_locked) {
        bail!(
            "its private key is encrypted with a password, which there is no setting for: \
             `openssl pkey -in FILE -out NEW` writes it without one"
        );
    }
    match labels(text).next() {
        Some(label) if label.ends_with("PRIVATE KEY") => Err(error.into()),
        Some("CERTIFICATE") => {
            bail!("it holds no private key in PEM, but a certificate: are certificate and key swapped?")
        }
        Some(label) => bail!("it holds no private key in PEM, but `{}`", label.escape_debug()),
        None => bail!("it holds no private key in PEM{}", der(text)),
    }
}

/// What is told of a text that is none.
fn der(text: &[u8]) -> &'static str {
    match text {
        [0x30, ..] => ", but perhaps in DER: `openssl x509` and `openssl pkey` with `-inform der` write PEM",
        _ => "",
    }
}

/// The lines that are text.
fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line.trim_ascii()).ok())
}

/// What the sections of a text are called.
fn labels(text: &[u8]) -> impl Iterator<Item = &str> {
    lines(text).filter_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
}

#[cfg(test)]
mod tests;
