//! The handshake of the forward protocol, by which client and server prove that they know a key.
//!
//! Source: Fluent Forward Protocol Specification v1, "Handshake Messages":
//!
//!     server  ["HELO", {"nonce", "auth": salt, "keepalive"}]
//!     client  ["PING", hostname, shared_key_salt, sha512_hex(shared_key_salt + hostname + nonce + shared_key),
//!              username, sha512_hex(auth_salt + username + password)]
//!     server  ["PONG", ok, reason, server hostname, sha512_hex(shared_key_salt + server hostname + nonce + shared_key)]

pub mod client;
pub mod server;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};

use super::wire::Limits;
use crate::hex;
use crate::machine::hostname;
use crate::secret::Secret;
use crate::setting::wrong;

/// Each of the three messages is a few hundred bytes.
pub const LIMITS: Limits = Limits { bytes: 64 << 10, depth: 4 };

/// What clients must know before they may send. (Docker's log driver knows no handshake, so a listener for Docker has
/// none.)
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecuritySettings {
    /// The key that this server and its clients share.
    pub shared_key: Secret,
    /// Names of users and their passwords. Where there are any, a client must also be one of them.
    #[serde(default)]
    pub users: BTreeMap<String, Secret>,
    /// The name by which this server calls itself to clients, that of the machine where it is not set; they refuse a server
    /// that has their own name.
    #[serde(default)]
    pub self_hostname: Option<String>,
}

impl SecuritySettings {
    /// Refuses what would let everybody in, such as a key from a variable that is empty.
    ///
    /// # Errors
    /// The key or a password is empty; the text names the setting.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.shared_key.expose().is_empty(), wrong!("security.shared_key", " is empty"));
        for (user, password) in &self.users {
            anyhow::ensure!(
                !password.expose().is_empty(),
                wrong!("security.users.{user}", ": the password is empty")
            );
        }
        Ok(())
    }

    /// What this server calls itself. (No default of the setting, which would put the name of one machine into the
    /// reference.)
    pub fn name(&self) -> &str {
        self.self_hostname.as_deref().unwrap_or(hostname())
    }
}

/// Random bytes that no one can foresee.
///
/// # Errors
/// The system gives none.
pub fn random() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(bytes)
}

/// SHA-512 of the parts one after the other, in hexadecimal.
pub fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha512::new();
    for part in parts {
        hash.update(part);
    }
    hex::encode(&hash.finalize())
}

#[cfg(test)]
mod tests;
