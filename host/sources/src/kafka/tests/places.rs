//! What is read, and where it begins.

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;

/// Puts the position of a group somewhere.
fn place(group: &str, topic: &str, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Offset(offset)).unwrap();
    member(group).commit(&list, rdkafka::consumer::CommitMode::Sync).unwrap();
}

/// As after a topic was made anew, or a leader had not got all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_ends_before_the_position_is_read_from_its_beginning_and_the_position_goes_back() {
    topic("anew", 1);
    write("anew", 0, &[b"one", b"two"]);
    place("anew", "anew", 100);
    let source = Running::with(&settings(&["anew"], "anew"), Cut { rows: 1, ..Cut::default() }).await;
    assert_eq!(source.texts(2).await, ["one", "two"]);
    // From there on all is as ever: what comes back is read again.
    write("anew", 0, &[b"three"]);
    drop(source.batch().await);
    assert_eq!(source.texts(1).await, ["three"]);
    write("anew", 0, &[b"four"]);
    assert_eq!(source.texts(1).await, ["four"]);
    source.end().await;
    assert_eq!(committed("anew", "anew", 0), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_leaves_the_brokers_own_topics_out_and_one_that_is_named_is_read() {
    for name in ["own-a", "__own-b", "__own-c"] {
        topic(name, 1);
        write(name, 0, &[name.as_bytes()]);
    }
    let source = Running::start(&settings(&["^_*own-.*", "__own-c"], "own")).await;
    let mut texts = source.texts(2).await;
    texts.sort();
    assert_eq!(texts, ["__own-c", "own-a"]);
    source.end().await;
    // Of what it reads it commits where it is.
    assert_eq!([committed("own", "__own-c", 0), committed("own", "__own-b", 0)], [Some(1), None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_before_all_time_is_the_beginning() {
    topic("old", 1);
    write("old", 0, &[b"one", b"two"]);
    for text in ["1960-01-01T00:00:00Z", "1969-12-31T23:59:59.999999999Z"] {
        let start: Start = serde_json::from_value(serde_json::json!({ "time": text })).unwrap();
        let source = Running::start(&KafkaSettings { start, ..settings(&["old"], text) }).await;
        assert_eq!(source.texts(2).await, ["one", "two"], "{text}");
        source.end().await;
    }
}

/// The client takes an error for the message that stands in its place, and begins behind that after a rebalance, as when another
/// host joins.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_could_not_be_read_loses_no_message_at_a_rebalance_and_gives_none_twice() {
    let cluster = MockCluster::new(1).unwrap();
    let brokers = cluster.bootstrap_servers();
    cluster.create_topic("denied", 1, 1).unwrap();
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
    let write = |text: &str| {
        producer.send(BaseRecord::<(), str>::to("denied").payload(text)).unwrap();
        producer.flush(LONG).unwrap();
    };
    let (cx, buffer, _folder) = context("in");
    let (health, bell) = (cx.health.clone(), Arc::new(Bell::default()));
    let mut reader = Reader::new(&KafkaSettings::new(&brokers, &["denied"], "denied"), cx, &bell).unwrap();
    let mut turn_until = |is_so: &dyn Fn(&Reader) -> bool| {
        let late = Instant::now() + LONG;
        while !is_so(&reader) && Instant::now() < late {
            if let Next::At(at) = reader.turn(Instant::now()).unwrap() {
                bell.wait_until(at);
            }
        }
        reader.consumer.clone()
    };
    let sent = |reader: &Reader| reader.partitions.get("denied").and_then(|found| Some(found.get(&0)?.sent));
    let text = || {
        let batch = buffer.try_lease()?;
        let record: serde_json::Value = serde_json::from_slice(batch.records.ndjson().value(0)).unwrap();
        batch.receipt.delivered();
        Some((batch.records.rows(), record["message"].clone()))
    };
    write("one");
    turn_until(&|reader| sent(reader) == Some(1));
    let one = text();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Fetch, &[denied]);
    let consumer = turn_until(&|_| health.ailments().contains_key("source in"));
    // What the client does with all partitions while the group finds out who has which.
    let all = consumer.assignment().unwrap();
    consumer.pause(&all).unwrap();
    consumer.resume(&all).unwrap();
    write("two");
    turn_until(&|reader| sent(reader) == Some(2));
    let two = text();
    // It must leave before anything fails: the client waits for that.
    reader.leave();
    assert_eq!([one, two], [Some((1, "one".into())), Some((1, "two".into()))]);
}

/// It takes a while until a new topic, or a new partition, is found.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_begins_with_the_latest_reads_a_topic_that_comes_later_from_its_first_message_on() {
    topic("later-a", 1);
    write("later-a", 0, &[b"old"]);
    let mut settings = KafkaSettings { start: Start::Latest, ..settings(&["^later-.*"], "later") };
    settings
        .options
        .insert("topic.metadata.refresh.interval.ms".into(), serde_json::from_str("100").unwrap());
    let source = Running::start(&settings).await;
    let begun = async {
        while committed("later", "later-a", 0) != Some(1) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, begun).await.expect("a position");
    topic("later-b", 2);
    write("later-b", 1, &[b"first"]);
    assert_eq!(source.texts(1).await, ["first"]);
    write("later-a", 0, &[b"new"]);
    assert_eq!(source.texts(1).await, ["new"]);
    source.end().await;
}
