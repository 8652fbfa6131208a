//! Kafka, through librdkafka.
//!
//! A write hands the rows of a batch to librdkafka, which groups them by partition and sends them, and answers when the
//! last of them has its delivery report. [`ship`] is one such hand-over, and [`produce`] where batches cross into C.

mod client;
mod context;
mod fate;
mod produce;
pub(super) mod settings;
mod ship;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaErrorCode;

use self::client::{Client, Producer};
use self::fate::Fates;
pub use self::settings::{Acks, Compression, KafkaSettings, Stamp};
use self::ship::{Cargo, by_topic};
use super::{Answer, Output, OutputContext, OutputKind, Parcel, Refusal, WriteError, Written};
use flitch_core::batch::Records;
use flitch_core::batch::encode::{Encoder, Framing};
use flitch_core::batch::template::Rendered;
use flitch_core::tasks;
use flitch_kafka::leaderless;

/// Writes under way at once: with batches of a thousand records enough to fill every connection.
const CONCURRENCY: usize = 16;
/// Connections to brokers, about, of the client that sends what comes and of the one that sends records alone: how many there
/// are is not known before.
pub(super) const DESCRIPTORS: u64 = 2 * 64;
/// How long the brokers have to answer what they know of a topic.
const METADATA: Duration = Duration::from_secs(5);

/// What is wrong with a topic.
enum Wrong {
    /// It is not there, or may not be written to, or nobody answered.
    Topic(RDKafkaErrorCode),
    /// Nobody leads some of its partitions.
    Leaders(String),
}

/// An output that writes to Kafka.
pub struct Kafka {
    name: String,
    settings: KafkaSettings,
    encoder: Encoder,
    client: Client,
    /// Sends each record in a message set of its own.
    alone: Client,
    /// Bytes of the longest record that librdkafka's queue can hold.
    longest: usize,
    /// Held by the write that hands its records over. It is given in the order of asking, which is that of the writes,
    /// so that none overtakes another that waits for room in the queue.
    gate: tokio::sync::Mutex<()>,
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
    let kbytes = client.get("queue.buffering.max.kbytes").and_then(|text| text.parse::<usize>().ok());
    let kafka = Kafka {
        longest: kbytes.map_or(usize::MAX, |kbytes| kbytes.saturating_mul(1024)),
        gate: tokio::sync::Mutex::default(),
        name: cx.name.to_string(),
        settings: settings.clone(),
        encoder: cx.encoder.clone(),
        alone: Client::alone(client.clone()),
        client: Client::new(client),
    };
    kafka.client.producer(&kafka.name, settings).map_err(refused)?;
    Ok(kafka)
}

impl Kafka {
    /// The producer that sends what comes.
    fn producer(&self) -> Result<Arc<Producer>, WriteError> {
        let producer = self.client.producer(&self.name, &self.settings);
        producer.map_err(|error| WriteError::Unreachable { reason: error.to_string() })
    }

    async fn send(&self, records: &Arc<Records>) -> Result<Written, WriteError> {
        let rows = records.rows();
        let mut fates = Fates::default();
        let topics = records.render(&self.settings.topic);
        let topic = &self.settings.topic;
        fates.refuse_all(topics.missing(), || format!("a field of the topic `{topic}` is missing"));
        if topics.missing().len() == rows {
            return fates.answer(rows, 0);
        }
        let gate = self.gate.lock().await;
        let producer = self.producer()?;
        let cargo = Cargo::new(records, &self.encoder, &self.settings);
        for (row, reason) in cargo.without_text() {
            if topics.row(*row as usize).is_some() {
                fates.refuse(*row, reason.clone());
            }
        }
        let groups = by_topic(&topics, 0..rows as u32, |row| cargo.has(row));
        for (row, code) in self.ship(&producer, &cargo, groups, gate, &mut fates).await {
            fates.fail(row, code);
        }
        self.ship_alone(&cargo, &topics, &mut fates).await;
        let trouble = producer.news.trouble(self.settings.timeout.0 + Duration::from_secs(1));
        if self.settings.topic.constant().is_none() {
            // Records choose among topics: one that there is not, or without rights, holds up no other.
            fates.refuse_topics(|row| topics.row(row as usize).unwrap_or_default());
        }
        fates.explain(trouble, &self.settings);
        let bytes = |row: u32| cargo.value(row).len() as u64;
        let all: u64 = (0..rows as u32).map(bytes).sum();
        let failed: u64 = fates.rows().map(bytes).sum();
        fates.answer(rows, all - failed)
    }

    /// Sends what brokers refused together with others once more, each record in a message set of its own: brokers refuse
    /// whole sets, with records of other batches in them, and what they say of such a one is said of that record.
    async fn ship_alone(&self, cargo: &Cargo<'_>, topics: &Rendered, fates: &mut Fates) {
        let suspects = fates.take_suspects();
        if suspects.is_empty() {
            return;
        }
        let producer = match self.alone.producer(&self.name, &self.settings) {
            Ok(producer) => producer,
            Err(_) => return suspects.into_iter().for_each(|row| fates.fail(row, RDKafkaErrorCode::Fail)),
        };
        let groups = by_topic(topics, suspects, |_| true);
        let gate = self.gate.lock().await;
        for (row, code) in self.ship(&producer, cargo, groups, gate, fates).await {
            fates.fail_alone(row, code);
        }
    }

    /// Asks the brokers for the topic, or all topics of a template. librdkafka remembers for minutes that a topic is
    /// forbidden or unknown; the answer makes it forget. Answers what is wrong with the topic.
    async fn refresh(&self, producer: &Producer) -> Option<Wrong> {
        let threaded = producer.threaded.clone();
        let topic = self.settings.topic.constant().map(str::to_owned);
        let asked = tasks::blocking(move || {
            let found = threaded.client().fetch_metadata(topic.as_deref(), METADATA)?;
            let mut topics = found.topics().iter().filter(|_| topic.is_some());
            Ok::<_, KafkaError>(topics.find_map(|topic| match topic.error() {
                Some(error) => Some(Wrong::Topic(error.into())),
                None => leaderless(topic).map(Wrong::Leaders),
            }))
        });
        match asked.await {
            Ok(Ok(wrong)) => wrong,
            Ok(Err(e)) => Some(Wrong::Topic(e.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown))),
            Err(_) => Some(Wrong::Topic(RDKafkaErrorCode::Interrupted)),
        }
    }

    async fn look(&self) -> Result<(), WriteError> {
        let producer = self.producer()?;
        let code = match self.refresh(&producer).await {
            None => return Ok(()),
            Some(Wrong::Leaders(told)) => {
                let reason = format!("topic `{}`: {told}", self.settings.topic);
                return Err(WriteError::Unreachable { reason });
            }
            Some(Wrong::Topic(code)) => code,
        };
        let mut fates = Fates::default();
        fates.fail(0, code);
        fates.explain(producer.news.trouble(Duration::from_secs(10)), &self.settings);
        fates.answer(1, 0).map(|_| ())
    }
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
