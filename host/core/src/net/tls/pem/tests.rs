use super::*;
use flitch_tests::tls::Authority;

#[test]
fn what_a_file_holds_instead_is_told() {
    let own = Authority::new("ours").unwrap().server().unwrap();
    let (certificate, private) = (own.certificate.as_bytes(), own.key.as_bytes());
    let both = [private, certificate].concat();
    assert_eq!(certificates(&both).unwrap(), certificates(certificate).unwrap());
    assert_eq!(key(&both).unwrap(), key(private).unwrap());
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let locked_of_old = "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: AES-256-CBC,00\r\n\r\n\
                         AAAA\r\n-----END RSA PRIVATE KEY-----\r\n";
    let asked = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    for (text, words) in [
        (locked.as_bytes(), "encrypted with a password"),
        (locked_of_old.as_bytes(), "encrypted with a password"),
        (certificate, "are certificate and key swapped?"),
        (asked.as_bytes(), "but `CERTIFICATE REQUEST`"),
        (b"nothing", "it holds no private key in PEM"),
        (b"", "it holds no private key in PEM"),
        (b"\x30\x82\x01\xff", "-inform der"),
        (b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "base64"),
    ] {
        let error = key(text).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    for (text, words) in [
        (private, "are certificate and key swapped?"),
        (locked.as_bytes(), "are certificate and key swapped?"),
        (asked.as_bytes(), "but `CERTIFICATE REQUEST`"),
        (b"nothing", "it holds no certificate in PEM"),
        (b"\x30\x82\x01\xff", "-inform der"),
    ] {
        let error = certificates(text).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}
