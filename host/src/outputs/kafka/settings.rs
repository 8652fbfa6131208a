use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{Bytes, Span};
use crate::outputs::template::Template;

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    #[default]
    Lz4,
    /// Zstandard.
    Zstd,
}

/// How many replicas must have a message before it counts as delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Acks {
    /// All that are in sync.
    #[default]
    All,
    /// The leader alone: a leader that dies takes what it has not replicated with it.
    Leader,
    /// None: messages may be lost at any time.
    None,
}

/// Writes each record as one Kafka message: its value is the record as JSON.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// Brokers to begin with, `host:port` each; the others are learned from them.
    pub brokers: Vec<String>,
    /// The topic, a template: `logs` or `logs.{@tag}`. A record without a field of it goes to the dead letters.
    pub topic: Template,
    /// The message key, a template; a record without a field of it has no key. Records with equal keys go to the same
    /// partition, the one that Java clients choose.
    #[serde(default)]
    pub key: Option<Template>,
    /// Message headers, a template each; a record without a field of it goes without that header. Headers cost about
    /// half a microsecond of CPU a record.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// `lz4`, `zstd`, `gzip`, `snappy` or `none`.
    #[serde(default)]
    pub compression: Compression,
    /// `all`, `leader` or `none`. Anything but `all` needs `idempotent: false`, and can lose records.
    #[serde(default)]
    pub acks: Acks,
    /// Whether the broker drops the duplicates that retries inside the client make, and keeps the order.
    #[serde(default = "yes")]
    pub idempotent: bool,
    /// How long messages wait for more before they are sent.
    #[serde(default = "linger")]
    pub linger: Span,
    /// How long the client tries to deliver a message before the output answers that the brokers cannot be reached and
    /// the delivery loop takes over. Longer means fewer duplicates when a broker is down for long.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Most bytes of messages inside the client.
    #[serde(default = "queue")]
    pub queue: Bytes,
    /// Options of librdkafka, passed on as they are; they win over the keys above.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

fn linger() -> Span {
    Span(std::time::Duration::from_millis(5))
}

fn timeout() -> Span {
    Span(std::time::Duration::from_secs(60))
}

fn queue() -> Bytes {
    Bytes(32 << 20)
}

impl KafkaSettings {
    /// Settings for one topic, all else by default.
    pub fn new(brokers: &str, topic: Template) -> KafkaSettings {
        KafkaSettings {
            brokers: brokers.split(',').map(str::to_owned).collect(),
            topic,
            key: None,
            headers: BTreeMap::new(),
            compression: Compression::default(),
            acks: Acks::default(),
            idempotent: true,
            linger: linger(),
            timeout: timeout(),
            queue: queue(),
            options: BTreeMap::new(),
        }
    }

    /// What goes to librdkafka. An error names the key that does not fit.
    pub(super) fn client(&self, name: &str) -> anyhow::Result<ClientConfig> {
        anyhow::ensure!(!self.brokers.is_empty(), "`brokers` is empty: name at least one `host:port`");
        if let Some(topic) = self.topic.constant() {
            anyhow::ensure!(
                is_topic(topic.as_bytes()),
                "`topic`: Kafka takes no topic named `{topic}`: 1 to 249 letters, digits, dots, underscores and hyphens"
            );
        }
        anyhow::ensure!(
            self.acks == Acks::All || !self.idempotent,
            "`acks` other than `all` needs `idempotent: false`"
        );
        let mut client = ClientConfig::new();
        client
            .set("client.id", format!("flitch-{name}"))
            .set("bootstrap.servers", self.brokers.join(","))
            .set("enable.idempotence", self.idempotent.to_string())
            .set("compression.type", self.compression.name())
            .set("acks", self.acks.name())
            .set("linger.ms", self.linger.0.as_millis().to_string())
            .set("message.timeout.ms", self.timeout.0.as_millis().to_string())
            .set("queue.buffering.max.kbytes", (self.queue.0 >> 10).max(1).to_string())
            .set("queue.buffering.max.messages", "0")
            // One answer for a connection that stands idle at a load balancer and for one that stands for good.
            .set("socket.keepalive.enable", "true")
            .set("partitioner", "murmur2_random");
        for (option, value) in &self.options {
            client.set(option, value);
        }
        Ok(client)
    }
}

/// Whether Kafka takes a topic of this name.
pub(super) fn is_topic(name: &[u8]) -> bool {
    (1..=249).contains(&name.len())
        && name != b"."
        && name != b".."
        && name.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
}

impl Compression {
    fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

impl Acks {
    fn name(self) -> &'static str {
        match self {
            Acks::All => "all",
            Acks::Leader => "1",
            Acks::None => "0",
        }
    }
}
