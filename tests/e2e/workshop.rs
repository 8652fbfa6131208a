//! `flitch plugin new`, `build`, `test` and `bench`: a filter from its first line to its cases.

use std::fs;
use std::path::Path;

use flitch_tests::flitch::{Ended, Flitch};
use serde_json::Value;

use crate::support::*;

fn cli(flitch: &Flitch, args: &[&str]) -> Ended {
    flitch.cli(&[&["plugin"], args].concat(), "")
}

#[track_caller]
fn done(ended: Ended) -> String {
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    ended.stdout
}

/// A case of the stock filter `set`, in the folder `cases`.
fn case(flitch: &Flitch, name: &str, files: &[(&str, &str)]) {
    let folder = flitch.at("cases").join(name);
    fs::create_dir_all(&folder).unwrap();
    files.iter().for_each(|(file, text)| fs::write(folder.join(file), text).unwrap());
}

const SET: (&str, &str) = ("settings.json", "{\"set\":{\"env.name\":\"prod\"}}");
const TWO: (&str, &str) = ("in.ndjson", "{\"n\":1}\n{\"n\":2}\n");

#[test]
fn a_filter_is_held_to_its_cases_and_a_difference_is_told_field_by_field() {
    let flitch = Flitch::new(FLITCH, "");
    let out = "{\"n\":1,\"env\":{\"name\":\"prod\"}}\n{\"n\":2,\"env\":{\"name\":\"prod\"}}\n";
    case(&flitch, "good", &[SET, TWO, ("out.ndjson", out)]);
    let test = ["test", "set", "--cases", "cases"];
    assert_eq!(done(cli(&flitch, &test)), "ok      good\n1 cases, 0 failed\n");
    case(&flitch, "bad", &[SET, TWO, ("out.ndjson", &out.replace("2", "3").replacen("prod", "test", 1))]);
    let ended = cli(&flitch, &test);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for line in [
        "failed  bad",
        "`env.name` is \"prod\", and should be \"test\"",
        "`n` is 2, and should be 3",
        "ok      good",
    ] {
        assert!(ended.stdout.contains(line), "{line} in {}", ended.stdout);
    }
    let ended = cli(&flitch, &[&test[..], &["--format", "json"]].concat());
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&told["failed"], &told["cases"][0]["result"]), (&1.into(), &"failed".into()), "{told}");
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(
        done(cli(&flitch, &[&test[..], &["--bless"]].concat())),
        "blessed bad\nok      good\n2 cases, 0 failed\n"
    );
    done(cli(&flitch, &test));
}

#[test]
fn a_watched_filter_is_tested_again_when_a_case_comes_or_changes_until_ctrl_c() {
    let flitch = Flitch::new(FLITCH, "");
    let out = "{\"n\":1,\"env\":{\"name\":\"prod\"}}\n{\"n\":2,\"env\":{\"name\":\"prod\"}}\n";
    case(&flitch, "good", &[SET, TWO, ("out.ndjson", out)]);
    let mut watched = Watched::start(&flitch, &["plugin", "test", "set", "--cases", "cases", "--watch"]);
    watched.says("1 cases, 0 failed");
    let bad = out.replace("2", "3");
    let files = flitch.at("bad");
    fs::create_dir(&files).unwrap();
    for (file, text) in [SET, TWO, ("out.ndjson", bad.as_str())] {
        fs::write(files.join(file), text).unwrap();
    }
    fs::rename(&files, flitch.at("cases/bad")).unwrap();
    watched.says("2 cases, 1 failed");
    fs::write(flitch.at("cases/bad/out.ndjson"), out).unwrap();
    watched.says("2 cases, 0 failed");
    fs::remove_file(flitch.at("cases/bad/out.ndjson")).unwrap();
    watched.says("2 cases, 1 failed");
    assert_eq!(watched.end(), Some(1), "as the last time");
}

#[test]
fn what_cannot_be_tested_is_told_with_what_to_do() {
    let flitch = Flitch::new(FLITCH, "");
    case(&flitch, "half", &[("settings.json", "{\"set\":")]);
    for (args, why) in [
        (&["test", "set"][..], "name their folder with `--cases`"),
        (&["test", "set", "--cases", "cases"], "half/settings.json"),
        (&["test", "."], "`flitch plugin new NAME --lang LANG` makes one"),
        (&["new", "Not A Name", "--lang", "c"], "take small letters"),
        (&["new", "cases", "--lang", "c"], "exists already"),
    ] {
        let ended = cli(&flitch, args);
        assert_eq!(ended.status.code(), Some(64), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(why), "{args:?}: {}", ended.stderr);
    }
}

/// A new filter of each language builds at once, does what its cases say, and tells what it costs.
fn from_its_first_line(language: &str, wasi: bool, environment: &[(&str, String)]) {
    let mut flitch = Flitch::new(FLITCH, "");
    for (name, value) in environment {
        flitch = flitch.env(name, value);
    }
    done(cli(&flitch, &["new", "first-try", "--lang", language]));
    let ended = cli(&flitch, &["test", "first-try"]);
    assert!(ended.stderr.contains("run `flitch plugin build first-try` first"), "{}", ended.stderr);
    let built = done(cli(&flitch, &["build", "first-try"]));
    assert!(built.starts_with("first-try/first-try.wasm: "), "{built}");
    let test: &[&str] = if wasi { &["test", "first-try"] } else { &["test", "first-try", "--no-wasi"] };
    let tested = done(cli(&flitch, test));
    assert!(tested.contains("ok ") && tested.contains(" 0 failed"), "{tested}");
    let measured: Value =
        serde_json::from_str(&done(cli(&flitch, &["bench", "first-try", "--json"]))).unwrap();
    assert!(
        measured["memory_bytes"].as_u64() > Some(0) && measured["batches"][3]["rows"] == 1000,
        "{measured}"
    );
}

/// What a toolchain of [`from_its_first_line`] lies in, where `make setup-sdk` has put it.
fn with_toolchains() -> (&'static str, String) {
    let bin = flitch_tests::cache().join("sdk/bin");
    ("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
}

#[test]
fn a_filter_in_rust_goes_from_its_first_line_to_its_cases() {
    // What cargo builds is kept from one run to the next.
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/workshop");
    from_its_first_line("rust", true, &[("CARGO_TARGET_DIR", target.to_string_lossy().into_owned())]);
}

#[test]
fn a_filter_in_c_goes_from_its_first_line_to_its_cases() {
    from_its_first_line("c", false, &[]);
}

#[test]
fn a_filter_in_python_goes_from_its_first_line_to_its_cases() {
    from_its_first_line("python", true, &[with_toolchains()]);
}

#[test]
fn a_filter_in_go_goes_from_its_first_line_to_its_cases() {
    from_its_first_line("go", false, &[with_toolchains()]);
}

#[test]
fn a_filter_in_javascript_goes_from_its_first_line_to_its_cases() {
    from_its_first_line("js", true, &[with_toolchains()]);
}

#[test]
fn a_filter_in_typescript_goes_from_its_first_line_to_its_cases() {
    from_its_first_line("ts", true, &[with_toolchains()]);
}
