use flitch_tests::flitch::Flitch;
use flitch_tests::process::Signal;
use flitch_tests::servers::kafka::Kafka;
use flitch_tests::servers::mock_kafka::MockKafka;
use flitch_tests::wait::eventually;
use flitch_tests::{http, ports};

use crate::support::*;

/// A flitch with an HTTP source that writes to a new topic, and the source's address.
fn start(name: &str, more: &str) -> (Flitch, std::net::SocketAddr, &'static Kafka, String) {
    let (kafka, topic) = topic(name);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let source = format!("{{ type: http, listen: \"{address}\"{more} }}");
    let config = pipeline(&source, &[], &kafka_output(&kafka.bootstrap(), &topic));
    (Flitch::start(FLITCH, &config), address, kafka, topic)
}

#[test]
fn a_post_is_answered_when_its_records_are_in_kafka() {
    let (mut flitch, address, kafka, topic) = start("http-post", "");
    let post = |path: &str, kind: &str, body: &str| {
        http::post(address, path, &[("Content-Type", kind)], body.as_bytes()).unwrap()
    };
    let answer = post("/web.events", "application/x-ndjson", "{\"id\":1}\n{\"id\":2}\n");
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Answered means delivered: nothing is waited for here.
    assert_eq!(flitch.metrics().sums().delivered, 2);
    assert_eq!(post("/", "application/json", "[{\"id\":3},{\"id\":4}]").status, 200);
    assert_eq!(post("/one", "application/json", "{\"id\":5,\"n\":{\"m\":1}}").status, 200);
    assert_eq!(post("/text", "text/plain", "line one\nline two\n").status, 200);
    let records = settled_records(&flitch, 7, &kafka.bootstrap(), &topic);
    assert_eq!(records.len(), 7);
    let by_id = |id: i64| records.iter().find(|record| record["id"] == id).unwrap();
    assert_eq!(by_id(1)["@tag"], "web.events");
    assert_eq!(by_id(5)["n"]["m"], 1);
    assert!(records.iter().any(|record| record["message"] == "line two"));
    assert!(flitch.terminate(DEADLINE).success());
}

#[test]
fn a_wrong_body_is_refused_with_its_line_and_nothing_of_it_is_taken() {
    let (flitch, address, _, _) = start("http-wrong", "");
    let body = b"{\"id\":1}\n{\"id\":oops}\n{\"id\":3}\n";
    let answer = http::post(address, "/", &[("Content-Type", "application/x-ndjson")], body).unwrap();
    assert_eq!(answer.status, 400);
    let said = answer.json().unwrap();
    assert_eq!((&said["line"], &said["taken"]), (&2.into(), &0.into()), "{said}");
    let sums = flitch.settled(DEADLINE);
    assert_eq!(sums.delivered, 0, "{sums}");
    assert_eq!(http::get(address, "/health").unwrap().status, 200);
}

#[test]
fn kill_9_loses_no_record_whose_post_was_answered() {
    let (mut flitch, address, kafka, topic) = start("http-kill", "");
    let mut acknowledged = 0;
    for round in 0..3 {
        if round > 0 {
            flitch.run();
        }
        // Clients that send one batch after the other while the daemon is killed among them.
        let posting = flitch_tests::beside(move || {
            let mut n = acknowledged;
            loop {
                let body: String = (n..n + 50).map(|n| format!("{{\"text\":\"n={n:07}\"}}\n")).collect();
                let answer =
                    http::post(address, "/", &[("Content-Type", "application/x-ndjson")], body.as_bytes());
                match answer {
                    Ok(answer) if answer.status == 200 => n += 50,
                    // Not answered: the client would send it again, and so does the next round.
                    _ => return n,
                }
            }
        });
        flitch.sums_when("some records", DEADLINE, |sums| sums.delivered >= 500);
        flitch.kill();
        acknowledged = posting.join().unwrap();
    }
    assert!(acknowledged >= 1_500, "{acknowledged}");
    expect_numbers(&kafka.bootstrap(), &topic, acknowledged);
}

#[test]
fn clients_of_a_full_pipeline_and_of_a_draining_one_are_told_when_to_come_again() {
    let mock = MockKafka::start(1).unwrap();
    mock.create_topic("full", 1, 1).unwrap();
    mock.down(1).unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let source = format!("{{ type: http, listen: \"{address}\", max_pending: 1KiB }}");
    let config = pipeline(&source, &[], &kafka_output(&mock.bootstrap(), "full"));
    let mut flitch = Flitch::start(FLITCH, &config);
    let post = move || {
        let body = format!("{{\"text\":\"{}\"}}\n", "x".repeat(600));
        http::post(address, "/", &[("Content-Type", "application/x-ndjson")], body.as_bytes()).unwrap()
    };
    let first = flitch_tests::beside(post);
    flitch.sums_when("the first record", DEADLINE, |sums| sums.in_flight == 1);
    let full = post();
    assert_eq!((full.status, full.header("retry-after")), (429, Some("1")), "{}", full.text());
    assert_eq!(flitch.metrics().sums().received, 1, "nothing of it was taken");

    flitch.signal(Signal::Term);
    eventually("the end of readiness", DEADLINE, || !flitch.ready());
    let draining = post();
    assert_eq!((draining.status, draining.header("retry-after")), (503, Some("1")), "{}", draining.text());
    assert_eq!(http::get(address, "/health").unwrap().status, 503);
    mock.up(1).unwrap();
    assert_eq!(first.join().unwrap().status, 200);
    assert!(flitch.wait(DEADLINE).success(), "{}", flitch.log());
}
