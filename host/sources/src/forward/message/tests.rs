use serde_json::json;

use crate::MOST_TAG;
use crate::forward::harness::{Client, pack, packed};
use flitch_core::net::forward::write::answer;

#[tokio::test(start_paused = true)]
async fn a_tag_that_http_would_refuse_for_its_length_costs_its_message_alone() {
    let mut client = Client::new();
    let entry = pack(&json!([1_700_000_000, {"n": 1}]));
    for (length, chunk) in [(MOST_TAG + 1, "long"), (MOST_TAG, "fits")] {
        client.send(&packed(&"t".repeat(length), &entry, &json!({"chunk": chunk}))).await;
    }
    let records = client.rest().await;
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["@tag"].as_str().unwrap().len(), MOST_TAG);
    let letters = client.dead_letters();
    assert!(letters.contains("the tag is longer than 1024 bytes"), "{letters}");
    assert_eq!(client.hub.cx.intake.ledger().read().dead_lettered, 1);
    let answers = client.read_all().await;
    for chunk in ["long", "fits"] {
        let answer = answer(&pack(&json!(chunk)));
        assert!(answers.windows(answer.len()).any(|part| *part == *answer), "{chunk} has no answer");
    }
}

#[tokio::test(start_paused = true)]
async fn the_metadata_of_an_event_may_stand_among_the_options_of_its_message() {
    let mut client = Client::new();
    for options in [
        json!({"metadata": {"otlp": {"severity": "INFO"}}, "chunk": "a"}),
        json!({"metadata": {}}),
        json!({"metadata": 5}),
    ] {
        client.send(&pack(&json!(["t", 1_700_000_000, {"n": 1}, options]))).await;
    }
    // As it stands in entries, which such a message has none of.
    client.send(&pack(&json!(["t", [1_700_000_000, {"a": 1}], {"n": 1}, {"chunk": "b"}]))).await;
    client.send(&pack(&json!(["t", [1_700_000_000, {}], {"n": 1}]))).await;
    let records = client.rest().await;
    let metadata: Vec<_> = records.iter().map(|record| record.get("metadata")).collect();
    let (options, beside) = (json!({"otlp": {"severity": "INFO"}}), json!({"a": 1}));
    assert_eq!(metadata, [Some(&options), None, None, Some(&beside), None]);
    assert!(records.iter().all(|record| record["n"] == 1), "{records:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_in_the_place_of_the_options_of_another_is_a_dead_letter_and_its_chunk_is_answered() {
    let mut client = Client::new();
    let entry = |n: u32| json!([1_700_000_000, {"n": n}]);
    let inner = json!(["t", [entry(2)], {"chunk": "a"}]);
    client.send(&pack(&json!(["t", [entry(1)], inner]))).await;
    // Several levels, a message of one event, and what stands behind options.
    let inner = json!(["t", 1_700_000_000, {"n": 4}, ["t", [entry(5)], {"chunk": "b"}]]);
    client.send(&pack(&json!(["t", [entry(3)], inner]))).await;
    client.send(&pack(&json!(["t", 1_700_000_000, {"n": 6}, {"chunk": "c"}, ["t", [entry(7)]], 8]))).await;
    // Records that look like options are none.
    let inner = json!(["t", [[1_700_000_000, {"chunk": "none"}]]]);
    client.send(&pack(&json!(["t", [entry(9)], inner]))).await;
    let numbers: Vec<_> = client.rest().await.iter().map(|record| record["n"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [1, 3, 6, 9]);
    assert!(client.dead_letters().contains("something that is no options"), "{}", client.dead_letters());
    assert_eq!(client.hub.cx.intake.ledger().read().dead_lettered, 4);
    let answers = client.read_all().await;
    for chunk in ["a", "b", "c"] {
        let answer = answer(&pack(&json!(chunk)));
        assert!(answers.windows(answer.len()).any(|part| *part == *answer), "{chunk} has no answer");
    }
}
