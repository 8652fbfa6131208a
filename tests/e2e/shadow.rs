//! A plugin that is tried beside a filter.

use std::fs;

use flitch_tests::flitch::Flitch;
use flitch_tests::guests;
use flitch_tests::wait::eventually;

use crate::support::*;

/// A filter that marks records, and the guest in C as its shadow, with these further settings.
fn shadowed(more: &str) -> (&'static str, String) {
    let plugin = guests::c_filter();
    let shadow = format!("{{ plugin: \"{}\", settings: {{}}, rate: 1{more} }}", plugin.display());
    ("marks", format!("{{ plugin: set, settings: {{ set: {{ seen: true }} }}, shadow: {shadow} }}"))
}

#[test]
fn a_shadow_that_traps_spins_and_eats_memory_is_reported_and_changes_nothing() {
    let limits = ", limits: { time: 200ms, memory: 8MiB }, examples: 10";
    let output = "out: { type: file, path: \"{dir}/out.ndjson\" }";
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[shadowed(limits)], output));
    let good = |n: usize| format!("good{n:02} line");
    let poison = ["TRAP now", "SPIN on", "HOG it", "NONSENSE utf8", "DROP this"];
    let lines: Vec<String> = (0..40)
        .map(|n| poison.get(n / 4).filter(|_| n % 4 == 0).map_or_else(|| good(n), |p| (*p).to_owned()))
        .collect();
    fs::write(flitch.at("app.log"), lines.join("\n") + "\n").unwrap();
    flitch.run();
    let sums = flitch.settled_after(40, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered, sums.dropped), (40, 0, 0), "{sums}");
    let out = fs::read_to_string(flitch.at("out.ndjson")).unwrap();
    let out: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&str> = out.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert_eq!(messages, lines);
    assert!(out.iter().all(|record| record["seen"] == true && record.get("upper").is_none()));

    let admin = format!("http://{}", flitch.admin());
    let diff = |args: &[&str]| flitch.cli(&[&["filter", "diff"], args, &["--admin", &admin]].concat(), "");
    let report = || {
        let told = diff(&["marks", "--format", "json"]);
        let told: serde_json::Value =
            serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{}{}", told.stdout, told.stderr));
        told["pipelines"]["main"].clone()
    };
    eventually("the report", DEADLINE, || report()["records"] == 40);
    let report = report();
    assert_eq!((&report["same"], &report["skipped"]), (&0.into(), &0.into()), "{report}");
    assert_eq!(report["outcomes"]["kept"]["dropped"], 1, "{report}");
    assert_eq!(report["outcomes"]["kept"]["rejected"], 4, "{report}");
    for kind in ["trap", "deadline", "memory", "answer"] {
        assert!(report["new"]["faults"][kind].as_u64() >= Some(1), "{kind}: {report}");
    }
    assert!(report["old"]["faults"].as_object().unwrap().is_empty());
    assert_eq!(report["fields"]["seen"]["only_old"], 35);
    assert_eq!(report["fields"]["upper"]["only_new"], 35);
    assert_eq!(report["fields"]["message"]["same"], 35);
    let page = diff(&["marks"]).stdout;
    for part in
        ["marks in main", "40 records compared", "0 (0.00 %) the same", "only new", "deadline", "\"GOOD01\""]
    {
        assert!(page.contains(part), "no {part:?} in\n{page}");
    }
    assert_eq!(diff(&["mark"]).status.code(), Some(64));
    let skipped = flitch.metrics().count("flitch_filter_shadow_records_total", &[("result", "different")]);
    assert_eq!(skipped, 40);
    let dead = flitch.metrics().count("flitch_filter_traps_total", &[("filter", "marks")]);
    assert_eq!(dead, 0, "its faults are its own");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn a_bad_shadow_is_refused_with_its_place() {
    for (more, place, said) in [
        (", shadow: { plugin: sett }", ":6:68", "did you mean `set`"),
        (", shadow: { plugin: set, settings: { wrong: 1 } }", ":6:", "refuses its settings"),
        (", shadow: { plugin: set, rate: 2 }", ":6:", "rate"),
        (", shadow: { plugn: set }", ":6:", "did you mean `plugin`"),
    ] {
        let filter = format!("{{ plugin: set, settings: {{ set: {{ a: 1 }} }}{more} }}");
        let config = pipeline(&file_source("app.log"), &[("f", filter)], "out: { type: blackhole }");
        let flitch = Flitch::new(FLITCH, &config);
        let told = flitch.cli(&["check", "--config", flitch.config_file().to_str().unwrap()], "");
        let text = format!("{}{}", told.stdout, told.stderr);
        assert_eq!(told.status.code(), Some(64), "{text}");
        assert!(text.contains(place) && text.contains(said), "{more}: {text}");
    }
}
