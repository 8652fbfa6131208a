use std::collections::BTreeMap;

use flitch_tests::servers::azurite::Azurite;
use flitch_tests::servers::consumer::write_all;
use flitch_tests::servers::kafka::Kafka;
use flitch_tests::servers::kusto::{Kusto, SECRET};
use flitch_tests::wait::eventually;
use serde_json::{Value, json};

use super::{prepared, told};
use crate::support::*;

const EACH: usize = 3_000;
const DATABASE: &str = "crimes_db";

fn record(topic: &str, n: usize) -> Value {
    json!({"id": n, "topic": topic, "district": n % 25, "arrest": n.is_multiple_of(3), "text": format!("{topic} number {n}")})
}

/// How often each record of a topic is in its table; all else that is there fails the test.
#[track_caller]
fn found(kusto: &Kusto, table: &str, topic: &str) -> BTreeMap<usize, usize> {
    let mut found = BTreeMap::new();
    for line in kusto.lines(DATABASE, table) {
        let value: Value = serde_json::from_str(&line).unwrap();
        let id = usize::try_from(value["id"].as_u64().unwrap()).unwrap();
        assert_eq!(value, record(topic, id), "{table}");
        *found.entry(id).or_default() += 1;
    }
    found
}

#[test]
fn two_hosts_share_the_group_and_every_record_is_in_its_table_though_one_is_killed() {
    let (kafka, azurite) = (Kafka::shared(), Azurite::with_queues().unwrap());
    let kusto = Kusto::with_azurite(&azurite).unwrap();
    kusto.state().makes_tables = false;
    kusto.create(DATABASE, "crimes_curated", &["crimes_curated_mapping"], false);
    kusto.create(DATABASE, "incidents", &["incidents_mapping"], false);
    let topics = [("crimes", "crimes_curated"), ("incidents", "incidents")];
    let write = |from: usize, to: usize| {
        for (topic, _) in topics {
            let values: Vec<String> = (from..to).map(|n| record(topic, n).to_string()).collect();
            write_all(&kafka.bootstrap(), topic, values.iter().map(|value| (None, value.as_bytes())))
                .unwrap();
        }
    };
    for (topic, _) in topics {
        kafka.create_topic(topic, 4).unwrap();
    }
    write(0, EACH / 2);
    write_all(&kafka.bootstrap(), "crimes", [(None, &b"no JSON at all"[..])]).unwrap();
    let environment = [
        ("KAFKA_BROKERS", &*kafka.bootstrap()),
        ("KUSTO_CLUSTER", &kusto.uri()),
        ("AZURE_AUTHORITY_HOST", &kusto.uri()),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", SECRET),
        ("FLUSH_INTERVAL", "1s"),
    ];
    let host = || {
        let mut flitch = prepared("4-kafka-to-adx", "flitch.yaml", &environment);
        flitch.run();
        flitch
    };
    let (mut a, mut b) = (host(), host());
    let assigned = |flitch: &flitch_tests::flitch::Flitch| flitch.log().contains("partitions are assigned");
    eventually("both read", DEADLINE, || assigned(&a) && assigned(&b));
    write(EACH / 2, EACH);
    a.kill();
    told("host A is killed");
    eventually("host B has all", DEADLINE * 2, || {
        topics.iter().all(|(topic, table)| found(&kusto, table, topic).len() == EACH)
    });
    for (topic, table) in topics {
        let found = found(&kusto, table, topic);
        let twice = found.values().sum::<usize>() - EACH;
        told(&format!("{table}: {EACH} records of {topic}, each as it was; {twice} came twice"));
    }
    b.settled(DEADLINE);
    let letters = |flitch: &flitch_tests::flitch::Flitch| {
        let ended = flitch.cli(&["dead-letters", "list", "-c", &flitch.config_file().to_string_lossy()], "");
        ended.stdout.contains("topic crimes") || ended.stdout.contains("crimes")
    };
    assert!(letters(&a) || letters(&b), "what is no JSON is a dead letter of one of them");
    assert!(b.terminate(DEADLINE).success(), "{}", b.log());
    assert!(!b.log().contains(SECRET), "{}", b.log());
}
