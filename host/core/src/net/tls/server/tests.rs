use std::path::Path;

use flitch_tests::tls::{Authority, Identity};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsConnector;

use super::*;

fn write(folder: &Path, name: &str, identity: &Identity) -> (PathBuf, PathBuf) {
    let files = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    std::fs::write(&files.0, &identity.certificate).unwrap();
    std::fs::write(&files.1, &identity.key).unwrap();
    files
}

fn connector(ca: &Path, client: Option<&(PathBuf, PathBuf)>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(cert).unwrap()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap(),
    };
    TlsConnector::from(Arc::new(config))
}

/// Whether a byte comes through to a listener with these settings.
async fn connects(settings: &TlsSettings, connector: TlsConnector) -> bool {
    meets(&settings.acceptor().unwrap(), connector).await
}

async fn meets(acceptor: &Acceptor, connector: TlsConnector) -> bool {
    let (near, far) = duplex(1 << 16);
    let server = async move {
        let mut stream = acceptor.accept(far).await?;
        stream.write_u8(7).await?;
        stream.shutdown().await
    };
    let client = async move {
        let name = ServerName::try_from("localhost").unwrap();
        connector.connect(name, near).await?.read_u8().await
    };
    let (served, read) = tokio::join!(server, client);
    served.is_ok() && matches!(read, Ok(7))
}

#[tokio::test]
async fn clients_with_and_without_certificates_meet_what_the_settings_ask() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours").unwrap();
    let ca = authority.write(&folder.path().join("ca.pem")).unwrap();
    let (cert, key) = write(folder.path(), "server", &authority.server().unwrap());
    let client = write(folder.path(), "client", &authority.client("edge").unwrap());
    let stranger =
        write(folder.path(), "stranger", &Authority::new("theirs").unwrap().client("edge").unwrap());

    let open = TlsSettings { cert, key, client_ca: None, require_client_cert: true };
    assert!(connects(&open, connector(&ca, None)).await);

    let required = TlsSettings { client_ca: Some(ca.clone()), ..open };
    assert!(connects(&required, connector(&ca, Some(&client))).await);
    assert!(!connects(&required, connector(&ca, None)).await);
    assert!(!connects(&required, connector(&ca, Some(&stranger))).await);

    let optional = TlsSettings { require_client_cert: false, ..required };
    assert!(connects(&optional, connector(&ca, None)).await);
    assert!(connects(&optional, connector(&ca, Some(&client))).await);
    assert!(!connects(&optional, connector(&ca, Some(&stranger))).await);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_renewed_is_shown_to_those_who_come_then() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new("old").unwrap(), Authority::new("new").unwrap());
    let old_ca = old.write(&folder.path().join("old.pem")).unwrap();
    let new_ca = new.write(&folder.path().join("new.pem")).unwrap();
    let (cert, key) = write(folder.path(), "server", &old.server().unwrap());
    let settings = TlsSettings { cert, key, client_ca: None, require_client_cert: true };
    let acceptor = settings.acceptor().unwrap();
    assert!(meets(&acceptor, connector(&old_ca, None)).await);

    // First the certificate alone, without its key: the old one stays.
    let renewed = new.server().unwrap();
    std::fs::write(&settings.cert, &renewed.certificate).unwrap();
    tokio::time::advance(LOOK).await;
    assert!(meets(&acceptor, connector(&old_ca, None)).await);
    std::fs::remove_file(&settings.key).unwrap();
    tokio::time::advance(LOOK).await;
    assert!(meets(&acceptor, connector(&old_ca, None)).await);

    std::fs::write(&settings.key, &renewed.key).unwrap();
    tokio::time::advance(LOOK).await;
    assert!(meets(&acceptor, connector(&new_ca, None)).await);
    assert!(!meets(&acceptor, connector(&old_ca, None)).await);
}

/// What keeps them from being read may be gone at the next look, though they are what they were: no descriptor was left, say.
#[tokio::test(start_paused = true)]
async fn files_that_could_not_be_used_are_read_again_at_the_next_look() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours").unwrap();
    let (cert, key) = write(folder.path(), "server", &authority.server().unwrap());
    let settings = TlsSettings { cert, key, client_ca: None, require_client_cert: true };
    let acceptor = settings.acceptor().unwrap();
    let used = acceptor.state.lock().seen;
    std::fs::write(&settings.key, "no key").unwrap();
    tokio::time::advance(LOOK).await;
    acceptor.current();
    assert_eq!(acceptor.state.lock().seen, used);
    let renewed = authority.server().unwrap();
    std::fs::write(&settings.cert, renewed.certificate).unwrap();
    std::fs::write(&settings.key, renewed.key).unwrap();
    tokio::time::advance(LOOK).await;
    acceptor.current();
    assert_eq!(acceptor.state.lock().seen, settings.stamps());
}

#[test]
fn errors_name_the_setting_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours").unwrap();
    let (cert, key) = write(folder.path(), "server", &authority.server().unwrap());
    let (_, other_key) = write(folder.path(), "other", &authority.server().unwrap());
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let missing = folder.path().join("missing.pem");
    let right =
        TlsSettings { cert: cert.clone(), key: key.clone(), client_ca: None, require_client_cert: true };
    let error = |settings: TlsSettings| format!("{:#}", settings.acceptor().err().unwrap());
    for (settings, words) in [
        (TlsSettings { cert: missing.clone(), ..right.clone() }, ["`tls.cert`", "missing.pem"]),
        (TlsSettings { cert: empty.clone(), ..right.clone() }, ["`tls.cert`", "holds no certificate"]),
        (TlsSettings { key: missing.clone(), ..right.clone() }, ["`tls.key`", "missing.pem"]),
        (TlsSettings { key: cert, ..right.clone() }, ["`tls.key`", "swapped"]),
        (TlsSettings { cert: key, ..right.clone() }, ["`tls.cert`", "swapped"]),
        (TlsSettings { key: other_key, ..right.clone() }, ["`tls`", "cannot be used together"]),
        (TlsSettings { client_ca: Some(missing), ..right.clone() }, ["`tls.client_ca`", "missing.pem"]),
    ] {
        let error = error(settings);
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}
