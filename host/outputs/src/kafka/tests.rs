use std::time::Duration;

use arrow_array::{ArrayRef, StringArray};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};

use super::super::contract::{self, Found, Specimen, Subject, WriteBatch};
use super::ship::Extras;
use super::*;
use flitch_core::batch::template::Template;
use flitch_core::batch::{Kind, TIMESTAMP};
use flitch_core::secret::Secret;
use flitch_kafka::settings::{Mechanism, SaslSettings, TlsSettings};

mod alone;
mod keys;

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A mock cluster of `brokers` brokers with the topic `logs` of three partitions.
fn cluster(brokers: i32) -> Cluster {
    let cluster = MockCluster::new(brokers).unwrap();
    cluster.create_topic("logs", 3, brokers.min(3)).unwrap();
    cluster
}

fn settings(cluster: &Cluster, topic: &str) -> KafkaSettings {
    KafkaSettings::new(&cluster.bootstrap_servers(), Template::parse(topic).unwrap())
}

fn open(name: &str, settings: &KafkaSettings) -> anyhow::Result<Kafka> {
    super::open(settings, &OutputContext { name: name.into(), ..contract::context() })
}

fn records(column: &str, values: &[&str]) -> Arc<Records> {
    let field = Arc::new(Kind::Text.field(column));
    let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    Arc::new(Records::of(values.len(), vec![(field, array)], vec![]).unwrap())
}

struct Read {
    time: Option<i64>,
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    partition: i32,
    headers: Vec<(String, Vec<u8>)>,
}

/// Reads `count` messages of a topic.
fn read(cluster: &Cluster, topic: &str, count: usize) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "test")
        .create()
        .unwrap();
    let found = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in found.topics()[0].partitions() {
        partitions.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&partitions).unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(20);
    let mut all = Vec::new();
    while all.len() < count && std::time::Instant::now() < end {
        let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
        let message = message.unwrap();
        let header = |h: rdkafka::message::Header<&[u8]>| (h.key.to_owned(), h.value.unwrap().to_vec());
        all.push(Read {
            time: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().unwrap_or_default().to_vec(),
            partition: message.partition(),
            headers: message.headers().map_or_else(Vec::new, |all| all.iter().map(header).collect()),
        });
    }
    assert_eq!(all.len(), count);
    all
}

/// Reads all values of `logs`.
pub(crate) fn everything(cluster: &Cluster) -> Vec<Vec<u8>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "test")
        .create()
        .unwrap();
    let ends = (0..3).map(|p| consumer.fetch_watermarks("logs", p, Duration::from_secs(10)).unwrap().1);
    let count = ends.sum::<i64>() as usize;
    read(cluster, "logs", count).into_iter().map(|message| message.value).collect()
}

impl Specimen for KafkaSettings {
    const FRAMING: Framing = Framing::Messages;

    async fn subject(_: usize, cx: &OutputContext) -> Subject {
        let cluster = cluster(1);
        let output = settings(&cluster, "logs").open(cx).unwrap();
        let mut by_field = settings(&cluster, "{k}");
        by_field.key = Some(Template::parse("{k}").unwrap());
        by_field.headers.insert("k".to_owned(), Template::parse("{k}").unwrap());
        let by_field = Some(by_field.open(cx).unwrap());
        let read = move || Found::Messages(everything(&cluster));
        Subject { output, read: Some(Box::new(read)), by_field, cut: None }
    }
}

/// The values that the records must have in Kafka, sorted.
fn expected(records: &Records) -> Vec<Vec<u8>> {
    let text = records.ndjson();
    let value = |row: usize| text.row(row).strip_suffix(b"\n").unwrap_or(text.row(row)).to_vec();
    let mut all: Vec<_> = (0..records.rows()).map(value).collect();
    all.sort();
    all
}

fn values(read: Vec<Read>) -> Vec<Vec<u8>> {
    let mut all: Vec<_> = read.into_iter().map(|m| m.value).collect();
    all.sort();
    all
}

#[tokio::test]
async fn records_are_read_back_as_they_were_written() {
    let cluster = cluster(1);
    let kafka = open("out", &settings(&cluster, "logs")).unwrap();
    let lines: Vec<String> = (0..2000).map(|n| format!("line {n}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let records = records("message", &lines);
    let written = kafka.write_batch(&records).await.unwrap();
    assert!(written.refused.is_empty() && written.again.is_none());
    let expected = expected(&records);
    assert_eq!(written.bytes, expected.iter().map(|v| v.len() as u64).sum::<u64>());
    assert_eq!(values(read(&cluster, "logs", 2000)), expected);
}

#[tokio::test]
async fn a_full_queue_is_waited_for() {
    let cluster = cluster(1);
    let mut settings = settings(&cluster, "logs");
    settings.options.insert("queue.buffering.max.messages".into(), "100".into());
    let kafka = open("out", &settings).unwrap();
    let lines = vec!["x"; 1500];
    let records = records("message", &lines);
    kafka.write_batch(&records).await.unwrap();
    read(&cluster, "logs", 1500);
}

#[tokio::test]
async fn a_write_that_is_given_up_frees_nothing_too_early() {
    let cluster = cluster(1);
    let mut settings = settings(&cluster, "logs");
    settings.options.insert("queue.buffering.max.messages".into(), "100".into());
    let kafka = open("out", &settings).unwrap();
    let (weak, text) = {
        let records = records("message", &vec!["x"; 1500]);
        let text = Arc::downgrade(&records.ndjson());
        let short = tokio::time::timeout(Duration::from_millis(5), kafka.write_batch(&records)).await;
        assert!(short.is_err());
        (Arc::downgrade(&records), text)
    };
    assert!(weak.upgrade().is_none());
    read(&cluster, "logs", 100);
    // Dropping the output brings the last reports, and with them the end of the text.
    drop(kafka);
    assert!(text.upgrade().is_none());
}

#[tokio::test]
async fn topics_keys_and_headers_come_from_fields() {
    let cluster = cluster(1);
    for topic in ["logs.a", "logs.b"] {
        cluster.create_topic(topic, 4, 1).unwrap();
    }
    let mut settings = settings(&cluster, "logs.{app}");
    settings.key = Some(Template::parse("k-{app}").unwrap());
    let records = records("app", &["a", "b", "a", "b b", "a"]);
    for with_headers in [false, true] {
        if with_headers {
            settings.headers.insert("app".into(), Template::parse("{app}!").unwrap());
            settings.headers.insert("none".into(), Template::parse("{nothing}").unwrap());
        }
        let written = open("out", &settings).unwrap().write_batch(&records).await.unwrap();
        assert_eq!(written.refused.len(), 1);
        assert_eq!(written.refused[0].row, 3);
    }
    let messages = read(&cluster, "logs.a", 6);
    assert!(messages.iter().all(|m| m.key.as_deref() == Some(b"k-a")));
    assert!(messages.iter().all(|m| m.partition == messages[0].partition));
    let mut headers: Vec<_> = messages.into_iter().map(|m| m.headers).collect();
    headers.sort();
    let one = vec![("app".to_owned(), b"a!".to_vec())];
    assert_eq!(headers, [vec![], vec![], vec![], one.clone(), one.clone(), one]);
    assert_eq!(read(&cluster, "logs.b", 2)[0].key.as_deref(), Some(&b"k-b"[..]));
}

#[tokio::test]
async fn keys_choose_the_partition_that_java_clients_choose() {
    let cluster = cluster(1);
    cluster.create_topic("keyed", 16, 1).unwrap();
    let mut settings = settings(&cluster, "keyed");
    settings.key = Some(Template::parse("{k}").unwrap());
    let records = records("k", &["21", "foobar", "a-little-bit-long-string"]);
    open("out", &settings).unwrap().write_batch(&records).await.unwrap();
    for message in read(&cluster, "keyed", 3) {
        // Hashes from Kafka's own test of its murmur2 (UtilsTest.testMurmur2).
        let hash: i32 = match message.key.as_deref().unwrap() {
            b"21" => -973932308,
            b"foobar" => -790332482,
            _ => -985981536,
        };
        assert_eq!(message.partition, (hash & 0x7fff_ffff) % 16);
    }
}

#[tokio::test]
async fn errors_that_pass_are_survived_inside_the_client() {
    let cluster = cluster(3);
    let kafka = open("out", &settings(&cluster, "logs")).unwrap();
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ];
    cluster.request_errors(RDKafkaApiKey::Produce, &errors);
    let records = records("message", &["one", "two"]);
    let written = kafka.write_batch(&records).await.unwrap();
    assert!(written.again.is_none());
    assert_eq!(values(read(&cluster, "logs", 2)), expected(&records));
}

#[tokio::test]
async fn a_probe_tells_of_partitions_that_nobody_leads() {
    let cluster = cluster(1);
    cluster.create_topic("led", 3, 1).unwrap();
    let kafka = open("out", &settings(&cluster, "led")).unwrap();
    kafka.probe().await.unwrap();
    cluster.partition_leader("led", 2, None).unwrap();
    let error = kafka.probe().await.unwrap_err();
    assert!(matches!(error, WriteError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("topic `led`: 1 of its 3 partitions have no leader (2)"), "{error}");
}

#[tokio::test]
async fn brokers_that_are_down_are_unreachable_until_they_are_up() {
    let cluster = cluster(1);
    let mut settings = settings(&cluster, "logs");
    settings.timeout.0 = Duration::from_secs(1);
    settings.options.insert("reconnect.backoff.max.ms".into(), "200".into());
    let kafka = open("out", &settings).unwrap();
    let records = records("message", &["one"]);
    // A second is short on a machine that is busy, so what must go through may take several.
    let goes_through = async || {
        for _ in 0..60 {
            if kafka.write_batch(&records).await.is_ok() && kafka.probe().await.is_ok() {
                return;
            }
        }
        panic!("no write goes through");
    };
    goes_through().await;
    cluster.broker_down(-1).unwrap();
    let error = kafka.write_batch(&records).await.unwrap_err();
    assert!(matches!(error, WriteError::Unreachable { .. }), "{error}");
    assert!(kafka.probe().await.is_err());
    cluster.broker_up(-1).unwrap();
    goes_through().await;
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_alone() {
    let cluster = cluster(1);
    let mut settings = settings(&cluster, "logs");
    settings.options.insert("message.max.bytes".into(), "2000".into());
    let kafka = open("out", &settings).unwrap();
    let large = "x".repeat(3000);
    let records = records("message", &["one", &large, "two"]);
    let written = kafka.write_batch(&records).await.unwrap();
    assert_eq!(written.refused.len(), 1);
    assert_eq!(written.refused[0].row, 1);
    assert!(written.refused[0].reason.contains("message.max.bytes"), "{}", written.refused[0].reason);
    assert!(written.again.is_none());
    read(&cluster, "logs", 2);
}

#[tokio::test]
async fn a_record_that_is_larger_than_the_queue_is_refused_alone() {
    let cluster = cluster(1);
    let mut settings = settings(&cluster, "logs");
    settings.queue = flitch_core::units::Bytes(4096);
    let large = "x".repeat(5000);
    let half = "x".repeat(2500);
    let records = records("message", &[&half, &large, &half, &large, &half, &large]);
    for with_headers in [false, true] {
        if with_headers {
            settings.headers.insert("app".into(), Template::parse("x").unwrap());
        }
        let kafka = open("out", &settings).unwrap();
        let written = tokio::time::timeout(Duration::from_secs(60), kafka.write_batch(&records)).await;
        let written = written.expect("it waits for nothing that never comes").unwrap();
        assert_eq!(written.refused.iter().map(|r| r.row).collect::<Vec<_>>(), [1, 3, 5]);
        assert!(written.refused[0].reason.contains("`queue` holds (4096 bytes)"), "{:?}", written.refused[0]);
        assert!(written.again.is_none());
    }
    read(&cluster, "logs", 6);
}

#[tokio::test]
async fn writes_that_compete_for_a_full_queue_keep_the_order_of_their_records() {
    const ROWS: usize = 90;
    let cluster = cluster(1);
    cluster.create_topic("one", 1, 1).unwrap();
    let mut settings = settings(&cluster, "one");
    settings.options.insert("queue.buffering.max.messages".into(), "50".into());
    let kafka = open("out", &settings).unwrap();
    let batches: Vec<_> =
        (0..CONCURRENCY as i64).map(|n| contract::numbered(n * ROWS as i64, ROWS)).collect();
    let parcels: Vec<Parcel> = batches.iter().cloned().map(Parcel::of).collect();
    let mut writes: Vec<_> = parcels.iter().map(|parcel| kafka.write(parcel)).collect();
    // As the delivery loop does it: all under way, the oldest asked first.
    std::future::poll_fn(|cx| {
        writes.retain_mut(|write| match write.as_mut().poll(cx) {
            std::task::Poll::Ready(written) => {
                assert!(written.unwrap().again.is_none());
                false
            }
            std::task::Poll::Pending => true,
        });
        if writes.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    let all: Vec<_> = read(&cluster, "one", CONCURRENCY * ROWS).into_iter().map(|m| m.value).collect();
    let number =
        |value: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(value).unwrap()["n"].as_u64().unwrap();
    assert!(all.iter().map(number).eq(0..(CONCURRENCY * ROWS) as u64));
}

#[tokio::test]
async fn a_topic_without_rights_that_a_field_chose_costs_its_records_alone() {
    let cluster = cluster(1);
    for topic in ["logs.a", "logs.b"] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    let kafka = open("out", &settings(&cluster, "logs.{app}")).unwrap();
    for _ in 0..2 {
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
        let written = kafka.write_batch(&records("app", &["a", "b"])).await.unwrap();
        assert_eq!(written.refused.len(), 1, "{written:?}");
        assert!(written.refused[0].reason.contains("topic `logs."), "{written:?}");
        assert!(written.again.is_none(), "{written:?}");
    }
    let written = kafka.write_batch(&records("app", &["a", "b"])).await.unwrap();
    assert!(written.refused.is_empty() && written.again.is_none());
}

#[tokio::test]
async fn a_topic_without_rights_is_denied() {
    let cluster = cluster(1);
    let kafka = open("out", &settings(&cluster, "logs")).unwrap();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
    let error = kafka.write_batch(&records("message", &["one"])).await.unwrap_err();
    assert!(matches!(error, WriteError::Denied { .. }), "{error}");
    // Rights that were granted meanwhile are noticed at once.
    kafka.write_batch(&records("message", &["one"])).await.unwrap();
}

#[tokio::test]
async fn a_fatal_error_makes_a_new_producer() {
    let cluster = cluster(1);
    let kafka = open("out", &settings(&cluster, "logs")).unwrap();
    let records = records("message", &["one", "two"]);
    kafka.write_batch(&records).await.unwrap();
    produce::fail_for_good(&kafka.producer().unwrap().threaded);
    let error = kafka.write_batch(&records).await.unwrap_err();
    assert!(matches!(error, WriteError::Unreachable { .. }), "{error}");
    kafka.write_batch(&records).await.unwrap();
    read(&cluster, "logs", 4);
}

#[test]
fn a_wrong_option_is_named() {
    let cluster = cluster(1);
    let mut settings = settings(&cluster, "logs");
    settings.options.insert("no.such.option".into(), "1".into());
    let error = open("out", &settings).err().unwrap().to_string();
    assert!(error.contains("no.such.option"), "{error}");
    settings.options.clear();
    settings.options.insert("linger.ms".into(), "soon".into());
    let error = open("out", &settings).err().unwrap().to_string();
    assert!(error.contains("linger.ms"), "{error}");
}

#[test]
fn a_topic_that_kafka_does_not_take_is_an_error_of_the_configuration() {
    for topic in ["my logs", "my {@tag}", "logs.{@timestamp:%H:%M}", "logs/{app}"] {
        let error = open("out", &KafkaSettings::new("a:1", Template::parse(topic).unwrap())).err().unwrap();
        assert!(error.to_string().contains(&format!("`{topic}`")), "{error}");
    }
    open("out", &KafkaSettings::new("a:1", Template::parse("{a}{b|no topic}").unwrap())).unwrap();
}

#[test]
fn weak_acks_must_be_asked_for_twice() {
    let mut settings = KafkaSettings::new("a:1", Template::parse("logs").unwrap());
    settings.acks = Acks::Leader;
    let error = open("out", &settings).err().unwrap().to_string();
    assert!(error.contains("idempotent"), "{error}");
    settings.idempotent = false;
    open("out", &settings).unwrap();
}

#[tokio::test]
async fn messages_can_have_the_time_of_the_event() {
    let cluster = cluster(1);
    let mut settings = settings(&cluster, "logs");
    settings.timestamp = Stamp::Event;
    let timed = |ns: i64| {
        let times = arrow_array::TimestampNanosecondArray::from(vec![ns]).with_timezone("UTC");
        let field: arrow_schema::FieldRef = Arc::new(Kind::Timestamp.field(TIMESTAMP));
        let columns: Vec<(_, ArrayRef)> = vec![(field, Arc::new(times))];
        Arc::new(Records::of(1, columns, vec![]).unwrap())
    };
    let records = timed(1_700_000_000_123_456_789);
    let kafka = open("out", &settings).unwrap();
    assert_eq!(kafka.write_batch(&records).await.unwrap().bytes as usize, expected(&records)[0].len());
    // The mock broker stamps messages itself; that the client takes a time is all that can be seen here.
    assert!(read(&cluster, "logs", 1)[0].time.is_some());
    let extras = Extras { headers: vec![], times: records.column(TIMESTAMP) };
    assert_eq!(extras.time(0), Some(1_700_000_000_123));
    for (ns, ms) in [(0, 1), (999_999, 1), (1_000_000, 1), (-1, -2), (-1_000_000_000, -1000)] {
        let records = timed(ns);
        let extras = Extras { headers: vec![], times: records.column(TIMESTAMP) };
        assert_eq!(extras.time(0), Some(ms), "0 would be the time of sending, and -1 none: {ns}");
    }
}

#[test]
fn credentials_and_certificates_become_options() {
    let mut settings = KafkaSettings::new("a:1", Template::parse("logs").unwrap());
    settings.tls = Some(TlsSettings { verify: false, ..TlsSettings::default() });
    let password = Some(Secret::new("p"));
    let username = Some("u".to_owned());
    settings.sasl =
        Some(SaslSettings { mechanism: Mechanism::ScramSha512, username, password, token_file: None });
    let client = settings.client("out").unwrap();
    let get = |key: &str| client.get(key).unwrap().to_owned();
    assert_eq!(get("security.protocol"), "sasl_ssl");
    assert_eq!(get("sasl.mechanism"), "SCRAM-SHA-512");
    assert_eq!(get("sasl.password"), "p");
    assert_eq!(get("ssl.endpoint.identification.algorithm"), "none");
    open("out", &settings).unwrap();
    let shown = format!("{settings:?} {}", serde_json::to_string(&settings).unwrap());
    assert!(!shown.contains("\"p\""), "{shown}");
}

#[test]
fn settings_that_do_not_fit_together_are_refused() {
    let mut settings = KafkaSettings::new("a:1", Template::parse("logs").unwrap());
    let wrong = |settings: &KafkaSettings| open("out", settings).err().unwrap().to_string();
    let sasl = |mechanism| SaslSettings { mechanism, username: None, password: None, token_file: None };
    settings.sasl = Some(sasl(Mechanism::Plain));
    assert!(wrong(&settings).contains("`username` and `password`"));
    settings.sasl = Some(sasl(Mechanism::Oauthbearer));
    assert!(wrong(&settings).contains("`token_file`"));
    settings.sasl = None;
    settings.tls = Some(TlsSettings { cert: Some("/no/such/file".into()), ..TlsSettings::default() });
    assert!(wrong(&settings).contains("belong together"));
    settings.tls = Some(TlsSettings { ca: Some("/no/such/file".into()), ..TlsSettings::default() });
    assert!(wrong(&settings).contains("/no/such/file"));
    settings.tls = None;
    for broker in ["http://a:1", "SSL://a:1", "kafka://a"] {
        settings.brokers = vec!["b:1".to_owned(), broker.to_owned()];
        let error = wrong(&settings);
        assert!(error.contains("`brokers`") && error.contains("write `a"), "{error}");
    }
    settings.brokers = vec!["plaintext://a:1".to_owned()];
    open("out", &settings).unwrap();
}

#[test]
fn brokers_may_be_a_text_and_options_numbers_and_switches() {
    let json =
        r#"{"brokers":"a:1, b:2","topic":"logs","options":{"linger.ms":7,"socket.nagle.disable":true}}"#;
    let settings: KafkaSettings = serde_json::from_str(json).unwrap();
    let client = settings.client("out").unwrap();
    assert_eq!(client.get("bootstrap.servers"), Some("a:1,b:2"));
    assert_eq!((client.get("linger.ms"), client.get("socket.nagle.disable")), (Some("7"), Some("true")));
}
