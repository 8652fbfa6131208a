use std::time::Duration;

use flitch_tests::flitch::Flitch;
use flitch_tests::process::Signal;
use flitch_tests::servers::kafka::Kafka;
use flitch_tests::servers::mock_kafka::MockKafka;
use flitch_tests::wait::eventually;
use rustix::process::{Resource, Rlimit};

use crate::support::*;

#[test]
fn sigterm_lets_everything_that_was_taken_in_arrive() {
    let mock = MockKafka::start(1).unwrap();
    mock.create_topic("drain", 1, 1).unwrap();
    mock.delay(1, Duration::from_millis(500)).unwrap();
    let config = pipeline(&file_source("app.log"), &[], &kafka_output(&mock.bootstrap(), "drain"));
    let mut flitch = Flitch::new(FLITCH, &config);
    append(&flitch.at("app.log"), 0..20_000);
    flitch.run();
    flitch.sums_when("records in flight", DEADLINE, |sums| sums.in_flight > 0);
    let received = flitch.metrics().sums().received as usize;
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    // A file that is not read to its end goes on at the next start; what was taken in is there already.
    expect_numbers(&mock.bootstrap(), "drain", received);
    mock.delay(1, Duration::ZERO).unwrap();
    flitch.run();
    let seen = expect_numbers(&mock.bootstrap(), "drain", 20_000);
    assert!(seen.values().all(|&times| times == 1), "an orderly end doubled a record");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn a_second_sigterm_ends_a_drain_that_cannot_end_and_nothing_is_lost() {
    let mut kafka = Kafka::start(1).unwrap();
    kafka.create_topic("stuck", 1).unwrap();
    let config = pipeline(&file_source("app.log"), &[], &kafka_output(&kafka.bootstrap(), "stuck"));
    let mut flitch = Flitch::start(FLITCH, &format!("drain_timeout: 1h\n{config}"));
    kafka.kill(1);
    append(&flitch.at("app.log"), 0..1_000);
    flitch.sums_when("records in flight", DEADLINE, |sums| sums.in_flight > 0);
    flitch.signal(Signal::Term);
    eventually("the end of readiness", DEADLINE, || !flitch.ready());
    assert!(!flitch.ended(), "it did not wait for its records:\n{}", flitch.log());
    flitch.signal(Signal::Term);
    flitch.wait(DEADLINE);
    kafka.restart(1).unwrap();
    flitch.run();
    expect_numbers(&kafka.bootstrap(), "stuck", 1_000);
}

/// As scripts send them that were written for another collector, such as those that `logrotate` runs.
#[test]
fn a_signal_that_means_nothing_here_ends_nothing_and_is_told_once() {
    let mut flitch =
        Flitch::start(FLITCH, &pipeline(&file_source("app.log"), &[], "out: { type: blackhole }"));
    for _ in 0..2 {
        flitch.signal(Signal::Usr1);
        flitch.signal(Signal::Usr2);
        eventually("two lines of the log", DEADLINE, || {
            flitch.log().matches("means nothing here").count() == 2
        });
    }
    append(&flitch.at("app.log"), 0..25);
    assert_eq!(flitch.settled_after(25, DEADLINE).delivered, 25);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert_eq!(flitch.log().matches("means nothing here").count(), 2);
}

#[test]
fn a_file_that_reaches_the_limit_on_their_size_is_waited_for_and_ends_nothing() {
    let output = "out: { type: file, path: \"{dir}/out.ndjson\", retry: { initial: 20ms, max: 100ms } }";
    let mut flitch = Flitch::start(FLITCH, &pipeline(&file_source("app.log"), &[], output));
    let limit = |most| {
        let pid = rustix::process::Pid::from_raw(flitch.pid() as i32);
        let limit = Rlimit { current: most, maximum: None };
        rustix::process::prlimit(pid, Resource::Fsize, limit).unwrap();
    };
    limit(Some(20_000));
    append(&flitch.at("app.log"), 0..1_000);
    eventually("an output that waits", DEADLINE, || {
        flitch.status()["ailments"]["output out"].as_str().is_some_and(|why| why.contains("too large"))
    });
    limit(None);
    let sums = flitch.settled_after(1_000, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (1_000, 0));
    let written = std::fs::read_to_string(flitch.at("out.ndjson")).unwrap();
    assert_eq!(written.lines().count(), 1_000);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn the_admin_listener_tells_health_metrics_and_status() {
    let config = pipeline(&file_source("app.log"), &[], "out: { type: blackhole }");
    let flitch = Flitch::start(FLITCH, &config);
    append(&flitch.at("app.log"), 0..25);
    let sums = flitch.settled_after(25, DEADLINE);
    assert_eq!(sums.delivered, 25);
    let metrics = flitch.metrics();
    assert_eq!(metrics.count("flitch_records_received_total", &[("source", "in")]), 25);
    assert_eq!(metrics.count("flitch_records_delivered_total", &[("output", "out")]), 25);
    assert!(metrics.count("flitch_bytes_received_total", &[("source", "in")]) > 25 * 60);
    assert!(flitch.status().is_object());
    for path in ["/healthz", "/readyz"] {
        assert_eq!(flitch_tests::http::get(flitch.admin(), path).unwrap().status, 200, "{path}");
    }
}

#[test]
fn what_is_taken_by_another_process_is_told_with_its_place() {
    let config = pipeline(&file_source("app.log"), &[], "out: { type: blackhole }");
    let first = Flitch::start(FLITCH, &config);
    let run = |config: String| {
        let file = first.at("second.yaml");
        std::fs::write(&file, config).unwrap();
        let ended = first.cli(&["run", "-c", &file.to_string_lossy()], "");
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        ended.stderr
    };
    let config = config.replace("{dir}", &first.dir().to_string_lossy());
    let admin = format!("admin: {{ listen: \"{}\" }}\n", first.admin());
    let said =
        run(format!("data_dir: {}/data\n{config}admin: {{ enabled: false }}\n", first.dir().display()));
    assert!(
        said.contains("another flitch") && said.contains(&format!("(process {})", first.pid())),
        "{said}"
    );
    assert!(said.contains("second.yaml:1:"), "{said}");
    let said = run(format!("data_dir: {}/other\n{admin}{config}", first.dir().display()));
    assert!(said.contains("admin.listen: cannot listen on") && said.contains("second.yaml:2:"), "{said}");
}

/// A machine that gives no threads (each is to have a stack that fits nowhere), one that gives no addresses, and one that gives next
/// to no descriptors.
#[test]
fn what_the_machine_does_not_give_is_told_from_what_is_wrong() {
    let flitch = Flitch::new(FLITCH, &heavy(&["set"]));
    let file = flitch.config_file();
    // What is compiled is kept: to compile takes memory, too.
    let checked = flitch.cli(&["check", "-c", &file.to_string_lossy()], "");
    assert!(checked.status.success(), "{}", checked.stderr);
    for (limit, told) in [
        (["env", "RUST_MIN_STACK=1152921504606846976"], "the system gives no more threads"),
        (["prlimit", "--as=3000000000"], "set cannot start: start: the system gives no memory for another"),
        (["prlimit", "--nofile=7"], "the process may open no more files"),
    ] {
        for command in ["check", "run"] {
            let mut limited = std::process::Command::new(limit[0]);
            limited.arg(limit[1]).arg(FLITCH).args([command, "-c"]).arg(&file).env("NO_COLOR", "1");
            let ended = limited.output().unwrap();
            let said = String::from_utf8_lossy(&ended.stderr);
            let words = said.replace("\n  │ ", " ");
            assert!(words.contains(told) && !said.contains("panicked"), "{command}: {said}");
            assert_eq!(ended.status.code(), Some(1), "{command}: {said}");
        }
    }
}

/// A configuration whose filters are compiled for a while at their first start.
fn heavy(filters: &[&str]) -> String {
    let set = "{ plugin: set, settings: { set: { seen: true } } }".to_owned();
    let regex = "{ plugin: regex, settings: { field: message, pattern: \"(?P<n>n=[0-9]+)\" } }".to_owned();
    let all = [("set", set), ("regex", regex)];
    let named: Vec<_> = all.into_iter().filter(|(name, _)| filters.contains(name)).collect();
    pipeline(&file_source("app.log"), &named, "out: { type: blackhole }")
}

#[test]
fn sigterm_during_a_reload_that_compiles_drains_at_once() {
    let mut flitch = Flitch::start(FLITCH, &heavy(&["set"]));
    append(&flitch.at("app.log"), 0..10);
    flitch.settled_after(10, DEADLINE);
    flitch.configure(&heavy(&["set", "regex"]));
    flitch.signal(Signal::Hup);
    flitch.signal(Signal::Term);
    assert!(flitch.wait(DEADLINE).success(), "{}", flitch.log());
    assert!(!flitch.log().contains("the new configuration is in force"), "{}", flitch.log());
}

#[test]
fn sigterm_during_a_start_that_compiles_ends_it() {
    let mut flitch = Flitch::new(FLITCH, &heavy(&["set", "regex"]));
    flitch.launch().unwrap();
    eventually("the admin listener", DEADLINE, || {
        flitch_tests::http::get(flitch.admin(), "/healthz").is_ok()
    });
    flitch.signal(Signal::Term);
    assert_eq!(flitch.wait(DEADLINE).code(), Some(1), "{}", flitch.log());
    assert!(flitch.log().contains("stopped before the start was through"), "{}", flitch.log());
}
