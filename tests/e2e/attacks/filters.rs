use std::fs;

use flitch_tests::attack::Attacked;
use flitch_tests::fluent::OneByOne;
use flitch_tests::wait::eventually;
use flitch_tests::{guests, ports};

use crate::filters::dead_letters;
use crate::support::*;

/// What the C filter does to its host when it meets these texts, each for itself a dead letter on any machine.
const HOSTILE: [&str; 9] = [
    "TRAP",
    "SPIN",
    "HOG",
    "LOOKUP 1000000",
    "WANT 100000",
    "NONSENSE deep",
    "NONSENSE long",
    "NONSENSE many",
    "PANIC with words",
];

/// What is done in time on a fast machine that is idle, and is a dead letter on another.
const SLOW: [&str; 3] = ["CHATTER", "COUNT 10000", "SHOUT 10000"];

#[test]
fn a_hostile_filter_beside_a_good_pipeline_costs_its_own_records_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.csv"), format!("key,text\na,{}\n", "x".repeat(10_000))).unwrap();
    let folder_name = folder.path().display();
    let port = ports::free();
    let config = format!(
        "tables:
  t: {{ path: \"{folder_name}/t.csv\" }}
sources:
  docker: {{ type: forward, listen: \"127.0.0.1:{port}\" }}
  evil: {{ type: file, include: [\"{folder_name}/*.log\"], read_from: beginning, scan_interval: 100ms }}
filters:
  hostile: {{ plugin: \"{}\", limits: {{ time: 500ms }} }}
outputs:
  out: {{ type: blackhole }}
pipelines:
  good: {{ from: [docker], to: [out] }}
  evil: {{ from: [evil], filters: [hostile], to: [out] }}
",
        guests::c_filter().display()
    );
    let attacked = Attacked::start(FLITCH, &config, |_| {
        let mut client = OneByOne::connect(port)?;
        Ok(move |n| client.send(&line(n)).map(drop))
    });
    let again = format!("NONSENSE again {}", "x".repeat(200 << 10));
    let mut text = String::new();
    for (n, hostile) in HOSTILE.iter().chain([&again.as_str()]).enumerate() {
        text.push_str(&format!("good {n}\n{hostile}\n{}\n", SLOW.join("\n")));
    }
    fs::write(folder.path().join("evil.log"), text).unwrap();
    let metric = |name: &str, label: &str, part: &str| {
        let metrics = attacked.flitch.metrics();
        metrics.count(&format!("flitch_records_{name}_total"), &[(label, part)])
    };
    attacked.goes_on("while the filter does its worst");
    eventually("there is a dead letter for each hostile record", DEADLINE, || {
        metric("dead_lettered", "component", "hostile") > HOSTILE.len() as u64
    });
    // A batch of a thousand records that is refused with half a megabyte of words.
    fs::write(
        folder.path().join("refused.log"),
        format!("{}FAIL {}\n", "row\n".repeat(999), "x".repeat(200 << 10)),
    )
    .unwrap();
    attacked.goes_on("while a batch is refused at length");
    let rows = (HOSTILE.len() + 1) * (2 + SLOW.len()) + 1000;
    eventually("both files are read", DEADLINE, || metric("received", "source", "evil") == rows as u64);
    let (flitch, _) = attacked.end();
    let letters = dead_letters(&flitch);
    assert!(letters.iter().all(|letter| letter["reason"].as_str().unwrap().len() < 2500));
    let mut texts: Vec<_> =
        letters.iter().map(|letter| letter["record"]["message"].as_str().unwrap()).collect();
    texts.retain(|text| !SLOW.contains(text) && *text != "row" && !text.starts_with("FAIL "));
    let mut wanted = [&HOSTILE[..], &[&again]].concat();
    texts.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(texts, wanted, "each hostile record and no good one is a dead letter, once");
    drop(folder);
}
