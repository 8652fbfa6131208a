//! Reading a topic back, as any consumer would.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::kafka::client;

/// A record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The key, if there is one.
    pub key: Option<Vec<u8>>,
    /// The payload; empty for a tombstone.
    pub value: Vec<u8>,
    /// The headers in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The partition.
    pub partition: i32,
    /// The offset in its partition.
    pub offset: i64,
    /// The record's time in milliseconds since 1970, if it has one.
    pub time: Option<i64>,
}

impl Message {
    /// The payload as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }

    /// The payload as JSON; panics with the payload where it is not.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.value) {
            Ok(value) => value,
            Err(error) => panic!("not JSON ({error}): {}", self.text()),
        }
    }
}

/// Reads a topic from its beginning until `count` records were seen, whatever their partition. An error
/// says how many had come when `deadline` passed, and shows the last of them.
pub fn read_count(bootstrap: &str, topic: &str, count: usize, deadline: Duration) -> Result<Vec<Message>> {
    let seen = read_until(client(bootstrap), topic, deadline, |seen| seen.len() >= count)?;
    if seen.len() < count {
        let last = seen.last().map(Message::text).unwrap_or_default();
        bail!("{} of {count} records in {topic} after {deadline:?}; the last: {last}", seen.len());
    }
    Ok(seen)
}

/// Reads a topic from its beginning until `enough` says so, or `deadline` passes. `config` is for
/// brokers that want TLS or a password.
pub fn read_until(
    mut config: ClientConfig,
    topic: &str,
    deadline: Duration,
    mut enough: impl FnMut(&[Message]) -> bool,
) -> Result<Vec<Message>> {
    let start = Instant::now();
    let consumer = open(&mut config, topic, deadline)?;
    let mut seen = Vec::new();
    while !enough(&seen) && start.elapsed() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => seen.push(copy(&message)),
            Some(Err(error)) if passes(&error) => {}
            Some(Err(error)) => return Err(error).with_context(|| format!("reading {topic}")),
        }
    }
    Ok(seen)
}

/// Reads what a topic holds now: from its beginning to the end of every partition.
pub fn read_all(bootstrap: &str, topic: &str, deadline: Duration) -> Result<Vec<Message>> {
    let mut config = client(bootstrap);
    config.set("enable.partition.eof", "true");
    let start = Instant::now();
    let consumer = open(&mut config, topic, deadline)?;
    let mut open_partitions: Vec<i32> =
        consumer.assignment()?.elements().iter().map(|part| part.partition()).collect();
    let mut seen = Vec::new();
    while !open_partitions.is_empty() {
        if start.elapsed() > deadline {
            bail!("partitions {open_partitions:?} of {topic} did not end within {deadline:?}");
        }
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => seen.push(copy(&message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => open_partitions.retain(|&p| p != partition),
            Some(Err(error)) if passes(&error) => {}
            Some(Err(error)) => return Err(error).with_context(|| format!("reading {topic}")),
        }
    }
    Ok(seen)
}

/// Writes records to a topic and waits until the broker has them all.
pub fn write_all<'a>(
    bootstrap: &str,
    topic: &str,
    records: impl IntoIterator<Item = (Option<&'a str>, &'a [u8])>,
) -> Result<()> {
    let producer: BaseProducer = client(bootstrap).set("enable.idempotence", "true").create()?;
    for (key, value) in records {
        let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(topic).payload(value);
        record.key = key;
        while let Err((error, back)) = producer.send(record) {
            // A full queue: let the producer deliver some of it.
            if error.rdkafka_error_code() != Some(rdkafka::types::RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(50));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(30)).context("the broker did not take all records")
}

fn open(config: &mut ClientConfig, topic: &str, deadline: Duration) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = config
        .set("group.id", "flitch-tests")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "20")
        .create()?;
    let partitions = crate::wait::poll(deadline, || {
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
        let found: Vec<i32> = metadata.topics().first()?.partitions().iter().map(|part| part.id()).collect();
        (!found.is_empty()).then_some(found)
    })
    .with_context(|| format!("there is no topic {topic}"))?;
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

/// Errors that a consumer lives through: a broker that is down, a leader that moves.
fn passes(error: &KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    matches!(
        error,
        KafkaError::MessageConsumption(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::OperationTimedOut
                | Code::Resolve
        ) | KafkaError::PartitionEOF(_)
    )
}

fn copy(message: &rdkafka::message::BorrowedMessage<'_>) -> Message {
    let headers = message.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    });
    Message {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().unwrap_or_default().to_vec(),
        headers: headers.unwrap_or_default(),
        partition: message.partition(),
        offset: message.offset(),
        time: message.timestamp().to_millis(),
    }
}
