use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsConnector;

use super::*;
use crate::net::tls::TlsSettings;
use crate::net::tls::client::{Trust, config};

/// A certificate that signs itself as an authority's does, and its key, in files. It is good from 1975 to 4095.
fn own(folder: &Path, called: &str) -> (PathBuf, PathBuf) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let files = (folder.join(format!("{called}.pem")), folder.join(format!("{called}.key")));
    std::fs::write(&files.0, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&files.1, key.serialize_pem()).unwrap();
    files
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

const NOW: u64 = 1_700_000_000;
/// In 1970, and in 4188.
const EARLY_AND_LATE: [u64; 2] = [1, 70_000_000_000];

#[test]
fn a_server_that_shows_a_named_certificate_is_believed_by_its_name_and_in_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] =
        ["ours", "theirs"].map(|name| CertificateDer::from_pem_file(own(folder.path(), name).0).unwrap());
    let mut roots = RootCertStore::empty();
    roots.add(ours.clone()).unwrap();
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let inner: Arc<dyn ServerCertVerifier> = inner.build().unwrap();
    let named = Named::new(inner, vec![ours.clone()]);
    let verify = |shown, name: &'static str, time| {
        named.verify_server_cert(shown, &[], &ServerName::try_from(name).unwrap(), &[], at(time))
    };
    verify(&ours, "localhost", NOW).unwrap();
    let error = verify(&ours, "elsewhere", NOW).unwrap_err();
    assert!(error.to_string().contains("not valid for name \"elsewhere\""), "{error}");
    for time in EARLY_AND_LATE {
        let error = verify(&ours, "localhost", time).unwrap_err();
        assert!(error.to_string().contains("verification time"), "{error}");
    }
    let error = verify(&theirs, "localhost", NOW).unwrap_err().to_string();
    assert!(error.contains("name this very certificate"), "{error}");
}

#[test]
fn a_client_that_shows_a_named_certificate_is_believed_in_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] =
        ["ours", "theirs"].map(|name| CertificateDer::from_pem_file(own(folder.path(), name).0).unwrap());
    let mut roots = RootCertStore::empty();
    roots.add(ours.clone()).unwrap();
    let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let named = Named::new(inner.build().unwrap(), vec![ours.clone()]);
    named.verify_client_cert(&ours, &[], at(NOW)).unwrap();
    for time in EARLY_AND_LATE {
        let error = named.verify_client_cert(&ours, &[], at(time)).unwrap_err();
        assert!(error.to_string().contains("verification time"), "{error}");
    }
    let error = named.verify_client_cert(&theirs, &[], at(NOW)).unwrap_err().to_string();
    assert!(error.contains("name this very certificate"), "{error}");
}

/// Whether a byte comes through from a server to a client.
async fn meets(server: &TlsSettings, client: ClientConfig) -> bool {
    let (near, far) = duplex(1 << 16);
    let acceptor = server.acceptor().unwrap();
    let serve = async move {
        let mut stream = acceptor.accept(far).await?;
        stream.write_u8(7).await?;
        stream.shutdown().await
    };
    let ask = async move {
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(client)).connect(name, near).await?.read_u8().await
    };
    let (served, read) = tokio::join!(serve, ask);
    served.is_ok() && matches!(read, Ok(7))
}

#[tokio::test]
async fn who_show_certificates_that_sign_themselves_meet_where_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = own(folder.path(), "server");
    let edge = own(folder.path(), "edge");
    let stranger = own(folder.path(), "stranger");
    let settings = TlsSettings {
        cert: server.0.clone(),
        key: server.1,
        client_ca: Some(edge.0.clone()),
        require_client_cert: true,
    };
    let client = |trust: &Path, own: &(PathBuf, PathBuf)| {
        config(Trust::Roots(trust), Some((own.0.as_path(), own.1.as_path()))).unwrap()
    };
    assert!(meets(&settings, client(&server.0, &edge)).await);
    assert!(!meets(&settings, client(&server.0, &stranger)).await);
    assert!(!meets(&settings, client(&stranger.0, &edge)).await);
}
