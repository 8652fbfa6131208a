//! Certificates for tests: an authority of one's own, and servers and clients that it vouches for.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate authority.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its private key, both PEM; the key is PKCS#8.
pub struct Identity {
    /// The certificate, without its issuer's.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// The files of an [`Identity`].
pub struct IdentityFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Key and certificate in one file, as Kafka's PEM keystore wants them.
    pub both: PathBuf,
}

impl Authority {
    /// A new authority; `name` is its common name.
    pub fn new(name: &str) -> Result<Authority> {
        let mut params = CertificateParams::new(Vec::default())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Authority { certificate, issuer: Issuer::new(params, key) })
    }

    /// The authority's certificate as PEM: what a client trusts.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Writes [`Authority::pem`] to a file.
    pub fn write(&self, path: &Path) -> Result<PathBuf> {
        std::fs::write(path, self.pem())?;
        Ok(path.to_owned())
    }

    /// A server that answers as `localhost` and 127.0.0.1.
    pub fn server(&self) -> Result<Identity> {
        self.identity(&["localhost", "127.0.0.1"], "localhost", ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client called `name`.
    pub fn client(&self, name: &str) -> Result<Identity> {
        self.identity(&[], name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn identity(
        &self,
        names: &[&str],
        common_name: &str,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Identity> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl Identity {
    /// Writes `NAME.crt`, `NAME.key` and `NAME.pem` (both) into a folder.
    pub fn write(&self, folder: &Path, name: &str) -> Result<IdentityFiles> {
        let at = |end: &str| folder.join(format!("{name}.{end}"));
        let files = IdentityFiles { certificate: at("crt"), key: at("key"), both: at("pem") };
        std::fs::write(&files.certificate, &self.certificate)?;
        std::fs::write(&files.key, &self.key)?;
        std::fs::write(&files.both, format!("{}{}", self.key, self.certificate))?;
        Ok(files)
    }
}
