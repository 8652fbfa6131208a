//! The settings of the Kafka output.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::batch::template::{Template, at_best};
use flitch_core::router::OneOrMore;
use flitch_core::setting::wrong;
use flitch_core::units::{Bytes, Span, or_zero};
use flitch_kafka::Connection;
use flitch_kafka::settings::{OptionValue, Preset, SaslSettings, TlsSettings, brokers, is_topic};

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

/// The time that messages have in Kafka.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stamp {
    /// When they were sent.
    #[default]
    Sent,
    /// The event's (`@timestamp`).
    Event,
}

/// Writes each record as one message, whose value is the record as JSON, or as `encoding` says. Records of one stream and partition keep their
/// order, but for those that are written again after a failure.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// Brokers to begin with, `host:port` each, as a list or with commas; the others are learned from them.
    #[serde(deserialize_with = "brokers")]
    #[schemars(with = "OneOrMore")]
    pub brokers: Vec<String>,
    /// The topic, a template: `logs` or `logs.{@tag}`. A record without a field of it goes to the dead letters, and so does
    /// one whose fields name a topic that there is not, and that the brokers do not make within two seconds
    /// (`topic.metadata.propagation.max.ms` of `options`), or that may not be written to; where there is no field in it,
    /// they wait until there is such a topic.
    pub topic: Template,
    /// The message key, a template; a record without a field of it has no key, and an empty text is an empty key. Records with equal keys go to the same
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
    /// How long messages wait for more before they are sent. A client that sends one record at a time and waits for
    /// each answer (Docker with `fluentd-request-ack`) waits as long for every record: `0ms` suits it.
    #[serde(default = "linger", deserialize_with = "or_zero")]
    pub linger: Span,
    /// How long the client tries to deliver a message before the output answers that the brokers cannot be reached and
    /// the delivery loop takes over. Longer means fewer duplicates when a broker is down for long.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Most bytes of messages inside the client. A record that is larger goes to the dead letters.
    #[serde(default = "queue")]
    pub queue: Bytes,
    /// The time that messages have: `sent` or `event`, in milliseconds (of 1970-01-01T00:00:00Z the one after it). `event` costs about half a microsecond of CPU a record.
    #[serde(default)]
    pub timestamp: Stamp,
    /// Credentials.
    #[serde(default)]
    pub sasl: Option<SaslSettings>,
    /// Encrypts the connections; `tls: {}` with the system's authorities.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Options of librdkafka, passed on as they are; they win over the keys above.
    #[schemars(extend("writeOnly" = true))]
    #[serde(default)]
    pub options: BTreeMap<String, OptionValue>,
    /// What a preset adds.
    #[serde(skip)]
    #[schemars(skip)]
    pub preset: Preset,
}

fn yes() -> bool {
    true
}

pub(crate) fn linger() -> Span {
    Span(std::time::Duration::from_millis(5))
}

pub(crate) fn timeout() -> Span {
    Span(std::time::Duration::from_secs(60))
}

pub(crate) fn queue() -> Bytes {
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
            timestamp: Stamp::default(),
            sasl: None,
            tls: None,
            options: BTreeMap::new(),
            preset: Preset::default(),
        }
    }

    /// What goes to librdkafka. An error names the key that does not fit.
    pub(crate) fn client(&self, name: &str) -> anyhow::Result<ClientConfig> {
        anyhow::ensure!(
            is_topic(at_best(&self.topic).as_bytes()),
            wrong!(
                "topic",
                ": Kafka takes no topic named `{}`: 1 to 249 letters, digits, dots, underscores and hyphens",
                self.topic
            )
        );
        if let Some(why) = self.key.as_ref().and_then(Template::wrong_as_place) {
            anyhow::bail!(wrong!("key", ": {why}"));
        }
        anyhow::ensure!(
            self.acks == Acks::All || !self.idempotent,
            wrong!("acks", " other than `all` needs `idempotent: false`")
        );
        // A topic that is named by a record, and is not there, has the brokers make it for this long, or else is a matter for the
        // dead letters: what stands beside the record waits for it. One that the user names has longer.
        let propagation = if self.topic.constant().is_some() { 30_000 } else { 2_000 };
        self.connection().client(
            name,
            [
                ("topic.metadata.propagation.max.ms", propagation.to_string()),
                ("enable.idempotence", self.idempotent.to_string()),
                ("compression.type", self.compression.name().to_owned()),
                ("acks", self.acks.name().to_owned()),
                ("linger.ms", self.linger.0.as_millis().to_string()),
                ("message.timeout.ms", self.timeout.0.as_millis().to_string()),
                ("queue.buffering.max.kbytes", (self.queue.0 >> 10).max(1).to_string()),
                ("queue.buffering.max.messages", "0".to_owned()),
                ("partitioner", "murmur2_random".to_owned()),
            ],
        )
    }

    /// The brokers, and how the output speaks with them.
    pub(crate) fn connection(&self) -> Connection<'_> {
        Connection {
            brokers: &self.brokers,
            sasl: self.sasl.as_ref(),
            tls: self.tls.as_ref(),
            options: &self.options,
            preset: &self.preset,
        }
    }
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
