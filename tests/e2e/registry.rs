//! Plugins from registries: pushed, signed, pinned, pulled, swapped, and refused.

use std::fs;

use flitch_tests::flitch::{Ended, Flitch};
use flitch_tests::process::Signal;
use flitch_tests::servers::registry::{Cosign, PASSWORD, Registry, USER, client};
use flitch_tests::tls::Authority;
use flitch_tests::wait::eventually;
use flitch_tests::{guests, http};

use crate::support::*;

/// A configuration with one filter, and these settings of plugins.
fn config(filter: &str, plugins: &str) -> String {
    format!(
        "sources:\n  in: {}\nfilters:\n  mark: {{ {filter}, wasi: none }}\nplugins: {{ {plugins} }}\noutputs:\n  out: \
         {{ type: file, path: \"{{dir}}/out.ndjson\" }}\npipelines:\n  main: {{ from: [in], filters: [mark], workers: 1, to: [out] }}\n",
        file_source("app.log")
    )
}

/// Whether so many records came out of this generation.
fn came(flitch: &Flitch, generation: &str, count: usize) -> bool {
    let out = fs::read_to_string(flitch.at("out.ndjson")).unwrap_or_default();
    out.lines().filter(|line| line.contains(&format!("\"generation\":\"{generation}\""))).count() >= count
}

/// A flitch that does not run, to push from and to check with.
fn desk() -> Flitch {
    let desk = Flitch::new(FLITCH, "");
    let (home, cache) = (desk.at("home"), desk.at("cache"));
    let home = home.to_str().unwrap();
    desk.env("HOME", home).env("XDG_CACHE_HOME", cache.to_str().unwrap()).env("DOCKER_CONFIG", "/nowhere")
}

#[track_caller]
fn ok(ended: Ended) -> String {
    assert!(ended.status.success(), "{ended:?}");
    ended.stdout.trim().to_owned()
}

/// Pushes generation `number`, and answers its reference with the digest.
#[track_caller]
fn push(desk: &Flitch, letter: char, number: usize, to: &str, more: &[&str]) -> String {
    let file = desk.at("mark.wasm");
    fs::write(&file, guests::generation(letter, number)).unwrap();
    let pushed = ok(desk.cli(&[&["plugin", "push", file.to_str().unwrap(), to], more].concat(), ""));
    assert!(pushed.starts_with(&format!("{to}@sha256:")), "{pushed}");
    pushed
}

#[test]
fn a_plugin_of_a_registry_with_tls_and_a_password_runs_and_a_restart_needs_no_registry() {
    let desk = desk();
    let authority = Authority::new("tests").unwrap();
    let ca = authority.write(&desk.at("ca.pem")).unwrap();
    let identity = authority.server().unwrap().write(desk.dir(), "server").unwrap();
    let registry = Registry::debian(&identity).unwrap();
    let host = registry.host();
    fs::create_dir(desk.at("docker")).unwrap();
    let auths = serde_json::json!({"auths": {&host: {"username": USER, "password": PASSWORD}}});
    fs::write(desk.at("docker/config.json"), auths.to_string()).unwrap();
    let desk = desk.env("DOCKER_CONFIG", "docker");
    let ca = ca.to_str().unwrap();
    let pinned = push(&desk, 'g', 1, &format!("oci://{host}/team/mark:1"), &["--ca", ca]);

    let with = |password: &str| {
        let credentials = format!("{{ \"{host}\": {{ username: {USER}, password: {password} }} }}");
        let tls = format!("{{ \"{host}\": {{ ca: \"{ca}\" }} }}");
        config(&format!("plugin: \"{pinned}\""), &format!("credentials: {credentials}, tls: {tls}"))
    };
    let mut flitch = Flitch::new(FLITCH, &with("wrong"));
    let error = flitch.try_run().unwrap_err().to_string();
    assert!(error.contains("does not let flitch have") && error.contains("flitch.yaml:"), "{error}");
    let unpulled = ok(flitch.cli(&["check"], ""));
    assert!(unpulled.contains("not pulled to this machine"), "{unpulled}");
    let unproven = flitch.cli(&["check", "--probe"], "");
    assert!(unproven.stdout.contains("filters.mark.plugin NOT READY"), "{unproven:?}");
    flitch.configure(&with(PASSWORD));
    let proven = ok(flitch.cli(&["check", "--probe"], ""));
    assert!(proven.contains("filters.mark.plugin ready") && proven.contains("not pulled"), "{proven}");
    assert!(!flitch.at("data/registry").exists(), "who only asks keeps nothing");
    flitch.run();
    append(&flitch.at("app.log"), 0..10);
    eventually("the records", DEADLINE, || came(&flitch, "g0000001", 10));
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    drop(registry);
    let checked = ok(flitch.cli(&["check"], ""));
    assert!(checked.contains("sha256") && !checked.contains("not pulled"), "{checked}");
    flitch.run();
    append(&flitch.at("app.log"), 10..20);
    eventually("the records", DEADLINE, || came(&flitch, "g0000001", 20));
}

#[test]
fn what_cosign_signs_runs_and_what_it_did_not_sign_is_refused_while_the_other_goes_on() {
    let desk = desk();
    let cosign = Cosign(desk.dir());
    cosign.generate().unwrap();
    for (referrers, is_bundle) in [(true, true), (false, true), (false, false)] {
        let registry = Registry::go(referrers, false).unwrap();
        let host = registry.host();
        let to = |tag: &str| format!("oci://{host}/team/mark:{tag}");
        let plain = ["--plain-http"];
        let (signed, unsigned) =
            (push(&desk, 'g', 1, &to("1"), &plain), push(&desk, 'g', 2, &to("2"), &plain));
        let by_digest = signed.replace("oci://", "").replace(":1@", "@");
        cosign.sign(&by_digest, is_bundle).unwrap();

        let key = desk.at("cosign.pub").display().to_string();
        let told = ok(desk.cli(&["plugin", "sign-check", &signed, "--plain-http", "--key", &key], ""));
        assert!(told.contains("by ") && told.contains("cosign.pub"), "{told}");
        let verified = ok(desk.cli(&["plugin", "verify", &signed, "--plain-http", "--key", &key], ""));
        assert!(verified.starts_with("ok "), "{verified}");
        let refused = desk.cli(&["plugin", "verify", &unsigned, "--plain-http", "--key", &key], "");
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stdout.contains("has no signature"), "{refused:?}");

        let with = |plugin: &str, more: &str| {
            let plugins = format!("trust: [{{ key: \"{key}\" }}], plain_http: [\"{host}\"]{more}");
            config(&format!("plugin: \"{plugin}\""), &plugins)
        };
        let mut flitch = Flitch::start(FLITCH, &with(&signed, ""));
        append(&flitch.at("app.log"), 0..10);
        eventually("the records", DEADLINE, || came(&flitch, "g0000001", 10));
        let filter = flitch.status()["filters"]["mark"].clone();
        assert_eq!(filter["reference"], *signed);
        assert!(filter["signed_by"].as_str().unwrap().contains("cosign.pub (sha256:"), "{filter}");
        let probe = |flitch: &Flitch| flitch.cli(&["check", "--probe"], "");
        ok(probe(&flitch));
        // A key that is taken away: what it signed may not run any more.
        let other = concat!(env!("CARGO_MANIFEST_DIR"), "/registry/fixtures/other.pub");
        flitch.configure(&with(&signed, "").replace(&key, other));
        flitch.signal(Signal::Hup);
        log_says(&flitch, "by none of the keys");
        let unproven = probe(&flitch);
        assert!(!unproven.status.success(), "{unproven:?}");
        flitch.configure(&with(&unsigned, ""));
        flitch.signal(Signal::Hup);
        log_says(&flitch, "has no signature; sign it");
        append(&flitch.at("app.log"), 10..20);
        eventually("what runs goes on", DEADLINE, || came(&flitch, "g0000001", 20));
        // What was pulled and may not run is refused without its registry, too.
        drop(registry);
        let checked = flitch.cli(&["check"], "");
        assert_eq!(checked.status.code(), Some(64), "{checked:?}");
        assert!(
            checked.stderr.contains("may not run") && checked.stderr.contains("flitch.yaml:"),
            "{checked:?}"
        );
        flitch.configure(&with(&unsigned, ", require_signature: false"));
        flitch.signal(Signal::Hup);
        append(&flitch.at("app.log"), 20..30);
        eventually("the other runs", DEADLINE, || {
            append(&flitch.at("app.log"), 30..31);
            came(&flitch, "g0000002", 1)
        });
        flitch.configure(&with(&signed, ""));
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        flitch.run();
    }
}

/// What came of the filter `mark`, and who did it.
fn history(flitch: &Flitch) -> Vec<(String, String)> {
    let told = http::get(flitch.admin(), "/api/filters/history?filter=mark").unwrap().json().unwrap();
    let text = |entry: &serde_json::Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    told.as_array().unwrap().iter().map(|entry| (text(entry, "by"), text(entry, "result"))).collect()
}

/// Whether the registry was the last to change the filter `mark`, at the change of this number, and this came of it.
fn is_last(flitch: &Flitch, number: usize, result: &str) -> bool {
    let history = history(flitch);
    history.len() == number && history.last() == Some(&("registry".to_owned(), result.to_owned()))
}

#[test]
fn a_tag_that_moves_is_swapped_in_and_one_that_fails_its_trial_leaves_what_runs() {
    let desk = desk();
    let registry = Registry::go(true, true).unwrap();
    let host = registry.host();
    fs::create_dir(desk.at("docker")).unwrap();
    let auths = serde_json::json!({"auths": {&host: {"username": USER, "password": PASSWORD}}});
    fs::write(desk.at("docker/config.json"), auths.to_string()).unwrap();
    let docker = desk.at("docker").display().to_string();
    let desk = desk.env("DOCKER_CONFIG", &docker);
    let tag = format!("oci://{host}/team/mark:stable");
    let push = |letter, number| push(&desk, letter, number, &tag, &["--plain-http"]);
    push('g', 1);
    let plugins = format!("plain_http: [\"{host}\"], docker_config: \"{docker}/config.json\"");
    let flitch = Flitch::start(FLITCH, &config(&format!("plugin: \"{tag}\", update: 1s"), &plugins));
    append(&flitch.at("app.log"), 0..10);
    eventually("the records", DEADLINE, || came(&flitch, "g0000001", 10));
    push('g', 2);
    eventually("the swap", DEADLINE, || is_last(&flitch, 2, "in_force"));
    append(&flitch.at("app.log"), 10..20);
    eventually("the records", DEADLINE, || came(&flitch, "g0000002", 10));
    push('r', 3);
    eventually("the refusal", DEADLINE, || is_last(&flitch, 3, "failed"));
    append(&flitch.at("app.log"), 20..30);
    eventually("what runs goes on", DEADLINE, || came(&flitch, "g0000002", 20));
    push('g', 4);
    eventually("the next one", DEADLINE, || is_last(&flitch, 4, "in_force"));
    append(&flitch.at("app.log"), 30..40);
    eventually("the records", DEADLINE, || came(&flitch, "g0000004", 10));
    let pulls = flitch.metrics().count("flitch_plugin_pulls_total", &[("result", "pulled")]);
    assert_eq!(pulls, 4, "each of them once");
    drop(registry);
    log_says(&flitch, "no new plugin is taken from the registry");
    append(&flitch.at("app.log"), 40..50);
    eventually("it goes on without its registry", DEADLINE, || came(&flitch, "g0000004", 20));
    assert!(flitch.status()["ailments"].to_string().contains("cannot be reached"), "{}", flitch.status());
}

#[test]
fn what_is_pushed_is_read_by_crane_and_oras() {
    let desk = desk();
    let registry = Registry::go(true, false).unwrap();
    let tag = format!("oci://{}/team/mark:1", registry.host());
    let pinned = push(&desk, 'g', 1, &tag, &["--plain-http"]);
    let (name, digest) = pinned.trim_start_matches("oci://").split_once('@').unwrap();
    let repository = name.trim_end_matches(":1");
    let component = fs::read(desk.at("mark.wasm")).unwrap();
    let digest_by_crane = client("crane", &["digest", "--insecure", name]).unwrap();
    assert_eq!(String::from_utf8(digest_by_crane).unwrap().trim(), digest);
    let manifest = client("oras", &["manifest", "fetch", "--plain-http", name]).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    let layer = format!("{repository}@{}", manifest["layers"][0]["digest"].as_str().unwrap());
    assert_eq!(client("crane", &["blob", "--insecure", &layer]).unwrap(), component);
    assert_eq!(
        client("oras", &["blob", "fetch", "--plain-http", "--output", "-", &layer]).unwrap(),
        component
    );
    let copy = desk.at("copied").display().to_string();
    client("oras", &["copy", "--from-plain-http", "--to-oci-layout", name, &format!("{copy}:1")]).unwrap();
    let verified = ok(desk.cli(&["plugin", "verify", &format!("oci-layout:{copy}:1@{digest}")], ""));
    assert!(verified.starts_with("ok "), "{verified}");
}

#[test]
fn a_new_dissect_is_in_force_soon_after_its_tag_has_moved() {
    let desk = desk();
    let registry = Registry::go(true, false).unwrap();
    let host = registry.host();
    let tag = format!("oci://{host}/team/dissect:stable");
    ok(desk.cli(&["plugin", "push", "dissect", &tag, "--plain-http"], ""));
    let file = desk.at("dissect.wasm").display().to_string();
    ok(desk.cli(&["plugin", "pull", &tag, "--plain-http", "-o", &file], ""));
    let filter =
        format!("plugin: \"{tag}\", update: 1s, settings: {{ pattern: \"n=%{{n}} and %{{rest}}\" }}");
    let flitch = Flitch::start(FLITCH, &config(&filter, &format!("plain_http: [\"{host}\"]")));
    append(&flitch.at("app.log"), 0..1000);
    flitch.settled_after(1000, DEADLINE);
    // The same code with a word of nobody behind it (a custom section) is another plugin.
    let mut component = fs::read(&file).unwrap();
    component.extend_from_slice(b"\0\x02\x01x");
    fs::write(&file, component).unwrap();
    ok(desk.cli(&["plugin", "push", &file, &tag, "--plain-http"], ""));
    eventually("the swap", DEADLINE, || is_last(&flitch, 2, "in_force"));
    let log = flitch.log();
    let told = |words: &str| log.lines().rfind(|line| line.contains(words)).unwrap_or_default().to_owned();
    eprintln!("{}\n{}", told("stands for another plugin"), told("a new generation of the filter"));
    append(&flitch.at("app.log"), 1000..1010);
    flitch.settled_after(1010, DEADLINE);
}

#[test]
fn a_configuration_is_locked_to_digests_and_a_tag_that_moves_away_is_told() {
    let desk = desk();
    let registry = Registry::go(true, false).unwrap();
    let host = registry.host();
    let tag = format!("oci://{host}/team/mark:1");
    let push = |number| push(&desk, 'g', number, &tag, &["--plain-http"]);
    let first = push(1);
    let text = config(&format!("plugin: {tag}  # the marker"), &format!("plain_http: [\"{host}\"]"));
    let text = text
        .replace("{ plugin", "\n    plugin")
        .replace("  # the marker, wasi: none }", "  # the marker\n    wasi: none");
    let flitch = Flitch::new(FLITCH, &text);
    let written = || fs::read_to_string(flitch.config_file()).unwrap();
    let before = written();
    let lock = |more: &[&str]| flitch.cli(&[&["plugin", "lock"], more].concat(), "");
    ok(lock(&[]));
    assert_eq!(written(), before.replace(&tag, &format!("\"{first}\"")), "nothing else is touched");
    assert!(ok(lock(&[])).contains("stays"));
    ok(flitch.cli(&["check"], ""));
    let second = push(2);
    for refused in [lock(&[]), flitch.cli(&["plugin", "verify"], "")] {
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stdout.contains("the tag `1` stands for"), "{refused:?}");
    }
    assert!(written().contains(&first));
    ok(lock(&["--update"]));
    assert!(written().contains(&second) && !written().contains(&first), "{}", written());
    // One that was never pulled here, and whose tag has moved away, is refused with its line.
    push(3);
    fs::remove_dir_all(flitch.at("data/registry")).unwrap();
    let pulled = flitch.cli(&["plugin", "pull", "-c", "flitch.yaml"], "");
    assert!(pulled.status.code() == Some(1) && pulled.stderr.contains("pinned to"), "{pulled:?}");
}

#[test]
fn a_plugin_is_carried_to_a_machine_without_a_network_with_its_signatures() {
    let desk = desk();
    let cosign = Cosign(desk.dir());
    cosign.generate().unwrap();
    let registry = Registry::go(true, false).unwrap();
    let tag = format!("oci://{}/team/mark:1", registry.host());
    let pinned = push(&desk, 'g', 1, &tag, &["--plain-http"]);
    cosign.sign(&pinned.replace("oci://", "").replace(":1@", "@"), true).unwrap();
    let layout = desk.at("carried");
    let to = format!("oci-layout:{}:1", layout.display());
    ok(desk.cli(&["plugin", "pull", &pinned, "--plain-http", "--to", &to], ""));
    drop(registry);
    let key = desk.at("cosign.pub").display().to_string();
    let with = |key: &str| config(&format!("plugin: \"{to}\""), &format!("trust: [{{ key: \"{key}\" }}]"));
    let flitch = Flitch::start(FLITCH, &with(&key));
    append(&flitch.at("app.log"), 0..10);
    eventually("the records", DEADLINE, || came(&flitch, "g0000001", 10));
    // What is added to the layout is swapped in like a file, if it may run.
    push(&desk, 'g', 2, &to, &[]);
    log_says(&flitch, "has no signature");
    append(&flitch.at("app.log"), 10..20);
    eventually("what runs goes on", DEADLINE, || came(&flitch, "g0000001", 20));
}
