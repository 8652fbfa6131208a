//! Azure Event Hubs, which speak Kafka's protocol: what a connection string, or a namespace, says about brokers, credentials
//! and limits.
//!
//! Facts: Microsoft's *Recommended configurations for Apache Kafka clients* and *Event Hubs for Apache Kafka* (2025-12,
//! 2026-02).

use std::collections::BTreeMap;
use std::time::Duration;

use flitch_core::net::address::Address;
use flitch_core::net::entra::{AuthSettings, Entra};
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;

use crate::Tokens;
use crate::settings::{Mechanism, Preset, SaslSettings, TlsSettings, is_topic};

/// Where Kafka's protocol is spoken, and where the emulator speaks it.
const PORT: u16 = 9093;
const EMULATOR_PORT: u16 = 9092;
/// What stands for a user where the password is the connection string.
const USER: &str = "$ConnectionString";
/// The suffix of namespaces in the public cloud.
const SUFFIX: &str = ".servicebus.windows.net";
/// Most bytes of a message: larger requests end the connection.
pub const MOST: usize = 1_000_000;
/// How often librdkafka tells how long brokers hold requests back.
pub const STATISTICS: Duration = Duration::from_secs(10);

/// What the settings of an output or a source say.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The connection string of a namespace, or of a hub.
    pub connection_string: Option<&'a Secret>,
    /// The namespace, by its name or its whole host name.
    pub namespace: Option<&'a str>,
    /// Credentials of Microsoft Entra ID.
    pub auth: Option<&'a AuthSettings>,
    /// Where to connect instead of the namespace's own address.
    pub endpoint: Option<&'a str>,
    /// TLS, where it is not that of the public cloud.
    pub tls: Option<&'a TlsSettings>,
}

/// What follows from it.
#[derive(Clone, Debug)]
pub struct Derived {
    /// `host:port`.
    pub brokers: Vec<String>,
    /// The connection string as credentials.
    pub sasl: Option<SaslSettings>,
    /// TLS; none for the emulator alone.
    pub tls: Option<TlsSettings>,
    /// The hub that the connection string is for.
    pub hub: Option<String>,
    /// Tokens, and how errors call the credentials.
    pub preset: Preset,
}

/// Derives how to reach a namespace.
///
/// # Errors
/// A key that is missing, contradicts another, or cannot be read; nothing of the connection string is in the text.
pub fn derive(wanted: Wanted<'_>) -> anyhow::Result<Derived> {
    let parts = wanted.connection_string.map(|text| parts(text.expose())).transpose()?;
    let host = match (&parts, wanted.namespace) {
        (Some(_), Some(_)) => {
            anyhow::bail!(wrong!(
                "namespace",
                " stands in `connection_string` already: leave one of them out"
            ))
        }
        (Some(parts), None) => parts.host.clone(),
        (None, Some(name)) if name.contains('.') => name.to_owned(),
        (None, Some(name)) => format!("{name}{SUFFIX}"),
        (None, None) => {
            anyhow::bail!(wrong!("connection_string", " is missing: set it, or `namespace` and `auth`"))
        }
    };
    if let Some(name) = wanted.namespace {
        let is_host = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        anyhow::ensure!(
            is_host && !name.is_empty(),
            wrong!(
                "namespace",
                ": `{name}` is no name of a namespace, and no name of a host: write `clicks`, or \
                 `clicks{SUFFIX}`"
            )
        );
    }
    let is_emulator = parts.as_ref().is_some_and(|parts| parts.is_emulator);
    let port = if is_emulator { EMULATOR_PORT } else { PORT };
    let broker = match wanted.endpoint {
        Some(endpoint) => {
            let is_address = endpoint.contains(':') && endpoint.parse::<Address>().is_ok();
            anyhow::ensure!(is_address, wrong!("endpoint", ": `{endpoint}` is no `host:port`"));
            endpoint.to_owned()
        }
        None => format!("{host}:{port}"),
    };
    let (sasl, tokens, check) = match (wanted.connection_string, wanted.auth) {
        (Some(_), Some(_)) => {
            anyhow::bail!(wrong!("auth", " and `connection_string` are two ways in: leave one of them out"))
        }
        (Some(text), None) => {
            let sasl = SaslSettings {
                mechanism: Mechanism::Plain,
                username: Some(USER.to_owned()),
                password: Some(text.clone()),
                token_file: None,
            };
            let check = "check `connection_string`: the key in it must be one of the namespace or the hub, and have the \
                         right to send, or to listen";
            (Some(sasl), None, check)
        }
        (None, Some(auth)) => {
            auth.check()?;
            let audience = format!("https://{host}");
            let tokens = Tokens::Entra(Entra { auth: auth.clone(), audience });
            let check = "check `auth`: who it names needs the role Azure Event Hubs Data Sender, or Receiver";
            (None, Some(tokens), check)
        }
        (None, None) => anyhow::bail!(wrong!("auth", " is missing: with `namespace` it says who flitch is")),
    };
    let tls = (!is_emulator || wanted.tls.is_some()).then(|| wanted.tls.cloned().unwrap_or_default());
    let preset = Preset { tokens, check: Some(check), options: BTreeMap::new() };
    let hub = parts.and_then(|parts| parts.hub);
    if let Some(hub) = &hub {
        check_hub("connection_string", hub)?;
    }
    Ok(Derived { brokers: vec![broker], sasl, tls, hub, preset })
}

/// Checks the name of a hub, which may be a text alone.
///
/// # Errors
/// There can be no hub of this name.
pub fn check_hub(key: &str, name: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        is_topic(name.as_bytes()),
        wrong!(
            "{key}",
            ": there can be no hub `{name}`: 1 to 249 letters, digits, dots, underscores and hyphens"
        )
    );
    Ok(())
}

/// What every client of Event Hubs sets: a connection that rests is cut after four minutes.
pub fn options() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("socket.keepalive.enable", "true".to_owned()),
        ("metadata.max.age.ms", "180000".to_owned()),
        ("connections.max.idle.ms", "180000".to_owned()),
        ("statistics.interval.ms", STATISTICS.as_millis().to_string()),
    ])
}

/// What stands in a connection string.
struct Parts {
    host: String,
    hub: Option<String>,
    is_emulator: bool,
}

fn parts(text: &str) -> anyhow::Result<Parts> {
    let (mut host, mut hub, mut key, mut is_emulator) = (None, None, false, false);
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            anyhow::bail!(wrong!("connection_string", " is none: a part of it is no NAME=VALUE"));
        };
        match name.trim() {
            "Endpoint" => {
                let rest = value.trim().strip_prefix("sb://").unwrap_or(value.trim());
                host = Some(rest.trim_end_matches('/').to_owned());
            }
            "EntityPath" => hub = Some(value.trim().to_owned()),
            "SharedAccessKey" => key = !value.is_empty(),
            "SharedAccessSignature" => anyhow::bail!(wrong!(
                "connection_string",
                " holds a signature (SharedAccessSignature), which Event Hubs do not take by Kafka's protocol: take one \
                 with a SharedAccessKey, or `auth`"
            )),
            "UseDevelopmentEmulator" => is_emulator = value.trim().eq_ignore_ascii_case("true"),
            _ => {}
        }
    }
    let host = host.filter(|host| !host.is_empty() && !host.contains(['/', ' ']));
    let Some(host) = host else {
        anyhow::bail!(wrong!(
            "connection_string",
            " has no Endpoint: it looks like \
             Endpoint=sb://NAMESPACE.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…"
        ));
    };
    anyhow::ensure!(key, wrong!("connection_string", " has no SharedAccessKey"));
    let host = host.split(':').next().unwrap_or_default().to_owned();
    Ok(Parts { host, hub: hub.filter(|hub| !hub.is_empty()), is_emulator })
}

#[cfg(test)]
mod tests;
