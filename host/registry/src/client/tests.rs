use flitch_tests::http_server::Reply;

use super::*;
use crate::manifest::{CONFIG, INDEX, Manifest, WASM};
use bench::{Bench, COMPONENT, digest, manifest, ok, redirect};

pub mod bench;

#[test]
fn a_plugin_is_pulled_once_and_then_had_without_its_registry() {
    let bench = Bench::new();
    let pinned = format!(":1@{}", digest());
    let plugin = bench.registries().load(&bench.reference(&pinned)).unwrap();
    assert_eq!(plugin.component, COMPONENT);
    let asked = bench.asked.lock().len();
    assert_eq!(bench.load(&pinned).unwrap(), digest());
    bench.load(&format!("@{}", digest())).unwrap();
    assert_eq!(bench.asked.lock().len(), asked, "nobody is asked again");
    let away = bench.registries_of(&bench.settings(), false);
    away.load(&bench.reference(&pinned)).unwrap();
    assert!(
        matches!(away.load(&bench.reference(":1")), Err(Error::NotHere(_))),
        "nobody knows what a tag stands for"
    );
    bench.load(":1").unwrap();
    away.load(&bench.reference(":1")).unwrap();
}

#[test]
fn a_token_is_what_is_under_either_name_and_not_empty() {
    for (answer, token) in [
        (r#"{"token": "t", "access_token": "a"}"#, Some("t")),
        (r#"{"token": "", "access_token": "a"}"#, Some("a")),
        (r#"{"token": null, "access_token": "a", "expires_in": 300}"#, Some("a")),
        (r#"{"token": "", "access_token": ""}"#, None),
        (r#"{"errors": []}"#, None),
        ("", None),
    ] {
        assert_eq!(token_in(answer.as_bytes()).as_deref(), token, "{answer}");
    }
}

#[test]
fn what_a_registry_lies_about_is_refused_and_nothing_of_it_is_kept() {
    let component = format!("blobs/{}", Digest::of(COMPONENT));
    let pinned = format!("@{}", digest());
    let by_digest = format!("manifests/{}", digest());
    let mut large = Manifest::of_component(b"{}", COMPONENT);
    large.layers[0].size = 5000;
    let mut short = Manifest::of_component(b"{}", COMPONENT);
    short.layers[0].size = 4;
    let mut image = Manifest::of_component(b"{}", COMPONENT);
    image.layers[0].media_type = "application/vnd.oci.image.layer.v1.tar".to_owned();
    let of = |manifest: &Manifest| ok(MANIFEST, &manifest.text());
    let cases: Vec<(&str, &str, Reply, &str)> = vec![
        (&pinned, &component, ok(WASM, b"\0evil\0\0\0"), "its digest is"),
        (&pinned, &component, ok(WASM, &[0; 5000]), "more than 8 bytes"),
        (&pinned, &component, ok(WASM, b"\0asm"), "4 bytes in place of 8"),
        (&pinned, &by_digest, of(&short), "another manifest"),
        (&pinned, &by_digest, ok(INDEX, &manifest()), "is sent as"),
        (&pinned, &by_digest, ok(MANIFEST, &vec![b' '; 5 << 20]), "more than 4194304 bytes"),
        (":1", "manifests/1", of(&large), "max_bytes"),
        (":1", "manifests/1", of(&short), "more than 4 bytes"),
        (":1", "manifests/1", of(&image), "it is no plugin"),
        (":1", "manifests/1", ok("text/html", b"<html>"), "cannot be read"),
        (&pinned, &component, redirect("https://169.254.169.254/x"), "outside of this network"),
        (&pinned, &component, redirect("file:///etc/passwd"), "redirects to file"),
        (&pinned, &component, redirect(&format!("/v2/team/parse/{component}")), "more than 3 times"),
        (&pinned, &component, Reply { status: 307, ..Reply::default() }, "does not say whereto"),
    ];
    for (rest, path, lie, words) in cases {
        let bench = Bench::new();
        bench.lie(path, lie);
        let error = bench.load(rest).unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert_eq!(error.result(), "refused", "{error}");
        let kept = bench.folder.path().join("registry/blobs/sha256");
        let left: Vec<_> =
            std::fs::read_dir(kept).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "{words}: {left:?}");
    }
}

#[test]
fn a_redirect_to_another_server_is_followed_without_the_password() {
    let store = Bench::new();
    let bench = Bench::new();
    let path = format!("/v2/team/parse/blobs/{}", Digest::of(COMPONENT));
    bench
        .lie(path.trim_start_matches("/v2/team/parse/"), redirect(&format!("http://{}{path}", store.host())));
    let by_digest = format!("manifests/{}", digest());
    let challenge = || Reply {
        status: 401,
        headers: vec![("WWW-Authenticate", "Basic realm=\"r\"".to_owned())],
        body: Vec::new(),
    };
    bench.lie(&by_digest, challenge());
    let settings = PluginsSettings {
        credentials: serde_json::from_value(
            serde_json::json!({bench.host(): {"username": "u", "password": "p"}}),
        )
        .unwrap(),
        ..bench.settings()
    };
    let registries = bench.registries_of(&settings, true);
    let reference = bench.reference(&format!("@{}", digest()));
    let error = registries.load(&reference).unwrap_err().to_string();
    assert!(error.contains("does not let flitch have"), "{error}");
    assert_eq!(bench.asked.lock()[1].header("authorization"), Some("Basic dTpw"));
    bench.lies.lock().remove(&format!("/v2/team/parse/{by_digest}"));
    registries.load(&reference).unwrap();
    let asked = store.asked.lock();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("authorization"), None);
}

#[test]
fn a_tag_that_has_moved_away_from_its_digest_is_refused_and_a_start_asks_nobody() {
    let bench = Bench::new();
    let other = Digest::of(b"other");
    let pinned = bench.reference(&format!(":1@{other}"));
    let error = bench.registries().load(&pinned).unwrap_err();
    assert!(error.to_string().contains("the tag `1` stands for") && error.result() == "refused", "{error}");
    let pinned = bench.reference(&format!(":1@{}", digest()));
    bench.registries().load(&pinned).unwrap();
    let mut moved = ok(MANIFEST, b"");
    moved.headers.push(("Docker-Content-Digest", other.to_string()));
    bench.lie("manifests/1", moved);
    bench.registries().load(&pinned).unwrap();
}

#[test]
fn a_registry_that_does_not_say_what_a_tag_stands_for_is_asked_for_its_manifest() {
    let bench = Bench::new();
    let pinned = format!(":1@{}", digest());
    let moved = Manifest::of_component(b"{}", b"\0asm\x0d\0\x01\0\0").text();
    let silent = ok(MANIFEST, &moved);
    let mut wrong = silent.clone();
    wrong.headers.push(("Docker-Content-Digest", "sha256:none".to_owned()));
    for reply in [silent, wrong] {
        bench.lie("manifests/1", reply);
        let error = bench.load(&pinned).unwrap_err().to_string();
        assert!(error.contains(&format!("the tag `1` stands for {}", Digest::of(&moved))), "{error}");
        assert_eq!(error.matches("oci://").count(), 1, "{error}");
    }
    bench.lie("manifests/1", redirect("/v2/team/parse/manifests/elsewhere"));
    bench.lie("manifests/elsewhere", ok(MANIFEST, &manifest()));
    bench.load(&pinned).unwrap();
}

#[test]
fn a_tag_is_asked_for_again_and_one_that_cannot_be_taken_leaves_the_one_before() {
    let bench = Bench::new();
    let (registries, reference) = (bench.registries(), bench.reference(":1"));
    registries.load(&reference).unwrap();
    assert!(!registries.refresh(&reference).unwrap(), "it stands for the same");
    let before = registries.component(&reference).unwrap();
    assert_eq!(before, Digest::of(COMPONENT));
    let new = Manifest::of_component(b"{}", b"\0asm\x0d\0\x01\0\0").text();
    let mut reply = ok(MANIFEST, &new);
    reply.headers.push(("Docker-Content-Digest", Digest::of(&new).to_string()));
    bench.lie("manifests/1", reply.clone());
    assert_eq!(registries.refresh(&reference).unwrap_err().result(), "failed", "its content is missing");
    assert_eq!(registries.component(&reference), Some(before));
    bench.lie(&format!("blobs/{}", Digest::of(b"\0asm\x0d\0\x01\0\0")), ok(WASM, b"\0asm\x0d\0\x01\0\0"));
    bench.lie(&format!("manifests/{}", Digest::of(&new)), reply);
    let file = registries.file(&reference).unwrap();
    let told = std::fs::read_to_string(&file).unwrap();
    assert!(registries.refresh(&reference).unwrap());
    assert_ne!(std::fs::read_to_string(&file).unwrap(), told, "who watches the file hears of it");
    assert_eq!(registries.component(&reference), Some(Digest::of(b"\0asm\x0d\0\x01\0\0")));
    assert_eq!(registries.load(&reference).unwrap().component, b"\0asm\x0d\0\x01\0\0");
}

#[test]
fn a_mirror_is_asked_first_and_one_that_lies_or_is_away_is_passed_over() {
    let (bench, mirror) = (Bench::new(), Bench::new());
    let settings = |mirrors: Vec<String>| PluginsSettings {
        plain_http: vec![bench.host(), mirror.host(), "127.0.0.1:1".to_owned()],
        mirrors: BTreeMap::from([(bench.host(), mirrors)]),
        ..bench.settings()
    };
    let reference = bench.reference(&format!("@{}", digest()));
    let below = settings(vec!["127.0.0.1:1".to_owned(), format!("{}/cached", mirror.host())]);
    bench.registries_of(&below, true).load(&reference).unwrap();
    assert!(mirror.asked.lock().iter().all(|request| request.path.starts_with("/v2/cached/team/parse/")));
    assert!(bench.asked.lock().is_empty(), "the mirror has it all");
    std::fs::remove_dir_all(bench.folder.path().join("registry")).unwrap();
    mirror.lie(&format!("blobs/{}", Digest::of(COMPONENT)), ok(WASM, b"\0evil\0\0\0"));
    bench.registries_of(&settings(vec![mirror.host()]), true).load(&reference).unwrap();
    assert!(!bench.asked.lock().is_empty());
}

/// The plugin is the one that the fixtures sign.
#[test]
fn an_older_signature_counts_and_one_that_is_changed_on_its_way_is_refused_with_what_to_do() {
    let bench = Bench::new();
    let settings = PluginsSettings {
        trust: vec![crate::TrustSettings {
            key: include_str!("../../fixtures/cosign.pub").to_owned(),
            only: None,
        }],
        ..bench.settings()
    };
    let reference = bench.reference(&format!("@{}", digest()));
    let load = |settings: &PluginsSettings| bench.registries_of(settings, true).load(&reference);
    let error = load(&settings).unwrap_err();
    assert!(error.to_string().contains("it has no signature; sign it"), "{error}");
    assert_eq!(error.result(), "refused");
    let signed = |payload: &[u8]| {
        let mut of = Manifest::of_signatures(None);
        of.layers.push(Descriptor::of(crate::signature::SIMPLE, payload));
        let annotation = include_str!("../../fixtures/simple.sig").to_owned();
        of.layers[0].annotations.insert(crate::signature::SIGNATURE.to_owned(), annotation);
        bench.lie(&format!("manifests/sha256-{}.sig", digest().hex()), ok(MANIFEST, &of.text()));
        bench.lie(&format!("blobs/{}", Digest::of(payload)), ok("application/octet-stream", payload));
    };
    let payload = include_bytes!("../../fixtures/simple.json");
    signed(&[payload, &b" "[..]].concat());
    let error = load(&settings).unwrap_err().to_string();
    assert!(error.contains("is by none of the keys"), "{error}");
    let unsigned = PluginsSettings { require_signature: Some(false), ..settings.clone() };
    assert_eq!(load(&unsigned).unwrap().signed_by, None);
    let elsewhere =
        crate::TrustSettings { only: Some("r.example.com".to_owned()), ..settings.trust[0].clone() };
    signed(payload);
    let error =
        load(&PluginsSettings { trust: vec![elsewhere], ..settings.clone() }).unwrap_err().to_string();
    assert!(error.contains("no key of `plugins.trust` is for it"), "{error}");
    assert!(load(&settings).unwrap().signed_by.is_some());
    // What was found is kept, so that a start needs no registry.
    bench.registries_of(&settings, false).load(&reference).unwrap();
}

/// Puts a bundle into the registry, and answers how a list names it.
fn put(bench: &Bench, content: &[u8], created: &str) -> Descriptor {
    let mut of = Manifest::of_signatures(None);
    of.layers.push(Descriptor::of(crate::signature::BUNDLE, content));
    let mut listed = Descriptor::of(MANIFEST, &of.text());
    listed.artifact_type = Some(crate::signature::BUNDLE.to_owned());
    listed.annotations.insert("org.opencontainers.image.created".to_owned(), created.to_owned());
    bench.lie(&format!("manifests/{}", listed.digest), ok(MANIFEST, &of.text()));
    bench.lie(&format!("blobs/{}", Digest::of(content)), ok("application/octet-stream", content));
    listed
}

fn list(manifests: Vec<Descriptor>) -> Reply {
    let index = manifest::Index { schema_version: 2, media_type: Some(INDEX.to_owned()), manifests };
    ok(INDEX, &serde_json::to_vec(&index).unwrap())
}

#[test]
fn who_asks_whose_signatures_there_are_hears_of_all_or_that_there_may_be_more() {
    let others = |bench: &Bench, count: usize| {
        (0..count).map(|n| put(bench, format!("{{\"no\": {n}}}").as_bytes(), "2026")).collect::<Vec<_>>()
    };
    for (count, told, is_part) in [(0, 1, false), (40, 41, false), (255, 256, true), (300, 256, true)] {
        let bench = Bench::new();
        let mut all = others(&bench, count);
        all.push(put(&bench, include_bytes!("../../fixtures/bundle.json"), "2025"));
        bench.lie(&format!("referrers/{}", digest()), list(all));
        let reference = bench.reference(&format!("@{}", digest()));
        let found = bench.registries().found(&reference).unwrap();
        assert_eq!((found.signatures.len(), found.is_part), (told, is_part), "{count}");
    }
}

#[test]
fn a_plugin_is_copied_with_all_of_its_signatures() {
    let bench = Bench::new();
    let mut all: Vec<_> =
        (0..40).map(|n| put(&bench, format!("{{\"no\": {n}}}").as_bytes(), "2026")).collect();
    all.push(put(&bench, include_bytes!("../../fixtures/bundle.json"), "2025"));
    bench.lie(&format!("referrers/{}", digest()), list(all));
    bench.lie(&format!("blobs/{}", Digest::of(b"{}")), ok("application/json", b"{}"));
    let registries = bench.registries();
    let plugin = registries.load(&bench.reference(&format!("@{}", digest()))).unwrap();
    registries.copy(&plugin, &bench.folder.path().join("layout"), "1").unwrap();
    let settings = PluginsSettings {
        trust: vec![crate::TrustSettings {
            key: include_str!("../../fixtures/cosign.pub").to_owned(),
            only: None,
        }],
        ..bench.settings()
    };
    let copied = crate::Reference::parse("oci-layout:layout:1", bench.folder.path()).unwrap();
    assert!(bench.registries_of(&settings, false).load(&copied).unwrap().signed_by.is_some());
}

#[test]
fn a_signature_counts_however_many_others_there_are_and_on_whichever_page_it_is_listed() {
    let bundle = include_bytes!("../../fixtures/bundle.json").as_slice();
    let settings = |bench: &Bench| PluginsSettings {
        trust: vec![crate::TrustSettings {
            key: include_str!("../../fixtures/cosign.pub").to_owned(),
            only: None,
        }],
        ..bench.settings()
    };
    let others = |bench: &Bench| {
        (0..40).map(|n| put(bench, format!("{{\"no\": {n}}}").as_bytes(), "2026")).collect::<Vec<_>>()
    };
    let path = format!("referrers/{}", digest());
    let load = |bench: &Bench| {
        let reference = bench.reference(&format!("@{}", digest()));
        bench.registries_of(&settings(bench), true).load(&reference)
    };

    let bench = Bench::new();
    let mut all = others(&bench);
    all.push(put(&bench, bundle, "2025"));
    bench.lie(&path, list(all));
    assert!(load(&bench).unwrap().signed_by.is_some(), "it is the oldest of 41");
    let away = bench.registries_of(&settings(&bench), false);
    away.load(&bench.reference(&format!("@{}", digest()))).unwrap();

    let bench = Bench::new();
    let mut first = list(others(&bench));
    first.headers.push(("Link", format!("</v2/team/parse/referrers/{}/2>; rel=\"next\"", digest())));
    bench.lie(&path, first);
    assert!(load(&bench).unwrap_err().to_string().contains("breaks off a list"));
    bench.lie(&format!("{path}/2"), list(vec![put(&bench, bundle, "2027")]));
    bench.asked.lock().clear();
    assert!(load(&bench).unwrap().signed_by.is_some());
    let asked = bench.asked.lock().iter().filter(|request| request.path.contains("/manifests/")).count();
    assert_eq!(asked, 1, "the newest is looked at first, and is enough");
}

#[test]
fn what_is_pushed_has_the_media_types_of_a_component() {
    let text = manifest();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(value["mediaType"], MANIFEST);
    assert_eq!(value["config"]["mediaType"], CONFIG);
    assert_eq!(value["layers"][0]["mediaType"], WASM);
    let config =
        manifest::config(COMPONENT, &["flitch:filter/filter@1.0.0".to_owned()], &[], "2026-11-26T00:00:00Z");
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["architecture"], "wasm");
    assert_eq!(config["layerDigests"][0], Digest::of(COMPONENT).to_string());
    assert_eq!(config["component"]["exports"][0], "flitch:filter/filter@1.0.0");
}
