//! What is refused, and how values are written.

use super::*;
use flitch_core::units::Bytes;

#[test]
fn settings_that_make_no_sense_are_refused_with_their_key() {
    let good = KafkaSettings::new("localhost:9092", &["logs"], "group");
    good.check().unwrap();
    let wrong = |settings: KafkaSettings, key: &str| {
        let error = format!("{:#}", settings.check().unwrap_err());
        assert!(error.contains(&format!("`{key}`")), "no {key} in {error}");
    };
    wrong(KafkaSettings { topics: vec![], ..good.clone() }, "topics");
    wrong(KafkaSettings { topics: vec!["a/b".into()], ..good.clone() }, "topics[0]");
    wrong(KafkaSettings { topics: vec!["logs".into(), "^a(".into()], ..good.clone() }, "topics[1]");
    wrong(
        KafkaSettings { topics: vec!["logs".into(), "b".into(), "logs".into()], ..good.clone() },
        "topics[2]",
    );
    wrong(KafkaSettings { topics: vec!["^a".into(), "^a".into()], ..good.clone() }, "topics[1]");
    wrong(KafkaSettings { group: String::new(), ..good.clone() }, "group");
    wrong(KafkaSettings { tag: "{host}".into(), ..good.clone() }, "tag");
    let fields = Fields { key: Some("message".into()), ..Fields::default() };
    wrong(KafkaSettings { fields, ..good.clone() }, "fields.key");
    wrong(KafkaSettings { brokers: vec![], ..good }, "brokers");
}

#[test]
fn options_by_which_messages_would_be_lost_are_refused_and_the_protocol_of_the_group_may_be_another() {
    let check = |option: &str, value: &str| {
        let mut settings = KafkaSettings::new("localhost:9092", &["logs"], "group");
        settings.options.insert(option.to_owned(), value.into());
        settings.check().map_err(|error| format!("{error:#}"))
    };
    for (option, value) in [
        ("auto.offset.reset", "latest"),
        ("auto.offset.reset", "END"),
        ("enable.auto.offset.store", "true"),
        ("enable.partition.eof", "1"),
    ] {
        let why = check(option, value).unwrap_err();
        assert!(why.contains("`options`") && why.contains(option), "{why}");
    }
    for (option, value) in [
        ("auto.offset.reset", "earliest"),
        ("auto.offset.reset", "error"),
        ("enable.auto.offset.store", "false"),
        ("enable.auto.commit", "true"),
        ("group.protocol", "consumer"),
        ("partition.assignment.strategy", "range"),
    ] {
        check(option, value).unwrap();
    }
}

#[test]
fn a_queue_may_be_as_small_or_as_large_as_one_likes() {
    for bytes in [1, 1 << 20, 1 << 40] {
        let queue = Bytes(bytes);
        KafkaSettings { queue, ..KafkaSettings::new("localhost:9092", &["logs"], "group") }.check().unwrap();
    }
}

#[test]
fn where_to_begin_is_a_word_or_a_time() {
    let start = |text: &str| serde_json::from_str::<Start>(text);
    assert_eq!(start(r#""latest""#).unwrap(), Start::Latest);
    let Start::Time(time) = start(r#"{"time":"1970-01-01T00:00:01Z"}"#).unwrap() else { panic!("no time") };
    assert_eq!(time.ns, 1_000_000_000);
    let error = start(r#"{"time":"yesterday"}"#).unwrap_err().to_string();
    assert!(error.contains("RFC 3339"), "{error}");
}
