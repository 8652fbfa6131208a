//! Azure Event Hubs: the Kafka output with all that follows from a connection string.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kafka::settings::{linger, queue, timeout};
use super::kafka::{Acks, Compression, KafkaSettings, Stamp};
use super::{Output, OutputContext, OutputKind};
use flitch_core::batch::encode::Framing;
use flitch_core::batch::template::{Template, at_best};
use flitch_core::net::entra::AuthSettings;
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;
use flitch_core::units::{Bytes, Span, or_zero};
use flitch_kafka::event_hubs::{self, MOST, Wanted};
use flitch_kafka::settings::{OptionValue, TlsSettings};

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HubCompression {
    /// Not at all.
    #[default]
    None,
    /// gzip, which namespaces of the tiers premium and dedicated alone take.
    Gzip,
}

/// What a namespace is paid as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Standard. (Of the tier basic no namespace speaks Kafka's protocol.)
    #[default]
    Standard,
    /// Premium.
    Premium,
    /// Dedicated.
    Dedicated,
}

/// Writes each record as one event to Azure Event Hubs, by Kafka's protocol. All else is as in `type: kafka`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventHubsSettings {
    /// The connection string of the namespace or of the hub, with a key that may send. Host, port, user and password
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
    /// The hub, a template: `clicks` or `logs.{@tag}`. Not set, the one that the connection string is for (`EntityPath`).
    #[serde(default)]
    pub hub: Option<Template>,
    /// Where to connect instead of the namespace's own address, `host:port`: a private endpoint, an emulator.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// What the namespace is paid as: `standard`, `premium` or `dedicated`.
    #[serde(default)]
    pub tier: Tier,
    /// `none`, or `gzip` where `tier` is `premium` or `dedicated`.
    #[serde(default)]
    pub compression: HubCompression,
    /// The key of events, a template; a record without a field of it has no key. Records with equal keys go to the same
    /// partition.
    #[serde(default)]
    pub key: Option<Template>,
    /// Properties of events, a template each; a record without a field of it goes without that property.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// How long events wait for more before they are sent; with `0ms` they wait for none.
    #[serde(default = "linger", deserialize_with = "or_zero")]
    pub linger: Span,
    /// How long the client tries to deliver an event before the delivery loop takes over.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Most bytes of events inside the client.
    #[serde(default = "queue")]
    pub queue: Bytes,
    /// The time that events have: `sent` or `event`.
    #[serde(default)]
    pub timestamp: Stamp,
    /// TLS where it is not that of the public cloud: an authority of your own.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Options of librdkafka, passed on as they are; they win over the keys above.
    #[schemars(extend("writeOnly" = true))]
    #[serde(default)]
    pub options: BTreeMap<String, OptionValue>,
}

impl EventHubsSettings {
    /// What they are as those of the Kafka output.
    ///
    /// # Errors
    /// A key that is missing or wrong.
    pub(super) fn kafka(&self) -> anyhow::Result<KafkaSettings> {
        let derived = event_hubs::derive(Wanted {
            connection_string: self.connection_string.as_ref(),
            namespace: self.namespace.as_deref(),
            auth: self.auth.as_ref(),
            endpoint: self.endpoint.as_deref(),
            tls: self.tls.as_ref(),
        })?;
        anyhow::ensure!(
            self.compression == HubCompression::None || self.tier != Tier::Standard,
            wrong!(
                "compression",
                ": Event Hubs take `gzip` in the tiers premium and dedicated alone, and end the connection otherwise; where \
                 the namespace is one of those, say so by `tier`"
            )
        );
        let topic = match (&self.hub, &derived.hub) {
            (Some(hub), _) => hub.clone(),
            (None, Some(hub)) => {
                Template::parse(hub).map_err(|error| anyhow::anyhow!("EntityPath: {error}"))?
            }
            (None, None) => anyhow::bail!(wrong!(
                "hub",
                " is missing: the connection string is that of a namespace, without EntityPath"
            )),
        };
        if self.hub.is_some() {
            event_hubs::check_hub("hub", &at_best(&topic))?;
        }
        let mut settings = KafkaSettings::new("", topic);
        settings.brokers = derived.brokers;
        settings.sasl = derived.sasl;
        settings.tls = derived.tls;
        settings.key.clone_from(&self.key);
        settings.headers.clone_from(&self.headers);
        settings.compression = match self.compression {
            HubCompression::None => Compression::None,
            HubCompression::Gzip => Compression::Gzip,
        };
        settings.acks = Acks::All;
        settings.linger = self.linger;
        settings.timeout = self.timeout;
        settings.queue = self.queue;
        settings.timestamp = self.timestamp;
        settings.options.clone_from(&self.options);
        settings.preset = derived.preset;
        settings.preset.options = event_hubs::options();
        settings.preset.options.extend([
            ("message.max.bytes", MOST.to_string()),
            // A batch has a head, and must be no larger than a message.
            ("batch.size", (MOST - 50_000).to_string()),
            ("request.timeout.ms", "60000".to_owned()),
        ]);
        Ok(settings)
    }
}

impl OutputKind for EventHubsSettings {
    fn check(&self, cx: &OutputContext) -> anyhow::Result<()> {
        self.kafka()?.check(cx)
    }

    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        self.kafka()?.open(cx)
    }

    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn descriptors(&self) -> u64 {
        super::kafka::DESCRIPTORS
    }
}

#[cfg(test)]
mod tests;
