use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn parse(text: &str) -> Result<Reference, String> {
    Reference::parse(text, Path::new("/etc/flitch"))
}

#[test]
fn a_reference_is_written_as_it_was_read() {
    for text in [
        format!("oci://registry.example.com/team/parse:1.2@{DIGEST}"),
        format!("oci://localhost:5000/parse@{DIGEST}"),
        "oci://[::1]:5000/a/b-c/d.e:latest".to_owned(),
        format!("oci-layout:/srv/plugins:1.2@{DIGEST}"),
    ] {
        assert_eq!(parse(&text).unwrap().to_string(), text);
    }
    let layout = parse("oci-layout:plugins:1").unwrap();
    assert_eq!(layout.place, Place::Layout { path: "/etc/flitch/plugins".into() });
    assert_eq!((layout.name(), parse("oci://r/team/parse:1").unwrap().name()), ("plugins", "parse"));
}

#[test]
fn what_is_no_reference_is_told_with_how_one_is_written() {
    for (text, words) in [
        ("oci://registry.example.com:1", "no repository"),
        ("oci://registry.example.com/parse", "neither a tag nor a digest"),
        ("oci://registry.example.com/Parse:1", "the repository `Parse`"),
        ("oci://registry.example.com/../parse:1", "the repository"),
        ("oci://user:secret@registry.example.com/parse:1", "is no digest"),
        ("oci:///parse:1", "in place of a registry"),
        ("oci://registry.example.com/parse:-1", "the tag `-1`"),
        ("oci://registry.example.com/parse@sha256:12", "is no digest"),
        ("oci://registry.example.com/parse@sha512:12", "is no digest"),
        ("oci-layout::1", "names no folder"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(words) && error.contains("write oci://"), "{text}: {error}");
    }
}

#[test]
fn a_place_holds_what_is_below_it_and_not_what_begins_like_it() {
    let reference = parse("oci://registry.example.com/team/parse:1").unwrap();
    for place in ["registry.example.com", "registry.example.com/team/", "registry.example.com/team/parse"] {
        assert!(reference.is_below(place), "{place}");
    }
    for place in ["registry.example.co", "registry.example.com/te", "registry.example.com/team/parse/more"] {
        assert!(!reference.is_below(place), "{place}");
    }
}
