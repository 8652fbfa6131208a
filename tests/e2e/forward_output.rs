//! From an edge to an aggregator, over the forward protocol: what the edge lets go of is safe behind the aggregator.

use std::collections::BTreeMap;
use std::fs;

use flitch_tests::flitch::Flitch;
use flitch_tests::fluent::FluentServer;
use flitch_tests::ports;
use flitch_tests::tls::Authority;
use flitch_tests::wait::{eventually, poll};
use serde_json::Value;

use crate::support::*;

/// An edge that follows `app.log` and forwards it to a port.
fn edge(port: u16, settings: &str) -> String {
    let output = format!("out: {{ type: forward, servers: [\"localhost:{port}\"]{settings} }}");
    pipeline(&file_source("app.log"), &[], &output)
}

/// An aggregator that writes what comes to a port to `{dir}/out/all.ndjson`.
fn aggregator(port: u16, settings: &str) -> String {
    let source = format!("{{ type: forward, listen: \"127.0.0.1:{port}\"{settings} }}");
    pipeline(&source, &[], "out: { type: file, path: \"{dir}/out/all.ndjson\" }")
}

/// The records that the aggregator has written. (Of one that was killed the last line may be half of one.)
fn written(aggregator: &Flitch) -> Vec<Value> {
    let text = fs::read_to_string(aggregator.at("out/all.ndjson")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// How often each number came.
fn numbers(records: &[Value]) -> BTreeMap<usize, usize> {
    let mut seen = BTreeMap::new();
    for record in records {
        let number = number_in(record["message"].as_str().unwrap()).unwrap();
        *seen.entry(number).or_insert(0) += 1;
    }
    seen
}

fn length(edge: &Flitch) -> u64 {
    fs::metadata(edge.at("app.log")).unwrap().len()
}

#[test]
fn the_position_of_the_edge_moves_when_the_output_of_the_aggregator_has_the_records() {
    let port = ports::free();
    let mut aggregator = Flitch::new(FLITCH, &aggregator(port, ""));
    // Where its folder should be is a file: nothing can be written.
    fs::write(aggregator.at("out"), "in the way").unwrap();
    aggregator.run();
    let mut edge = Flitch::start(FLITCH, &edge(port, ", compression: zstd"));
    append(&edge.at("app.log"), 0..2000);
    aggregator.sums_when("the aggregator has all of it", DEADLINE, |sums| sums.in_flight == 2000);
    assert_eq!(saved_position(&edge), 0);
    assert_eq!(edge.metrics().sums().delivered, 0);
    fs::remove_file(aggregator.at("out")).unwrap();
    eventually("the position moves", DEADLINE, || saved_position(&edge) == length(&edge));
    let seen = numbers(&written(&aggregator));
    assert!(seen.len() == 2000 && seen.values().all(|&times| times == 1), "{} records", seen.len());
    let one = &written(&aggregator)[0];
    assert_eq!(one["file"], edge.at("app.log").to_str().unwrap());
    assert!(edge.terminate(DEADLINE).success(), "{}", edge.log());
    assert!(aggregator.terminate(DEADLINE).success(), "{}", aggregator.log());
}

#[test]
fn an_aggregator_that_is_killed_costs_no_record() {
    let port = ports::free();
    let mut aggregator = Flitch::start(FLITCH, &aggregator(port, ""));
    let mut edge = Flitch::start(FLITCH, &edge(port, ""));
    let mut count = 0;
    for _ in 0..3 {
        for _ in 0..10 {
            append(&edge.at("app.log"), count..count + 500);
            count += 500;
            let some = || !written(&aggregator).is_empty();
            eventually("records arrive", DEADLINE, some);
        }
        aggregator.kill();
        append(&edge.at("app.log"), count..count + 500);
        count += 500;
        aggregator.run();
    }
    eventually("the position is at the end", DEADLINE, || saved_position(&edge) == length(&edge));
    let seen = numbers(&written(&aggregator));
    let missing: Vec<usize> = (0..count).filter(|n| !seen.contains_key(n)).collect();
    assert!(
        missing.is_empty(),
        "{} of {count} are missing: {:?}",
        missing.len(),
        &missing[..missing.len().min(9)]
    );
    let sums = edge.settled(DEADLINE);
    assert_eq!((sums.received, sums.in_flight), (count as u64, 0), "{sums}");
    assert!(edge.terminate(DEADLINE).success(), "{}", edge.log());
    assert!(aggregator.terminate(DEADLINE).success(), "{}", aggregator.log());
}

#[test]
fn an_edge_that_is_let_in_by_certificate_key_and_user_is_served_and_another_says_why_not() {
    let port = ports::free();
    let tls = "cert: \"{dir}/server.crt\", key: \"{dir}/server.key\", client_ca: \"{dir}/ca.crt\"";
    let settings = format!(", tls: {{ {tls} }}, security: {{ shared_key: key, users: {{ ada: lovelace }} }}");
    let mut aggregator = Flitch::new(FLITCH, &aggregator(port, &settings));
    let authority = Authority::new("flitch tests").unwrap();
    let ca = authority.write(&aggregator.at("ca.crt")).unwrap();
    authority.server().unwrap().write(aggregator.dir(), "server").unwrap();
    let own = authority.client("edge").unwrap().write(aggregator.dir(), "client").unwrap();
    aggregator.run();
    let config = |password: &str| {
        let tls = format!(
            "ca: \"{}\", cert: \"{}\", key: \"{}\"",
            ca.display(),
            own.certificate.display(),
            own.key.display()
        );
        let security =
            format!("shared_key: key, username: ada, password: {password}, self_hostname: edge.test");
        edge(port, &format!(", tls: {{ {tls} }}, security: {{ {security} }}, compression: gzip"))
    };
    let mut edge = Flitch::start(FLITCH, &config("byron"));
    append(&edge.at("app.log"), 0..100);
    log_says(&edge, "username/password mismatch");
    assert_eq!(saved_position(&edge), 0);
    edge.kill();
    edge.configure(&config("lovelace"));
    edge.run();
    eventually("the position moves", DEADLINE, || saved_position(&edge) == length(&edge));
    assert_eq!(numbers(&written(&aggregator)).len(), 100);
    let probed = edge.cli(&["check", "--probe", "-c", &edge.config_file().to_string_lossy()], "");
    assert!(probed.status.success(), "{probed:?}");
    assert!(edge.terminate(DEADLINE).success(), "{}", edge.log());
    assert!(aggregator.terminate(DEADLINE).success(), "{}", aggregator.log());
}

#[test]
fn the_server_of_another_implementation_takes_chunks_and_acknowledges_them() {
    for (secured, compression) in [(false, "none"), (true, "gzip")] {
        let port = ports::free();
        let mut edge = Flitch::new(FLITCH, "");
        let authority = Authority::new("flitch tests").unwrap();
        let ca = authority.write(&edge.at("ca.crt")).unwrap();
        let own = authority.server().unwrap().write(edge.dir(), "server").unwrap();
        let tls = secured.then_some((own.certificate.as_path(), own.key.as_path()));
        let security = secured.then_some(("key", "ada", "lovelace"));
        let server = FluentServer::start(port, edge.dir(), tls, security).unwrap();
        let mut settings = format!(", tag: \"edge.app\", compression: {compression}");
        if secured {
            settings += &format!(
                ", tls: {{ ca: \"{}\" }}, security: {{ shared_key: key, username: ada, password: lovelace }}",
                ca.display()
            );
        }
        edge.configure(&self::edge(port, &settings));
        edge.run();
        append(&edge.at("app.log"), 0..3000);
        let arrived = poll(DEADLINE, || saved_position(&edge) == length(&edge));
        assert!(arrived.is_some(), "{}", edge.log());
        // It acknowledges a chunk and prints it, and what it prints comes when it comes.
        poll(DEADLINE, || server.events().len() >= 3000);
        let events = server.events();
        assert!(
            events.iter().all(|event| event["tag"] == "edge.app" && event["seconds"].as_f64() > Some(1.7e9))
        );
        let records: Vec<Value> = events.iter().map(|event| event["record"].clone()).collect();
        let seen = numbers(&records);
        assert!(seen.len() == 3000 && seen.values().all(|&times| times == 1), "{} records", seen.len());
        assert!(records[0].get("@timestamp").is_none() && records[0].get("@tag").is_none(), "{}", records[0]);
        assert!(edge.terminate(DEADLINE).success(), "{}", edge.log());
    }
}
