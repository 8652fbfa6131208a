use flitch_tests::flitch::Flitch;
use flitch_tests::ports;
use flitch_tests::servers::docker::{Docker, IMAGE};
use flitch_tests::wait::eventually;

use crate::forward::start;
use crate::support::*;

#[test]
fn a_container_logs_through_the_fluentd_driver_with_every_line_whole() {
    let name = "a_container_logs_through_the_fluentd_driver_with_every_line_whole";
    let Some(docker) = Docker::shared(name) else { return };
    let (mut flitch, port, kafka, topic) = start("docker-plain");
    let address = format!("fluentd-address=127.0.0.1:{port}");
    let options = [
        "--log-driver=fluentd",
        "--log-opt",
        &address,
        "--log-opt",
        "tag=docker.{{.Name}}",
        "--name",
        "speaker",
    ];
    // 50,000 bytes in one line: Docker cuts it into pieces of 16 KiB.
    let script = "echo one; echo two >&2; head -c 50000 /dev/zero | tr '\\0' x; echo; echo last";
    docker.run(&options, script).unwrap();
    let records = settled_records(&flitch, 4, &kafka.bootstrap(), &topic);
    let logs: Vec<&str> = records.iter().map(|record| record["log"].as_str().unwrap()).collect();
    assert_eq!(records.len(), 4, "{logs:?}");
    let two = records.iter().find(|record| record["log"] == "two").unwrap();
    assert_eq!((&two["source"], &two["@tag"]), (&"stderr".into(), &"docker.speaker".into()));
    assert!(logs.iter().any(|log| log.len() == 50_000 && log.bytes().all(|c| c == b'x')));
    assert!(flitch.terminate(DEADLINE).success());
}

#[test]
fn a_container_that_asks_for_acks_loses_no_line_to_kill_9() {
    const LINES: usize = 1_500;
    let name = "a_container_that_asks_for_acks_loses_no_line_to_kill_9";
    let Some(docker) = Docker::shared(name) else { return };
    let (mut flitch, port, kafka, topic) = start("docker-ack");
    let address = format!("fluentd-address=127.0.0.1:{port}");
    let mut run = vec!["run", "-d", "--network=none", "--log-driver=fluentd", "--log-opt", &address];
    run.extend(["--log-opt", "fluentd-request-ack=true", "--log-opt", "fluentd-retry-wait=200ms"]);
    // The container stays until its lines have arrived: Docker gives a log ten seconds after the end of its
    // container, and throws away what the driver has not taken by then.
    let script = format!("for i in $(seq 0 {}); do printf 'n=%07d\\n' $i; done; sleep 600", LINES - 1);
    run.extend(["--name", "asker", IMAGE, "sh", "-c", &script]);
    docker.docker(&run).unwrap();
    flitch.sums_when("some lines", DEADLINE, |sums| sums.delivered > 100);
    flitch.kill();
    flitch.run();
    expect_numbers(&kafka.bootstrap(), &topic, LINES);
    docker.docker(&["rm", "-f", "asker"]).unwrap();
    flitch.settled(DEADLINE);
    assert!(flitch.terminate(DEADLINE).success());
}

#[test]
fn a_trace_of_a_container_is_one_record_beside_its_other_stream() {
    let name = "a_trace_of_a_container_is_one_record_beside_its_other_stream";
    let Some(docker) = Docker::shared(name) else { return };
    let port = ports::free();
    let source = format!(
        "{{ type: forward, listen: \"127.0.0.1:{port}\", multiline: {{ field: log, preset: java, by: [source], timeout: 10m }} }}"
    );
    let output = "out: { type: file, path: \"{dir}/out.ndjson\" }";
    let mut flitch = Flitch::start(FLITCH, &pipeline(&source, &[], output));
    let address = format!("fluentd-address=127.0.0.1:{port}");
    // Without acks: Docker's driver takes the answers to its two streams for each other's, and sends again.
    let options = ["--log-driver=fluentd", "--log-opt", &address, "--name", "tracer"];
    let line = "printf 'ERROR %s\\n' $i >&2; echo out $i; printf '\\tat a.B.c(B.java:%s)\\n' $i $i >&2";
    docker.run(&options, &format!("for i in 1 2 3; do {line}; done")).unwrap();
    let logs = || {
        let text = std::fs::read_to_string(flitch.at("out.ndjson")).unwrap_or_default();
        let records = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut logs: Vec<String> =
            records.filter_map(|record| Some(record["log"].as_str()?.into())).collect();
        logs.sort();
        logs
    };
    let trace = |i| format!("ERROR {i}\n\tat a.B.c(B.java:{i})\n\tat a.B.c(B.java:{i})");
    let wanted = [trace(1), trace(2), trace(3), "out 1".into(), "out 2".into(), "out 3".into()];
    eventually("all records", DEADLINE, || logs().len() >= wanted.len());
    assert_eq!(logs(), wanted);
    assert!(flitch.terminate(DEADLINE).success());
}
