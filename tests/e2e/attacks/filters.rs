use std::fs;

use flitch_tests::attack::Attacked;
use flitch_tests::fluent::OneByOne;
use flitch_tests::wait::eventually;
use flitch_tests::{guests, ports};

use crate::filters::dead_letters;
use crate::support::*;

/// What the C filter does to its host when it meets these texts, each for itself a dead letter.
const HOSTILE: [&str; 10] = [
    "TRAP",
    "SPIN",
    "HOG",
    "CHATTER",
    "LOOKUP 1000000",
    "WANT 100000",
    "NONSENSE deep",
    "NONSENSE long",
    "NONSENSE many",
    "PANIC with words",
];

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
        text.push_str(&format!("good {n}\n{hostile}\nCOUNT 10000\nSHOUT 10000\n"));
    }
    fs::write(folder.path().join("evil.log"), text).unwrap();
    let dead = || {
        let labels = [("stage", "filter"), ("component", "hostile")];
        attacked.flitch.metrics().count("flitch_records_dead_lettered_total", &labels)
    };
    attacked.goes_on("while the filter does its worst");
    eventually("each hostile record is a dead letter", DEADLINE, || dead() == HOSTILE.len() as u64 + 1);
    // A batch of a thousand records that is refused with half a megabyte of words.
    fs::write(
        folder.path().join("refused.log"),
        format!("{}FAIL {}\n", "row\n".repeat(999), "x".repeat(200 << 10)),
    )
    .unwrap();
    attacked.goes_on("while a batch is refused at length");
    let (flitch, _) = attacked.end();
    let letters = dead_letters(&flitch);
    assert!(letters.iter().all(|letter| letter["reason"].as_str().unwrap().len() < 2500));
    drop(folder);
}
