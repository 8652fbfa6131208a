use std::time::Duration;

use flitch_tests::servers::consumer::{read_all, read_count, read_until, write_all};
use flitch_tests::servers::kafka::{CONNECTION_STRING, Kafka, client};
use flitch_tests::servers::mock_kafka::MockKafka;

const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn what_is_written_to_a_topic_is_read_back_from_every_partition() {
    let kafka = Kafka::shared();
    kafka.create_topic("harness-round-trip", 3).unwrap();
    let values: Vec<String> = (0..300).map(|n| format!("value {n}")).collect();
    let records = values.iter().map(|value| (Some(value.as_str()), value.as_bytes()));
    write_all(&kafka.bootstrap(), "harness-round-trip", records).unwrap();
    let counted = read_count(&kafka.bootstrap(), "harness-round-trip", 300, DEADLINE).unwrap();
    let mut all = read_all(&kafka.bootstrap(), "harness-round-trip", DEADLINE).unwrap();
    assert_eq!((counted.len(), all.len()), (300, 300));
    let partitions: std::collections::BTreeSet<i32> = all.iter().map(|message| message.partition).collect();
    assert_eq!(partitions.len(), 3);
    let mut expected = values.clone();
    expected.sort();
    all.sort_by_key(|message| message.text());
    assert_eq!(all.iter().map(|message| message.text()).collect::<Vec<_>>(), expected);
    assert!(all.iter().all(|message| message.key.as_deref() == Some(&message.value[..])));
}

#[test]
fn a_reader_that_waits_in_vain_says_how_many_records_came() {
    let kafka = Kafka::shared();
    kafka.create_topic("harness-too-few", 1).unwrap();
    write_all(&kafka.bootstrap(), "harness-too-few", [(None, &b"only one"[..])]).unwrap();
    let error = read_count(&kafka.bootstrap(), "harness-too-few", 2, Duration::from_secs(2)).unwrap_err();
    assert!(
        error.to_string().contains("1 of 2 records") && error.to_string().contains("only one"),
        "{error}"
    );
}

#[test]
fn of_three_nodes_one_is_killed_and_another_leads_and_nothing_is_lost() {
    let mut kafka = Kafka::start(3).unwrap();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("cluster", 1).unwrap();
    write_all(&bootstrap, "cluster", [(None, &b"before"[..])]).unwrap();
    let leader = kafka.leader("cluster", 0).unwrap();
    kafka.kill(leader);
    write_all(&bootstrap, "cluster", [(None, &b"without one node"[..])]).unwrap();
    assert_ne!(kafka.leader("cluster", 0), Some(leader));
    kafka.restart(leader).unwrap();
    kafka.move_leader("cluster", 0).unwrap();
    write_all(&bootstrap, "cluster", [(None, &b"after"[..])]).unwrap();
    let values: Vec<String> =
        read_all(&bootstrap, "cluster", DEADLINE).unwrap().iter().map(|message| message.text()).collect();
    assert_eq!(values, ["before", "without one node", "after"]);
}

#[test]
fn the_encrypted_listener_takes_the_connection_string_and_no_other_password() {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let kafka = Kafka::shared_sasl();
    kafka.create_topic("secret", 1).unwrap();
    let with = |password: &str| {
        let mut config = client(&kafka.sasl_bootstrap());
        config
            .set("security.protocol", "SASL_SSL")
            .set("sasl.mechanism", "PLAIN")
            .set("sasl.username", "$ConnectionString")
            .set("sasl.password", password)
            .set("ssl.ca.location", kafka.authority_file().to_string_lossy())
            .set("message.timeout.ms", "3000");
        config
    };
    let producer: BaseProducer = with(CONNECTION_STRING).create().unwrap();
    producer.send(BaseRecord::<(), str>::to("secret").payload("hello")).unwrap();
    producer.flush(DEADLINE).unwrap();
    let mut reader = with(CONNECTION_STRING);
    reader.remove("message.timeout.ms");
    let seen = read_until(reader, "secret", DEADLINE, |seen| !seen.is_empty()).unwrap();
    assert_eq!(seen[0].text(), "hello");

    let wrong: BaseProducer = with("Endpoint=sb://wrong").create().unwrap();
    assert!(wrong.client().fetch_metadata(None, Duration::from_secs(2)).is_err());
}

#[test]
fn the_mock_cluster_is_a_broker_to_other_clients_and_fails_when_told_to() {
    use rdkafka::types::RDKafkaRespErr;
    let mock = MockKafka::start(3).unwrap();
    mock.create_topic("mock", 1, 3).unwrap();
    mock.produce_errors(&[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION]);
    mock.move_leader("mock", 0, 2).unwrap();
    write_all(&mock.bootstrap(), "mock", [(None, &b"in spite of it"[..])]).unwrap();
    let seen = read_count(&mock.bootstrap(), "mock", 1, DEADLINE).unwrap();
    assert_eq!(seen[0].text(), "in spite of it");
}
