//! The librdkafka clients of an output, and what makes another one take over.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer as _, PurgeConfig, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use super::KafkaSettings;
use super::context::{Context, Queue};
use super::produce::Topic;
use flitch_core::file_stamp::FileStamp;
use flitch_kafka::settings::is_topic;
use flitch_kafka::{News, Part};

/// Handles of topics that are kept, for templates with many values.
const TOPICS: usize = 4096;

/// One life of a librdkafka client.
pub(super) struct Producer {
    topics: Mutex<HashMap<Vec<u8>, Arc<Topic>>>,
    pub threaded: Arc<ThreadedProducer<Context>>,
    pub news: Arc<News>,
    pub queue: Arc<Queue>,
    /// A topic was forbidden or unknown: ask the brokers before the next write.
    pub stale: AtomicBool,
    /// The files of `tls` when it began.
    files: Vec<Option<FileStamp>>,
}

impl Producer {
    pub fn new(
        name: &str,
        client: &ClientConfig,
        settings: &KafkaSettings,
    ) -> Result<Arc<Producer>, KafkaError> {
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

    pub fn topic(&self, name: &[u8]) -> Result<Arc<Topic>, RDKafkaErrorCode> {
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

/// A producer that is begun when it is first wanted, and replaced when it fails for good.
pub(super) struct Client {
    config: ClientConfig,
    producer: Mutex<Option<Arc<Producer>>>,
}

impl Client {
    pub fn new(config: ClientConfig) -> Client {
        Client { config, producer: Mutex::default() }
    }

    /// One that sends each message in a set of its own.
    pub fn alone(mut config: ClientConfig) -> Client {
        config.set("batch.num.messages", "1").set("linger.ms", "0");
        // How long brokers hold requests back is what the other client tells.
        config.set("statistics.interval.ms", "0");
        Client::new(config)
    }

    /// The producer, a new one if the last has failed for good or was refused with certificates that are renewed.
    ///
    /// # Errors
    /// librdkafka takes no settings like these.
    pub fn producer(&self, name: &str, settings: &KafkaSettings) -> Result<Arc<Producer>, KafkaError> {
        let mut producer = self.producer.lock();
        let over = match &*producer {
            Some(present) => match present.is_over(settings) {
                None => return Ok(present.clone()),
                Some(reason) => Some(reason),
            },
            None => None,
        };
        if let Some(reason) = over {
            tracing::warn!(output = name, reason, "a new Kafka producer takes over");
        }
        let new = Producer::new(name, &self.config, settings)?;
        if let Some(old) = producer.replace(new.clone()) {
            // What is still inside comes back with an error, and is sent again by the new producer.
            old.threaded.purge(PurgeConfig::default().queue().inflight());
        }
        Ok(new)
    }
}
