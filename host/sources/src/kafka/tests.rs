use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::RDKafkaErrorCode;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::contract::{Specimen, texts};
use crate::testing::context;
use flitch_core::batch::{Batch, Cut};
use flitch_core::buffers::Buffer;
use flitch_core::receipt::Ledger;
use flitch_core::tasks;
use flitch_kafka::News;

mod bytes;
mod long;
mod places;
mod settings;

const LONG: Duration = Duration::from_secs(60);

struct Cluster(MockCluster<'static, DefaultProducerContext>);

// SAFETY: what is asked of a mock cluster goes through the queue of its own thread.
unsafe impl Send for Cluster {}
// SAFETY: as above.
unsafe impl Sync for Cluster {}

/// The cluster that the tests of this file share; each has topics of its own.
fn cluster() -> &'static MockCluster<'static, DefaultProducerContext> {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    &CLUSTER.get_or_init(|| Cluster(MockCluster::new(1).unwrap())).0
}

fn topic(name: &str, partitions: i32) {
    cluster().create_topic(name, partitions, 1).unwrap();
}

fn producer() -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", cluster().bootstrap_servers())
        .set("enable.idempotence", "true")
        .create()
        .unwrap()
}

/// Writes messages to a partition, and waits until they are there.
fn write(topic: &str, partition: i32, values: &[&[u8]]) {
    let producer = producer();
    for value in values {
        producer.send(BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(value)).unwrap();
    }
    producer.flush(LONG).unwrap();
}

/// Where a member has left, the cluster waits a second less than its session for it to come again, before another one begins:
/// by itself 44 seconds.
fn settings(topics: &[&str], group: &str) -> KafkaSettings {
    let mut settings = KafkaSettings::new(&cluster().bootstrap_servers(), topics, group);
    settings.options.insert("session.timeout.ms".into(), serde_json::from_str("10000").unwrap());
    settings
}

/// A source that runs.
struct Running {
    buffer: Buffer,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
    folder: tempfile::TempDir,
}

impl Running {
    async fn start(settings: &KafkaSettings) -> Running {
        Running::with(settings, Cut::default()).await
    }

    async fn with(settings: &KafkaSettings, cut: Cut) -> Running {
        let (mut cx, buffer, folder) = context("in");
        cx.cut = cut;
        let (ledger, stop) = (cx.intake.ledger().clone(), cx.stop.clone());
        let task = tasks::joined(SourceKind::start(settings, cx).await.unwrap());
        Running { buffer, ledger, stop, task, folder }
    }

    async fn batch(&self) -> Batch {
        timeout(LONG, self.buffer.lease()).await.expect("a batch in time").unwrap()
    }

    /// Delivers what comes, until there are so many records. Answers them as NDJSON.
    async fn read(&self, count: usize) -> Vec<serde_json::Value> {
        let mut all = Vec::new();
        while all.len() < count {
            let batch = self.batch().await;
            let encoded = batch.records.ndjson();
            all.extend(
                (0..batch.records.rows()).map(|row| serde_json::from_slice(encoded.value(row)).unwrap()),
            );
            batch.receipt.delivered();
        }
        all
    }

    async fn texts(&self, count: usize) -> Vec<String> {
        let text = |record: serde_json::Value| record["message"].as_str().unwrap().to_owned();
        self.read(count).await.into_iter().map(text).collect()
    }

    /// Ends it, with what it has sent delivered.
    async fn end(self) {
        self.stop.cancel();
        timeout(LONG, self.task).await.expect("it ends").unwrap().unwrap();
        assert_eq!(self.ledger.read().in_flight(), 0);
    }
}

/// A client that asks about a group, or says where it is.
fn member(group: &str) -> BaseConsumer<rdkafka::consumer::DefaultConsumerContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster().bootstrap_servers()).set("group.id", group);
    config.create().unwrap()
}

/// The position of a group in a partition.
fn committed(group: &str, topic: &str, partition: i32) -> Option<i64> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    match member(group).committed_offsets(list, LONG).unwrap().elements()[0].offset() {
        rdkafka::Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

impl Specimen for KafkaSettings {
    const SENDS_AGAIN: bool = true;

    fn specimen(folder: &Path) -> KafkaSettings {
        let name = folder.file_name().unwrap().to_string_lossy().replace('.', "t");
        topic(&name, 1);
        settings(&[&name], &name)
    }

    async fn feed(&self, _: &Path) -> Vec<String> {
        let texts = texts();
        let values: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        write(&self.topics[0], 0, &values);
        texts
    }
}

/// The origins of so many records.
async fn origins(settings: &KafkaSettings, cut: Cut, count: usize) -> Vec<u128> {
    let source = Running::with(settings, cut).await;
    let mut ids = Vec::new();
    while ids.len() < count {
        let batch = source.batch().await;
        let origins = batch.records.origins().unwrap();
        ids.extend((0..origins.rows()).map(|row| origins.id(row)));
        batch.receipt.delivered();
    }
    source.end().await;
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_has_the_origin_that_it_had_when_another_group_reads_it_in_other_batches() {
    topic("origins", 1);
    write("origins", 0, &[b"same\nsame\nsame", b"same", b"same\nsame"]);
    let settings = |group: &str| KafkaSettings { codec: Codec::Lines, ..settings(&["origins"], group) };
    let first = origins(&settings("once"), Cut::default(), 6).await;
    assert_eq!(first.iter().collect::<std::collections::HashSet<_>>().len(), 6);
    assert_eq!(origins(&settings("again"), Cut { rows: 1, ..Cut::default() }, 6).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_goes_on_where_it_was_and_another_begins_anew() {
    topic("resumed", 1);
    write("resumed", 0, &[b"one", b"two"]);
    let source = Running::start(&settings(&["resumed"], "first")).await;
    assert_eq!(source.texts(2).await, ["one", "two"]);
    source.end().await;
    assert_eq!(committed("first", "resumed", 0), Some(2));
    write("resumed", 0, &[b"three"]);
    let source = Running::start(&settings(&["resumed"], "first")).await;
    assert_eq!(source.texts(1).await, ["three"]);
    source.end().await;
    let source = Running::start(&settings(&["resumed"], "second")).await;
    assert_eq!(source.texts(3).await, ["one", "two", "three"]);
    source.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_begins_with_the_latest_goes_on_there_after_a_stop() {
    topic("latest", 1);
    write("latest", 0, &[b"old"]);
    let settings = KafkaSettings { start: Start::Latest, ..settings(&["latest"], "latest") };
    let source = Running::start(&settings).await;
    // That it has begun is seen by its position, which it commits before there is a message.
    let begun = async {
        while committed("latest", "latest", 0) != Some(1) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, begun).await.expect("a position");
    source.end().await;
    write("latest", 0, &[b"while it was away"]);
    let source = Running::start(&settings).await;
    assert_eq!(source.texts(1).await, ["while it was away"]);
    source.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_moves_over_what_is_safe_and_no_further() {
    topic("safe", 1);
    write("safe", 0, &[b"one", b"two", b"three"]);
    let settings = settings(&["safe"], "safe");
    let source = Running::with(&settings, Cut { rows: 1, ..Cut::default() }).await;
    let (first, second, third) = (source.batch().await, source.batch().await, source.batch().await);
    first.receipt.delivered();
    third.receipt.delivered();
    drop(second);
    // What came back is read again, with what is behind it.
    assert_eq!(source.texts(2).await, ["two", "three"]);
    source.end().await;
    assert_eq!(committed("safe", "safe", 0), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_when_the_source_is_left_is_not_committed() {
    topic("left", 1);
    write("left", 0, &[b"one", b"two"]);
    let settings = KafkaSettings {
        rebalance_wait: flitch_core::units::Span(Duration::ZERO),
        ..settings(&["left"], "left")
    };
    let source = Running::with(&settings, Cut { rows: 1, ..Cut::default() }).await;
    source.batch().await.receipt.delivered();
    let second = source.batch().await;
    source.stop.cancel();
    source.task.abort();
    assert!(source.task.await.unwrap_err().is_cancelled());
    let left = async {
        while committed("left", "left", 0) != Some(1) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, left).await.expect("the position of what was safe");
    second.receipt.delivered();
    let source = Running::start(&settings).await;
    assert_eq!(source.texts(1).await, ["two"]);
    source.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_has_what_its_message_has_beside_its_value_under_the_names_that_are_wanted() {
    topic("fields", 1);
    let headers = OwnedHeaders::new()
        .insert(Header { key: "trace", value: Some("a1") })
        .insert(Header { key: "empty", value: None::<&str> });
    let producer = producer();
    let record =
        BaseRecord::to("fields").key("k").payload("hello").headers(headers).timestamp(1_700_000_000_123);
    producer.send(record).unwrap();
    producer.flush(LONG).unwrap();
    let name = |name: &str| Some(name.to_owned());
    let fields = Fields {
        key: name("kafka.key"),
        headers: name("headers"),
        topic: name("kafka.topic"),
        partition: name("kafka.partition"),
        offset: name("kafka.offset"),
        timestamp: name("at"),
    };
    let settings =
        KafkaSettings { fields, tag: "from.{topic}.{partition}".into(), ..settings(&["fields"], "fields") };
    let source = Running::start(&settings).await;
    let record = source.read(1).await.remove(0);
    source.end().await;
    assert_eq!(record["message"], "hello");
    assert_eq!(record["@tag"], "from.fields.0");
    assert_eq!(record["@timestamp"], record["at"]);
    assert_eq!(record["headers"], serde_json::json!({ "trace": "a1", "empty": null }));
    assert_eq!(
        record["kafka"],
        serde_json::json!({ "key": "k", "topic": "fields", "partition": 0, "offset": 0 })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_a_text_is_a_record_and_an_empty_value_is_an_empty_line() {
    topic("lines", 1);
    write("lines", 0, &[b"", b"a\r\nb\n", b"c\n\nd"]);
    let source = Running::start(&settings(&["lines"], "lines")).await;
    assert_eq!(source.texts(6).await, ["", "a", "b", "c", "", "d"]);
    source.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_very_many_lines_makes_batches_as_large_as_others_and_is_safe_with_the_last() {
    topic("many", 1);
    let numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    write("many", 0, &[numbers.join("\n").as_bytes()]);
    let cut = Cut { rows: 10, ..Cut::default() };
    let source = Running::with(&settings(&["many"], "many"), cut).await;
    let mut batches = Vec::new();
    for _ in 0..10 {
        batches.push(source.batch().await);
    }
    assert!(batches.iter().all(|batch| batch.records.rows() == 10));
    let last = batches.pop().unwrap();
    last.receipt.delivered();
    // The others come back with their message, from the first line on.
    drop(batches);
    assert_eq!(source.texts(100).await, numbers);
    source.end().await;
    assert_eq!(committed("many", "many", 0), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_values_keep_every_byte() {
    topic("raw", 1);
    write("raw", 0, &[b"\xff\x00\n\xfe", b"plain\r\n"]);
    let settings = KafkaSettings { codec: Codec::Raw, ..settings(&["raw"], "raw") };
    let source = Running::start(&settings).await;
    let batch = source.batch().await;
    let column = batch.records.column("message").unwrap().array().clone();
    let values: Vec<&[u8]> = arrow_array::cast::AsArray::as_binary::<i32>(&column).iter().flatten().collect();
    assert_eq!(values, [&b"\xff\x00\n\xfe"[..], b"plain\r\n"]);
    batch.receipt.delivered();
    source.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_a_dead_letter_with_its_origin_and_holds_up_nothing() {
    topic("bad", 1);
    write("bad", 0, &[br#"{"n":1}"#, b"nonsense", br#"{"n":2,"@timestamp":"2026-01-01T00:00:00Z"}"#]);
    let settings = KafkaSettings { codec: Codec::Json, ..settings(&["bad"], "bad") };
    let source = Running::start(&settings).await;
    let records = source.read(2).await;
    assert_eq!((&records[0]["n"], &records[1]["n"]), (&1.into(), &2.into()));
    // A record that has a time of its own keeps it.
    assert_eq!(records[1]["@timestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(source.ledger.read().dead_lettered, 1);
    let letters = source.folder.path().join("dead");
    let mut files = std::fs::read_dir(letters).unwrap().map(|file| file.unwrap().path());
    let file = files.find(|path| path.extension().is_some_and(|is| is == "ndjson")).unwrap();
    let letter: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    source.end().await;
    assert_eq!(letter["raw"], "nonsense");
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.starts_with("topic bad, partition 0, offset 1: "), "{reason}");
    assert_eq!(committed("bad", "bad", 0), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_value_is_passed_over_or_is_a_record_of_its_key() {
    topic("tombstones", 1);
    let producer = producer();
    producer.send(BaseRecord::<str, str>::to("tombstones").key("gone")).unwrap();
    producer.flush(LONG).unwrap();
    write("tombstones", 0, &[b"there"]);
    let fields = Fields { key: Some("key".into()), ..Fields::default() };
    let settings = KafkaSettings { fields, ..settings(&["tombstones"], "skipped") };
    let source = Running::start(&settings).await;
    assert_eq!(source.texts(1).await, ["there"]);
    source.end().await;
    assert_eq!(committed("skipped", "tombstones", 0), Some(2));
    let settings = KafkaSettings { tombstones: Tombstones::Keep, group: "kept".into(), ..settings };
    let source = Running::start(&settings).await;
    let records = source.read(2).await;
    assert_eq!((&records[0]["key"], records[0].get("message")), (&"gone".into(), None));
    source.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_chosen_by_a_regular_expression_too() {
    topic("chosen-a", 1);
    topic("chosen-b", 1);
    topic("not-chosen", 1);
    for name in ["chosen-a", "chosen-b", "not-chosen"] {
        write(name, 0, &[name.as_bytes()]);
    }
    let source = Running::start(&settings(&["^chosen-.*"], "chosen")).await;
    let mut texts = source.texts(2).await;
    texts.sort();
    assert_eq!(texts, ["chosen-a", "chosen-b"]);
    source.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_nobody_leads_holds_up_no_other_of_a_group_that_begins() {
    topic("orphans", 3);
    for partition in 0..3 {
        write("orphans", partition, &[format!("of {partition}").as_bytes()]);
    }
    cluster().partition_leader("orphans", 1, None).unwrap();
    let source = Running::start(&settings(&["orphans"], "orphans")).await;
    let mut texts = source.texts(2).await;
    texts.sort();
    assert_eq!(texts, ["of 0", "of 2"]);
    cluster().partition_leader("orphans", 1, Some(1)).unwrap();
    assert_eq!(source.texts(1).await, ["of 1"]);
    source.end().await;
}

#[tokio::test]
async fn a_probe_tells_of_partitions_that_nobody_leads() {
    topic("led-in", 3);
    let probe = async |topics: &[&str]| {
        SourceKind::probe(&settings(topics, "led"), "in").expect("it can be asked").await
    };
    for topics in [["led-in"], ["^led-.*"]] {
        probe(&topics).await.unwrap();
    }
    cluster().partition_leader("led-in", 1, None).unwrap();
    for topics in [["led-in"], ["^led-.*"]] {
        let error = format!("{:#}", probe(&topics).await.unwrap_err());
        assert!(error.contains("1 of its 3 partitions have no leader (1)"), "{topics:?}: {error}");
    }
}

/// A broker that is down is told of over and over, faster than anybody would listen.
#[tokio::test]
async fn a_probe_of_a_broker_that_is_down_says_so_and_ends() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut settings = KafkaSettings::new(&address, &["any"], "any");
    for option in ["reconnect.backoff.ms", "reconnect.backoff.max.ms"] {
        settings.options.insert(option.to_owned(), serde_json::from_str("1").unwrap());
    }
    let answer = timeout(LONG, SourceKind::probe(&settings, "in").expect("it can be asked"));
    let why = answer.await.expect("an answer in time").unwrap_err();
    assert!(why.to_string().contains("the brokers cannot be reached"), "{why}");
}

/// A busy machine lets the answer overtake the news.
#[test]
fn a_question_that_failed_names_the_brokers_where_the_client_has_told_nothing_yet() {
    let settings = KafkaSettings::new("broker:9092", &["any"], "any");
    let failed = |code| KafkaError::MetadataFetch(code);
    let why = |code| trouble::why_failed(failed(code), &News::default(), &settings).to_string();
    let down = why(RDKafkaErrorCode::BrokerTransportFailure);
    assert!(down.contains("the brokers cannot be reached (broker:9092)"), "{down}");
    let other = why(RDKafkaErrorCode::TopicAuthorizationFailed);
    assert!(!other.contains("reached"), "{other}");
}
