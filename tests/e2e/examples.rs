//! The pipelines of `examples/`, between real parts: what arrives is compared with what was sent, record by record.
//! `make example-1` runs those of one folder.

use std::path::{Path, PathBuf};

use flitch_tests::flitch::Flitch;
use flitch_tests::repository;
use serde_json::Value;

use crate::support::*;

mod e1_pixel_server;
mod e2_web_events;
mod e3_docker;
mod e4_kafka_to_adx;
mod e5_one_hit;

/// A folder of `examples/`.
fn folder(name: &str) -> PathBuf {
    repository().join("examples").join(name)
}

/// A flitch that runs a configuration of an example as it stands in its folder, with this environment; all files of the
/// folder lie beside it.
#[track_caller]
fn prepared(example: &str, config: &str, environment: &[(&str, &str)]) -> Flitch {
    let folder = folder(example);
    let text = std::fs::read_to_string(folder.join(config)).unwrap();
    let mut flitch = Flitch::new(FLITCH, &text);
    copy(&folder, flitch.dir(), config);
    let data = flitch.at("data").display().to_string();
    flitch = flitch.env("FLITCH_DATA", &data);
    for (name, value) in environment {
        flitch = flitch.env(name, value);
    }
    let ended = flitch.cli(&["check", "--probe", "-c", &flitch.config_file().to_string_lossy()], "");
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    flitch
}

fn copy(from: &Path, to: &Path, but: &str) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.ends_with(but) {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Records as JSON, in an order that depends on nothing but them.
fn sorted(records: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut records: Vec<Value> = records.into_iter().collect();
    records.sort_by_cached_key(Value::to_string);
    records
}

/// The lines of a text that are JSON objects.
fn objects(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Says something to who runs the example by hand.
#[expect(clippy::print_stdout, reason = "for who runs the example")]
fn told(what: &str) {
    println!("{what}");
}

/// Asserts that all of `expected` arrived and nothing else, and says so.
#[track_caller]
fn arrived(at: &str, found: impl IntoIterator<Item = Value>, expected: &[Value]) {
    let (found, expected) = (sorted(found), sorted(expected.to_vec()));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "{at}");
    }
    assert_eq!(found.len(), expected.len(), "{at}");
    told(&format!("{at}: {} records, each as it should be; the first:\n  {}", found.len(), found[0]));
}
