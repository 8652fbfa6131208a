use std::time::Duration;

use flitch_tests::flitch::Flitch;
use flitch_tests::servers::consumer::read_all;
use flitch_tests::servers::kafka::{CONNECTION_STRING, Kafka};
use flitch_tests::servers::mock_kafka::MockKafka;
use flitch_tests::wait::eventually;

use crate::support::*;

/// A flitch that follows `app.log` into `topic` and lets librdkafka give a message up after some seconds, so
/// that the delivery loop takes part too.
fn follow(bootstrap: &str, topic: &str, lines: usize) -> Flitch {
    let output = kafka_output(bootstrap, topic).replace("type: kafka", "type: kafka, timeout: 3s");
    let mut flitch = Flitch::new(FLITCH, &pipeline(&file_source("app.log"), &[], &output));
    append(&flitch.at("app.log"), 0..lines);
    flitch.run();
    flitch
}

#[test]
fn a_broker_that_is_down_for_a_while_costs_no_record() {
    let mut kafka = Kafka::start(1).unwrap();
    kafka.create_topic("outage", 1).unwrap();
    let mut flitch = follow(&kafka.bootstrap(), "outage", 500);
    expect_numbers(&kafka.bootstrap(), "outage", 500);
    kafka.kill(1);
    append(&flitch.at("app.log"), 500..5_000);
    flitch.sums_when("the records wait inside", DEADLINE, |sums| sums.in_flight > 0);
    // Longer than the client itself keeps trying: messages time out and the delivery loop repeats them.
    let outage = std::time::Instant::now();
    eventually("five seconds of outage", DEADLINE, || outage.elapsed() > Duration::from_secs(5));
    let sums = flitch.metrics().sums();
    assert!(sums.hold() && sums.dead_lettered == 0, "{sums}");
    kafka.restart(1).unwrap();
    expect_numbers(&kafka.bootstrap(), "outage", 5_000);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.received, sums.delivered, sums.dead_lettered), (5_000, 5_000, 0), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn a_flitch_that_starts_before_its_broker_delivers_when_the_broker_comes() {
    let mut kafka = Kafka::start(1).unwrap();
    kafka.create_topic("late", 1).unwrap();
    kafka.stop(1).unwrap();
    let mut flitch = follow(&kafka.bootstrap(), "late", 300);
    flitch.sums_when("the records wait inside", DEADLINE, |sums| sums.in_flight > 0);
    kafka.restart(1).unwrap();
    expect_numbers(&kafka.bootstrap(), "late", 300);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn a_leader_that_moves_and_one_of_three_brokers_killed_cost_no_record() {
    let mut kafka = Kafka::start(3).unwrap();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("moving", 3).unwrap();
    let mut flitch = follow(&bootstrap, "moving", 1_000);
    flitch.sums_when("the first records", DEADLINE, |sums| sums.delivered >= 1_000);

    let old = kafka.leader("moving", 0).unwrap();
    append(&flitch.at("app.log"), 1_000..2_000);
    assert_ne!(kafka.move_leader("moving", 0).unwrap(), old);
    append(&flitch.at("app.log"), 2_000..3_000);
    flitch.sums_when("the records around the move", DEADLINE, |sums| sums.delivered >= 3_000);

    let leader = kafka.leader("moving", 0).unwrap();
    kafka.kill(leader);
    append(&flitch.at("app.log"), 3_000..6_000);
    expect_numbers(&bootstrap, "moving", 6_000);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.received, sums.delivered, sums.dead_lettered), (6_000, 6_000, 0), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn an_encrypted_broker_with_a_connection_string_gets_every_record() {
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("hub", 1).unwrap();
    // In single quotes a dollar is a dollar: `$ConnectionString` is what Azure Event Hubs wants, literally.
    let output = format!(
        "out: {{ type: kafka, brokers: [\"{}\"], topic: hub, options: {{ log_level: \"0\", security.protocol: SASL_SSL, \
         sasl.mechanism: PLAIN, sasl.username: '$ConnectionString', sasl.password: '${{HUB_SECRET}}', \
         ssl.ca.location: '{}' }} }}",
        kafka.sasl_bootstrap(),
        kafka.authority_file().display()
    );
    let config = pipeline(&file_source("app.log"), &[], &output);
    let mut flitch = Flitch::new(FLITCH, &config).env("HUB_SECRET", CONNECTION_STRING);
    append(&flitch.at("app.log"), 0..100);
    flitch.run();
    expect_numbers(&kafka.bootstrap(), "hub", 100);
    let status = flitch.status().to_string();
    assert!(flitch.terminate(DEADLINE).success());
    for text in [status, flitch.log()] {
        assert!(!text.contains("c2VjcmV0"), "the secret is shown: {text}");
    }
}

#[test]
fn a_record_that_a_topic_does_not_take_costs_no_other() {
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic_with("compacted", 1, &[("cleanup.policy", "compact")]).unwrap();
    kafka.create_topic_with("timely", 1, &[("message.timestamp.after.max.ms", "3600000")]).unwrap();
    let cases = [
        ("compacted", "key: \"{k}\"", r#"{"n":50}"#, "without a key"),
        ("timely", "timestamp: event", r#"{"n":50,"@timestamp":"2099-01-01T00:00:00Z"}"#, "after.max.ms"),
    ];
    for (topic, how, bad, reason) in cases {
        let output = kafka_output(&bootstrap, topic).replace("type: kafka", &format!("type: kafka, {how}"));
        let source = file_source("app.log").replace("type: file", "type: file, codec: json");
        let mut flitch = Flitch::new(FLITCH, &pipeline(&source, &[], &output));
        let line = |n: usize| if n == 50 { bad.to_owned() } else { format!(r#"{{"n":{n},"k":"key {n}"}}"#) };
        let lines: Vec<String> = (0..100).map(line).collect();
        std::fs::write(flitch.at("app.log"), lines.join("\n") + "\n").unwrap();
        flitch.run();
        let sums = flitch.settled_after(100, DEADLINE);
        assert_eq!((sums.delivered, sums.dead_lettered), (99, 1), "{topic}: {sums}");
        let letters = flitch.cli(&["dead-letters", "list"], "");
        assert!(letters.stdout.contains(reason), "{topic}: {}", letters.stdout);
        let read = read_all(&bootstrap, topic, DEADLINE).unwrap();
        let numbers = read.iter().filter_map(|message| message.json()["n"].as_u64());
        let numbers: std::collections::BTreeSet<u64> = numbers.collect();
        assert_eq!(numbers.len(), 99, "{topic}");
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    }
}

#[test]
fn errors_that_only_a_mock_broker_gives_are_retried_until_all_is_there() {
    use rdkafka::types::RDKafkaRespErr as Error;
    let mock = MockKafka::start(3).unwrap();
    mock.create_topic("mocked", 1, 3).unwrap();
    mock.produce_errors(&[
        Error::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Error::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        Error::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ]);
    let mut flitch = follow(&mock.bootstrap(), "mocked", 1_000);
    flitch.sums_when("the first records", DEADLINE, |sums| sums.delivered >= 1_000);
    mock.down(1).unwrap();
    for broker in [2, 3] {
        mock.move_leader("mocked", 0, broker).unwrap();
        append(&flitch.at("app.log"), broker as usize * 1_000 - 1_000..broker as usize * 1_000);
        flitch.sums_when("the records of this leader", DEADLINE, |sums| {
            sums.delivered >= broker as u64 * 1_000
        });
    }
    expect_numbers(&mock.bootstrap(), "mocked", 3_000);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}
