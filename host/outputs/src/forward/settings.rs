//! The settings of the forward output.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use flitch_core::batch::template::Template;
use flitch_core::machine::hostname;
use flitch_core::net::address::Address;
use flitch_core::net::forward::handshake::SecuritySettings;
use flitch_core::net::tls::ClientTls;
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;
use flitch_core::units::{Span, or_zero};

use crate::nodes::Node;

/// Most servers.
const SERVERS: usize = 64;

/// A server, with its share of the chunks.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedServer {
    /// `host:port`.
    pub address: Address,
    /// Its share of the chunks, beside the weights of the others.
    #[serde(default = "weight")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: u32,
    /// Whether it is sent something only where others are down, in their place.
    #[serde(default)]
    pub standby: bool,
}

fn weight() -> u32 {
    60
}

/// A server: `host:port`, or an object with more to say.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ForwardServer")]
pub enum Server {
    /// `host:port`, with a weight as others have it.
    Plain(Address),
    /// With a weight of its own, or as standby.
    Weighted(WeightedServer),
}

/// By hand, so that what is wrong with one is told by its address, or by the key of its map.
impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Server, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = Server;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address such as `host:24224`, or a map with one under `address`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Server, E> {
                text.parse().map(Server::Plain).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, port: u64) -> Result<Server, E> {
                self.visit_str(&port.to_string())
            }

            fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<Server, A::Error> {
                WeightedServer::deserialize(MapAccessDeserializer::new(keys)).map(Server::Weighted)
            }
        }

        d.deserialize_any(Forms)
    }
}

/// How the entries of a chunk are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ForwardCompression")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, which every server of the protocol reads.
    Gzip,
    /// Zstandard, which flitch reads, and Fluentd from 1.19 on.
    Zstd,
}

/// How a server is shown that flitch knows its key, and is one of its users.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSecurity {
    /// The key that the server and its clients share.
    pub shared_key: Secret,
    /// The user, where the server asks for one.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The name by which flitch calls itself; not set, that of the machine with `-client` behind it. A server that has the same
    /// name is refused: it could send back what it was sent, and seem to know the key.
    #[serde(default)]
    pub self_hostname: Option<String>,
}

/// Sends records by the Fluent forward protocol: to another flitch, to Fluentd or to Fluent Bit. A record's time and tag
/// are sent as those of its event, and are no fields of it; `encoding` says which fields there are. What a record has is sent
/// as MessagePack has it: text as str, bytes as bin, and times as text.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardSettings {
    /// The servers: `host:port` each, or an object `{ address, weight, standby }`. Chunks are shared among them by weight.
    /// One that fails rests, longer each time, and the others take its place, those on standby too.
    pub servers: Vec<Server>,
    /// The tag of events, a template. A record without a field of it goes to the dead letters, and so does one whose tag
    /// would be empty.
    #[serde(default = "tag")]
    pub tag: Template,
    /// Whether a record is delivered when the server has acknowledged its chunk. With `false` it is when the kernel has
    /// taken it: what was on its way when a connection breaks is lost.
    #[serde(default = "yes")]
    pub require_ack: bool,
    /// How long a chunk waits for its acknowledgement, or to be taken by the kernel. Then its connection is closed, and it is
    /// sent again under the same id, so that a flitch which has it does not take it twice.
    #[serde(default = "ack_timeout")]
    pub ack_timeout: Span,
    /// `none`, `gzip` or `zstd`.
    #[serde(default)]
    pub compression: Compression,
    /// A field at the top of records, such as `metadata`, that is sent as the metadata of its event where it is an object, as
    /// Fluent Bit expects it; Fluentd drops metadata. Not set: it is a field like any other.
    #[serde(default)]
    pub metadata_field: Option<String>,
    /// The handshake by which a server is shown that flitch knows its key; a server that has one asks for it.
    #[serde(default)]
    pub security: Option<ClientSecurity>,
    /// TLS; `tls: {}` with the system's authorities. Plain TCP where it is not set.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// Longest time for a connection, with TLS and handshake.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: Span,
    /// How long a connection is kept on which nothing is sent; with `0s` each chunk has a connection of its own.
    #[serde(default = "keepalive_timeout", deserialize_with = "or_zero")]
    pub keepalive_timeout: Span,
}

fn tag() -> Template {
    Template::parse("{@tag}").expect("it is a template")
}

fn yes() -> bool {
    true
}

fn ack_timeout() -> Span {
    Span(Duration::from_secs(190))
}

fn connect_timeout() -> Span {
    Span(Duration::from_secs(10))
}

fn keepalive_timeout() -> Span {
    Span(Duration::from_secs(60))
}

impl Server {
    pub(super) fn address(&self) -> &Address {
        match self {
            Server::Plain(address) => address,
            Server::Weighted(server) => &server.address,
        }
    }

    pub(super) fn node(&self) -> Node {
        let (weight, standby) = match self {
            Server::Plain(_) => (weight(), false),
            Server::Weighted(server) => (server.weight, server.standby),
        };
        Node { name: self.address().to_string(), weight, standby }
    }
}

impl ForwardSettings {
    /// Settings for these servers, all else by default.
    #[cfg(test)]
    pub(super) fn new(servers: Vec<Server>) -> ForwardSettings {
        serde_json::from_value(serde_json::json!({ "servers": servers })).expect("all else has a default")
    }

    /// Whether the keys make sense together.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.servers.is_empty(),
            wrong!("servers", " names none: `servers: [\"host:24224\"]`")
        );
        anyhow::ensure!(self.servers.len() <= SERVERS, wrong!("servers", " names more than {SERVERS}"));
        let nodes: Vec<Node> = self.servers.iter().map(Server::node).collect();
        for (place, node) in nodes.iter().enumerate() {
            anyhow::ensure!(
                !nodes[..place].iter().any(|other| other.name == node.name),
                wrong!("servers", ": `{}` stands there twice", node.name)
            );
            let port = self.servers[place].address().port();
            anyhow::ensure!(port != 0, wrong!("servers", ": `{}` has no port", node.name));
            anyhow::ensure!(node.weight > 0, wrong!("servers", ": the weight of `{}` is 0", node.name));
        }
        anyhow::ensure!(
            nodes.iter().any(|node| !node.standby),
            wrong!("servers", ": all of them are standby; one must not be")
        );
        anyhow::ensure!(self.tag.constant() != Some(""), wrong!("tag", " is empty"));
        if let Some(why) = self.tag.wrong_as_place() {
            anyhow::bail!(wrong!("tag", ": {why}"));
        }
        if let Some(name) = &self.metadata_field {
            anyhow::ensure!(
                !name.is_empty() && !name.contains(['.', '\\']) && !name.starts_with('@'),
                wrong!("metadata_field", ": `{name}` is no name of a field at the top of a record")
            );
        }
        Ok(())
    }

    /// The handshake, as both sides of the protocol have it.
    pub(super) fn handshake(&self) -> anyhow::Result<Option<SecuritySettings>> {
        let Some(security) = &self.security else { return Ok(None) };
        let users = match (&security.username, &security.password) {
            (Some(name), Some(password)) => [(name.clone(), password.clone())].into(),
            (None, None) => Default::default(),
            _ => anyhow::bail!(wrong!("security", ": `username` and `password` belong together")),
        };
        let settings = SecuritySettings {
            shared_key: security.shared_key.clone(),
            users,
            self_hostname: security.self_hostname.clone().or_else(|| Some(format!("{}-client", hostname()))),
        };
        settings.check()?;
        Ok(Some(settings))
    }
}
