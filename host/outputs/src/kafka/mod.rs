//! Kafka, through librdkafka.
//!
//! A write hands the rows of a batch to librdkafka, which groups them by partition and sends them, and answers when the
//! last of them has its delivery report. [`produce`] is where batches cross into C.

mod context;
mod fate;
mod produce;
mod settings;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use self::context::{Context, Queue};
use self::produce::{Shipment, Topic};
pub use self::settings::{Acks, Compression, KafkaSettings, Stamp};
use super::{Answer, Output, OutputContext, OutputKind, Parcel, Refusal, WriteError, Written};
use flitch_core::batch::encode::{Encoder, Framing};
use flitch_core::batch::template::{Rendered, Template};
use flitch_core::batch::{Column, Encoded, Records, TIMESTAMP};
use flitch_core::file_stamp::FileStamp;
use flitch_kafka::settings::is_topic;
use flitch_kafka::{News, Part};

/// Writes under way at once: with batches of a thousand records enough to fill every connection.
const CONCURRENCY: usize = 16;
/// Connections to brokers, about: how many there are is not known before.
pub(super) const DESCRIPTORS: u64 = 64;
/// How long a full queue is left alone when no delivery report announces room.
const CROWDED: Duration = Duration::from_millis(50);
/// How long the brokers have to answer what they know of a topic.
const METADATA: Duration = Duration::from_secs(5);
/// Handles of topics that are kept, for templates with many values.
const TOPICS: usize = 4096;

/// An output that writes to Kafka.
pub struct Kafka {
    name: String,
    settings: KafkaSettings,
    encoder: Encoder,
    client: ClientConfig,
    /// Bytes of the longest record that librdkafka's queue can hold.
    longest: usize,
    /// Replaced when it fails for good.
    producer: Mutex<Arc<Producer>>,
    /// Held by the write that hands its records over. It is given in the order of asking, which is that of the writes,
    /// so that none overtakes another that waits for room in the queue.
    gate: tokio::sync::Mutex<()>,
}

/// One life of a librdkafka client.
struct Producer {
    topics: Mutex<HashMap<Vec<u8>, Arc<Topic>>>,
    threaded: Arc<ThreadedProducer<Context>>,
    news: Arc<News>,
    queue: Arc<Queue>,
    /// A topic was forbidden or unknown: ask the brokers before the next write.
    stale: AtomicBool,
    /// The files of `tls` when it began.
    files: Vec<Option<FileStamp>>,
}

impl Producer {
    fn new(name: &str, client: &ClientConfig, settings: &KafkaSettings) -> Result<Arc<Producer>, KafkaError> {
        let (news, queue) = (Arc::new(News::default()), Arc::new(Queue::default()));
        let connection = settings.connection();
        let tokens = connection.tokens();
        let files = connection.stamps();
        let part = Part::Output(name.to_owned());
        let client_context = flitch_kafka::Context { part, news: news.clone(), tokens };
        let context = Context { client: client_context, queue: queue.clone() };
        let threaded = Arc::new(client.create_with_context::<_, ThreadedProducer<Context>>(context)?);
        let (topics, stale) = (Mutex::default(), AtomicBool::new(false));
        Ok(Arc::new(Producer { topics, threaded, news, queue, stale, files }))
    }

    /// Why a new one must take over.
    fn is_over(&self, settings: &KafkaSettings) -> Option<String> {
        let (code, reason) = self.news.trouble(Duration::MAX).unzip();
        if self.news.is_fatal() {
            return Some(format!("it failed for good: {}", reason.unwrap_or_default()));
        }
        let renewed = code == Some(RDKafkaErrorCode::SSL) && self.files != settings.connection().stamps();
        renewed.then(|| "the files of `tls` have changed".to_owned())
    }

    fn topic(&self, name: &[u8]) -> Result<Arc<Topic>, RDKafkaErrorCode> {
        let mut topics = self.topics.lock();
        if let Some(topic) = topics.get(name) {
            return Ok(topic.clone());
        }
        if !is_topic(name) {
            return Err(RDKafkaErrorCode::InvalidTopic);
        }
        let text = std::str::from_utf8(name).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        let topic = Arc::new(Topic::new(&self.threaded, text)?);
        if topics.len() >= TOPICS {
            topics.clear();
        }
        topics.insert(name.to_owned(), topic.clone());
        Ok(topic)
    }
}

fn refused(error: KafkaError) -> anyhow::Error {
    match error {
        KafkaError::ClientConfig(_, wrong, option, _) => {
            anyhow::anyhow!("librdkafka option `{option}`: {wrong}")
        }
        other => anyhow::Error::new(other).context("librdkafka refuses the settings"),
    }
}

impl OutputKind for KafkaSettings {
    /// Whether librdkafka takes the settings: a client that knows no broker connects to none.
    fn check(&self, cx: &OutputContext) -> anyhow::Result<()> {
        let mut client = self.client(&cx.name)?;
        for option in ["bootstrap.servers", "metadata.broker.list"] {
            client.remove(option);
        }
        // It would say that it knows no broker.
        client.set_log_level(RDKafkaLogLevel::Emerg);
        Producer::new(&cx.name, &client, self).map(drop).map_err(refused)
    }

    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        Ok(Arc::new(open(self, cx)?))
    }

    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn descriptors(&self) -> u64 {
        DESCRIPTORS
    }
}

/// Opens an output. No connection is made yet; an error says which setting is wrong.
fn open(settings: &KafkaSettings, cx: &OutputContext) -> anyhow::Result<Kafka> {
    let client = settings.client(&cx.name)?;
    let producer = Producer::new(&cx.name, &client, settings).map_err(refused)?;
    let producer = Mutex::new(producer);
    let kbytes = client.get("queue.buffering.max.kbytes").and_then(|text| text.parse::<usize>().ok());
    Ok(Kafka {
        longest: kbytes.map_or(usize::MAX, |kbytes| kbytes.saturating_mul(1024)),
        gate: tokio::sync::Mutex::default(),
        name: cx.name.to_string(),
        settings: settings.clone(),
        encoder: cx.encoder.clone(),
        client,
        producer,
    })
}

/// Rows that librdkafka has not taken yet; those left when a write is given up are withdrawn.
struct Unsent<'a> {
    shipment: &'a Arc<Shipment>,
    count: usize,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        self.shipment.withdraw(self.count);
    }
}

impl Kafka {
    /// The producer, a new one if the last has failed for good or was refused with certificates that are renewed.
    fn producer(&self) -> Result<Arc<Producer>, WriteError> {
        let mut producer = self.producer.lock();
        if let Some(reason) = producer.is_over(&self.settings) {
            tracing::warn!(output = %self.name, reason, "a new Kafka producer takes over");
            let new = Producer::new(&self.name, &self.client, &self.settings)
                .map_err(|e| WriteError::Unreachable { reason: e.to_string() })?;
            let old = std::mem::replace(&mut *producer, new);
            // What is still inside comes back with an error, and is sent again by the new producer.
            old.threaded.purge(PurgeConfig::default().queue().inflight());
        }
        Ok(producer.clone())
    }

    async fn send(&self, records: &Arc<Records>) -> Result<Written, WriteError> {
        let rows = records.rows();
        let mut fates = fate::Fates::default();
        let topics = records.render(&self.settings.topic);
        let topic = &self.settings.topic;
        fates.refuse_all(topics.missing(), || format!("a field of the topic `{topic}` is missing"));
        if topics.missing().len() == rows {
            return fates.answer(rows, 0);
        }
        let gate = self.gate.lock().await;
        let producer = self.producer()?;
        if producer.stale.swap(false, Ordering::AcqRel) {
            self.refresh(&producer).await;
        }
        let text = self.encoder.encode(records);
        let without = text.refused.iter().filter(|(row, _)| topics.row(*row as usize).is_some());
        let without = without.map(|(row, reason)| fates.refuse(*row, reason.clone())).count();
        let count = rows - topics.missing().len() - without;
        if count == 0 {
            return fates.answer(rows, 0);
        }
        let groups = by_topic(&topics, &text);
        let shipment = Shipment::new(text, count);
        let mut unsent = Unsent { shipment: &shipment, count };
        let keys = self.settings.key.as_ref().map(|key| records.render(key));
        let render = |(name, template): (&String, &Template)| (name.clone(), records.render(template));
        let extras = Extras {
            headers: self.settings.headers.iter().map(render).collect(),
            times: (self.settings.timestamp == Stamp::Event).then(|| records.column(TIMESTAMP)).flatten(),
        };
        for (name, group) in groups {
            let topic = match producer.topic(name) {
                Ok(topic) => topic,
                Err(code) => {
                    group.iter().for_each(|&row| fates.fail(row, code));
                    shipment.withdraw(group.len());
                    unsent.count -= group.len();
                    continue;
                }
            };
            let mut group = group;
            while !group.is_empty() {
                let failed = if extras.is_empty() {
                    topic.produce(&shipment, &group, keys.as_ref())
                } else {
                    produce_each(&producer, name, &shipment, &group, keys.as_ref(), &extras)
                };
                unsent.count -= group.len() - failed.len();
                let waits = |&(row, code): &(u32, RDKafkaErrorCode)| {
                    code == RDKafkaErrorCode::QueueFull && shipment.value(row).len() <= self.longest
                };
                // One that never fits is out of the way at once.
                let must_wait = failed.first().is_some_and(waits);
                let (full, lost): (Vec<_>, Vec<_>) = failed.into_iter().partition(waits);
                shipment.withdraw(lost.len());
                unsent.count -= lost.len();
                for (row, code) in lost {
                    match code {
                        RDKafkaErrorCode::MessageSizeTooLarge => {
                            fates.refuse(row, too_large(&shipment, row, "`message.max.bytes` allows"));
                        }
                        RDKafkaErrorCode::QueueFull => {
                            let room = format!("`queue` holds ({} bytes)", self.longest);
                            fates.refuse(row, too_large(&shipment, row, &room));
                        }
                        _ => fates.fail(row, code),
                    }
                }
                group = full.into_iter().map(|(row, _)| row).collect();
                if must_wait {
                    room(&producer.queue).await;
                }
            }
        }
        drop(gate);
        self.settle(&producer, &shipment).await;
        for (row, code) in shipment.take_failed() {
            fates.fail(row, code);
        }
        if fates.has_fatal() {
            producer.news.set_fatal();
        }
        let trouble = producer.news.trouble(self.settings.timeout.0 + Duration::from_secs(1));
        if fates.doubts_topic() {
            producer.stale.store(true, Ordering::Release);
        }
        if self.settings.topic.constant().is_none() {
            // Records choose among topics: one that there is not, or without rights, holds up no other.
            fates.refuse_topics(|row| topics.row(row as usize).unwrap_or_default());
        }
        fates.explain(trouble, &self.settings);
        let bytes = |row: u32| shipment.value(row).len() as u64;
        let all: u64 = (0..rows as u32).map(bytes).sum();
        let failed: u64 = fates.rows().map(bytes).sum();
        fates.answer(rows, all - failed)
    }

    /// Waits for the delivery reports. Where the credentials are refused there is nothing to wait for: what is not on
    /// the wire comes back at once.
    async fn settle(&self, producer: &Producer, shipment: &Shipment) {
        let settled = shipment.settled();
        tokio::pin!(settled);
        loop {
            tokio::select! {
                () = &mut settled => return,
                () = producer.news.refusal.notified() => {
                    producer.threaded.purge(PurgeConfig::default().queue());
                }
            }
        }
    }

    /// Asks the brokers for the topic, or all topics of a template. librdkafka remembers for minutes that a topic is
    /// forbidden or unknown; the answer makes it forget. Answers what is wrong with the topic.
    async fn refresh(&self, producer: &Producer) -> Option<RDKafkaErrorCode> {
        let threaded = producer.threaded.clone();
        let topic = self.settings.topic.constant().map(str::to_owned);
        let asked = tokio::task::spawn_blocking(move || {
            let found = threaded.client().fetch_metadata(topic.as_deref(), METADATA)?;
            let error = found.topics().iter().find_map(|t| t.error()).filter(|_| topic.is_some());
            Ok::<_, KafkaError>(error.map(RDKafkaErrorCode::from))
        });
        match asked.await {
            Ok(Ok(error)) => error,
            Ok(Err(e)) => Some(e.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
            Err(_) => Some(RDKafkaErrorCode::Interrupted),
        }
    }

    async fn look(&self) -> Result<(), WriteError> {
        let producer = self.producer()?;
        let Some(code) = self.refresh(&producer).await else { return Ok(()) };
        let mut fates = fate::Fates::default();
        fates.fail(0, code);
        fates.explain(producer.news.trouble(Duration::from_secs(10)), &self.settings);
        fates.answer(1, 0).map(|_| ())
    }
}

/// The rows of each topic that have a text.
fn by_topic<'a>(topics: &'a Rendered, text: &Encoded) -> Vec<(&'a [u8], Vec<u32>)> {
    let rows = text.ends.len();
    if let Rendered::Same(name) = topics {
        // All of them at once, where there is no need to look at each.
        let mut all: Vec<u32> = (0..rows as u32).collect();
        if !text.refused.is_empty() {
            all.retain(|row| text.has(*row));
        }
        return vec![(name, all)];
    }
    let mut groups: Vec<(&[u8], Vec<u32>)> = Vec::new();
    let mut places: HashMap<&[u8], usize, ahash::RandomState> = HashMap::default();
    for row in 0..rows {
        let Some(name) = topics.row(row).filter(|_| text.has(row as u32)) else { continue };
        let place = *places.entry(name).or_insert_with(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(row as u32);
    }
    groups
}

fn too_large(shipment: &Shipment, row: u32, than: &str) -> String {
    format!("a record of {} bytes is larger than {than}", shipment.value(row).len())
}

/// What a message can have that `rd_kafka_produce_batch` does not carry.
struct Extras<'a> {
    headers: Vec<(String, Rendered)>,
    /// The events' times.
    times: Option<Column<'a>>,
}

impl Extras<'_> {
    fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.times.is_none()
    }

    fn headers(&self, row: u32) -> Option<OwnedHeaders> {
        if self.headers.is_empty() {
            return None;
        }
        let mut all = OwnedHeaders::new_with_capacity(self.headers.len());
        for (name, values) in &self.headers {
            if let Some(value) = values.row(row as usize) {
                all = all.insert(Header { key: name, value: Some(value) });
            }
        }
        Some(all)
    }

    /// Milliseconds since 1970.
    fn time(&self, row: u32) -> Option<i64> {
        let column = self.times?;
        let times = column.array().as_primitive_opt::<TimestampNanosecondType>()?;
        let place = column.place(row as usize);
        times.is_valid(place).then(|| times.value(place).div_euclid(1_000_000))
    }
}

/// Hands rows over one by one, for what a batch cannot carry.
fn produce_each(
    producer: &Producer,
    topic: &[u8],
    shipment: &Arc<Shipment>,
    rows: &[u32],
    keys: Option<&Rendered>,
    extras: &Extras<'_>,
) -> Vec<(u32, RDKafkaErrorCode)> {
    let topic = std::str::from_utf8(topic).unwrap_or_default();
    let mut failed = Vec::new();
    for (place, &row) in rows.iter().enumerate() {
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, shipment.row(row))
            .payload(shipment.value(row));
        record.headers = extras.headers(row);
        record.timestamp = extras.time(row);
        if let Some(key) = keys.and_then(|k| k.row(row as usize)) {
            record = record.key(key);
        }
        if let Err((error, _)) = producer.threaded.send(record) {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            failed.push((row, code));
            if code == RDKafkaErrorCode::QueueFull {
                failed.extend(rows[place + 1..].iter().map(|&row| (row, code)));
                break;
            }
        }
    }
    failed
}

/// Waits until a message has left the queue.
async fn room(queue: &Queue) {
    let room = queue.room.notified();
    tokio::pin!(room);
    room.as_mut().enable();
    queue.crowded.store(true, Ordering::Release);
    // The last message may have left before the line above.
    let _ = tokio::time::timeout(CROWDED, room).await;
}

impl Output for Kafka {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        Box::pin(self.send(parcel.batch()))
    }

    fn concurrency(&self) -> usize {
        CONCURRENCY
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.look())
    }
}

#[cfg(test)]
pub(crate) mod tests;
