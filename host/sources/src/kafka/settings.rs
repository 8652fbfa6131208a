//! The settings of the Kafka source.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::internal;
use crate::fields::{self, Named};
use crate::multiline::JoinSettings;
use flitch_core::batch::time;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::router::OneOrMore;
use flitch_core::setting::{one_or_more, wrong};
use flitch_core::units::{Bytes, Span, or_zero};
use flitch_kafka::Connection;
use flitch_kafka::settings::{OptionValue, Preset, SaslSettings, TlsSettings, brokers, is_topic};

/// Bytes of a queue that librdkafka takes, at least and at most.
const QUEUE: std::ops::RangeInclusive<u64> = (64 << 10)..=(2_097_151 << 10);
/// The part of `queue` that one answer of a broker may fill.
const ANSWERS: u64 = 8;
/// Bytes of an answer of a broker, at least and at most.
const ANSWER: std::ops::RangeInclusive<u64> = (64 << 10)..=(8 << 20);
/// What one message takes in librdkafka's queue beside its bytes, and more messages than this are not fetched ahead.
const AHEAD: u64 = 512;
/// How a client shares partitions out among the members of its group.
const STRATEGY: &str = "partition.assignment.strategy";
const TRUE: &[&str] = &["true", "t", "1"];
/// Values of librdkafka's options by which messages would be lost or come twice, as they stand in configurations of other
/// collectors, and why or what to write instead.
const TAKEN: [(&str, &[&str], &str); 3] = [
    (
        "auto.offset.reset",
        &["latest", "largest", "end"],
        "would pass over messages: where a group begins says `start: latest`",
    ),
    (
        "enable.auto.offset.store",
        TRUE,
        "would lose messages: the source commits a position when its records are safe",
    ),
    (
        "enable.partition.eof",
        TRUE,
        "would make messages come twice, and tells the source nothing: take it away",
    ),
];

/// Reads topics of Kafka as a member of a consumer group. All who name the same group share the partitions, be they
/// sources of one flitch or of several hosts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// Brokers to begin with, `host:port` each, as a list or with commas; the others are learned from them.
    #[serde(deserialize_with = "brokers")]
    #[schemars(with = "OneOrMore")]
    pub brokers: Vec<String>,
    /// Names of topics, and regular expressions that begin with `^` and choose among all that there are, those that come
    /// later included. Topics that begin with `__`, which are the brokers' own, are left out unless they are named or some
    /// expression begins with `^__`.
    // A comma may stand in a regular expression, so it parts no topics.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "OneOrMore")]
    pub topics: Vec<String>,
    /// The consumer group. Its positions are kept by the brokers: another name begins anew, by `start`.
    pub group: String,
    /// Where to begin in a partition of which the group has no position yet: `earliest`, `latest`,
    /// `{ time: 2026-01-31T00:00:00Z }`, which is the first message of that time or later, or `committed`, which is
    /// nowhere: such a partition is not read until somebody commits a position for it.
    #[serde(default)]
    pub start: Start,
    /// What the value of a message is: text of which each line is a record (`lines`), a JSON object whose members are
    /// the fields (`json`), or bytes that go on as they came (`raw`).
    #[serde(default)]
    pub codec: Codec,
    /// The `@tag` of the records; `{topic}` in it stands for the topic, `{partition}` for the partition.
    #[serde(default = "tag")]
    pub tag: String,
    /// The column of the text, or of the bytes.
    #[serde(default = "message_field")]
    pub message_field: String,
    /// What records have of their message beside its value and time.
    #[serde(default)]
    pub fields: Fields,
    /// What becomes of messages without a value, by which compacted topics say that a key is gone: `skip`, counted, or
    /// `keep`, as records that have their `fields` alone.
    #[serde(default)]
    pub tombstones: Tombstones,
    /// Joins records that are lines of one, such as those of a stack trace, partition by partition. (`by` tells apart those whose
    /// lines come mixed.)
    #[serde(default)]
    pub multiline: Option<JoinSettings>,
    /// What becomes of text that is not UTF-8: `replace` (each bad sequence becomes U+FFFD, counted) or `bytes`.
    /// With `codec: raw` keys and headers keep their bytes in any case.
    #[serde(default)]
    pub invalid_utf8: InvalidUtf8,
    /// Most bytes of messages that are fetched ahead, about. One answer of each broker may come on top.
    #[serde(default = "queue")]
    pub queue: Bytes,
    /// How often positions are committed.
    #[serde(default = "commit_interval")]
    pub commit_interval: Span,
    /// How long a partition that goes to another member of the group is held for records of it to become safe; what is
    /// not safe then is read again by the other. `0s` lets it go at once.
    #[serde(default = "rebalance_wait", deserialize_with = "or_zero")]
    pub rebalance_wait: Span,
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

/// Where to begin in a partition of which the group has no position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the oldest message that the brokers have.
    #[default]
    Earliest,
    /// With the next message that is written. Topics and partitions that come while the source runs are read from their first
    /// message on, and so is a topic that its rights hide until then.
    Latest,
    /// Nowhere.
    Committed,
    /// With the first message of this time (RFC 3339) or later.
    Time(Instant),
}

/// A time of day and a date, as RFC 3339 has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Instant {
    /// Nanoseconds since 1970.
    pub ns: i64,
}

impl TryFrom<String> for Instant {
    type Error = String;

    fn try_from(text: String) -> Result<Instant, String> {
        let ns = time::parse(text.as_bytes());
        ns.map(|ns| Instant { ns })
            .ok_or_else(|| format!("`{text}` is no time: write it as RFC 3339 does, 2026-01-31T23:59:59Z"))
    }
}

impl From<Instant> for String {
    fn from(instant: Instant) -> String {
        time::to_text(instant.ns)
    }
}

impl JsonSchema for Instant {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Instant".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// What the value of a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// Text; each line of it is a record, and a value without a line end is one line.
    #[default]
    Lines,
    /// A JSON object.
    Json,
    /// Bytes.
    Raw,
}

/// What becomes of messages without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tombstones {
    /// They are passed over, and counted.
    #[default]
    Skip,
    /// They are records without the text.
    Keep,
}

/// The columns of what a message has beside its value; one that is not named is left out. With `codec: json` a member of
/// the value that has the same name takes its place.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fields {
    /// The column of the key.
    pub key: Option<String>,
    /// The column of the headers, an object of texts. Of headers with the same name the last one stays.
    pub headers: Option<String>,
    /// The column of the topic.
    pub topic: Option<String>,
    /// The column of the partition.
    pub partition: Option<String>,
    /// The column of the offset.
    pub offset: Option<String>,
    /// The column of the message's time, for values that may have a time of their own (`@timestamp`).
    pub timestamp: Option<String>,
}

impl Fields {
    /// The columns that are named, each with its key.
    fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Fields { key, headers, topic, partition, offset, timestamp } = self;
        let all = [
            ("key", key),
            ("headers", headers),
            ("topic", topic),
            ("partition", partition),
            ("offset", offset),
            ("timestamp", timestamp),
        ];
        all.into_iter().filter_map(|(name, column)| Some((name, column.as_deref()?)))
    }
}

pub(crate) fn tag() -> String {
    "{topic}".to_owned()
}

pub(crate) fn message_field() -> String {
    "message".to_owned()
}

pub(crate) fn queue() -> Bytes {
    Bytes(32 << 20)
}

pub(crate) fn commit_interval() -> Span {
    Span(Duration::from_secs(1))
}

pub(crate) fn rebalance_wait() -> Span {
    Span(Duration::from_secs(5))
}

impl KafkaSettings {
    /// Settings for topics and a group, all else by default.
    pub fn new(brokers: &str, topics: &[&str], group: &str) -> KafkaSettings {
        KafkaSettings {
            brokers: brokers.split(',').map(str::to_owned).collect(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            group: group.to_owned(),
            start: Start::default(),
            codec: Codec::default(),
            tag: tag(),
            message_field: message_field(),
            fields: Fields::default(),
            tombstones: Tombstones::default(),
            multiline: None,
            invalid_utf8: InvalidUtf8::default(),
            queue: queue(),
            commit_interval: commit_interval(),
            rebalance_wait: rebalance_wait(),
            sasl: None,
            tls: None,
            options: BTreeMap::new(),
            preset: Preset::default(),
        }
    }

    /// What goes to librdkafka.
    ///
    /// # Errors
    /// A setting does not fit; the text names its key.
    pub(crate) fn client(&self, name: &str) -> anyhow::Result<ClientConfig> {
        self.check_names()?;
        let queue = self.queue.0.clamp(*QUEUE.start(), *QUEUE.end());
        let answer = (queue / ANSWERS).clamp(*ANSWER.start(), *ANSWER.end());
        let mut client = self.connection().client(
            name,
            [
                ("group.id", self.group.clone()),
                // Positions are committed when records are safe, and by nobody else.
                ("enable.auto.commit", "false".to_owned()),
                ("enable.auto.offset.store", "false".to_owned()),
                // Where the messages at a position are deleted; how many those were is told.
                ("auto.offset.reset", "earliest".to_owned()),
                ("queued.max.messages.kbytes", (queue >> 10).to_string()),
                ("queued.min.messages", (queue / AHEAD).clamp(1_000, 100_000).to_string()),
                ("fetch.max.bytes", answer.to_string()),
                ("fetch.message.max.bytes", answer.min(1 << 20).to_string()),
                // Of what is written; librdkafka refuses answers that are smaller.
                ("message.max.bytes", answer.min(1_000_000).to_string()),
                // A queue that was full has room again in the next moment.
                ("fetch.queue.backoff.ms", "10".to_owned()),
                // How long a topic waits that comes later.
                ("topic.metadata.refresh.interval.ms", "30000".to_owned()),
            ],
        )?;
        // With the other protocol (KIP-848) the brokers share partitions out, and the client must not say how.
        if client.get("group.protocol") != Some("consumer") && client.get(STRATEGY).is_none() {
            client.set(STRATEGY, "cooperative-sticky");
        }
        for (option, values, instead) in TAKEN {
            let value = client.get(option).unwrap_or_default().to_ascii_lowercase();
            anyhow::ensure!(!values.contains(&&*value), wrong!("options", ": `{option}: {value}` {instead}"));
        }
        if let Some(own) = internal::left_out(&self.topics) {
            let with = client.get("topic.blacklist").map_or(own.clone(), |theirs| format!("{theirs},{own}"));
            client.set("topic.blacklist", with);
        }
        Ok(client)
    }

    fn check_names(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.topics.is_empty(), wrong!("topics", " is empty: name at least one"));
        for (place, topic) in self.topics.iter().enumerate() {
            anyhow::ensure!(
                topic.starts_with('^') || is_topic(topic.as_bytes()),
                wrong!(
                    "topics[{place}]",
                    ": Kafka has no topic named `{topic}`: 1 to 249 letters, digits, dots, underscores and hyphens, \
                     or a regular expression that begins with ^"
                )
            );
            let before = self.topics[..place].iter().position(|other| other == topic);
            if let Some(before) = before {
                anyhow::bail!(wrong!(
                    "topics[{place}]",
                    ": `{topic}` is `topics[{before}]` already; name it once"
                ));
            }
        }
        anyhow::ensure!(!self.group.is_empty(), wrong!("group", " is empty: name the consumer group"));
        let columns: Vec<(String, &str)> =
            self.fields.named().map(|(key, column)| (format!("fields.{key}"), column)).collect();
        let message = Named { key: "message_field", name: &self.message_field };
        let text = Some(message).filter(|_| self.codec != Codec::Json);
        let columns = columns.iter().map(|(key, name)| Named { key, name });
        fields::check(&text.into_iter().chain(columns).collect::<Vec<_>>(), &[])?;
        self.tag_of("", 0).map(drop)
    }

    /// The tag of the records of a partition.
    pub(super) fn tag_of(&self, topic: &str, partition: i32) -> anyhow::Result<String> {
        let (mut tag, mut rest) = (String::new(), self.tag.as_str());
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else {
                anyhow::bail!(wrong!("tag", ": there is no }} behind `{{{after}`"));
            };
            tag.push_str(before);
            match name {
                "topic" => tag.push_str(topic),
                "partition" => tag.push_str(&partition.to_string()),
                _ => {
                    anyhow::bail!(wrong!("tag", ": `{{{name}}}` is neither `{{topic}}` nor `{{partition}}`"))
                }
            }
            rest = behind;
        }
        tag.push_str(rest);
        Ok(tag)
    }

    /// The brokers, and how the source speaks with them.
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
