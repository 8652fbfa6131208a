//! Azure Event Hubs: the Kafka source with all that follows from a connection string.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kafka::settings::{commit_interval, message_field, queue, rebalance_wait, tag};
use super::kafka::{Codec, DESCRIPTORS, Fields, KafkaSettings, Start, Tombstones};
use super::multiline::JoinSettings;
use super::{Probing, Sample, SourceContext, SourceKind, Starting};
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::net::entra::AuthSettings;
use flitch_core::router::OneOrMore;
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;
use flitch_core::units::{Bytes, Span, or_zero};
use flitch_kafka::event_hubs::{self, Wanted};
use flitch_kafka::settings::{OptionValue, TlsSettings};

/// Reads Azure Event Hubs as a member of a consumer group, by Kafka's protocol. All else is as in `type: kafka`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventHubsSettings {
    /// The connection string of the namespace or of the hub, with a key that may listen. Host, port, user and password
    /// follow from it.
    #[serde(default)]
    pub connection_string: Option<Secret>,
    /// In the place of a connection string: the namespace, by its name (`clicks`), or, where it is not in the public cloud,
    /// by its whole host name.
    #[serde(default)]
    pub namespace: Option<String>,
    /// With `namespace`: how flitch proves who it is.
    #[serde(default)]
    pub auth: Option<AuthSettings>,
    /// The hubs, by name or by regular expressions that begin with `^`. Not set, the one that the connection string is for
    /// (`EntityPath`).
    #[serde(default)]
    pub hub: Option<OneOrMore>,
    /// Where to connect instead of the namespace's own address, `host:port`: a private endpoint, an emulator.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The consumer group, as Kafka has them: the name of your choice, and none of those that are made in Azure.
    pub group: String,
    /// Where to begin in a partition of which the group has no position yet: `earliest`, `latest`,
    /// `{ time: 2026-01-31T00:00:00Z }`, or `committed`, which is nowhere.
    #[serde(default)]
    pub start: Start,
    /// What the body of an event is: text of which each line is a record (`lines`), a JSON object (`json`), or bytes that
    /// go on as they came (`raw`).
    #[serde(default)]
    pub codec: Codec,
    /// The `@tag` of the records; `{topic}` in it stands for the hub, `{partition}` for the partition.
    #[serde(default = "tag")]
    pub tag: String,
    /// The column of the text, or of the bytes.
    #[serde(default = "message_field")]
    pub message_field: String,
    /// What records have of their event beside its body and time.
    #[serde(default)]
    pub fields: Fields,
    /// Joins records that are lines of one, such as those of a stack trace, partition by partition. (`by` tells apart those whose
    /// lines come mixed.)
    #[serde(default)]
    pub multiline: Option<JoinSettings>,
    /// What becomes of text that is not UTF-8: `replace` (each bad sequence becomes U+FFFD, counted) or `bytes`.
    /// With `codec: raw` keys and headers keep their bytes in any case.
    #[serde(default)]
    pub invalid_utf8: InvalidUtf8,
    /// Most bytes of events that are fetched ahead, about.
    #[serde(default = "queue")]
    pub queue: Bytes,
    /// How often positions are committed.
    #[serde(default = "commit_interval")]
    pub commit_interval: Span,
    /// How long a partition that goes to another member of the group is held for records of it to become safe. `0s` lets it
    /// go at once.
    #[serde(default = "rebalance_wait", deserialize_with = "or_zero")]
    pub rebalance_wait: Span,
    /// TLS where it is not that of the public cloud: an authority of your own.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Options of librdkafka, passed on as they are; they win over the keys above.
    #[schemars(extend("writeOnly" = true))]
    #[serde(default)]
    pub options: BTreeMap<String, OptionValue>,
}

/// A hub, or a pattern of hubs.
fn checked(key: &str, hub: &str) -> anyhow::Result<String> {
    if !hub.starts_with('^') {
        event_hubs::check_hub(key, hub)?;
    }
    Ok(hub.to_owned())
}

impl EventHubsSettings {
    /// What they are as those of the Kafka source.
    ///
    /// # Errors
    /// A key that is missing or wrong.
    fn kafka(&self) -> anyhow::Result<KafkaSettings> {
        let derived = event_hubs::derive(Wanted {
            connection_string: self.connection_string.as_ref(),
            namespace: self.namespace.as_deref(),
            auth: self.auth.as_ref(),
            endpoint: self.endpoint.as_deref(),
            tls: self.tls.as_ref(),
        })?;
        let topics = match (&self.hub, derived.hub) {
            (Some(OneOrMore::One(hub)), _) => vec![checked("hub", hub)?],
            (Some(OneOrMore::More(hubs)), _) => {
                let checked = |(place, hub): (usize, &String)| checked(&format!("hub[{place}]"), hub);
                hubs.iter().enumerate().map(checked).collect::<anyhow::Result<_>>()?
            }
            (None, Some(hub)) => vec![hub],
            (None, None) => anyhow::bail!(wrong!(
                "hub",
                " is missing: the connection string is that of a namespace, without EntityPath"
            )),
        };
        let mut preset = derived.preset;
        preset.options = event_hubs::options();
        preset.options.extend([
            ("session.timeout.ms", "30000".to_owned()),
            ("heartbeat.interval.ms", "3000".to_owned()),
        ]);
        Ok(KafkaSettings {
            brokers: derived.brokers,
            topics,
            group: self.group.clone(),
            start: self.start,
            codec: self.codec,
            tag: self.tag.clone(),
            message_field: self.message_field.clone(),
            fields: self.fields.clone(),
            tombstones: Tombstones::default(),
            multiline: self.multiline.clone(),
            invalid_utf8: self.invalid_utf8,
            queue: self.queue,
            commit_interval: self.commit_interval,
            rebalance_wait: self.rebalance_wait,
            sasl: derived.sasl,
            tls: derived.tls,
            options: self.options.clone(),
            preset,
        })
    }
}

impl SourceKind for EventHubsSettings {
    fn start(&self, cx: SourceContext) -> Starting {
        match self.kafka() {
            Ok(settings) => settings.start(cx),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        self.kafka()?.check()
    }

    fn probe(&self, name: &str) -> Option<Probing> {
        match self.kafka() {
            Ok(settings) => settings.probe(name),
            Err(error) => Some(Box::pin(std::future::ready(Err(error)))),
        }
    }

    fn tag(&self) -> Option<String> {
        self.kafka().ok()?.tag()
    }

    fn reads_text(&self) -> bool {
        true
    }

    fn sample(&self, texts: &[&[u8]], beside: &Constants) -> anyhow::Result<Sample> {
        self.kafka()?.sample(texts, beside)
    }

    fn multiline(&self) -> Option<&JoinSettings> {
        self.multiline.as_ref()
    }

    fn descriptors(&self) -> u64 {
        DESCRIPTORS
    }
}

#[cfg(test)]
mod tests;
