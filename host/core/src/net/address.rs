//! Where a listener listens, as people write it: `8080`, `:8080`, `*:8080`, `host:8080`, `[::1]:8080`, `unix:///path`.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use tokio::net::lookup_host;

use super::listen::ALL;

/// What may stand where an address is wanted.
const FORMS: &str = "write `8080`, `host:8080` or `[::1]:8080`";
/// The same where it may be a unix socket.
const MORE_FORMS: &str = "write `24224`, `host:24224`, `[::1]:24224` or `unix:///path`";
/// Longest path of a unix socket on Linux, in bytes (`sun_path` of unix(7), without its end).
const LONGEST_PATH: usize = 107;

/// A TCP port, and the host whose address it is on. Without a host, each listener has one of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: Option<String>,
    port: u16,
}

impl Address {
    /// The port; 0 lets the system choose.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host, if one is named.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The addresses of the host, or `alone` where none is named.
    ///
    /// # Errors
    /// The host's name cannot be resolved.
    pub async fn resolve(&self, alone: IpAddr) -> io::Result<Vec<SocketAddr>> {
        let Some(host) = &self.host else { return Ok(vec![(alone, self.port).into()]) };
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![(ip, self.port).into()]);
        }
        let found: Vec<SocketAddr> = lookup_host((host.as_str(), self.port)).await?.collect();
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("`{host}` has no address")));
        }
        Ok(found)
    }

    /// Whether both cannot be listened on at once, as far as can be told without asking a name server. `alone` is what
    /// each means without a host.
    pub fn is_taken_by(&self, alone: IpAddr, other: &Address, others_alone: IpAddr) -> bool {
        if self.port == 0 || self.port != other.port {
            return false;
        }
        match (self.ip(alone), other.ip(others_alone)) {
            (Some(a), Some(b)) => a == b || a.is_unspecified() || b.is_unspecified(),
            (Some(one), None) | (None, Some(one)) => one.is_unspecified(),
            (None, None) => self.host == other.host,
        }
    }

    fn ip(&self, alone: IpAddr) -> Option<IpAddr> {
        match self.host.as_deref() {
            None => Some(alone),
            Some("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
            Some(host) => host.parse().ok(),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address { host: Some(address.ip().to_string()), port: address.port() }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let wrong = |why: &str| format!("`{text}` is no address{why}: {FORMS}");
        let (host, port) = match text.rsplit_once(':') {
            None if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() => (None, text),
            None => return Err(wrong(" with a port")),
            Some(("", port)) => (None, port),
            Some(("*", port)) => (Some(ALL.to_string()), port),
            Some((host, port)) => (Some(host_of(host).ok_or_else(|| wrong(""))?), port),
        };
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = Some(port).filter(|_| digits).and_then(|port| port.parse().ok());
        Ok(Address { host, port: port.ok_or_else(|| wrong(", as its port is no number from 0 to 65535"))? })
    }
}

/// A name, an IPv4 address, or an IPv6 address without its brackets.
fn host_of(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|ip| ip.to_string());
    }
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    // What looks like an IPv4 address must be one.
    let numbers = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_host = text.chars().all(fits) && (!numbers || text.parse::<Ipv4Addr>().is_ok());
    is_host.then(|| text.to_owned())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_deref() {
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            host => write!(f, "{}:{}", host.unwrap_or_default(), self.port),
        }
    }
}

/// An [`Address`], or the path of a unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP port. It may be written with `tcp://` before it.
    Tcp(Address),
    /// A unix socket: `unix:///path`.
    Unix(PathBuf),
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Endpoint, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            if !path.starts_with('/') {
                return Err(format!(
                    "`{text}` names no absolute path: write `unix:///path`, with three slashes"
                ));
            }
            if path.len() > LONGEST_PATH {
                return Err(format!("`{text}`: the path of a unix socket has {LONGEST_PATH} bytes at most"));
            }
            return Ok(Endpoint::Unix(Path::new(path).to_owned()));
        }
        let address = text.strip_prefix("tcp://").unwrap_or(text).parse::<Address>();
        address.map(Endpoint::Tcp).map_err(|why| why.replace(FORMS, MORE_FORMS))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => address.fmt(f),
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// One endpoint or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints(Vec<Endpoint>);

impl Endpoints {
    /// All of them; never none.
    pub fn iter(&self) -> std::slice::Iter<'_, Endpoint> {
        self.0.iter()
    }
}

impl FromStr for Endpoints {
    type Err = String;

    fn from_str(text: &str) -> Result<Endpoints, String> {
        Ok(Endpoints(vec![text.parse()?]))
    }
}

/// Reads text or a bare port.
struct Text<T>(std::marker::PhantomData<T>, &'static str);

impl<T: FromStr<Err = String>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, port: u64) -> Result<T, E> {
        port.to_string().parse().map_err(E::custom)
    }
}

const AN_ADDRESS: &str = "an address such as `8080` or `host:8080`";
const ENDPOINTS: &str = "an address such as `24224`, `host:24224` or `unix:///path`, or a list of them";

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Address, D::Error> {
        d.deserialize_any(Text(std::marker::PhantomData, AN_ADDRESS))
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Endpoint, D::Error> {
        d.deserialize_any(Text(std::marker::PhantomData, ENDPOINTS))
    }
}

impl<'de> Deserialize<'de> for Endpoints {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Endpoints, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Endpoints;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(ENDPOINTS)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Endpoints, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, port: u64) -> Result<Endpoints, E> {
                self.visit_str(&port.to_string())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Endpoints, A::Error> {
                let has_any = list.size_hint().is_some_and(|items| items > 0);
                let mut all = Vec::new();
                while let Some(endpoint) = list.next_element()? {
                    all.push(endpoint);
                }
                // Where there were some, each was wrong and told by itself.
                if all.is_empty() && !has_any {
                    return Err(de::Error::custom(format!("it names no address: {MORE_FORMS}")));
                }
                Ok(Endpoints(all))
            }
        }

        d.deserialize_any(OneOrMore)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl Serialize for Endpoints {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => s.collect_str(one),
            more => s.collect_seq(more.iter().map(ToString::to_string)),
        }
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An address: a port, or host:port",
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": 65535 },
                { "type": "string", "pattern": "^(.*:)?([0-9]{1,5}|\\$\\{.*)$" },
            ],
        })
    }
}

impl JsonSchema for Endpoints {
    fn schema_name() -> Cow<'static, str> {
        "Endpoints".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = "^(unix:///.+|(.*:)?([0-9]{1,5}|\\$\\{.*))$";
        let one = serde_json::json!([
            { "type": "integer", "minimum": 0, "maximum": 65535 },
            { "type": "string", "pattern": pattern },
        ]);
        let mut forms = one.as_array().cloned().unwrap_or_default();
        forms.push(serde_json::json!({ "type": "array", "items": { "anyOf": one } }));
        json_schema!({
            "description": "An address (a port, host:port, or unix:///path), or a list of them",
            "anyOf": forms,
        })
    }
}

#[cfg(test)]
mod tests;
