//! The settings of the Kafka output.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::batch::template::Template;
use flitch_core::net::address::Address;
use flitch_core::net::tls::{FileStamp, file_stamp};
use flitch_core::router::{OneOrMore, Scalar};
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;
use flitch_core::units::{Bytes, Span, or_zero};

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

/// How the client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// User name and password as they are; use TLS.
    Plain,
    /// SCRAM with SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
    /// A token from `token_file`.
    Oauthbearer,
}

/// Credentials for brokers, by SASL.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BrokerSasl")]
pub struct SaslSettings {
    /// `plain`, `scram-sha-256`, `scram-sha-512` or `oauthbearer`.
    pub mechanism: Mechanism,
    /// The user name; for Azure Event Hubs `$ConnectionString`.
    #[serde(default)]
    pub username: Option<String>,
    /// The password; for Azure Event Hubs the connection string.
    #[serde(default)]
    pub password: Option<Secret>,
    /// For `oauthbearer`: a file with the token (a JWT), which is read again before the token expires.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

/// TLS towards the brokers. The files are PEM; where brokers refuse a certificate, or have one that is not trusted, and
/// the files have changed since they were read, they are read again.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "BrokerTls")]
pub struct TlsSettings {
    /// A PEM file with the authorities that may sign the brokers' certificates. Not set: those of the system.
    pub ca: Option<PathBuf>,
    /// A PEM file with the client's certificate.
    pub cert: Option<PathBuf>,
    /// A PEM file with its key.
    pub key: Option<PathBuf>,
    /// The password of the key.
    pub key_password: Option<Secret>,
    /// Whether the brokers' certificates and names are verified. Without it anybody can read along.
    pub verify: bool,
}

impl Default for TlsSettings {
    fn default() -> Self {
        TlsSettings { ca: None, cert: None, key: None, key_password: None, verify: true }
    }
}

/// The value of an option, which may be a secret and is never shown.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(with = "Scalar")]
pub struct OptionValue(Secret);

impl From<&str> for OptionValue {
    fn from(value: &str) -> OptionValue {
        OptionValue(Secret::new(value))
    }
}

impl<'de> Deserialize<'de> for OptionValue {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<OptionValue, D::Error> {
        Ok(OptionValue(Secret::new(match Scalar::deserialize(d)? {
            Scalar::Boolean(value) => value.to_string(),
            Scalar::Int(value) => value.to_string(),
            Scalar::Float(value) => value.to_string(),
            Scalar::Text(value) => value,
        })))
    }
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
    /// one whose fields name a topic that there is not, or that may not be written to; where there is no field in it, they
    /// wait until there is such a topic.
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
    /// The time that messages have: `sent` or `event`. `event` costs about half a microsecond of CPU a record.
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
}

fn brokers<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMore::deserialize(d)? {
        OneOrMore::One(text) => text.split(',').map(|broker| broker.trim().to_owned()).collect(),
        OneOrMore::More(list) => list,
    })
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
            timestamp: Stamp::default(),
            sasl: None,
            tls: None,
            options: BTreeMap::new(),
        }
    }

    /// What goes to librdkafka. An error names the key that does not fit.
    pub(super) fn client(&self, name: &str) -> anyhow::Result<ClientConfig> {
        let named = !self.brokers.is_empty() && self.brokers.iter().all(|broker| !broker.is_empty());
        anyhow::ensure!(named, wrong!("brokers", " is empty: name at least one `host:port`"));
        for broker in &self.brokers {
            let host = broker.rsplit("://").next().unwrap_or_default();
            let is_address = |text: &str| text.contains(':') && text.parse::<Address>().is_ok();
            anyhow::ensure!(
                is_address(host) || is_address(&format!("{host}:9092")),
                wrong!("brokers", ": `{broker}` is no `host:port`")
            );
        }
        if let Some(topic) = self.topic.constant() {
            anyhow::ensure!(
                is_topic(topic.as_bytes()),
                wrong!(
                    "topic",
                    ": Kafka takes no topic named `{topic}`: 1 to 249 letters, digits, dots, underscores and hyphens"
                )
            );
        }
        anyhow::ensure!(
            self.acks == Acks::All || !self.idempotent,
            wrong!("acks", " other than `all` needs `idempotent: false`")
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
        let protocol = match (&self.sasl, &self.tls) {
            (None, None) => "plaintext",
            (None, Some(_)) => "ssl",
            (Some(_), None) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        if let Some(sasl) = &self.sasl {
            sasl.set(&mut client)?;
        }
        if let Some(tls) = &self.tls {
            tls.set(&mut client)?;
        }
        for (option, value) in &self.options {
            client.set(option, value.0.expose());
        }
        Ok(client)
    }

    /// What the files of `tls` are like.
    pub(super) fn stamps(&self) -> Vec<Option<FileStamp>> {
        let files = self.tls.iter().flat_map(|tls| [&tls.ca, &tls.cert, &tls.key]);
        files.map(|file| file_stamp(file.as_ref()?)).collect()
    }

    /// The file of the OAuth token.
    pub(super) fn token_file(&self) -> Option<&Path> {
        self.sasl.as_ref()?.token_file.as_deref()
    }
}

impl SaslSettings {
    fn set(&self, client: &mut ClientConfig) -> anyhow::Result<()> {
        let mechanism = match self.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
            Mechanism::Oauthbearer => "OAUTHBEARER",
        };
        client.set("sasl.mechanism", mechanism);
        if self.mechanism == Mechanism::Oauthbearer {
            anyhow::ensure!(self.token_file.is_some(), wrong!("sasl", ": `oauthbearer` needs `token_file`"));
            anyhow::ensure!(
                self.username.is_none() && self.password.is_none(),
                wrong!("sasl", ": `oauthbearer` takes `token_file`, no `username` and no `password`")
            );
            return Ok(());
        }
        anyhow::ensure!(
            self.token_file.is_none(),
            wrong!("sasl", ": `token_file` belongs to `mechanism: oauthbearer`")
        );
        let (Some(username), Some(password)) = (&self.username, &self.password) else {
            anyhow::bail!(wrong!("sasl", ": this mechanism needs `username` and `password`"));
        };
        client.set("sasl.username", username).set("sasl.password", password.expose());
        Ok(())
    }
}

impl TlsSettings {
    fn set(&self, client: &mut ClientConfig) -> anyhow::Result<()> {
        let file = |key: &str, path: &Path| -> anyhow::Result<String> {
            anyhow::ensure!(path.is_file(), wrong!("tls.{key}", ": there is no file {}", path.display()));
            path.to_str()
                .map(str::to_owned)
                .ok_or_else(|| anyhow::anyhow!(wrong!("tls.{key}", " is no text")))
        };
        anyhow::ensure!(
            self.cert.is_some() == self.key.is_some(),
            wrong!("tls", ": `cert` and `key` belong together; one of them is missing")
        );
        match &self.ca {
            Some(ca) => client.set("ssl.ca.location", file("ca", ca)?),
            // A binary with an OpenSSL of its own does not know where the system keeps them.
            None => client.set("ssl.ca.location", "probe"),
        };
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            client.set("ssl.certificate.location", file("cert", cert)?);
            client.set("ssl.key.location", file("key", key)?);
        }
        if let Some(password) = &self.key_password {
            client.set("ssl.key.password", password.expose());
        }
        if !self.verify {
            client.set("enable.ssl.certificate.verification", "false");
            client.set("ssl.endpoint.identification.algorithm", "none");
        }
        Ok(())
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
