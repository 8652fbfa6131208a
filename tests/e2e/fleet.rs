//! flitch managed by a server of OpAMP (opamp-go's): what it reports, what it takes, and what it refuses or takes back
//! without losing a record.

mod many;
mod packages;
mod transport;

use std::time::{Duration, Instant};

use flitch_tests::flitch::Flitch;
use flitch_tests::servers::opamp::Opamp;
use flitch_tests::servers::s3::{KEY, KEY_ID, S3};
use flitch_tests::wait::eventually;
use serde_json::Value;

use crate::support::*;

/// The machine's own file: who manages it, and what may be reached. A pipeline of its own, where there is one.
fn own(endpoint: &str, more: &str) -> String {
    format!(
        "manage:\n  opamp: {{ endpoint: \"{endpoint}\", heartbeat: 1s, probation: 3s{more} }}\n  allow: {{ read: [\"{{dir}}/in\"], \
         write: [\"{{dir}}/out\"], hosts: [127.0.0.1] }}\n"
    )
}

/// A configuration that copies lines, under a name of its own.
fn copying(flitch: &Flitch, name: &str) -> String {
    let text = format!(
        "sources:\n  lines: {}\noutputs:\n  {name}: {{ type: file, path: \"{{dir}}/out/{name}.ndjson\" }}\n\
         pipelines:\n  main: {{ from: [lines], to: [{name}] }}\n",
        file_source("in/*.log")
    );
    text.replace("{dir}", &flitch.dir().to_string_lossy())
}

/// A flitch of its own folders that knows the server, and waits for it.
fn managed(server: &Opamp, more: &str) -> Flitch {
    let mut flitch = Flitch::new(FLITCH, &own(&server.endpoint("ws"), more));
    std::fs::create_dir(flitch.at("in")).unwrap();
    std::fs::create_dir(flitch.at("out")).unwrap();
    flitch.run();
    eventually("the agent is known", DEADLINE, || server.agent());
    flitch
}

/// Waits until the server knows what became of the configuration of this hash.
#[track_caller]
fn told(server: &Opamp, hash: &str, status: &str) -> Value {
    let wanted = format!("RemoteConfigStatuses_{status}");
    eventually(&format!("{hash} is {status}"), DEADLINE, || {
        server.agents().into_iter().find(|agent| agent["hash"] == hash && agent["status"] == wanted)
    })
}

fn numbers(flitch: &Flitch, name: &str) -> std::collections::BTreeMap<usize, usize> {
    let text = std::fs::read_to_string(flitch.at(&format!("out/{name}.ndjson"))).unwrap_or_default();
    let mut all = std::collections::BTreeMap::new();
    for number in text.lines().filter_map(number_in) {
        *all.entry(number).or_default() += 1;
    }
    all
}

/// All of these lines are in one of the outputs.
#[track_caller]
fn all_arrive(flitch: &Flitch, names: &[&str], lines: std::ops::Range<usize>) {
    eventually("all lines are there", DEADLINE, || {
        let all: Vec<_> = names.iter().map(|name| numbers(flitch, name)).collect();
        lines.clone().all(|n| all.iter().any(|one| one.contains_key(&n)))
    });
}

#[test]
fn a_server_hears_of_a_flitch_and_gives_it_a_configuration_that_is_in_force_within_a_second() {
    let server = Opamp::start(&[]).unwrap();
    let flitch = managed(&server, ", labels: { site: berlin }");
    let agent = server.agent().unwrap();
    assert_eq!(agent["description"]["service.name"], "flitch");
    assert_eq!(agent["description"]["site"], "berlin");
    assert_eq!(agent["healthy"], true);
    assert!(agent["effective"][""].as_str().unwrap().contains("heartbeat: 1s"));
    append(&flitch.at("in/a.log"), 0..100);
    let began = Instant::now();
    server.offers("one", &copying(&flitch, "first")).unwrap();
    told(&server, "one", "APPLIED");
    eprintln!("push to APPLIED: {:?}", began.elapsed());
    all_arrive(&flitch, &["first"], 0..100);
    let agent = eventually("what is in force is known", DEADLINE, || {
        let is_in_force = |agent: &Value| agent["effective"][""].as_str().unwrap().contains("first.ndjson");
        server.agent().filter(is_in_force)
    });
    assert!(agent["effective"]["own"].as_str().unwrap().contains("manage:"));
    assert!(agent["components"].as_object().unwrap().contains_key("outputs.first"), "{agent}");
    flitch.settled_after(100, DEADLINE);
}

#[test]
fn the_last_good_configuration_is_in_force_after_a_restart_while_the_server_is_away() {
    let mut server = Opamp::start(&[]).unwrap();
    let mut flitch = managed(&server, "");
    let uid = server.agent().unwrap()["uid"].clone();
    server.offers("one", &copying(&flitch, "first")).unwrap();
    told(&server, "one", "APPLIED");
    eventually("it has stood its probation", DEADLINE, || {
        flitch.at("data/manage/configuration.json").exists()
    });
    server.kill();
    assert!(flitch.terminate(DEADLINE).success());
    flitch.run();
    append(&flitch.at("in/a.log"), 0..50);
    all_arrive(&flitch, &["first"], 0..50);
    server.restart().unwrap();
    let agent = told(&server, "one", "APPLIED");
    assert_eq!(agent["uid"], uid, "it goes by the same number");
}

#[test]
fn what_is_bad_empty_or_hostile_leaves_the_old_one_running_and_loses_nothing() {
    let server = Opamp::start(&[]).unwrap();
    let flitch = managed(&server, "");
    server.offers("good", &copying(&flitch, "first")).unwrap();
    told(&server, "good", "APPLIED");
    let good = copying(&flitch, "first");
    let many: String = (0..10_000)
        .map(|n| format!("  f{n}: {{ plugin: set, settings: {{ set: {{ n: {n} }} }} }}\n"))
        .collect();
    let cases = [
        ("no-yaml", "pipelines: [".to_owned(), "this is not YAML"),
        ("unknown-key", good.replace("include", "inclde"), "did you mean `include`?"),
        (
            "unknown-plugin",
            format!(
                "{}filters:\n  f: {{ plugin: nothing }}\n",
                good.replace("from: [lines]", "from: [lines], filters: [f]")
            ),
            "no stock plugin",
        ),
        ("empty", "# nothing\n".to_owned(), "empty"),
        ("partial", good.split("pipelines").next().unwrap().to_owned(), "there is no pipeline"),
        ("manage", format!("manage: {{ allow: {{ hosts: [\"*\"] }} }}\n{good}"), "belongs to the machine"),
        ("read", good.replace("/in/*.log", "/*.yaml"), "manage.allow.read"),
        ("write", good.replace("/out/first", "/first"), "manage.allow.write"),
        (
            "host",
            good.replace(
                "type: file, path:",
                "type: http, url: \"http://example.com/\", request_headers: { x: \"1\" } } #",
            ),
            "manage.allow.hosts",
        ),
        (
            "placeholder",
            good.replace(
                "type: file, path:",
                "type: http, url: \"http://127.0.0.1/${file:/etc/passwd}\" } #",
            ),
            "manage.allow.read",
        ),
        ("filters", format!("{good}filters:\n{many}"), "more than 50000"),
    ];
    let memory = flitch.memory_peak();
    for (number, (hash, text, wanted)) in cases.iter().enumerate() {
        append(&flitch.at("in/a.log"), number * 100..(number + 1) * 100);
        server.offers(hash, text).unwrap();
        let agent = told(&server, hash, "FAILED");
        let message = agent["message"].as_str().unwrap();
        assert!(message.contains(wanted), "{hash}: {message}");
    }
    server.does("/config?hash=none&files=0", "").unwrap();
    told(&server, "none", "FAILED");
    server.does("/config?hash=large&bytes=104857600", "").unwrap();
    eventually("the agent has come back", DEADLINE, || {
        flitch.log().contains("`max_bytes`") && server.agent().is_some_and(|agent| agent["connected"] == true)
    });
    let grown = flitch.memory_peak() - memory;
    eprintln!("memory of hostile configurations: {} KiB", grown >> 10);
    assert!(grown < 64 << 20, "{grown}");
    all_arrive(&flitch, &["first"], 0..cases.len() * 100);
    flitch.settled_after(cases.len() as u64 * 100, DEADLINE);
}

#[test]
fn a_configuration_that_cannot_deliver_is_taken_back_with_the_reason_and_nothing_is_lost() {
    let server = Opamp::start(&[]).unwrap();
    let flitch = managed(&server, "");
    server.offers("good", &copying(&flitch, "first")).unwrap();
    told(&server, "good", "APPLIED");
    append(&flitch.at("in/a.log"), 0..500);
    all_arrive(&flitch, &["first"], 0..500);
    eventually("it has stood its probation", DEADLINE, || {
        flitch.at("data/manage/configuration.json").exists()
    });
    let dead = flitch_tests::ports::free();
    let away = copying(&flitch, "first").replace(
        "{ type: file, path:",
        &format!(
            "{{ type: http, url: \"http://127.0.0.1:{dead}/\", retry: {{ initial: 50ms, max: 200ms }} }} #"
        ),
    );
    let began = Instant::now();
    server.offers("away", &away).unwrap();
    told(&server, "away", "APPLIED");
    append(&flitch.at("in/a.log"), 500..1_000);
    let agent = told(&server, "away", "FAILED");
    eprintln!("push to reverted: {:?}", began.elapsed());
    let message = agent["message"].as_str().unwrap();
    assert!(
        message.contains("output first") && message.contains("what was before is in force again"),
        "{message}"
    );
    append(&flitch.at("in/a.log"), 1_000..1_500);
    all_arrive(&flitch, &["first"], 0..1_500);
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_flitch_restarts_when_its_server_wants_that_and_takes_the_number_that_it_gives() {
    let server = Opamp::start(&[]).unwrap();
    let flitch = managed(&server, "");
    let given = "0192f0c4d5e67f8091a2b3c4d5e6f701";
    server.does(&format!("/uid?new={given}"), "").unwrap();
    eventually("it goes by the new number", DEADLINE, || {
        server.agents().into_iter().any(|agent| agent["uid"] == given)
    });
    server.offers("one", &copying(&flitch, "first")).unwrap();
    told(&server, "one", "APPLIED");
    append(&flitch.at("in/a.log"), 0..200);
    let (pid, before) = (flitch.pid(), flitch.log().matches("ready").count());
    eventually("it begins anew", DEADLINE, || {
        server.does(&format!("/restart?agent={given}"), "").unwrap();
        flitch.log().contains("beginning anew")
    });
    eventually("it is there again", DEADLINE, || {
        flitch.ready() && flitch.log().matches("ready").count() > before
    });
    assert_eq!(flitch.pid(), pid, "in the same process");
    append(&flitch.at("in/a.log"), 200..400);
    all_arrive(&flitch, &["first"], 0..400);
    eventually("by the same number", DEADLINE, || {
        server.agents().into_iter().find(|agent| agent["uid"] == given && agent["connected"] == true)
    });
}

#[test]
fn a_restart_that_would_be_the_end_is_refused_and_the_server_hears_why() {
    let server = Opamp::start(&[]).unwrap();
    let flitch = managed(&server, "");
    server.offers("one", &copying(&flitch, "first")).unwrap();
    told(&server, "one", "APPLIED");
    let file = std::fs::read_to_string(flitch.config_file()).unwrap();
    std::fs::write(flitch.config_file(), format!("{file}sorces: {{}}\n")).unwrap();
    let uid = server.agent().unwrap()["uid"].as_str().unwrap().to_owned();
    let asks = || server.does(&format!("/restart?agent={uid}"), "").unwrap();
    let component = eventually("the server hears of it", DEADLINE, || {
        asks();
        let component = server.agent()?["components"]["manage.opamp"].clone();
        component.to_string().contains("could not start again").then_some(component)
    });
    assert!(component.to_string().contains("sorces"), "{component}");
    append(&flitch.at("in/a.log"), 0..100);
    all_arrive(&flitch, &["first"], 0..100);
    std::fs::write(flitch.config_file(), file).unwrap();
    eventually("it begins anew", DEADLINE, || {
        asks();
        flitch.log().contains("beginning anew")
    });
    append(&flitch.at("in/a.log"), 100..200);
    all_arrive(&flitch, &["first"], 0..200);
}

#[test]
fn an_output_that_gathers_for_longer_than_the_probation_stands_and_its_records_arrive() {
    let (server, s3) = (Opamp::start(&[]).unwrap(), S3::start(&["logs"]).unwrap());
    let mut flitch = managed(&server, "");
    server.offers("one", &copying(&flitch, "first")).unwrap();
    told(&server, "one", "APPLIED");
    append(&flitch.at("in/a.log"), 0..100);
    all_arrive(&flitch, &["first"], 0..100);
    let archive = format!(
        "archive: {{ type: s3, bucket: logs, key: \"all/\", endpoint: \"{}\", access_key_id: {KEY_ID}, secret_access_key: {KEY} }}",
        s3.endpoint()
    );
    let text =
        copying(&flitch, "first").replace("from: [lines], to: [first]", "from: [lines], to: [archive]");
    server.offers("two", &text.replace("outputs:\n", &format!("outputs:\n  {archive}\n"))).unwrap();
    told(&server, "two", "APPLIED");
    eventually("it has stood", DEADLINE, || {
        // Something comes all the time, and none of it arrives within the probation.
        append(&flitch.at("in/a.log"), 100..110);
        let kept = std::fs::read_to_string(flitch.at("data/manage/configuration.json")).unwrap_or_default();
        kept.contains("archive").then_some(())
    });
    assert!(flitch.metrics().sums().in_flight > 0, "its records are gathered");
    assert!(s3.objects("logs").is_empty());
    assert_eq!(server.agent().unwrap()["status"], "RemoteConfigStatuses_APPLIED");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert!(s3.lines("logs").iter().any(|line| line.contains("n=0000109")));
}
