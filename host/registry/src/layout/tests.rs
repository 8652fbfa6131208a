use super::*;
use crate::registries::Registries;
use crate::settings::{PluginsSettings, TrustSettings};

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn layout(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("oci-layout:plugins{rest}"), self.folder.path()).unwrap()
    }

    fn load(&self, trust: &[&str], rest: &str) -> Result<Digest, Error> {
        let trust = trust.iter().map(|key| TrustSettings { key: (*key).to_owned(), only: None }).collect();
        let settings = PluginsSettings { trust, ..PluginsSettings::default() };
        let registries =
            Registries::new(&settings, self.folder.path(), self.folder.path().join("cache"), false);
        registries.unwrap().load(&self.reference(rest)).map(|plugin| plugin.digest().clone())
    }
}

/// The plugin whose manifest the fixtures sign, with these signatures.
fn bench(signatures: &[Signature]) -> Bench {
    let bench = Bench { folder: tempfile::tempdir().unwrap() };
    let content = Content {
        manifest: include_bytes!("../../fixtures/manifest.json"),
        config: b"{}",
        component: COMPONENT,
        signatures,
    };
    Layout(&bench.layout()).add(&content, "1").unwrap();
    bench
}

const COSIGN: &str = include_str!("../../fixtures/cosign.pub");
const OTHER: &str = include_str!("../../fixtures/other.pub");

fn signatures() -> Vec<Signature> {
    vec![
        Signature::Bundle(include_str!("../../fixtures/bundle.json").to_owned()),
        Signature::Simple {
            payload: include_str!("../../fixtures/simple.json").to_owned(),
            signature: include_str!("../../fixtures/simple.sig").to_owned(),
        },
    ]
}

#[test]
fn a_plugin_of_a_layout_is_had_and_believed_without_any_registry() {
    for signature in signatures() {
        let bench = bench(&[signature]);
        let digest = bench.load(&[COSIGN], ":1").unwrap();
        assert_eq!(digest, Digest::of(include_bytes!("../../fixtures/manifest.json")));
        bench.load(&[OTHER, COSIGN], &format!(":1@{digest}")).unwrap();
        bench.load(&[COSIGN], &format!("@{digest}")).unwrap();
        let error = bench.load(&[OTHER], ":1").unwrap_err();
        assert!(error.to_string().contains("by none of the keys"), "{error}");
    }
    let error = bench(&[]).load(&[COSIGN], ":1").unwrap_err();
    assert!(error.to_string().contains("has no signature"), "{error}");
}

#[test]
fn what_is_tampered_with_or_not_there_is_refused() {
    let bench = bench(&[]);
    bench.load(&[], ":1").unwrap();
    assert!(matches!(bench.load(&[], ":2"), Err(Error::Missing(_))));
    let other = Digest::of(b"other");
    assert!(matches!(bench.load(&[], &format!("@{other}")), Err(Error::Missing(_))));
    let error = bench.load(&[], &format!(":1@{other}")).unwrap_err();
    assert!(error.to_string().contains("the tag `1` stands for"), "{error}");
    let blob = bench.layout().join("blobs/sha256").join(Digest::of(COMPONENT).hex());
    std::fs::write(&blob, b"\0evil\0\0\0").unwrap();
    let error = bench.load(&[], ":1").unwrap_err();
    assert!(error.to_string().contains("other content than its name says"), "{error}");
    std::fs::write(bench.layout().join("index.json"), "{").unwrap();
    let error = bench.load(&[], ":1").unwrap_err();
    assert!(error.to_string().contains("is no index of an OCI layout"), "{error}");
}

#[test]
fn a_layout_is_for_whoever_may_read_what_its_maker_makes() {
    use std::os::unix::fs::PermissionsExt;
    let bench = bench(&[]);
    let ordinary = bench.folder.path().join("ordinary");
    std::fs::write(&ordinary, "").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    let blob = bench.layout().join("blobs/sha256").join(Digest::of(COMPONENT).hex());
    assert_eq!(
        (mode(&blob), mode(&Layout(&bench.layout()).index_file())),
        (mode(&ordinary), mode(&ordinary))
    );
}

#[test]
fn a_manifest_that_lies_about_a_size_is_refused() {
    let bench = bench(&[]);
    for size in [COMPONENT.len() as u64 - 1, COMPONENT.len() as u64 + 1] {
        let mut manifest = Manifest::of_component(b"{}", COMPONENT);
        manifest.layers[0].size = size;
        let text = manifest.text();
        let content = Content { manifest: &text, config: b"{}", component: COMPONENT, signatures: &[] };
        Layout(&bench.layout()).add(&content, "2").unwrap();
        assert!(matches!(bench.load(&[], ":2"), Err(Error::Refused(_))), "{size}");
    }
}

#[test]
fn a_tag_stands_for_what_was_added_last() {
    let bench = bench(&signatures());
    let text = Manifest::of_component(b"{}", b"\0asm\x0d\0\x01\0\0").text();
    let content =
        Content { manifest: &text, config: b"{}", component: b"\0asm\x0d\0\x01\0\0", signatures: &[] };
    Layout(&bench.layout()).add(&content, "1").unwrap();
    assert_eq!(bench.load(&[], ":1").unwrap(), Digest::of(&text));
    let before = Digest::of(include_bytes!("../../fixtures/manifest.json"));
    bench.load(&[COSIGN], &format!("@{before}")).unwrap();
}

#[test]
fn what_many_add_at_once_is_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    let begin = std::sync::Barrier::new(8);
    let tags: Vec<String> = (0..8).map(|number| format!("t{number}")).collect();
    std::thread::scope(|scope| {
        for tag in &tags {
            let (begin, path) = (&begin, &path);
            scope.spawn(move || {
                begin.wait();
                let manifest = format!("{{\"schemaVersion\":2,\"tag\":\"{tag}\"}}");
                let content = Content {
                    manifest: manifest.as_bytes(),
                    config: b"{}",
                    component: COMPONENT,
                    signatures: &[],
                };
                Layout(path).add(&content, tag).unwrap();
            });
        }
    });
    for tag in &tags {
        let reference = Reference::parse(&format!("oci-layout:new:{tag}"), folder.path()).unwrap();
        Layout(&path).find(&reference).unwrap_or_else(|error| panic!("{tag}: {error:?}"));
    }
}

#[test]
fn a_plugin_has_each_of_its_tags_until_another_one_is_given_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    let add = |manifest: &[u8], tag: &str| {
        let content = Content { manifest, config: b"{}", component: COMPONENT, signatures: &[] };
        Layout(&path).add(&content, tag).unwrap();
    };
    let found = |rest: &str| {
        let reference = Reference::parse(&format!("oci-layout:new{rest}"), folder.path()).unwrap();
        Layout(&path).find(&reference).ok()
    };
    let (one, other) = (Digest::of(b"{\"one\":1}"), Digest::of(b"{\"other\":1}"));
    for tag in ["a", "b", "b", "a"] {
        add(b"{\"one\":1}", tag);
    }
    assert_eq!((found(":a"), found(":b")), (Some(one.clone()), Some(one.clone())));
    add(b"{\"other\":1}", "a");
    assert_eq!((found(":a"), found(":b")), (Some(other.clone()), Some(one.clone())));
    add(b"{\"other\":1}", "b");
    assert_eq!((found(":a"), found(":b")), (Some(other.clone()), Some(other)));
    // It is there all the same, under its digest.
    assert_eq!(found(&format!("@{one}")), Some(one));
    assert_eq!(Layout(&path).index().unwrap().manifests.len(), 3);
}

#[test]
fn a_signature_in_a_layout_counts_however_many_other_plugins_were_added_since() {
    let bench = bench(&signatures());
    for number in 0..130 {
        let component = format!("\0asm\x0d\0\x01\0{number}");
        let text = Manifest::of_component(b"{}", component.as_bytes()).text();
        let others = [Signature::Bundle(format!("{{\"no\":{number}}}"))];
        let content =
            Content { manifest: &text, config: b"{}", component: component.as_bytes(), signatures: &others };
        Layout(&bench.layout()).add(&content, &format!("other{number}")).unwrap();
    }
    bench.load(&[COSIGN], ":1").unwrap();
}
