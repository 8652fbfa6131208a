use std::time::Duration;

use flitch_tests::flitch::Flitch;
use flitch_tests::servers::consumer::read_all;
use flitch_tests::servers::logrotate::{Logrotate, Manner};
use flitch_tests::servers::nginx::Nginx;
use flitch_tests::wait::eventually;

use crate::support::*;

#[test]
fn real_nginx_lines_go_through_the_dissect_filter_into_kafka() {
    let (kafka, topic) = topic("file-nginx");
    let config = pipeline(
        "{ type: file, include: [\"{dir}/access.log\"], read_from: beginning, tag: nginx.access, poll_interval: 50ms }",
        &[("parse", "{ plugin: dissect, settings: { field: message, preset: nginx_combined } }".into())],
        &kafka_output(&kafka.bootstrap(), &topic),
    );
    let mut flitch = Flitch::new(FLITCH, &config);
    let nginx = Nginx::start(flitch.dir()).unwrap();
    flitch.run();
    for n in 0..20 {
        nginx.get(&format!("/page/{n}?q=a%20b")).unwrap();
    }
    nginx.get("/missing").unwrap();
    let records = settled_records(&flitch, 21, &kafka.bootstrap(), &topic);
    assert_eq!(records.len(), 21);
    let missing = records.iter().find(|record| record["path"] == "/missing").unwrap();
    assert_eq!(missing["status"], 404);
    for record in &records {
        assert_eq!(record["@tag"], "nginx.access", "{record}");
        assert_eq!(record["method"], "GET", "{record}");
        assert!(record["@timestamp"].is_string(), "{record}");
    }
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn kill_9_in_the_middle_of_a_file_loses_no_line() {
    const LINES: usize = 60_000;
    let (kafka, topic) = topic("file-kill");
    let config = pipeline(&file_source("app.log"), &[], &kafka_output(&kafka.bootstrap(), &topic));
    let mut flitch = Flitch::new(FLITCH, &config);
    append(&flitch.at("app.log"), 0..LINES / 2);
    for round in 0..3 {
        let before = saved_position(&flitch);
        flitch.run();
        eventually("some records of this start, and a position written down", DEADLINE, || {
            flitch.metrics().sums().delivered > 2_000 && saved_position(&flitch) > before
        });
        append(&flitch.at("app.log"), LINES / 2 + round * LINES / 6..LINES / 2 + (round + 1) * LINES / 6);
        flitch.kill();
    }
    flitch.run();
    expect_numbers(&kafka.bootstrap(), &topic, LINES);
    let sums = flitch.settled(DEADLINE);
    assert!(sums.received < LINES as u64, "the positions of three starts were all forgotten: {sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());

    // What was acknowledged and written down is not read again.
    flitch.run();
    append(&flitch.at("app.log"), LINES..LINES + 1);
    let sums = flitch.settled_after(1, DEADLINE);
    assert_eq!(sums.received, 1, "{sums}");
}

/// Requests one after the other, and rotations among them; every line nginx wrote must arrive once.
fn rotate_under_load(name: &str, manner: Manner) {
    const REQUESTS: usize = 600;
    let (kafka, topic) = topic(name);
    let source = "{ type: file, include: [\"{dir}/access.log*\"], exclude: [\"{dir}/*.conf\"], read_from: beginning, \
                  poll_interval: 20ms, scan_interval: 50ms }";
    let copies = if manner == Manner::CopyTruncate {
        source.replace("access.log*", "access.log")
    } else {
        source.to_owned()
    };
    let config = pipeline(&copies, &[], &kafka_output(&kafka.bootstrap(), &topic));
    let mut flitch = Flitch::new(FLITCH, &config);
    let nginx = Nginx::start(flitch.dir()).unwrap();
    let rotation =
        Logrotate::new(flitch.dir(), &nginx.access_log(), manner, Some(&nginx.pid_file())).unwrap();
    flitch.run();
    for n in 0..REQUESTS {
        nginx.get(&format!("/n={n:07}")).unwrap();
        if n % 200 == 150 {
            if manner == Manner::CopyTruncate {
                // What is written between the copy and the cut is lost to every reader, and what was not
                // read before the cut too: let the reader catch up, as it does on a host that is not full.
                flitch.sums_when("all lines so far", DEADLINE, |sums| sums.received > n as u64);
            }
            rotation.rotate().unwrap();
        }
    }
    let seen = expect_numbers(&kafka.bootstrap(), &topic, REQUESTS);
    assert!(seen.values().all(|&times| times == 1), "a line came twice");
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.received, sums.delivered), (REQUESTS as u64, REQUESTS as u64));
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn logrotate_that_renames_nginx_logs_loses_and_doubles_no_line() {
    rotate_under_load("file-rotate-create", Manner::Create);
}

#[test]
fn logrotate_that_copies_and_truncates_loses_and_doubles_no_line() {
    rotate_under_load("file-rotate-copytruncate", Manner::CopyTruncate);
}

#[test]
fn a_hundred_files_at_once_all_arrive() {
    const FILES: usize = 100;
    const LINES: usize = 50;
    let (kafka, topic) = topic("file-hundred");
    let config = pipeline(&file_source("many/*.log"), &[], &kafka_output(&kafka.bootstrap(), &topic));
    let mut flitch = Flitch::new(FLITCH, &config);
    std::fs::create_dir(flitch.at("many")).unwrap();
    for file in 0..FILES / 2 {
        append(&flitch.at(&format!("many/{file}.log")), file * LINES..(file + 1) * LINES);
    }
    flitch.run();
    for file in FILES / 2..FILES {
        append(&flitch.at(&format!("many/{file}.log")), file * LINES..(file + 1) * LINES);
    }
    expect_numbers(&kafka.bootstrap(), &topic, FILES * LINES);
    let sums = flitch.settled(DEADLINE);
    assert_eq!(sums.received, (FILES * LINES) as u64, "{sums}");
    assert!(flitch.terminate(DEADLINE).success());
}

#[test]
fn lines_that_are_json_arrive_with_their_fields() {
    let (kafka, topic) = topic("file-json");
    let source = file_source("app.ndjson").replace("type: file", "type: file, codec: json");
    let config = pipeline(&source, &[], &kafka_output(&kafka.bootstrap(), &topic));
    let mut flitch = Flitch::new(FLITCH, &config);
    std::fs::write(
        flitch.at("app.ndjson"),
        "{\"a\":{\"b\":[1,2,{}],\"c\":null},\"big\":12345678901234567890,\"t\":\"é\\u0000\"}\nnot json\n{\"a\":true}\n",
    )
    .unwrap();
    flitch.run();
    let sums = flitch.settled_after(3, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (2, 1), "{sums}");
    let messages = read_all(&kafka.bootstrap(), &topic, DEADLINE).unwrap();
    let text = messages.iter().map(|message| message.text()).find(|text| text.contains("big")).unwrap();
    assert!(text.contains("\"big\":12345678901234567890"), "a number lost digits: {text}");
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(record["a"], serde_json::json!({"b": [1, 2, {}], "c": null}));
    assert_eq!(record["t"], "é\u{0}");
    assert!(flitch.terminate(Duration::from_secs(30)).success());
}
