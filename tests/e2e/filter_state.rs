//! What filters remember: over a new version, a stop, a crash.

use std::fs;
use std::io::Write;

use flitch_tests::flitch::Flitch;
use flitch_tests::process::Signal;
use flitch_tests::wait::eventually;

use crate::support::*;

fn config(filter: &str) -> String {
    config_to(filter, "out: { type: file, path: \"{dir}/out.ndjson\" }")
}

fn config_to(filter: &str, output: &str) -> String {
    let filters = [("once", filter.to_owned())];
    pipeline(&file_source("app.log"), &filters, output)
}

fn write(flitch: &Flitch, lines: &[&str]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    open(&flitch.at("app.log")).write_all(text.as_bytes()).unwrap();
}

/// The messages that came out so far.
fn came(flitch: &Flitch) -> Vec<String> {
    let text = fs::read_to_string(flitch.at("out.ndjson")).unwrap_or_default();
    let message = |line| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].as_str().unwrap().to_owned()
    };
    text.lines().map(message).collect()
}

/// How many records the daemon that runs has taken in.
fn taken(flitch: &Flitch) -> u64 {
    flitch.metrics().sums().received
}

/// What is kept of the filter.
fn state(flitch: &Flitch) -> serde_json::Value {
    flitch.status()["filters"]["once"]["state"]["main"].clone()
}

#[test]
fn duplicates_are_known_after_a_new_version_a_stop_and_a_crash() {
    let dedupe = |window: u32| {
        config(&format!(
            "{{ plugin: dedupe, settings: {{ key: message, window_seconds: {window} }}, instances: 1, state: {{ interval: 100ms }} }}"
        ))
    };
    let mut flitch = Flitch::new(FLITCH, &dedupe(3600));
    write(&flitch, &["a", "b", "a"]);
    flitch.run();
    flitch.settled_after(3, DEADLINE);

    // Another setting is another generation.
    flitch.configure(&dedupe(7200));
    flitch.signal(Signal::Hup);
    eventually("the new settings", DEADLINE, || flitch.status()["generation"] == 2);
    write(&flitch, &["b", "c"]);
    flitch.settled_after(5, DEADLINE);
    assert_eq!(came(&flitch), ["a", "b", "c"]);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());

    let file = flitch.at("data/state/main.once");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    flitch.run();
    write(&flitch, &["c", "d"]);
    eventually("two records", DEADLINE, || taken(&flitch) == 2);
    flitch.settled(DEADLINE);
    assert_eq!(came(&flitch), ["a", "b", "c", "d"]);

    // Four keys of 40 bytes behind a head of 33.
    eventually("the save of `d`", DEADLINE, || state(&flitch)["bytes"] == 33 + 4 * 40);
    let saved = fs::read(&file).unwrap();
    eventually("the file of `d`", DEADLINE, || {
        let now = fs::read(&file).unwrap();
        now.len() >= saved.len() && now.windows(8).any(|w| w == b"[[0,193]")
    });
    eventually("the position behind `d`", DEADLINE, || {
        saved_position(&flitch) == fs::metadata(flitch.at("app.log")).unwrap().len()
    });
    flitch.kill();
    flitch.run();
    write(&flitch, &["d", "a", "e"]);
    eventually("three records", DEADLINE, || taken(&flitch) == 3);
    flitch.settled(DEADLINE);
    assert_eq!(came(&flitch), ["a", "b", "c", "d", "e"]);
    let restored = flitch.metrics().count("flitch_filter_state_restores_total", &[("result", "restored")]);
    assert_eq!(restored, 1);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn records_that_did_not_arrive_are_no_duplicates_of_themselves_after_a_stop_a_crash_and_a_reload() {
    let dedupe = "{ plugin: dedupe, settings: { key: message, window_seconds: 3600 }, instances: 1, state: { interval: 100ms } }";
    // Nobody listens there.
    let away = config_to(dedupe, "out: { type: http, url: \"http://127.0.0.1:9/\" }");
    let away = format!("drain_timeout: 100ms\n{away}");
    let mut flitch = Flitch::new(FLITCH, &away);
    write(&flitch, &["a", "b", "a"]);
    for ends in ["a stop", "a crash"] {
        flitch.run();
        eventually("three records", DEADLINE, || taken(&flitch) == 3);
        let dropped = [("filter", "once"), ("counter", "duplicates")];
        eventually("a duplicate", DEADLINE, || {
            flitch.metrics().count("flitch_filter_counter_total", &dropped) == 1
        });
        match ends {
            "a stop" => assert!(!flitch.terminate(DEADLINE).success(), "what it had did not arrive"),
            _ => {
                // Of another save, which is due while the records are under way, nothing is on disk.
                eventually("a save", DEADLINE, || {
                    flitch.metrics().count("flitch_filter_state_saves_total", &[("result", "saved")]) > 0
                });
                flitch.kill();
            }
        }
        assert!(!flitch.at("data/state/main.once").exists(), "{ends}");
    }
    flitch.run();
    eventually("three records", DEADLINE, || taken(&flitch) == 3);
    flitch.configure(&format!("drain_timeout: 2s\n{}", config(dedupe)));
    flitch.signal(Signal::Hup);
    eventually("what came before the output", DEADLINE, || came(&flitch).len() == 2);
    flitch.settled(DEADLINE);
    write(&flitch, &["b", "c"]);
    eventually("what came behind", DEADLINE, || came(&flitch).len() == 3);
    flitch.settled(DEADLINE);
    assert_eq!(came(&flitch), ["a", "b", "c"]);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn a_state_that_is_damaged_or_refused_leaves_the_filter_empty_and_is_told() {
    let dedupe =
        |key: &str| config(&format!("{{ plugin: dedupe, settings: {{ key: {key} }}, instances: 1 }}"));
    let mut flitch = Flitch::new(FLITCH, &dedupe("message"));
    write(&flitch, &["a"]);
    flitch.run();
    flitch.settled_after(1, DEADLINE);
    flitch.configure(&dedupe("[message, file]"));
    flitch.signal(Signal::Hup);
    eventually("the new settings", DEADLINE, || flitch.status()["generation"] == 2);
    write(&flitch, &["a"]);
    flitch.settled_after(2, DEADLINE);
    assert_eq!(came(&flitch), ["a", "a"], "it begins empty");
    let why = state(&flitch)["refused"].clone();
    assert!(why.as_str().unwrap().contains("settings.key"), "{why}");
    log_says(&flitch, "it does not take the state that was kept");
    assert!(flitch.terminate(DEADLINE).success());

    fs::write(flitch.at("data/state/main.once"), "no state at all").unwrap();
    flitch.run();
    write(&flitch, &["a"]);
    eventually("one record", DEADLINE, || taken(&flitch) == 1);
    flitch.settled(DEADLINE);
    assert_eq!(came(&flitch), ["a", "a", "a"]);
    let unreadable =
        flitch.metrics().count("flitch_filter_state_restores_total", &[("result", "unreadable")]);
    assert_eq!(unreadable, 1);
    assert!(flitch.terminate(DEADLINE).success());
}
