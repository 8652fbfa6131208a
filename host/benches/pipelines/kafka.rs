//! What it costs to read Kafka: librdkafka by itself, and pipelines over the same topics of a real broker. (The mock
//! cluster keeps too few messages.)

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use flitch_tests::servers::kafka::{Kafka, client};
use rdkafka::bindings as ffi;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::cases::{Calibration, Case};
use crate::measure::{Cost, PATIENCE, cpu_of};

/// Lines of nginx, and the same as JSON of nine fields.
const LINES: &str = "lines";
const JSON: &str = "json";
const PARTITIONS: i32 = 4;
/// Messages that one call takes.
const MOST: usize = 1024;
/// Names of what the fields of a line are.
const NAMES: [&str; 9] = ["remote", "host", "user", "time", "method", "path", "protocol", "status", "bytes"];

/// The rows whose names say it.
pub fn cases() -> Vec<Case> {
    let case = |name, topic: &str| Case {
        name,
        config: format!(
            "sources: {{ lines: {{ type: kafka, brokers: \"{{topics}}\", topics: {topic}, group: \"{{group}}\", \
             codec: {topic} }} }}\noutputs: {{ out: {{ type: blackhole }} }}\n\
             pipelines: {{ p: {{ from: [lines], to: [{{ output: out }}] }} }}\n"
        ),
        feed: |_, _, _| {},
    };
    vec![case("Kafka, lines → blackhole", LINES), case("Kafka, JSON of nine fields → blackhole", JSON)]
}

/// The floor of the rows above.
pub const CALIBRATIONS: [Calibration; 3] = [
    ("native: librdkafka, Kafka, lines, one a call", |lines| floor(lines, LINES, one_a_call)),
    ("native: librdkafka, Kafka, lines, batches", |lines| floor(lines, LINES, batches)),
    ("native: librdkafka, Kafka, JSON, batches", |lines| floor(lines, JSON, batches)),
];

/// A broker with both topics filled, `host:port`, and how many messages each of them has.
pub fn topics(lines: &Path) -> (String, u64) {
    static TOPICS: OnceLock<(Kafka, u64)> = OnceLock::new();
    let (kafka, count) = TOPICS.get_or_init(|| {
        let kafka = Kafka::start(1).expect("Kafka starts");
        let text = std::fs::read_to_string(lines).expect("the lines were written");
        fill(&kafka, LINES, text.lines().map(str::to_owned));
        let pattern = regex::Regex::new(crate::cases::COMBINED).expect("a valid pattern");
        fill(
            &kafka,
            JSON,
            text.lines().map(|line| {
                let parts = pattern.captures(line).expect("the pattern fits the lines");
                let fields = NAMES.iter().enumerate().map(|(n, name)| (*name, &parts[n + 1]));
                serde_json::to_string(&fields.collect::<std::collections::BTreeMap<_, _>>()).expect("texts")
            }),
        );
        (kafka, text.lines().count() as u64)
    });
    (kafka.bootstrap(), *count)
}

fn fill(kafka: &Kafka, topic: &str, values: impl Iterator<Item = String>) {
    kafka.create_topic(topic, PARTITIONS).expect("a topic can be made");
    let producer: BaseProducer = kafka
        .client()
        .set("compression.type", "lz4")
        .set("linger.ms", "20")
        .set("acks", "1")
        .create()
        .expect("good settings");
    for (number, value) in values.enumerate() {
        let partition = number as i32 / MOST as i32 % PARTITIONS;
        let mut record = BaseRecord::<(), str>::to(topic).partition(partition).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            producer.poll(Duration::from_millis(20));
            record = back;
        }
    }
    producer.flush(PATIENCE).expect("the broker takes them");
}

/// What it takes to read a topic and look at the length of each value.
fn floor(lines: &Path, topic: &str, read: fn(&BaseConsumer, u64) -> usize) -> Cost {
    let (bootstrap, records) = topics(lines);
    let consumer: BaseConsumer = client(&bootstrap)
        .set("group.id", "floor")
        .set("enable.auto.commit", "false")
        .set("queued.max.messages.kbytes", "32768")
        .set("queued.min.messages", "65536")
        .set("fetch.max.bytes", "4194304")
        .set("fetch.queue.backoff.ms", "10")
        .create()
        .expect("good settings");
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    }
    let (begun, clock) = (cpu_of(std::process::id()), Instant::now());
    consumer.assign(&all).expect("partitions can be assigned");
    let bytes = read(&consumer, records);
    let cpu = cpu_of(std::process::id()) - begun;
    Cost { records, bytes: bytes as u64, cpu, wall: clock.elapsed(), peak_bytes: 0 }
}

fn one_a_call(consumer: &BaseConsumer, records: u64) -> usize {
    let (mut seen, mut bytes) = (0, 0);
    while seen < records {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            bytes += message.expect("a message").payload_len();
            seen += 1;
        }
    }
    bytes
}

fn batches(consumer: &BaseConsumer, records: u64) -> usize {
    let (mut seen, mut bytes) = (0, 0);
    let mut messages = Vec::<*mut ffi::rd_kafka_message_t>::with_capacity(MOST);
    // SAFETY: the client outlives the queue and the messages; there is room for as many; each is destroyed once.
    unsafe {
        let queue = ffi::rd_kafka_queue_get_consumer(consumer.client().native_ptr());
        while seen < records {
            let taken = ffi::rd_kafka_consume_batch_queue(queue, 5, messages.as_mut_ptr(), MOST);
            messages.set_len(usize::try_from(taken).expect("no error"));
            for message in messages.drain(..) {
                bytes += (*message).len;
                seen += 1;
                ffi::rd_kafka_message_destroy(message);
            }
        }
        ffi::rd_kafka_queue_destroy(queue);
    }
    bytes
}
