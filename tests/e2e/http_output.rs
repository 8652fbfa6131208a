//! From one flitch to another by HTTP.

use std::collections::BTreeSet;
use std::fs;

use flitch_tests::flitch::Flitch;
use flitch_tests::ports;
use flitch_tests::tls::Authority;
use flitch_tests::wait::eventually;
use serde_json::Value;

use crate::filters::dead_letters;
use crate::support::*;

/// Takes records at a port and writes them to `{dir}/all.ndjson`.
fn receiver(port: u16, settings: &str) -> String {
    let source = format!("{{ type: http, listen: \"127.0.0.1:{port}\"{settings} }}");
    pipeline(&source, &[], "out: { type: file, path: \"{dir}/all.ndjson\" }")
}

/// Follows `app.log` and posts it to a URL.
fn sender(url: &str, settings: &str) -> String {
    let output = format!("out: {{ type: http, url: \"{url}\"{settings} }}");
    pipeline(&file_source("app.log"), &[], &output)
}

fn numbers(receiver: &Flitch) -> BTreeSet<usize> {
    let text = fs::read_to_string(receiver.at("all.ndjson")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|record| number_in(record["message"].as_str().unwrap()).unwrap()).collect()
}

fn length(sender: &Flitch) -> u64 {
    fs::metadata(sender.at("app.log")).unwrap().len()
}

#[test]
fn a_receiver_that_is_killed_costs_no_record_over_tls_with_certificates_and_a_token() {
    let port = ports::free();
    let tls = "cert: \"{dir}/server.crt\", key: \"{dir}/server.key\", client_ca: \"{dir}/ca.crt\"";
    let settings = format!(", tls: {{ {tls} }}, auth: {{ bearer: [let-me-in] }}");
    let mut receiver = Flitch::new(FLITCH, &receiver(port, &settings));
    let authority = Authority::new("flitch tests").unwrap();
    let ca = authority.write(&receiver.at("ca.crt")).unwrap();
    authority.server().unwrap().write(receiver.dir(), "server").unwrap();
    let own = authority.client("edge").unwrap().write(receiver.dir(), "client").unwrap();
    receiver.run();
    let config = |token: &str| {
        let (cert, key) = (own.certificate.display(), own.key.display());
        let tls = format!("ca: \"{}\", cert: \"{cert}\", key: \"{key}\"", ca.display());
        let auth = format!("auth: {{ bearer: {token} }}");
        sender(
            &format!("https://localhost:{port}/edge/app"),
            &format!(", compression: zstd, tls: {{ {tls} }}, {auth}"),
        )
    };
    let mut sender = Flitch::start(FLITCH, &config("wrong"));
    append(&sender.at("app.log"), 0..500);
    log_says(&sender, "401");
    assert_eq!((saved_position(&sender), sender.metrics().sums().dead_lettered), (0, 0));
    sender.kill();
    sender.configure(&config("let-me-in"));
    sender.run();
    let mut count = 500;
    for _ in 0..3 {
        eventually("records arrive", DEADLINE, || !numbers(&receiver).is_empty());
        receiver.kill();
        append(&sender.at("app.log"), count..count + 500);
        count += 500;
        receiver.run();
    }
    eventually("the position is at the end", DEADLINE, || saved_position(&sender) == length(&sender));
    assert_eq!(numbers(&receiver), (0..count).collect());
    let probed = sender.cli(&["check", "--probe", "-c", &sender.config_file().to_string_lossy()], "");
    assert!(probed.status.success(), "{probed:?}");
    assert!(sender.terminate(DEADLINE).success(), "{}", sender.log());
    assert!(receiver.terminate(DEADLINE).success(), "{}", receiver.log());
}

#[test]
fn a_record_that_is_too_large_for_the_server_is_a_dead_letter_and_its_neighbours_arrive() {
    let port = ports::free();
    let mut receiver = Flitch::start(FLITCH, &receiver(port, ", max_body: 4KiB"));
    let mut sender = Flitch::new(FLITCH, &sender(&format!("http://127.0.0.1:{port}/"), ", body: array"));
    append(&sender.at("app.log"), 0..300);
    let long = format!("n=0000300 {}\n", "x".repeat(8000));
    fs::write(sender.at("app.log"), fs::read_to_string(sender.at("app.log")).unwrap() + &long).unwrap();
    append(&sender.at("app.log"), 301..600);
    sender.run();
    eventually("the position is at the end", DEADLINE, || saved_position(&sender) == length(&sender));
    let arrived = numbers(&receiver);
    assert_eq!(arrived, (0..600).filter(|n| *n != 300).collect());
    let letters = dead_letters(&sender);
    assert!(letters.len() == 1 && letters[0].to_string().contains("413"), "{letters:?}");
    assert_eq!(sender.metrics().sums().dead_lettered, 1);
    assert!(sender.terminate(DEADLINE).success(), "{}", sender.log());
    assert!(receiver.terminate(DEADLINE).success(), "{}", receiver.log());
}
