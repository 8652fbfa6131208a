use flitch_tests::guests;
use flitch_tests::servers::consumer::{read_count, write_all};
use flitch_tests::servers::kafka::Kafka;
use flitch_tests::servers::opensearch::OpenSearch;
use flitch_tests::wait::eventually;
use serde_json::Value;

use super::{arrived, folder, objects, prepared};
use crate::support::*;

const EXAMPLE: &str = "2-web-events";
const RAW: &str = "example-raw-web-events";
const ENRICHED: &str = "example-enriched-web-events";

/// What the filter must make of an event, said once more without it.
fn enriched(mut event: Value) -> Value {
    event["source_category"] = match event["utm_source"].as_str() {
        Some("instagram" | "facebook") => "social_media",
        Some("google" | "bing") => "search",
        Some("newsletter") => "email",
        Some(_) => "other",
        None => "direct",
    }
    .into();
    match event["user_custom_id"].as_str() {
        Some("someone@hotmail.com") => event["user_email_domain"] = "hotmail.com".into(),
        Some("Ada@Example.ORG") => event["user_email_domain"] = "example.org".into(),
        _ => {}
    }
    event
}

/// The same as a document, which has its time.
fn document(mut event: Value) -> Value {
    let time = event["event_timestamp"].as_str().unwrap().replace(' ', "T");
    let time = time.trim_end_matches('0').trim_end_matches('.');
    event["@timestamp"] = format!("{time}Z").into();
    event["@tag"] = ENRICHED.into();
    event
}

#[test]
fn every_event_goes_on_with_two_fields_more_and_into_the_index_of_its_day() {
    let (kafka, search) = (Kafka::shared(), OpenSearch::shared());
    kafka.create_topic(RAW, 4).unwrap();
    kafka.create_topic(ENRICHED, 4).unwrap();
    let text = std::fs::read_to_string(folder(EXAMPLE).join("events.ndjson")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    write_all(&kafka.bootstrap(), RAW, lines.iter().map(|line| (None, line.as_bytes()))).unwrap();
    let expected: Vec<Value> = objects(&text).into_iter().map(enriched).collect();
    let plugin = guests::campaign();
    let environment = [
        ("KAFKA_BROKERS", &*kafka.bootstrap()),
        ("RAW_TOPIC", RAW),
        ("ENRICHED_TOPIC", ENRICHED),
        ("CAMPAIGN_PLUGIN", &plugin.to_string_lossy()),
        ("SEARCH_URL", &search.node()),
        ("INDEX", "example-events"),
    ];
    let mut flitch = prepared(EXAMPLE, "flitch.yaml", &environment);
    flitch.run();

    let messages = read_count(&kafka.bootstrap(), ENRICHED, lines.len(), DEADLINE).unwrap();
    for message in &messages {
        let visitor = message.json()["user_domain_id"].as_str().map(|id| id.as_bytes().to_vec());
        assert_eq!(message.key, visitor, "the events of a visitor stay in one partition");
    }
    arrived("Kafka", messages.iter().map(|message| message.json()), &expected);
    let all = "example-events-*";
    eventually("all are indexed", DEADLINE, || search.count(all).ok() == Some(lines.len() as u64));
    let found = search.documents(all).unwrap();
    for document in &found {
        let day = document["_source"]["@timestamp"].as_str().unwrap()[..10].replace('-', ".");
        assert_eq!(document["_index"], format!("example-events-{day}"));
    }
    let documents: Vec<Value> = expected.iter().cloned().map(document).collect();
    arrived("OpenSearch", found.into_iter().map(|mut found| found["_source"].take()), &documents);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());

    // The second group once more from the beginning: each event is the document that it was.
    let again = std::fs::read_to_string(flitch.config_file())
        .unwrap()
        .replace("group: search", "group: search-again");
    flitch.configure(&again);
    flitch.run();
    let sums = flitch.settled_after(lines.len() as u64, DEADLINE);
    assert_eq!(
        (sums.delivered, search.count(all).unwrap()),
        (lines.len() as u64, lines.len() as u64),
        "{sums}"
    );
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}
