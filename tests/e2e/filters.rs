use std::fs;

use flitch_tests::flitch::Flitch;
use flitch_tests::guests;
use flitch_tests::process::Signal;
use flitch_tests::wait::eventually;

use crate::support::*;

/// The C filter as an entry of `filters`.
fn c_filter(more: &str) -> (&'static str, String) {
    ("unruly", format!("{{ plugin: \"{}\"{more} }}", guests::c_filter().display()))
}

/// Sends `texts` as lines through the C filter, with `more` in its settings, and waits until all are settled.
/// Gives the records in Kafka and the daemon, still running.
fn through(name: &str, more: &str, texts: &[&str]) -> (Vec<serde_json::Value>, Flitch) {
    let (kafka, topic) = topic(name);
    let config =
        pipeline(&file_source("app.log"), &[c_filter(more)], &kafka_output(&kafka.bootstrap(), &topic));
    let mut flitch = Flitch::new(FLITCH, &config);
    let text: String = texts.iter().map(|text| format!("{text}\n")).collect();
    fs::write(flitch.at("app.log"), text).unwrap();
    flitch.run();
    let records = settled_records(&flitch, texts.len() as u64, &kafka.bootstrap(), &topic);
    (records, flitch)
}

/// The values of a field, in order.
fn texts<'a>(records: &'a [serde_json::Value], field: &str) -> Vec<&'a str> {
    let mut all: Vec<&str> = records.iter().filter_map(|record| record[field].as_str()).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_filter_in_c_changes_drops_and_rejects() {
    let lines = ["one small step", "DROP this", "REJECT that", "two", "LOG from within"];
    let (records, mut flitch) = through("filters-c", "", &lines);
    assert_eq!(texts(&records, "upper"), ["LOG", "ONE", "TWO"]);
    assert_eq!(texts(&records, "message"), ["LOG from within", "one small step", "two"]);
    let metrics = flitch.metrics();
    assert_eq!(metrics.count("flitch_records_dropped_total", &[("filter", "unruly")]), 1);
    assert_eq!(metrics.count("flitch_filter_records_rejected_total", &[("filter", "unruly")]), 1);
    assert!(metrics.count("flitch_filter_counter_total", &[("filter", "unruly")]) >= 5);
    log_says(&flitch, "from within");
    assert!(flitch.terminate(DEADLINE).success());
}

/// The poison stands among good records: it alone becomes a dead letter, with the reason, and every other
/// record arrives as if nothing had been.
#[track_caller]
fn one_poison_record(name: &str, more: &str, poison: &str, kind: &str, reason: &str) {
    let good: Vec<String> = (0..40).map(|n| format!("good{n:02} line")).collect();
    let mut lines: Vec<&str> = good.iter().map(String::as_str).collect();
    lines.insert(17, poison);
    let (records, mut flitch) = through(name, more, &lines);
    assert_eq!(texts(&records, "message"), good);
    assert_eq!(texts(&records, "upper").len(), good.len());
    let sums = flitch.metrics().sums();
    assert_eq!((sums.delivered, sums.dead_lettered), (good.len() as u64, 1), "{sums}");
    let dead = flitch
        .metrics()
        .count("flitch_records_dead_lettered_total", &[("stage", "filter"), ("component", "unruly")]);
    assert_eq!(dead, 1);
    if !kind.is_empty() {
        assert!(flitch.metrics().count("flitch_filter_traps_total", &[("kind", kind)]) >= 1, "{kind}");
    }
    let letters = dead_letters(&flitch);
    assert_eq!(letters.len(), 1);
    let letter = letters[0].to_string();
    assert!(letter.contains(poison), "{letter}");
    assert!(letter.contains(reason), "no {reason:?} in {letter}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

/// All dead letters of a flitch, from its files.
pub fn dead_letters(flitch: &Flitch) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    let mut folders = vec![flitch.at("data")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains("dead")
                && path.extension().is_some_and(|e| e == "ndjson")
            {
                let text = fs::read_to_string(path).unwrap();
                all.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
            }
        }
    }
    all
}

#[test]
fn a_record_that_traps_the_filter_is_a_dead_letter_and_all_others_arrive() {
    one_poison_record("filters-trap", "", "TRAP now", "trap", "unreachable");
}

#[test]
fn a_record_on_which_the_filter_spins_is_a_dead_letter_and_all_others_arrive() {
    one_poison_record("filters-spin", ", limits: { time: 100ms }", "SPIN on", "deadline", "100");
}

#[test]
fn a_record_on_which_the_filter_sleeps_is_a_dead_letter_and_what_it_prints_is_in_the_log() {
    let filter =
        format!("{{ plugin: \"{}\", limits: {{ time: 100ms }} }}", guests::wasi_c_filter().display());
    let config = pipeline(&file_source("app.log"), &[("sleepy", filter)], "out: { type: blackhole }");
    let mut flitch = Flitch::new(FLITCH, &config);
    fs::write(flitch.at("app.log"), "PRINT words of the guest\nSLEEP 3600000\nfine\n").unwrap();
    flitch.run();
    let sums = flitch.settled_after(3, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (2, 1), "{sums}");
    assert!(flitch.metrics().count("flitch_filter_traps_total", &[("kind", "deadline")]) >= 1);
    let letter = dead_letters(&flitch)[0].to_string();
    assert!(letter.contains("SLEEP 3600000") && letter.contains("100"), "{letter}");
    log_says(&flitch, "words of the guest");
    let log = flitch.log();
    let line = log.lines().find(|line| line.contains("words of the guest")).unwrap();
    assert!(line.contains("sleepy"), "{line}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn a_record_on_which_the_filter_eats_memory_is_a_dead_letter_and_all_others_arrive() {
    one_poison_record("filters-hog", ", limits: { memory: 8MiB }", "HOG it", "memory", "8");
}

#[test]
fn an_answer_that_is_nonsense_is_a_dead_letter_and_all_others_arrive() {
    let poisons =
        ["row", "rejected", "both", "ends", "past", "utf8", "json", "short", "bitmap", "huge", "large"];
    let good: Vec<String> = (0..40).map(|n| format!("good{n:02} line")).collect();
    let mut lines: Vec<String> = good.clone();
    for (at, poison) in poisons.iter().enumerate() {
        lines.insert(at * 3, format!("NONSENSE {poison}"));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (records, mut flitch) = through("filters-nonsense", "", &lines);
    assert_eq!(texts(&records, "message"), good);
    let letters: String = dead_letters(&flitch).iter().map(|letter| format!("{letter}\n")).collect();
    for poison in poisons {
        assert!(letters.contains(&format!("NONSENSE {poison}")), "no letter for {poison}:\n{letters}");
    }
    assert_eq!(flitch.metrics().sums().dead_lettered, poisons.len() as u64);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn on_error_pass_sends_the_record_on_with_the_reason() {
    let (records, _flitch) = through("filters-pass", ", on_error: pass", &["fine", "TRAP now", "REJECT me"]);
    assert_eq!(records.len(), 3);
    let trapped = records.iter().find(|record| record["message"] == "TRAP now").unwrap();
    assert!(trapped["@error"].is_string(), "{trapped}");
    assert!(records.iter().any(|record| record["message"] == "fine" && record["@error"].is_null()));
}

#[test]
fn a_filter_that_refuses_its_settings_refuses_the_configuration_with_its_own_words() {
    let config = pipeline(
        &file_source("app.log"),
        &[c_filter(", settings: { refuse: \"I want a field\" }")],
        "out: { type: blackhole }",
    );
    let mut flitch = Flitch::new(FLITCH, &config);
    flitch.launch().unwrap();
    assert_eq!(flitch.wait(DEADLINE).code(), Some(64), "{}", flitch.log());
    assert!(flitch.log().contains("I want a field"), "{}", flitch.log());
}

#[test]
fn a_changed_component_takes_over_and_a_broken_one_does_not() {
    let (kafka, topic) = topic("filters-swap");
    let filter = ("unruly", "{ plugin: \"{dir}/plugin.wasm\" }".to_owned());
    let config = pipeline(&file_source("app.log"), &[filter], &kafka_output(&kafka.bootstrap(), &topic));
    let mut flitch = Flitch::new(FLITCH, &config);
    fs::copy(guests::c_filter(), flitch.at("plugin.wasm")).unwrap();
    append(&flitch.at("app.log"), 0..100);
    flitch.run();
    expect_numbers(&kafka.bootstrap(), &topic, 100);

    let replace = |bytes: &[u8]| {
        fs::write(flitch.at("plugin.new"), bytes).unwrap();
        fs::rename(flitch.at("plugin.new"), flitch.at("plugin.wasm")).unwrap();
        flitch.signal(Signal::Hup);
    };
    let swaps = |result: &str| flitch.metrics().count("flitch_filter_swaps_total", &[("result", result)]);
    replace(b"this is no component");
    eventually("the refusal of the broken component", DEADLINE, || swaps("failed") >= 1);
    // It holds up nothing else, not even another pipeline with the same filter.
    flitch.configure(
        &format!("{config}  also: {{ from: [in], filters: [unruly], to: [{{ output: hole }}] }}\n")
            .replace("outputs:\n", "outputs:\n  hole: { type: blackhole }\n"),
    );
    flitch.signal(Signal::Hup);
    eventually("the second pipeline", DEADLINE, || flitch.status()["pipelines"]["also"].is_object());
    eventually("the reason in the status", DEADLINE, || {
        flitch.status()["last_reload_error"].as_str().is_some_and(|why| why.contains("filters.unruly"))
    });
    flitch.configure(&config);
    flitch.signal(Signal::Hup);
    eventually("the end of the second pipeline", DEADLINE, || flitch.status()["pipelines"]["also"].is_null());
    append(&flitch.at("app.log"), 100..200);
    expect_numbers(&kafka.bootstrap(), &topic, 200);

    // The same component with a custom section more: other bytes, another generation.
    let mut changed = fs::read(guests::c_filter()).unwrap();
    changed.extend([0, 6, 4, b'n', b'o', b't', b'e', b'!']);
    replace(&changed);
    eventually("the swap", DEADLINE, || swaps("swapped") >= 1);
    append(&flitch.at("app.log"), 200..300);
    let seen = expect_numbers(&kafka.bootstrap(), &topic, 300);
    assert!(seen.values().all(|&times| times == 1), "a swap doubled a record");
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.received, sums.delivered), (300, 300), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn a_filter_is_swapped_from_the_command_line_which_hears_what_came_of_it() {
    let config = "sources: { in: { type: generator, format: nginx, rate: 10 } }\noutputs: { out: { type: blackhole } }\n\
        filters: { unruly: { plugin: \"{dir}/plugin.wasm\" } }\n\
        pipelines: { main: { from: [in], filters: [unruly], to: [out] } }\n";
    let mut flitch = Flitch::new(FLITCH, config);
    fs::copy(guests::c_filter(), flitch.at("plugin.wasm")).unwrap();
    flitch.run();
    let admin = format!("http://{}", flitch.admin());
    let filter = |args: &[&str]| flitch.cli(&[&["filter"], args, &["--admin", &admin]].concat(), "");
    let listed = filter(&["list"]);
    assert!(
        listed.stdout.contains("unruly") && listed.stdout.contains("main"),
        "{}{}",
        listed.stdout,
        listed.stderr
    );
    assert_eq!(filter(&["swap", "unruly"]).stdout, "unruly: its file holds what runs already\n");
    assert_eq!(filter(&["swap", "unrly"]).status.code(), Some(64));
    fs::write(flitch.at("plugin.wasm"), "no component").unwrap();
    let refused = filter(&["swap", "unruly"]);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("what ran before goes on"), "{}", refused.stderr);
    let mut changed = fs::read(guests::c_filter()).unwrap();
    changed.extend([0, 6, 4, b'n', b'o', b't', b'e', b'!']);
    fs::write(flitch.at("plugin.wasm"), changed).unwrap();
    // Whoever was first, the one who asks or the one who watches the file: it is in force now.
    assert!(filter(&["swap", "unruly"]).status.success());
    let history = |flitch: &Flitch| {
        let told = flitch.cli(
            &["filter", "history", "unruly", "--json", "--admin", &format!("http://{}", flitch.admin())],
            "",
        );
        let entries: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
        entries
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["result"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let before = history(&flitch);
    assert_eq!((before.first().unwrap().as_str(), before.last().unwrap().as_str()), ("in_force", "in_force"));
    assert!(before.contains(&"failed".to_owned()), "{before:?}");
    flitch.terminate(DEADLINE);
    flitch.run();
    assert_eq!(history(&flitch)[..before.len()], before, "the history survives a restart");
}
