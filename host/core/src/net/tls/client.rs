//! TLS of those who connect: whom they believe, and what they show.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::named::Named;
use super::pem;
use crate::named_file;

/// By what a server is believed.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Its certificate leads to one of the roots of the system (on Debian those of `ca-certificates`; else where
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` point), and is for the name by which it is reached.
    System,
    /// Its certificate leads to one of the roots in a PEM file, or is one of them, and is for the name by which it is reached.
    Roots(&'a Path),
    /// It has this very certificate, the first in a PEM file, whatever name stands in it.
    Same(&'a Path),
}

/// The TLS of a client, which shows the certificate in the PEM file `own.0` with the key in `own.1` to servers that ask
/// for one.
///
/// # Errors
/// A file cannot be read, or does not hold what it should; the text names the file.
pub fn config(trust: Trust<'_>, own: Option<(&Path, &Path)>) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::System => {
            let system = rustls_platform_verifier::Verifier::new(provider.clone());
            let system: Arc<dyn ServerCertVerifier> =
                Arc::new(system.context("the roots of the system cannot be used")?);
            Arc::new(Named::new(system, Vec::new()))
        }
        Trust::Same(file) => {
            let certificate = certificates(file)?.swap_remove(0);
            Arc::new(Same { certificate, provider: provider.clone() })
        }
        Trust::Roots(file) => {
            let mut roots = RootCertStore::empty();
            let named = certificates(file)?;
            for root in &named {
                roots.add(root.clone()).with_context(|| file.display().to_string())?;
            }
            let by_roots: Arc<dyn ServerCertVerifier> =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
            Arc::new(Named::new(by_roots, named))
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(match own {
        Some((cert, key)) => {
            let named = || key.display().to_string();
            let own = named_file::read(key).with_context(named)?;
            let own = pem::key(&own).with_context(named)?;
            builder.with_client_auth_cert(certificates(cert)?, own)?
        }
        None => builder.with_no_client_auth(),
    })
}

/// The TLS of a client that believes no server: one that is to speak without TLS alone.
///
/// # Errors
/// No version of TLS can be spoken.
pub fn nobody() -> anyhow::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let unreadable = || format!("cannot read {}", file.display());
    let text = named_file::read(file).with_context(unreadable)?;
    pem::certificates(&text).with_context(unreadable)
}

/// Believes one certificate, whatever name stands in it.
#[derive(Debug)]
struct Same {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Same {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *end_entity == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
