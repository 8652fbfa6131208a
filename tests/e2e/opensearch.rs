//! Documents in a real OpenSearch, read back record by record.

use std::collections::BTreeSet;
use std::path::Path;

use flitch_tests::flitch::Flitch;
use flitch_tests::ports;
use flitch_tests::servers::nginx::Nginx;
use flitch_tests::servers::opensearch::OpenSearch;
use flitch_tests::tls::Authority;
use flitch_tests::wait::eventually;
use serde_json::{Value, json};

use crate::support::*;

/// The output `out`, which writes soon, and tries again soon.
fn output(node: &str, more: &str) -> String {
    format!(
        "out: {{ type: opensearch, nodes: \"{node}\", max_age: 50ms, retry: {{ initial: 20ms, max: 200ms }}, {more} }}"
    )
}

/// Records of JSON with a time of their own.
fn json_pipeline(output: &str) -> String {
    let source = file_source("app.log").replace("type: file,", "type: file, codec: json,");
    pipeline(&source, &[("when", "{ plugin: timestamp, settings: { field: time } }".to_owned())], output)
}

fn write(path: &Path, records: impl IntoIterator<Item = Value>) {
    let lines: String = records.into_iter().map(|record| format!("{record}\n")).collect();
    std::fs::write(path, lines).unwrap();
}

/// Numbered records, a second apart.
fn numbered(count: usize) -> impl Iterator<Item = Value> {
    (0..count).map(|n| {
        json!({ "time": format!("2026-11-{:02}T10:{:02}:{:02}Z", 1 + n / 3600, n / 60 % 60, n % 60), "n": n })
    })
}

fn dead_letters(flitch: &Flitch) -> String {
    let shown = flitch.cli(&["dead-letters", "show", "-c", &flitch.config_file().to_string_lossy()], "");
    shown.stdout
}

fn probe(flitch: &Flitch) -> String {
    let ended = flitch.cli(&["check", "--probe", "-c", &flitch.config_file().to_string_lossy()], "");
    format!("{}{}", ended.stdout, ended.stderr)
}

#[test]
fn every_record_is_a_document_of_its_day_and_a_replay_of_everything_adds_none() {
    let opensearch = OpenSearch::shared();
    let config = json_pipeline(&output(
        &opensearch.node(),
        "index: \"replay-{@timestamp:%Y.%m.%d}\", compression: gzip, max_bytes: 100kB, ecs: true",
    ));
    let mut flitch = Flitch::new(FLITCH, &config);
    write(&flitch.at("app.log"), numbered(5_000));
    for _ in 0..2 {
        flitch.run();
        let sums = flitch.settled_after(5_000, DEADLINE);
        assert_eq!((sums.delivered, sums.dead_lettered), (5_000, 0), "{sums}");
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        assert_eq!(opensearch.count("replay-*").unwrap(), 5_000);
        std::fs::remove_dir_all(flitch.at("data")).unwrap();
    }
    let documents = opensearch.documents("replay-2026.11.02").unwrap();
    let seen: BTreeSet<u64> =
        documents.iter().map(|document| document["_source"]["n"].as_u64().expect("a number")).collect();
    assert_eq!((documents.len(), seen), (1_400, (3_600..5_000).collect()));
    assert!(documents[0]["_source"]["log"]["file"]["path"].is_string(), "{}", documents[0]);
}

#[test]
fn equal_lines_are_as_many_documents_and_come_again_as_the_same_ones() {
    let opensearch = OpenSearch::shared();
    let filters = [(
        "parse",
        "{ plugin: dissect, settings: { field: message, pattern: \"%{first} %{rest}\" } }".to_owned(),
    )];
    let more = |more: &str| output(&opensearch.node(), &format!("index: equal, max_records: 300 {more}"));
    let source = file_source("app.log");
    let mut flitch = Flitch::new(FLITCH, &pipeline(&source, &filters, &more("")));
    std::fs::write(flitch.at("app.log"), "the same again and again\n".repeat(2_000)).unwrap();
    flitch.run();
    let sums = flitch.settled_after(2_000, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (2_000, 0), "{sums}");
    assert_eq!(opensearch.count("equal").unwrap(), 2_000);
    let there = |flitch: &Flitch| flitch.metrics().count("flitch_documents_already_there_total", &[]);
    assert_eq!(there(&flitch), 0);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    // By a flitch that knows nothing of it, under another name, and over a buffer on disk.
    std::fs::remove_dir_all(flitch.at("data")).unwrap();
    std::fs::rename(flitch.at("app.log"), flitch.at("app.log.1")).unwrap();
    let source = file_source("app.log.1");
    flitch.configure(&pipeline(&source, &filters, &more(", buffer: { type: disk }")));
    flitch.run();
    eventually("all of it came again", DEADLINE, || there(&flitch) == 2_000);
    log_says(&flitch, "documents were there already");
    assert_eq!(opensearch.count("equal").unwrap(), 2_000);
    // A file that is cut and begins alike is other lines.
    std::fs::write(flitch.at("app.log.1"), "the same again and again\n".repeat(10)).unwrap();
    eventually("ten more are there", DEADLINE, || opensearch.count("equal").unwrap() == 2_010);
    assert_eq!(there(&flitch), 2_000);
}

#[test]
fn a_mapping_that_does_not_fit_costs_its_record_and_a_name_that_is_none_too() {
    let opensearch = OpenSearch::shared();
    let mapping = json!({ "mappings": { "properties": { "n": { "type": "long" } } } });
    opensearch.ask("PUT", "/mapping-a", &mapping).unwrap();
    let mut flitch =
        Flitch::new(FLITCH, &json_pipeline(&output(&opensearch.node(), "index: \"mapping-{k}\"")));
    let record = |k: &str, n: Value| json!({ "time": "2026-11-01T00:00:00Z", "k": k, "n": n });
    write(
        &flitch.at("app.log"),
        [
            record("a", json!(1)),
            record("a", json!("many")),
            record("a", json!("2")),
            record("A", json!(3)),
            record("a/b", json!(3)),
            record("", json!(4)),
            record("b", json!("text")),
            json!({ "time": "2026-11-01T00:00:00Z", "n": 5 }),
        ],
    );
    flitch.run();
    let sums = flitch.settled_after(8, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (4, 4), "{sums} {}", dead_letters(&flitch));
    let letters = dead_letters(&flitch);
    for reason in
        ["mapper_parsing_exception", "must be lowercase", "invalid_index_name_exception", "is missing"]
    {
        assert!(letters.contains(reason), "{reason} in {letters}");
    }
    assert_eq!(opensearch.count("mapping-a").unwrap(), 2);
}

#[test]
fn a_value_that_is_no_text_and_an_index_that_is_closed_for_writes_cost_their_records_alone() {
    let opensearch = OpenSearch::shared();
    let mapping = json!({ "mappings": { "properties": { "n": { "type": "long" } } } });
    for index in ["/odd-a", "/odd-b"] {
        opensearch.ask("PUT", index, &mapping).unwrap();
    }
    opensearch.ask("PUT", "/odd-b/_settings", &json!({ "index.blocks.write": true })).unwrap();
    let mut flitch = Flitch::new(FLITCH, &json_pipeline(&output(&opensearch.node(), "index: \"odd-{k}\"")));
    // The node's error quotes half of a surrogate pair.
    let lines = r#"{"k":"a","n":1}
{"k":"a","n":"\ud800"}
{"k":"b","n":2}
{"k":"a","n":3}
"#;
    std::fs::write(flitch.at("app.log"), lines).unwrap();
    flitch.run();
    let sums = flitch.settled_after(4, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (2, 2), "{sums} {}", dead_letters(&flitch));
    let letters = dead_letters(&flitch);
    for reason in ["mapper_parsing_exception", "cluster_block_exception"] {
        assert!(letters.contains(reason), "{reason} in {letters}");
    }
    assert_eq!(opensearch.count("odd-a").unwrap(), 2);
}

#[test]
fn an_alias_without_an_index_to_write_to_is_waited_for() {
    let opensearch = OpenSearch::shared();
    opensearch.ask("PUT", "/behind-1", &json!({})).unwrap();
    let writes_to = |is_so: bool| {
        let add = json!({ "index": "behind-1", "alias": "behind", "is_write_index": is_so });
        opensearch.ask("POST", "/_aliases", &json!({ "actions": [{ "add": add }] })).unwrap();
    };
    writes_to(false);
    let mut flitch = Flitch::new(FLITCH, &json_pipeline(&output(&opensearch.node(), "index: behind")));
    write(&flitch.at("app.log"), numbered(3));
    flitch.run();
    eventually("it says what is missing", DEADLINE, || flitch.log().contains("no write index is defined"));
    writes_to(true);
    let sums = flitch.settled_after(3, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (3, 0), "{sums} {}", dead_letters(&flitch));
    assert_eq!(opensearch.count("behind").unwrap(), 3);
}

#[test]
fn a_document_that_is_there_is_kept_or_written_over_and_its_record_is_delivered() {
    let opensearch = OpenSearch::shared();
    for (op, kept) in [("create", 1), ("index", 2)] {
        let more = format!("index: twice-{op}, op: {op}, id: \"{{k}}\", routing: \"{{k}}\"");
        let mut flitch = Flitch::new(FLITCH, &json_pipeline(&output(&opensearch.node(), &more)));
        write(&flitch.at("app.log"), [json!({ "k": "one", "n": 1 }), json!({ "k": "one", "n": 2 })]);
        flitch.run();
        let sums = flitch.settled_after(2, DEADLINE);
        assert_eq!((sums.delivered, sums.dead_lettered), (2, 0), "{sums}");
        let documents = opensearch.documents(&format!("twice-{op}")).unwrap();
        assert_eq!(documents.len(), 1, "{documents:?}");
        assert_eq!((&documents[0]["_id"], &documents[0]["_source"]["n"]), (&json!("one"), &json!(kept)));
        assert_eq!(documents[0]["_routing"], json!("one"));
    }
}

#[test]
fn a_data_stream_is_told_by_name_where_it_is_missing_and_takes_each_record_once() {
    let opensearch = OpenSearch::shared();
    let config = json_pipeline(&output(&opensearch.node(), "index: stream-app-default, data_stream: true"));
    let mut flitch = Flitch::new(FLITCH, &config);
    let said = probe(&flitch);
    assert!(said.contains("NOT READY") && said.contains("`stream-app-default`"), "{said}");
    let template = json!({ "index_patterns": ["stream-*-*"], "data_stream": {}, "priority": 200 });
    opensearch.ask("PUT", "/_index_template/streams", &template).unwrap();
    let said = probe(&flitch);
    assert!(said.contains("ready") && !said.contains("NOT"), "{said}");
    write(&flitch.at("app.log"), numbered(2_000));
    for _ in 0..2 {
        flitch.run();
        let sums = flitch.settled_after(2_000, DEADLINE);
        assert_eq!((sums.delivered, sums.dead_lettered), (2_000, 0), "{sums}");
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        assert_eq!(opensearch.count("stream-app-default").unwrap(), 2_000);
        std::fs::remove_dir_all(flitch.at("data")).unwrap();
    }
    let config = config.replace("data_stream: true", "data_stream: true, pipeline: no-such");
    let said = probe(&Flitch::new(FLITCH, &config));
    assert!(said.contains("`no-such`"), "{said}");
}

#[test]
fn a_queue_that_is_full_and_a_node_that_is_killed_lose_no_record_and_double_none() {
    // Of each request to five shards one part is written and one waits: the others are refused.
    let mut opensearch =
        OpenSearch::start(&["thread_pool.write.size=1", "thread_pool.write.queue_size=1"]).unwrap();
    opensearch
        .ask("PUT", "/full", &json!({ "settings": { "number_of_shards": 5, "number_of_replicas": 0 } }))
        .unwrap();
    let config =
        pipeline(&file_source("app.log"), &[], &output(&opensearch.node(), "index: full, max_records: 500"));
    let mut flitch = Flitch::new(FLITCH, &config);
    append(&flitch.at("app.log"), 0..10_000);
    flitch.run();
    let sums = flitch.settled_after(10_000, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (10_000, 0), "{sums}");
    assert_eq!(opensearch.count("full").unwrap(), 10_000);
    assert!(flitch.metrics().count("flitch_write_retries_total", &[]) > 0, "the queue was never full");
    append(&flitch.at("app.log"), 10_000..40_000);
    flitch.sums_when("some of it is there", DEADLINE, |sums| sums.delivered > 12_000);
    opensearch.kill();
    append(&flitch.at("app.log"), 40_000..50_000);
    log_says(&flitch, "cannot be reached");
    opensearch.restart().unwrap();
    let sums = flitch.settled_after(50_000, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (50_000, 0), "{sums}");
    assert_eq!(opensearch.count("full").unwrap(), 50_000);
}

#[test]
fn a_front_with_tls_and_a_password_lets_in_who_has_both() {
    let opensearch = OpenSearch::shared();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("flitch tests").unwrap();
    let server = authority.server().unwrap().write(folder.path(), "front").unwrap();
    let ca = authority.write(&folder.path().join("ca.pem")).unwrap();
    std::fs::write(folder.path().join("users"), "edge:{PLAIN}correct-horse\n").unwrap();
    let port = ports::free();
    let front = format!(
        "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; client_max_body_size 20k; \
         location /search/ {{ auth_basic flitch; auth_basic_user_file {}; proxy_pass {}/; }} }}",
        server.certificate.display(),
        server.key.display(),
        folder.path().join("users").display(),
        opensearch.node()
    );
    let _nginx = Nginx::start_with(folder.path(), "combined", &front).unwrap();
    let config = |ca: &Path, password: &str| {
        let more = format!(
            "index: front, tls: {{ ca: \"{}\" }}, auth: {{ type: basic, username: edge, password: {password} }}",
            ca.display()
        );
        pipeline(&file_source("app.log"), &[], &output(&format!("https://localhost:{port}/search"), &more))
    };
    let other = Authority::new("another").unwrap().write(&folder.path().join("other.pem")).unwrap();
    let said = probe(&Flitch::new(FLITCH, &config(&other, "correct-horse")));
    assert!(said.contains("NOT READY") && said.contains("certificate"), "{said}");
    let said = probe(&Flitch::new(FLITCH, &config(&ca, "wrong-donkey")));
    assert!(said.contains("401") && !said.contains("donkey"), "{said}");
    let mut flitch = Flitch::new(FLITCH, &config(&ca, "correct-horse"));
    assert!(probe(&flitch).contains("ready"));
    append(&flitch.at("app.log"), 0..1_000);
    flitch.run();
    let sums = flitch.settled_after(1_000, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (1_000, 0), "{sums}");
    assert_eq!(opensearch.count("front").unwrap(), 1_000, "what the front finds too large is halved");
    assert!(!flitch.log().contains("correct-horse"));
}
