//! `flitch plugin`: a filter by itself, on the command line.

use std::fs;

use flitch_tests::flitch::{Ended, Flitch};
use flitch_tests::guests;

use crate::support::*;

/// `flitch plugin run` with these arguments, in a folder with `files`.
fn run(args: &[&str], files: &[(&str, &str)], stdin: &str) -> Ended {
    let flitch = Flitch::new(FLITCH, "");
    for (name, text) in files {
        fs::write(flitch.at(name), text).unwrap();
    }
    flitch.cli(&[&["plugin", "run"], args].concat(), stdin)
}

#[test]
fn a_table_is_given_to_the_filter() {
    let enrich = ["enrich", "--set", "table=hosts", "--set", "field=remote", "--set", "want=[\"city\"]"];
    let with = |table: &str| {
        let files = [
            ("hosts.csv", "key,city\n10.0.0.1,Oslo\n"),
            ("by-ip.ndjson", "{\"ip\":\"10.0.0.1\",\"city\":\"Rome\"}\n"),
        ];
        run(&[&enrich[..], &["--table", table]].concat(), &files, "{\"remote\":\"10.0.0.1\"}\n")
    };
    let ended = with("hosts=hosts.csv");
    assert_eq!(ended.stdout, "{\"remote\":\"10.0.0.1\",\"city\":\"Oslo\"}\n", "{}", ended.stderr);
    let ended = with("hosts=by-ip.ndjson,key=ip");
    assert_eq!(ended.stdout, "{\"remote\":\"10.0.0.1\",\"city\":\"Rome\"}\n", "{}", ended.stderr);
    for (table, why) in
        [("hosts", "write NAME=FILE"), ("hosts=gone.csv", "gone.csv"), ("h=hosts.csv", "`hosts`")]
    {
        let ended = with(table);
        assert_eq!(ended.status.code(), Some(64), "{table}");
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
}

#[test]
fn what_a_filter_prints_and_reads_is_seen_by_who_tries_it() {
    let guest = guests::wasi_c_filter();
    let guest = guest.to_str().unwrap();
    let asks = "{\"message\":\"PRINT hello there\"}\n{\"message\":\"ENV PATH\"}\n{\"message\":\"TRAP\"}\n";
    let path = std::env::var("PATH").unwrap();
    let ended = run(&[guest], &[], asks);
    assert!(
        ended.stderr.contains("hello there") && ended.stderr.contains("wasi-c-filter"),
        "{}",
        ended.stderr
    );
    assert!(ended.stdout.contains("error: not set") && !ended.stdout.contains(&path), "{}", ended.stdout);
    let ended = run(&[guest, "--allow-env", "PATH"], &[], asks);
    assert!(ended.stdout.contains(&path), "{}", ended.stdout);
}

#[test]
fn a_rejected_record_is_told_on_stderr_and_in_the_exit_code() {
    let guest = guests::c_filter();
    let lines = "{\"message\":\"fine\"}\nno json\n{\"message\":\"REJECT me\",\"n\":1605515507.123456789}\n";
    let ended = run(&[guest.to_str().unwrap()], &[], lines);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.stdout, "{\"message\":\"fine\",\"upper\":\"FINE\"}\n");
    assert!(ended.stderr.contains("line 2: ") && ended.stderr.contains(": REJECT me"), "{}", ended.stderr);
    assert!(ended.stderr.contains(r#""n":1605515507.123456789}"#), "as it is written: {}", ended.stderr);
}

#[test]
fn the_lines_of_a_log_are_records_where_that_is_said() {
    let log = "10.0.0.1 - - [28/Nov/2026:15:20:00 +0100] \"GET /a HTTP/1.1\" 200 5 \"-\" \"curl\"\r\n{}\n\n";
    let ended = run(&["dissect", "--lines", "--set", "preset=nginx_combined"], &[], log);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("\"message\":\"{}\""), "{}", ended.stderr);
    let made = Flitch::new(FLITCH, "").cli(&["adx", "mapping", "--table", "clicks"], &ended.stdout);
    assert!(made.stdout.contains("['status']: long"), "{} {}", made.stdout, made.stderr);
}

#[test]
fn a_time_without_a_year_is_the_last_one_until_now_and_no_other_time_is_shown() {
    let line = "{\"message\":\"<34>Oct 11 22:14:15 host app: hello\"}\n";
    let ended = run(&["syslog"], &[], line);
    assert!(ended.status.success(), "{}", ended.stderr);
    let record: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let time = record["@timestamp"].as_str().unwrap();
    assert!(time >= "2025" && time.contains("-10-11T22:14:15"), "{time}");
    let ended = run(&["set", "--set", "set.a=1"], &[], "{}\n");
    assert_eq!(ended.stdout, "{\"a\":1}\n", "{}", ended.stderr);
}

#[test]
fn a_plugin_that_an_image_has_compiled_is_not_compiled_again() {
    let guest = guests::c_filter();
    let mine = format!("{{ plugin: {} }}", guest.display());
    let config =
        pipeline(&file_source("app.log"), &[("mine", mine)], "out: { type: file, path: \"{dir}/out\" }");
    let flitch = Flitch::new(FLITCH, &config);
    let folder = flitch.at("shipped");
    fs::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    let precompile = |plugin: &str| flitch.cli(&["plugin", "precompile", folder, plugin], "");
    let ended = precompile("./gone.wasm");
    assert!(ended.status.code() == Some(64) && ended.stderr.contains("gone.wasm"), "{}", ended.stderr);
    let ended = precompile(guest.to_str().unwrap());
    assert!(ended.status.success(), "{}", ended.stderr);
    let mut flitch = flitch.env("FLITCH_COMPILED", folder);
    fs::write(flitch.at("app.log"), "fine\n").unwrap();
    flitch.run();
    flitch.settled_after(1, DEADLINE);
    assert!(fs::read_to_string(flitch.at("out")).unwrap().contains("FINE"), "{}", flitch.log());
    assert_eq!(fs::read_dir(flitch.at("data/compiled")).unwrap().count(), 0);
}

#[test]
fn a_plugin_tells_what_it_exports_imports_and_reads() {
    let flitch = Flitch::new(FLITCH, "");
    let inspect = |args: &[&str]| {
        let ended = flitch.cli(&[&["plugin", "inspect"], args].concat(), "");
        assert!(ended.status.success(), "{}", ended.stderr);
        ended.stdout
    };
    let guest = guests::wasi_c_filter();
    let text = inspect(&[guest.to_str().unwrap()]);
    let size = format!("size        {} bytes", fs::metadata(&guest).unwrap().len());
    for line in
        [&*size, "exports     flitch:filter/filter@1.0.0", "wasi:filesystem/", "reads       message\n"]
    {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
    // A filter's folder stands for its component, and the name of a stock plugin for no folder.
    for folder in ["mine", "dissect"] {
        fs::create_dir(flitch.at(folder)).unwrap();
        fs::write(flitch.at(folder).join("Makefile"), "").unwrap();
    }
    let ended = flitch.cli(&["plugin", "inspect", "mine"], "");
    assert!(ended.stderr.contains("run `flitch plugin build mine` first"), "{}", ended.stderr);
    fs::copy(&guest, flitch.at("mine/mine.wasm")).unwrap();
    assert!(inspect(&["mine"]).contains("reads       message\n"));
    let text = inspect(&["dissect", "--set", "field=raw", "--set", "pattern=%{a} %{b}"]);
    assert!(text.contains("the flitch binary") && !text.contains("wasi:"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("reads ") && line.contains("raw")), "{text}");
}
