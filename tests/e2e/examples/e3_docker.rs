use flitch_tests::ports;
use flitch_tests::servers::consumer::read_count;
use flitch_tests::servers::docker::Docker;
use flitch_tests::servers::kafka::Kafka;
use flitch_tests::servers::opensearch::OpenSearch;
use flitch_tests::servers::s3::{KEY, KEY_ID, S3};
use flitch_tests::wait::eventually;
use serde_json::{Value, json};

use super::{arrived, objects, prepared, told};
use crate::support::*;

const TOPIC: &str = "example-log-messages";
const LINES: usize = 200;

/// What counts of a record: its line, whence it is, and the stream.
fn essence(record: &Value, line: &str, stream: &str, container: &str) -> Value {
    let at = |path: &str| record.pointer(path).cloned().unwrap_or_default();
    json!({ "line": at(line), "stream": at(stream), "name": at(container) })
}

#[test]
fn what_containers_log_is_in_all_three_though_one_was_down_for_a_while() {
    let name = "what_containers_log_is_in_all_three_though_one_was_down_for_a_while";
    let Some(docker) = Docker::shared(name) else { return };
    let (kafka, search) = (Kafka::shared(), OpenSearch::shared());
    kafka.create_topic(TOPIC, 2).unwrap();
    let mut s3 = S3::start(&["logs"]).unwrap();
    let listen = format!("127.0.0.1:{}", ports::free());
    let environment = [
        ("LISTEN", &*listen),
        ("KAFKA_BROKERS", &*kafka.bootstrap()),
        ("TOPIC", TOPIC),
        ("SEARCH_URL", &search.node()),
        ("INDEX", "example-docker"),
        ("S3_ENDPOINT", &s3.endpoint()),
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", KEY),
    ];
    let mut flitch = prepared("3-docker", "flitch.yaml", &environment);
    flitch.run();
    // The archive is down, and holds up neither of the others.
    s3.kill();
    let address = format!("fluentd-address={listen}");
    let options =
        ["--log-driver=fluentd", "--log-opt", &address, "--log-opt", "tag=httpd.access", "--name", "httpd"];
    let script =
        format!("for i in $(seq 1 {LINES}); do echo \"GET /page/$i 200\"; done; echo 'no such file' >&2");
    docker.run(&options, &script).unwrap();
    let line = |n: usize| json!({"line": format!("GET /page/{n} 200"), "stream": "stdout", "name": "/httpd"});
    let mut expected: Vec<Value> = (1..=LINES).map(line).collect();
    expected.push(json!({"line": "no such file", "stream": "stderr", "name": "/httpd"}));

    let messages = read_count(&kafka.bootstrap(), TOPIC, expected.len(), DEADLINE).unwrap();
    let found = messages.iter().map(|message| essence(&message.json(), "/log", "/source", "/container_name"));
    arrived("Kafka", found, &expected);
    assert!(messages.iter().all(|message| message.json()["@tag"] == "httpd.access"));
    eventually("all are indexed", DEADLINE, || {
        search.count("example-docker-*").ok() == Some(expected.len() as u64)
    });
    let found = search.documents("example-docker-*").unwrap();
    let found =
        found.iter().map(|found| essence(&found["_source"], "/message", "/stream", "/container/name"));
    arrived("OpenSearch", found, &expected);

    s3.restart().unwrap();
    told("S3 is back");
    // What it was not asked to close yet is closed at the end.
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    let text = s3.lines("logs").join("\n");
    arrived(
        "S3",
        objects(&text).iter().map(|record| essence(record, "/log", "/source", "/container_name")),
        &expected,
    );
    let names: Vec<String> = s3.objects("logs").into_keys().collect();
    assert!(names.iter().all(|name| name.starts_with("tag=httpd.access/date=")), "{names:?}");
}
