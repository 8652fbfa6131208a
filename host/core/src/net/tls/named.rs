//! Certificates that are roots by the configuration, and shown as they are.
//!
//! One that signs itself mostly says that it is an authority's: OpenSSL's `req -x509` makes it so. webpki takes none of an authority
//! for that of a server or a client. But who names this very certificate as a root can mean nothing else than whoever has its key.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

/// Believes whom `inner` believes, and who shows one of the `named` certificates itself.
#[derive(Debug)]
pub struct Named<V: ?Sized> {
    inner: Arc<V>,
    named: Vec<CertificateDer<'static>>,
}

impl<V: ?Sized> Named<V> {
    /// One that refuses nobody whom `inner` believes.
    pub fn new(inner: Arc<V>, named: Vec<CertificateDer<'static>>) -> Named<V> {
        Named { inner, named }
    }

    /// Goes on in spite of this error of `inner`, if all that is wrong is that a named certificate is an authority's.
    fn overrule(&self, error: Error, shown: &CertificateDer<'_>) -> Result<(), Error> {
        if !is_of_authority(&error) {
            return Err(error);
        }
        match self.named.iter().any(|named| named == shown) {
            true => Ok(()),
            false => {
                Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(OfAuthority)))))
            }
        }
    }
}

/// Whether webpki refused a certificate since it is an authority's. It looks at the dates first, so those are right then; the
/// name it has not come to.
fn is_of_authority(error: &Error) -> bool {
    // The error's own type is none that rustls hands out.
    matches!(error, Error::InvalidCertificate(CertificateError::Other(OtherError(error)))
        if error.to_string() == "CaUsedAsEndEntity")
}

/// Why a certificate is not believed that is an authority's, and not named.
struct OfAuthority;

impl std::error::Error for OfAuthority {}

impl fmt::Display for OfAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the certificate is that of an authority (CA:TRUE, as `openssl req -x509` makes it), and who shows it itself is \
             believed only where the settings name this very certificate (`ca`, `ca_file` or `client_ca`)",
        )
    }
}

/// The same: rustls shows errors of others so.
impl fmt::Debug for OfAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ServerCertVerifier for Named<dyn ServerCertVerifier> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        verified.or_else(|error| {
            self.overrule(error, end_entity)?;
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
            Ok(ServerCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl ClientCertVerifier for Named<dyn ClientCertVerifier> {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now);
        verified.or_else(|error| {
            self.overrule(error, end_entity)?;
            Ok(ClientCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
