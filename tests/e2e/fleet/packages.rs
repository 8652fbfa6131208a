//! Packages that the server offers, which are plugins: signed by cosign, downloaded from a server of HTTP.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use flitch_registry::Digest;
use flitch_tests::flitch::Flitch;
use flitch_tests::guests;
use flitch_tests::http_server::{Reply, Server};
use flitch_tests::process::Signal;
use flitch_tests::servers::opamp::Opamp;
use flitch_tests::servers::registry::Cosign;
use flitch_tests::wait::eventually;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{all_arrive, copying, own, told};
use crate::support::*;

/// A flitch that takes packages, and who makes and has them.
struct Scene {
    server: Opamp,
    flitch: Flitch,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    shop: Server,
    maker: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let files = Arc::<Mutex<BTreeMap<String, Vec<u8>>>>::default();
        let there = files.clone();
        let shop = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
            if request.header("x-token") != Some("hush") {
                return Reply { status: 403, ..Reply::default() };
            }
            match there.lock().get(&request.path) {
                Some(body) => Reply { status: 200, body: body.clone(), ..Reply::default() },
                None => Reply { status: 404, ..Reply::default() },
            }
        })
        .unwrap();
        let maker = tempfile::tempdir().unwrap();
        Cosign(maker.path()).generate().unwrap();
        let server = Opamp::start(&[]).unwrap();
        let text = own(&server.endpoint("ws"), ", accept_packages: true");
        let key = maker.path().join("cosign.pub");
        let plugins = format!(
            "plugins: {{ trust: [{{ key: \"{}\" }}], plain_http: [\"127.0.0.1:{}\"], max_bytes: 1MiB }}\n",
            key.display(),
            shop.port()
        );
        let mut flitch = Flitch::new(FLITCH, &(text + &plugins));
        std::fs::create_dir(flitch.at("in")).unwrap();
        std::fs::create_dir(flitch.at("out")).unwrap();
        flitch.run();
        eventually("the agent is known", DEADLINE, || server.agent());
        Scene { server, flitch, files, shop, maker }
    }

    /// A package of this content, as the server is to offer it.
    fn package(&self, version: &str, content: Vec<u8>) -> Value {
        let file = self.maker.path().join("content");
        std::fs::write(&file, &content).unwrap();
        let signature = Cosign(self.maker.path()).sign_file(&file).unwrap();
        let path = format!("/{version}.wasm");
        let url = format!("http://127.0.0.1:{}{path}", self.shop.port());
        let digest = Digest::of(&content).hex().to_owned();
        self.files.lock().insert(path, content);
        json!({
            "version": version, "hash": format!("hash of {version}"), "url": url, "content": digest,
            "signature": signature, "headers": { "x-token": "hush" },
        })
    }

    fn generation(&self, letter: char, number: usize) -> Value {
        self.package(&format!("1.{number}"), guests::generation(letter, number))
    }

    fn offers(&self, hash: &str, packages: &Value) {
        self.server.does(&format!("/packages?hash={hash}"), &packages.to_string()).unwrap();
    }

    /// Waits until the server knows that a package is so, and answers what it is told.
    #[track_caller]
    fn told_of(&self, name: &str, version: &str, status: &str) -> Value {
        eventually(&format!("{name} is {status}"), DEADLINE, || {
            let package = self.server.agent()?["packages"][name].clone();
            (package["version"] == version && package["status"] == status).then_some(package)
        })
    }

    /// Writes lines, and waits until one of them came out of this generation.
    #[track_caller]
    fn runs(&self, generation: &str) {
        let wanted = format!("\"generation\":\"{generation}\"");
        eventually(generation, DEADLINE, || {
            append(&self.flitch.at("in/a.log"), 0..1);
            let out = std::fs::read_to_string(self.flitch.at("out/first.ndjson")).unwrap_or_default();
            out.lines().next_back().is_some_and(|line| line.contains(&wanted))
        });
    }
}

/// A configuration that runs the package `mark`.
fn marking(flitch: &Flitch) -> String {
    copying(flitch, "first").replace("to: [first]", "filters: [mark], workers: 1, to: [first]")
        + "filters:\n  mark: { plugin: \"package:mark\", wasi: none, probation: { for: 60s } }\n"
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_package_that_is_offered_with_its_configuration_runs_is_swapped_and_is_there_after_a_restart() {
    let mut scene = Scene::new();
    let agent = scene.server.agent().unwrap();
    assert_eq!(agent["capabilities"].as_u64().unwrap() & 0x18, 0x18, "it takes packages and tells of them");
    let packages = json!({ "mark": scene.generation('g', 1) });
    let config = hex(marking(&scene.flitch).as_bytes());
    let path = format!("/packages?hash=all-1&config_hash=one&config={config}");
    scene.server.does(&path, &packages.to_string()).unwrap();
    told(&scene.server, "one", "APPLIED");
    let package = scene.told_of("mark", "1.1", "Installed");
    assert_eq!(package["hash"], hex(b"hash of 1.1"));
    scene.runs("g0000001");
    let agent = eventually("the signer is known", DEADLINE, || {
        scene
            .server
            .agent()
            .filter(|agent| agent["statuses"]["filters.mark"].to_string().contains("signed by"))
    });
    assert_eq!(agent["packages_hash"], "all-1");
    let status = agent["statuses"]["filters.mark"].as_str().unwrap();
    assert!(
        status.starts_with("running: package:mark:1.1@sha256:") && status.contains("cosign.pub"),
        "{status}"
    );
    assert!(scene.flitch.status()["filters"]["mark"]["signed_by"].is_string());

    scene.offers("all-2", &json!({ "mark": scene.generation('g', 2) }));
    scene.told_of("mark", "1.2", "Installed");
    scene.runs("g0000002");
    eventually("its configuration has stood", DEADLINE, || {
        scene.flitch.at("data/manage/configuration.json").exists()
    });
    eventually("what is here is kept", DEADLINE, || scene.flitch.at("data/manage/packages.json").exists());

    // The server and the shop are away.
    scene.server.kill();
    scene.files.lock().clear();
    assert!(scene.flitch.terminate(DEADLINE).success(), "{}", scene.flitch.log());
    scene.flitch.run();
    scene.runs("g0000002");
    scene.server.restart().unwrap();
    let package = scene.told_of("mark", "1.2", "Installed");
    assert_eq!(package["error"], "");
    assert_eq!(scene.server.agent().unwrap()["packages_hash"], "all-2", "the server knows what is here");
}

#[test]
fn packages_that_may_not_run_are_refused_each_with_its_reason_and_what_runs_goes_on() {
    let scene = Scene::new();
    let good = scene.generation('g', 1);
    scene.offers("all-1", &json!({ "mark": good }));
    scene.told_of("mark", "1.1", "Installed");
    scene.server.offers("one", &marking(&scene.flitch)).unwrap();
    told(&scene.server, "one", "APPLIED");
    scene.runs("g0000001");
    let with = |of: &Value, key: &str, value: Value| {
        let mut package = of.clone();
        package[key] = value;
        package
    };
    let next = scene.generation('g', 2);
    let signature_of_other = good["signature"].clone();
    let port = scene.shop.port();
    let wrong = json!({
        "mark": with(&next, "signature", "".into()),
        "wrongly-signed": with(&next, "signature", signature_of_other),
        "tampered": with(&next, "content", Digest::of(b"what was built").hex().into()),
        "large": scene.package("large", vec![0; 2 << 20]),
        "elsewhere": with(&next, "url", format!("http://localhost:{port}/1.2.wasm").into()),
        "tls": with(&next, "url", "http://127.0.0.1:1/1.2.wasm".into()),
        "no-plugin": scene.package("text", b"no plugin at all".to_vec()),
        "core": scene.package("core", b"\0asm\x01\0\0\0".to_vec()),
        "flitch": with(&next, "top_level", true.into()),
        "..": next,
        "token": with(&next, "headers", json!({})),
    });
    scene.offers("all-2", &wrong);
    for (name, words) in [
        ("mark", "it has no signature"),
        ("wrongly-signed", "its signature is by none of the keys"),
        ("tampered", "was offered"),
        ("large", "`plugins.max_bytes`"),
        ("elsewhere", "`localhost` is no host that a server may have flitch connect to"),
        ("tls", "not among `plugins.plain_http`"),
        ("no-plugin", "it is no WebAssembly component"),
        ("core", "it is a core module"),
        ("flitch", "TopLevel"),
        ("..", "its name is none"),
        ("token", "answers 403"),
    ] {
        let has = if name == "mark" { "1.1" } else { "" };
        let package = scene.told_of(name, has, "InstallFailed");
        assert!(package["error"].as_str().unwrap().contains(words), "{name}: {package}");
    }
    scene.runs("g0000001");
    // What could not be had is had when it can be.
    scene.offers("all-3", &json!({ "mark": scene.generation('g', 3) }));
    scene.told_of("mark", "1.3", "Installed");
    scene.runs("g0000003");
}

#[test]
fn a_package_that_fails_its_trial_or_is_rolled_back_leaves_what_was_before_also_after_a_restart() {
    let mut scene = Scene::new();
    scene.offers("all-1", &json!({ "mark": scene.generation('g', 1) }));
    scene.told_of("mark", "1.1", "Installed");
    scene.server.offers("one", &marking(&scene.flitch)).unwrap();
    told(&scene.server, "one", "APPLIED");
    scene.runs("g0000001");
    scene.offers("all-2", &json!({ "mark": scene.generation('r', 2) }));
    let package = scene.told_of("mark", "1.1", "InstallFailed");
    assert!(package["error"].as_str().unwrap().contains("this generation takes no settings"), "{package}");
    assert_eq!(package["offered"], hex(b"hash of 1.2"));
    scene.runs("g0000001");
    scene.offers("all-3", &json!({ "mark": scene.generation('g', 3) }));
    scene.told_of("mark", "1.3", "Installed");
    scene.runs("g0000003");
    let admin = format!("http://{}", scene.flitch.admin());
    let rolled = scene.flitch.cli(&["filter", "rollback", "mark", "--admin", &admin], "");
    assert!(rolled.status.success(), "{rolled:?}");
    let package = scene.told_of("mark", "1.1", "InstallFailed");
    assert!(package["error"].as_str().unwrap().contains("somebody asked for it"), "{package}");
    scene.runs("g0000001");
    eventually("its configuration has stood", DEADLINE, || {
        scene.flitch.at("data/manage/configuration.json").exists()
    });
    assert!(scene.flitch.terminate(DEADLINE).success(), "{}", scene.flitch.log());
    scene.flitch.run();
    scene.runs("g0000001");
}

#[test]
fn a_package_that_rejects_what_the_one_before_took_goes_by_itself_also_from_disk() {
    let mut scene = Scene::new();
    scene.offers("all-1", &json!({ "mark": scene.generation('g', 1) }));
    scene.told_of("mark", "1.1", "Installed");
    scene.server.offers("one", &marking(&scene.flitch)).unwrap();
    told(&scene.server, "one", "APPLIED");
    append(&scene.flitch.at("in/a.log"), 0..2_000);
    all_arrive(&scene.flitch, &["first"], 0..2_000);
    eventually("its configuration has stood", DEADLINE, || {
        scene.flitch.at("data/manage/configuration.json").exists()
    });
    // It stands the trial, since to reject is its own business.
    let worse = json!({ "mark": scene.generation('j', 2) });
    scene.offers("all-2", &worse);
    scene.told_of("mark", "1.2", "Installed");
    append(&scene.flitch.at("in/a.log"), 2_000..4_000);
    let gone = |scene: &Scene| {
        let package = scene.told_of("mark", "1.1", "InstallFailed");
        assert!(package["error"].as_str().unwrap().contains("reject"), "{package}");
        let hashes = [&package["hash"], &package["offered"]].map(|hash| hash.as_str().unwrap().to_owned());
        assert_eq!(hashes, [hex(b"hash of 1.1"), hex(b"hash of 1.2")]);
        let record = std::fs::read_to_string(scene.flitch.at("data/registry/packages/mark.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        assert_eq!((&record["now"]["version"], &record["before"]), (&json!("1.1"), &Value::Null));
        let content = format!("data/registry/packages/{}.wasm", worse["mark"]["content"].as_str().unwrap());
        assert!(!scene.flitch.at(&content).exists());
    };
    gone(&scene);
    all_arrive(&scene.flitch, &["first"], 0..4_000);
    eventually("the signer of what is back is told", DEADLINE, || {
        let status = scene.server.agent()?["statuses"]["filters.mark"].as_str()?.to_owned();
        (status.starts_with("running: package:mark:1.1@sha256:") && status.contains("signed by"))
            .then_some(())
    });
    // It is not had again because it is offered again, nor by a flitch that starts.
    scene.offers("all-3", &worse);
    eventually("the offer is known", DEADLINE, || {
        scene.server.agent().filter(|agent| agent["packages_hash"] == "all-3")
    });
    gone(&scene);
    assert!(scene.flitch.terminate(DEADLINE).success(), "{}", scene.flitch.log());
    scene.flitch.run();
    scene.runs("g0000001");
    gone(&scene);
}

#[test]
fn a_package_that_is_offered_no_more_stays_while_it_is_named_and_goes_then() {
    let scene = Scene::new();
    // One whose package comes later is tried again then.
    scene.server.offers("one", &marking(&scene.flitch)).unwrap();
    let agent = told(&scene.server, "one", "FAILED");
    assert!(agent["message"].as_str().unwrap().contains("has not come to this machine"), "{agent}");
    scene.offers("all-1", &json!({ "mark": scene.generation('g', 1), "spare": scene.generation('g', 2) }));
    told(&scene.server, "one", "APPLIED");
    scene.runs("g0000001");
    scene.offers("none", &json!({}));
    let package = eventually("it stays", DEADLINE, || {
        let package = scene.server.agent()?["packages"]["mark"].clone();
        (package["error"] != "").then_some(package)
    });
    assert!(package["error"].as_str().unwrap().contains("`filters.mark` names it"), "{package}");
    let has = |name: &str| scene.flitch.at(&format!("data/registry/packages/{name}.json")).exists();
    eventually("the other is gone", DEADLINE, || !has("spare"));
    assert!(has("mark"));
    scene.flitch.signal(Signal::Hup);
    scene.runs("g0000001");
    scene.server.offers("two", &copying(&scene.flitch, "second")).unwrap();
    told(&scene.server, "two", "APPLIED");
    eventually("it is gone", DEADLINE, || !has("mark"));
}
