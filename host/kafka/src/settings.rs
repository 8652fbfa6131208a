//! How a client reaches its brokers: what the settings of all parts that speak with Kafka have in common.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rdkafka::ClientConfig;
use rdkafka::types::RDKafkaErrorCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::file_stamp::FileStamp;
use flitch_core::net::address::Address;
use flitch_core::router::{OneOrMore, Scalar};
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;

use crate::Tokens;
use crate::advice::advice;

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

/// Reads brokers, as a list or as one text with commas.
///
/// # Errors
/// It is neither.
pub fn brokers<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMore::deserialize(d)? {
        OneOrMore::One(text) => text.split(',').map(|broker| broker.trim().to_owned()).collect(),
        OneOrMore::More(list) => list,
    })
}

/// Brokers, and how to speak with them.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// Brokers to begin with, `host:port` each.
    pub brokers: &'a [String],
    /// Credentials.
    pub sasl: Option<&'a SaslSettings>,
    /// Encrypts the connections.
    pub tls: Option<&'a TlsSettings>,
    /// Options of librdkafka.
    pub options: &'a BTreeMap<String, OptionValue>,
    /// What no key of the settings says.
    pub preset: &'a Preset,
}

/// What a part has that is Kafka under another name, and that no key of the settings says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preset {
    /// Where tokens come from, in the place of `sasl`.
    pub tokens: Option<Tokens>,
    /// What to do where credentials are refused, in the words of its own keys.
    pub check: Option<&'static str>,
    /// Options of librdkafka, which those of the settings win over.
    pub options: BTreeMap<&'static str, String>,
}

impl Connection<'_> {
    /// What goes to librdkafka for the part of this name: what the part sets itself, the connection, and the options,
    /// which win over both.
    ///
    /// # Errors
    /// A setting does not fit; the text names its key.
    pub fn client<const N: usize>(
        &self,
        name: &str,
        own: [(&str, String); N],
    ) -> anyhow::Result<ClientConfig> {
        let named = !self.brokers.is_empty() && self.brokers.iter().all(|broker| !broker.is_empty());
        anyhow::ensure!(named, wrong!("brokers", " is empty: name at least one `host:port`"));
        for broker in self.brokers {
            let host = broker.rsplit("://").next().unwrap_or_default();
            let is_address = |text: &str| text.contains(':') && text.parse::<Address>().is_ok();
            anyhow::ensure!(
                is_address(host) || is_address(&format!("{host}:9092")),
                wrong!("brokers", ": `{broker}` is no `host:port`")
            );
        }
        let mut client = ClientConfig::new();
        client
            .set("client.id", format!("flitch-{name}"))
            .set("bootstrap.servers", self.brokers.join(","))
            // One answer for a connection that stands idle at a load balancer and for one that stands for good.
            .set("socket.keepalive.enable", "true");
        for (option, value) in own {
            client.set(option, value);
        }
        for (option, value) in &self.preset.options {
            client.set(*option, value);
        }
        let protocol = match (self.sasl.is_some() || self.preset.tokens.is_some(), self.tls) {
            (false, None) => "plaintext",
            (false, Some(_)) => "ssl",
            (true, None) => "sasl_plaintext",
            (true, Some(_)) => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        if self.preset.tokens.is_some() {
            client.set("sasl.mechanism", "OAUTHBEARER");
        }
        if let Some(sasl) = self.sasl {
            sasl.set(&mut client)?;
        }
        if let Some(tls) = self.tls {
            tls.set(&mut client)?;
        }
        for (option, value) in self.options {
            client.set(option, value.0.expose());
        }
        // librdkafka passes over a broker with any other, and goes on without it.
        let protocol = client.get("security.protocol").unwrap_or_default();
        for broker in self.brokers {
            let Some((scheme, address)) = broker.split_once("://") else { continue };
            anyhow::ensure!(
                scheme.eq_ignore_ascii_case(protocol),
                wrong!(
                    "brokers",
                    ": `{broker}` begins with `{scheme}://`, but `tls` and `sasl` say `{protocol}`: write `{address}`"
                )
            );
        }
        Ok(client)
    }

    /// What the files of `tls` are like.
    pub fn stamps(&self) -> Vec<Option<FileStamp>> {
        let files = self.tls.iter().flat_map(|tls| [&tls.ca, &tls.cert, &tls.key]);
        files.map(|file| FileStamp::of(file.as_ref()?)).collect()
    }

    /// Where OAuth tokens come from.
    pub fn tokens(&self) -> Option<Tokens> {
        let file = || self.sasl?.token_file.clone().map(Tokens::File);
        self.preset.tokens.clone().or_else(file)
    }

    /// What an operator can do about a refusal.
    pub fn advice(&self, code: RDKafkaErrorCode, reason: &str) -> String {
        advice(code, reason, self)
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
pub fn is_topic(name: &[u8]) -> bool {
    (1..=249).contains(&name.len())
        && name != b"."
        && name != b".."
        && name.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
}
