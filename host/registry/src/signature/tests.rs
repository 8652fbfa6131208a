use serde_json::{Value, json};

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../fixtures/", $name))
    };
}

fn digest() -> Digest {
    Digest::of(fixture!("manifest.json").as_bytes())
}

fn key(text: &str, name: &str) -> Key {
    Key::from_pem(text, name).unwrap()
}

fn cosign() -> Key {
    key(fixture!("cosign.pub"), "cosign.pub")
}

fn other() -> Key {
    key(fixture!("other.pub"), "other.pub")
}

fn simple() -> Signature {
    Signature::Simple {
        payload: fixture!("simple.json").to_owned(),
        signature: fixture!("simple.sig").to_owned(),
    }
}

/// By cosign 3 in both forms, and by cosign 2.
fn all() -> Vec<Signature> {
    let of_2 = Signature::Simple {
        payload: fixture!("simple-v2.json").to_owned(),
        signature: fixture!("simple-v2.sig").to_owned(),
    };
    vec![Signature::Bundle(fixture!("bundle.json").to_owned()), simple(), of_2]
}

fn why(signature: &Signature, digest: &Digest, keys: &[&Key]) -> String {
    match signed(std::slice::from_ref(signature), digest, keys) {
        Signed::Not(why) => why,
        Signed::By(key) => panic!("by {key}"),
    }
}

#[test]
fn what_cosign_signs_is_known_by_its_key_among_others_in_both_forms() {
    let (own, other) = (cosign(), other());
    for signature in all() {
        let signed = signed(&[signature], &digest(), &[&other, &own]);
        assert_eq!(signed, Signed::By(own.clone()));
    }
    assert!(own.to_string().starts_with("cosign.pub (sha256:"), "{own}");
}

#[test]
fn a_wrong_key_another_plugin_and_no_signature_are_told_apart() {
    let (own, other) = (cosign(), other());
    for signature in all() {
        assert!(why(&signature, &digest(), &[&other]).contains("by none of the keys"));
        assert!(why(&signature, &digest(), &[]).contains("by none of the keys"));
        assert!(why(&signature, &Digest::of(b"other"), &[&own]).contains("over another plugin"));
    }
    assert_eq!(signed(&[], &digest(), &[&own]), Signed::Not("has no signature".to_owned()));
    let both = signed(&all(), &digest(), &[&other]);
    assert!(
        matches!(both, Signed::Not(why) if why.contains("does not count") || why.contains("of which none counts"))
    );
}

#[test]
fn what_is_changed_in_a_signature_makes_it_none() {
    let own = cosign();
    let bundle: Value = serde_json::from_str(fixture!("bundle.json")).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let statement = String::from_utf8(BASE64_STANDARD.decode(payload).unwrap()).unwrap();
    let evil = Digest::of(b"evil");
    let moved = statement.replace(digest().hex(), evil.hex());
    let mut changed = bundle.clone();
    changed["dsseEnvelope"]["payload"] = BASE64_STANDARD.encode(moved).into();
    assert!(why(&Signature::Bundle(changed.to_string()), &evil, &[&own]).contains("by none of the keys"));
    for (place, value, words) in [
        ("/dsseEnvelope/payloadType", json!("text/plain"), "and not over"),
        ("/dsseEnvelope/payload", json!("!"), "no base64"),
        ("/dsseEnvelope/signatures", json!([]), "by none of the keys"),
        ("/dsseEnvelope/signatures/0/sig", json!("AAAA"), "by none of the keys"),
        ("/dsseEnvelope", json!(null), "over a file"),
        ("/mediaType", json!("text/html"), "of a type"),
    ] {
        let mut changed = bundle.clone();
        *changed.pointer_mut(place).unwrap() = value;
        let why = why(&Signature::Bundle(changed.to_string()), &digest(), &[&own]);
        assert!(why.contains(words), "{place}: {why}");
    }
    let payload = fixture!("simple.json").replace(digest().hex(), evil.hex());
    let changed = Signature::Simple { payload, signature: fixture!("simple.sig").to_owned() };
    assert!(why(&changed, &evil, &[&own]).contains("by none of the keys"));
}

/// The same key says many things of a plugin: what is in it, who has tested it.
#[test]
fn a_statement_that_is_no_consent_is_no_signature() {
    let attestation = Signature::Bundle(fixture!("attestation.json").to_owned());
    assert!(why(&attestation, &digest(), &[&cosign()]).contains("no consent to run it"));
}

#[test]
fn a_file_is_known_by_the_bundle_beside_it() {
    let (own, other) = (cosign(), other());
    let (file, bundle) = (fixture!("file").as_bytes(), fixture!("file.bundle.json"));
    assert_eq!(of_file(file, bundle, &[&other, &own]).unwrap(), &own);
    for refused in [
        of_file(b"some other component", bundle, &[&own]),
        of_file(file, bundle, &[&other]),
        of_file(file, fixture!("bundle.json"), &[&own]),
    ] {
        assert_eq!(refused.unwrap_err().result(), "refused");
    }
}

#[test]
fn what_is_no_public_key_is_told_with_what_to_do() {
    for (text, words) in [
        ("", "`cosign generate-key-pair` writes one"),
        (
            "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
            "a private one",
        ),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no key of P-256"),
        (fixture!("ed25519.pub"), "cannot verify; make one"),
        (concat!(fixture!("other.pub"), "\n", fixture!("other.pub")), "each into a file of its own"),
    ] {
        let error = Key::from_pem(text, "k").unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}
