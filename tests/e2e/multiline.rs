//! Lines that are one record, from clients and topics.

use std::net::SocketAddr;

use flitch_tests::flitch::Flitch;
use flitch_tests::fluent::{FluentClient, OneByOne};
use flitch_tests::servers::consumer::write_all;
use flitch_tests::servers::kafka::{Kafka, client};
use flitch_tests::wait::eventually;
use flitch_tests::{http, ports};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::support::*;

const OUTPUT: &str = "out: { type: file, path: \"{dir}/out.ndjson\" }";

const JAVA: &str = "ERROR order failed
com.example.shop.OrderException: no stock
\tat com.example.shop.Cart.order(Cart.java:12)
Caused by: java.lang.NullPointerException
\tat com.example.shop.Stock.of(Stock.java:3)
\t... 12 more";

const PYTHON: &str = "ERROR order failed
Traceback (most recent call last):
  File \"cart.py\", line 3, in order
    stock[0]
KeyError: 0

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"cart.py\", line 5, in order
shop.errors.NoStockError: cart";

/// What has arrived so far.
fn arrived(flitch: &Flitch) -> Vec<Value> {
    let text = std::fs::read_to_string(flitch.at("out.ndjson")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn messages(flitch: &Flitch, field: &str) -> Vec<String> {
    arrived(flitch).iter().filter_map(|record| Some(record[field].as_str()?.to_owned())).collect()
}

#[test]
fn a_request_is_answered_when_the_records_of_its_lines_are_safe() {
    let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let source =
        format!("{{ type: http, listen: \"{address}\", multiline: {{ preset: java, timeout: 10m }} }}");
    let mut flitch = Flitch::start(FLITCH, &pipeline(&source, &[], OUTPUT));
    let body = format!("INFO started\n{JAVA}\n");
    let answer = http::post(address, "/app", &[("Content-Type", "text/plain")], body.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(messages(&flitch, "message"), ["INFO started", JAVA]);
    assert_eq!(flitch.metrics().sums().received, 2, "what was joined is one record");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn a_chunk_is_acknowledged_when_no_more_lines_come() {
    let port = ports::free();
    let source = format!(
        "{{ type: forward, listen: \"127.0.0.1:{port}\", multiline: {{ field: text, continue: 'n=000000[1-9]' }} }}"
    );
    let mut flitch = Flitch::start(FLITCH, &pipeline(&source, &[], OUTPUT));
    FluentClient::new(port).send(0..3).unwrap();
    let records = arrived(&flitch);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(
        (&records[0]["id"], &records[0]["text"]),
        (&0.into(), &"n=0000000\nn=0000001\nn=0000002".into()),
        "the other fields are those of the first line"
    );
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

/// Docker sends a line when it has the answer to the one before, and each container has a connection of its own.
#[test]
fn traces_of_two_containers_are_each_one_record_though_their_lines_come_mixed_and_one_by_one() {
    let port = ports::free();
    // A Python traceback has lines that are none of a Java one, and the other way round.
    let more = r"^\s|^$|^Traceback|^During|^Caused by: |^[\w.]+(Error|Exception): ";
    let source = format!(
        "{{ type: forward, listen: \"127.0.0.1:{port}\", multiline: {{ field: log, continue: '{more}', timeout: 10m }} }}"
    );
    let mut flitch = Flitch::start(FLITCH, &pipeline(&source, &[], OUTPUT));
    let mut clients = [OneByOne::connect(port).unwrap(), OneByOne::connect_from(port, 1_000).unwrap()];
    let mut wanted = Vec::new();
    for round in 0..2 {
        let texts = [JAVA, PYTHON].map(|trace| {
            let records =
                [format!("INFO {round}"), format!("{round} {trace}"), format!("INFO {round} again")];
            wanted.extend(records.iter().cloned());
            records.join("\n")
        });
        let most = texts.iter().map(|text| text.lines().count()).max().unwrap();
        for number in 0..most {
            for (client, text) in clients.iter_mut().zip(&texts) {
                if let Some(line) = text.lines().nth(number) {
                    client.send(line).unwrap();
                }
            }
        }
        // The last records are open: they go on when their connections end.
        eventually("all but the last ones", DEADLINE, || messages(&flitch, "log").len() == 6 * round + 4);
        clients =
            [OneByOne::connect_from(port, 2_000).unwrap(), OneByOne::connect_from(port, 3_000).unwrap()];
        eventually("all records", DEADLINE, || messages(&flitch, "log").len() == wanted.len());
        if round == 0 {
            flitch.kill();
            flitch.run();
            clients.iter_mut().for_each(|client| client.reconnect(port).unwrap());
        }
    }
    let mut came = messages(&flitch, "log");
    came.sort();
    wanted.sort();
    assert_eq!(came, wanted);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

/// The position of the group of a client in the first partition of a topic.
fn committed(consumer: &BaseConsumer, topic: &str) -> Option<i64> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let found = consumer.committed_offsets(list, DEADLINE).unwrap();
    match found.find_partition(topic, 0)?.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

#[test]
fn neither_kill_9_nor_a_restart_leaves_a_half_of_a_record_behind() {
    let kafka = Kafka::shared();
    let bootstrap = kafka.bootstrap();
    kafka.create_topic("multiline", 1).unwrap();
    let write = |lines: &[&str]| {
        write_all(&bootstrap, "multiline", lines.iter().map(|line| (None, line.as_bytes()))).unwrap();
    };
    let source = format!(
        "{{ type: kafka, brokers: \"{bootstrap}\", topics: multiline, group: multiline, commit_interval: 100ms, \
         options: {{ log_level: \"0\", session.timeout.ms: 6000 }}, multiline: {{ preset: java, timeout: 10m }} }}"
    );
    let group: BaseConsumer = client(&bootstrap).set("group.id", "multiline").create().unwrap();
    let stands_at = |offset: i64| committed(&group, "multiline") == Some(offset);
    let mut flitch = Flitch::start(FLITCH, &pipeline(&source, &[], OUTPUT));
    let came =
        |flitch: &Flitch, text: &str| messages(flitch, "message").iter().any(|message| message == text);
    write(&["INFO a", "ERROR b", "\tat x.Y.one(Y.java:1)"]);
    eventually("the first record", DEADLINE, || came(&flitch, "INFO a"));
    eventually("the position of the second", DEADLINE, || stands_at(1));
    write(&["\tat x.Y.two(Y.java:2)", "ERROR c", "\tat x.Y.three(Y.java:3)"]);
    let b = "ERROR b\n\tat x.Y.one(Y.java:1)\n\tat x.Y.two(Y.java:2)";
    eventually("the second record", DEADLINE, || came(&flitch, b));
    eventually("the position of the third", DEADLINE, || stands_at(4));
    flitch.kill();
    write(&["\tat x.Y.four(Y.java:4)", "ERROR d"]);
    flitch.run();
    let c = "ERROR c\n\tat x.Y.three(Y.java:3)\n\tat x.Y.four(Y.java:4)";
    eventually("the third record", DEADLINE, || came(&flitch, c));
    eventually("the position of the fourth", DEADLINE, || stands_at(7));
    // A stop does not wait for ten minutes, and cuts nothing.
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert_eq!(messages(&flitch, "message"), ["INFO a", b, c]);
    write(&["\tat x.Y.five(Y.java:5)", "INFO e"]);
    flitch.run();
    let d = "ERROR d\n\tat x.Y.five(Y.java:5)";
    eventually("the fourth record", DEADLINE, || came(&flitch, d));
    assert_eq!(messages(&flitch, "message"), ["INFO a", b, c, d], "each once");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}
