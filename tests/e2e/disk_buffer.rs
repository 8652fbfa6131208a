//! A buffer on disk between a source that forgets what is stored and an output that is down.

use std::time::Duration;

use flitch_tests::flitch::Flitch;
use flitch_tests::process::Signal;
use flitch_tests::servers::mock_kafka::MockKafka;
use flitch_tests::wait::{eventually, poll};

use crate::support::*;

/// A file source before an output with a buffer on disk.
fn config(output: &str) -> String {
    let output = output.replacen('{', "{ buffer: { type: disk },", 1);
    pipeline(&file_source("app.log"), &[], &output).replace("sources:\n", "batch: { rows: 50 }\nsources:\n")
}

fn segments(flitch: &Flitch) -> usize {
    let folder = std::fs::read_dir(flitch.at("data/buffers/out"));
    let names = folder.into_iter().flatten().flatten().map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".segment")).count()
}

#[test]
fn killed_again_and_again_while_its_output_is_down_it_loses_nothing() {
    const ROUNDS: usize = 6;
    const LINES: usize = 5_000;
    let mock = MockKafka::start(1).unwrap();
    mock.create_topic("disk", 1, 1).unwrap();
    mock.down(1).unwrap();
    let output = kafka_output(&mock.bootstrap(), "disk");
    let mut flitch = Flitch::start(FLITCH, &config(&output));
    for round in 0..ROUNDS {
        append(&flitch.at("app.log"), round * LINES..(round + 1) * LINES);
        // Somewhere between the first record and the last.
        let _ = poll(Duration::from_millis(37 * round as u64), || false);
        flitch.kill();
        flitch.run();
    }
    let count = ROUNDS * LINES;
    let length = std::fs::metadata(flitch.at("app.log")).unwrap().len();
    // All of it is stored, and so safe for the file, though the output has taken nothing.
    eventually("the position at the end", DEADLINE, || saved_position(&flitch) == length);
    assert!(segments(&flitch) > 0);
    flitch.kill();
    flitch.run();
    mock.up(1).unwrap();
    let seen = expect_numbers(&mock.bootstrap(), "disk", count);
    assert_eq!(seen.len(), count);
    eventually("an empty buffer", DEADLINE, || flitch.status()["outputs"]["out"]["buffered_records"] == 0);
    let sums = flitch.settled(DEADLINE);
    // What was stored, and whose position was not saved yet, was read again.
    assert!(sums.delivered >= count as u64 && sums.received == 0, "{sums}");
    assert!(flitch.terminate(DEADLINE).success());
    assert_eq!(segments(&flitch), 0, "nothing is left");
}

/// A mock broker that is down, and a configuration with an output that writes to it.
fn before_a_broker_that_is_down(topic: &str) -> (MockKafka, String) {
    let mock = MockKafka::start(1).unwrap();
    mock.create_topic(topic, 1, 1).unwrap();
    mock.down(1).unwrap();
    let config = config(&kafka_output(&mock.bootstrap(), topic));
    (mock, config)
}

/// Appends lines, and waits until all are stored.
fn store(flitch: &Flitch, lines: std::ops::Range<usize>) {
    append(&flitch.at("app.log"), lines);
    let length = std::fs::metadata(flitch.at("app.log")).unwrap().len();
    eventually("all is stored", DEADLINE, || saved_position(flitch) == length);
}

#[test]
fn a_reload_that_changes_the_buffer_and_its_output_goes_on_with_what_waits() {
    const COUNT: usize = 3_000;
    let (mock, config) = before_a_broker_that_is_down("disk-reload");
    let mut flitch = Flitch::start(FLITCH, &config);
    store(&flitch, 0..COUNT / 3);
    flitch.configure(&config.replace("type: disk", "type: disk, max_bytes: 64MiB"));
    flitch.signal(Signal::Hup);
    eventually("the new configuration", DEADLINE, || flitch.status()["generation"] == 2);
    store(&flitch, COUNT / 3..COUNT * 2 / 3);
    // Nothing of it is right: all goes on.
    flitch.configure(&config.replace("to: [{ output: out }]", "to: [{ output: nowhere }]"));
    flitch.signal(Signal::Hup);
    eventually("the error", DEADLINE, || !flitch.status()["last_reload_error"].is_null());
    store(&flitch, COUNT * 2 / 3..COUNT);
    assert_eq!(flitch.status()["outputs"]["out"]["buffered_records"], COUNT);
    mock.up(1).unwrap();
    expect_numbers(&mock.bootstrap(), "disk-reload", COUNT);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.received, sums.stored), (COUNT as u64, COUNT as u64), "{sums}");
    assert!(sums.delivered >= COUNT as u64, "{sums}");
    assert!(flitch.terminate(DEADLINE).success());
}

#[test]
fn what_waits_is_looked_at_verified_and_taken_out_when_no_flitch_has_it() {
    const COUNT: usize = 1_000;
    let (_mock, config) = before_a_broker_that_is_down("disk-cli");
    let config = format!("drain_timeout: 2s\n{config}");
    let mut flitch = Flitch::start(FLITCH, &config);
    store(&flitch, 0..COUNT);
    let file = flitch.config_file();
    let file = file.to_str().unwrap().to_owned();
    let run = |flitch: &Flitch, args: &[&str]| flitch.cli(&[&["buffer"], args, &["-c", &file]].concat(), "");
    for args in
        [&["inspect", "out"][..], &["verify", "out"], &["repair", "out"], &["drain", "out", "--to", "-"]]
    {
        let refused = run(&flitch, args);
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {}", refused.stdout);
        assert!(refused.stderr.contains("a flitch that runs has the buffer"), "{}", refused.stderr);
    }
    let list = run(&flitch, &["list", "--format", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!((&list[0]["records"], &list[0]["in_use"]), (&COUNT.into(), &true.into()), "{list}");
    // What is on disk holds up no end.
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());

    let good = |args: &[&str]| {
        let ended = run(&flitch, args);
        assert!(ended.status.success(), "{args:?}: {}{}", ended.stdout, ended.stderr);
        ended.stdout
    };
    assert!(good(&["list"]).contains(&format!("{COUNT} records wait")));
    assert!(good(&["inspect", "out"]).contains(".segment"));
    assert!(good(&["verify", "out"]).contains(&format!("with {COUNT} records are as they were written")));
    assert!(good(&["repair", "out"]).starts_with("0 places put aside"));
    for wrong in [&["inspect", "uot"][..], &["drain", "out", "--to", "nowhere"]] {
        let ended = run(&flitch, wrong);
        assert_eq!(ended.status.code(), Some(64), "{wrong:?}: {}", ended.stderr);
    }
    assert!(run(&flitch, &["inspect", "uot"]).stderr.contains("did you mean `out`"));

    // One bit of a record.
    let segment =
        std::fs::read_dir(flitch.at("data/buffers/out")).unwrap().map(|entry| entry.unwrap().path());
    let segment =
        segment.into_iter().find(|path| path.extension().is_some_and(|end| end == "segment")).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let place = bytes.windows(9).position(|w| w == b"n=0000070").unwrap();
    bytes[place] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let broken = run(&flitch, &["verify", "out"]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(broken.stdout.contains("its checksum does not fit"), "{}", broken.stdout);
    let repaired = good(&["repair", "out", "--format", "json"]);
    let repaired: serde_json::Value = serde_json::from_str(&repaired).unwrap();
    assert_eq!((&repaired["parked"], &repaired["torn"]), (&1.into(), &0.into()), "{repaired}");
    let buried = repaired["dead_lettered"].as_u64().unwrap() as usize;
    assert!(buried > 0 && buried < COUNT, "{repaired}");
    let letters = flitch.cli(&["dead-letters", "show", "--component", "out", "-c", &file], "");
    assert_eq!(letters.stdout.lines().count(), buried);

    let out = flitch.at("drained.ndjson");
    let drained = good(&["drain", "out", "--to", out.to_str().unwrap()]);
    assert!(drained.starts_with(&format!("{} records drained", COUNT - buried)), "{drained}");
    let text = std::fs::read_to_string(&out).unwrap();
    assert_eq!(text.lines().count(), COUNT - buried);
    assert!(text.contains(&line(0)) && text.contains(&line(COUNT - 1)));
    assert!(good(&["list"]).trim_start().starts_with("0 "), "nothing waits");
}

#[test]
fn what_waits_is_taken_to_an_output_of_the_configuration() {
    const COUNT: usize = 500;
    let (_mock, config) = before_a_broker_that_is_down("disk-drain");
    let other = "  other: { type: file, path: \"{dir}/out.ndjson\" }\npipelines:\n";
    let config = format!("drain_timeout: 2s\n{}", config.replace("pipelines:\n", other));
    let mut flitch = Flitch::start(FLITCH, &config);
    store(&flitch, 0..COUNT);
    assert!(flitch.terminate(DEADLINE).success());
    let file = flitch.config_file();
    let ended = flitch.cli(&["buffer", "drain", "out", "--to", "other", "-c", file.to_str().unwrap()], "");
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.starts_with(&format!("{COUNT} records drained")), "{}", ended.stdout);
    assert_eq!(std::fs::read_to_string(flitch.at("out.ndjson")).unwrap().lines().count(), COUNT);
    assert_eq!(segments(&flitch), 0);
}

#[test]
fn an_output_that_is_renamed_leaves_its_buffer_and_is_told_so_by_the_log_and_by_check() {
    let (_mock, config) = before_a_broker_that_is_down("disk-renamed");
    let config = format!("drain_timeout: 2s\n{config}");
    let mut flitch = Flitch::start(FLITCH, &config);
    store(&flitch, 0..100);
    assert!(flitch.terminate(DEADLINE).success());
    flitch.configure(&config.replace("out: {", "another: {").replace("output: out", "output: another"));
    let file = flitch.config_file();
    let checked = flitch.cli(&["check", "-c", file.to_str().unwrap()], "");
    assert!(checked.stdout.contains("records wait in the buffer"), "{}{}", checked.stdout, checked.stderr);
    flitch.run();
    log_says(&flitch, "no output that is in use has it");
}

#[test]
fn an_older_flitch_refuses_what_a_newer_one_stored_and_changes_nothing() {
    let (_mock, config) = before_a_broker_that_is_down("disk-newer");
    let config = format!("drain_timeout: 2s\n{config}");
    let mut flitch = Flitch::start(FLITCH, &config);
    store(&flitch, 0..100);
    assert!(flitch.terminate(DEADLINE).success());
    let folder = flitch.at("data/buffers/out");
    let segment = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let segment =
        segment.into_iter().find(|path| path.extension().is_some_and(|end| end == "segment")).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    // The header of the next version: its number, and the CRC-32C of the first twelve bytes.
    let ours = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
    bytes[8..12].copy_from_slice(&(ours + 1).to_le_bytes());
    let sum = crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&segment, &bytes).unwrap();
    flitch.launch().unwrap();
    assert!(!flitch.wait(DEADLINE).success());
    // The report breaks lines.
    let log: Vec<String> =
        flitch.log().split([' ', '\n', '│']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let log = log.join(" ");
    let why = format!("written by a newer flitch (format {}, and this one reads {ours})", ours + 1);
    assert!(log.contains(&why), "{log}");
    assert!(log.contains("outputs.out"), "{log}");
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
}

/// CRC-32C (Castagnoli), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg()))
    })
}
