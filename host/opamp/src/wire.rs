//! The messages of OpAMP (opamp.proto of the specification, v0.14 and later), as far as flitch speaks them, and how they stand
//! on the wire. Fields that are not here are passed over when they come, as protobuf wants it.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use prost::{Enumeration, Message};

/// What an agent can do, as bits.
pub mod can {
    pub const REPORT_STATUS: u64 = 0x1;
    pub const ACCEPT_REMOTE_CONFIG: u64 = 0x2;
    pub const REPORT_EFFECTIVE_CONFIG: u64 = 0x4;
    pub const ACCEPT_PACKAGES: u64 = 0x8;
    pub const REPORT_PACKAGES: u64 = 0x10;
    pub const ACCEPT_CONNECTION: u64 = 0x100;
    pub const ACCEPT_RESTART: u64 = 0x400;
    pub const REPORT_HEALTH: u64 = 0x800;
    pub const REPORT_REMOTE_CONFIG: u64 = 0x1000;
    pub const REPORT_HEARTBEAT: u64 = 0x2000;
    pub const REPORT_CONNECTION: u64 = 0x8000;
}

/// The flag by which a server asks for all that there is to tell.
pub const REPORT_FULL_STATE: u64 = 0x1;

#[derive(Clone, PartialEq, Message)]
pub struct AgentToServer {
    #[prost(bytes = "vec", tag = "1")]
    pub instance_uid: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub sequence_num: u64,
    #[prost(message, optional, tag = "3")]
    pub agent_description: Option<AgentDescription>,
    #[prost(uint64, tag = "4")]
    pub capabilities: u64,
    #[prost(message, optional, tag = "5")]
    pub health: Option<ComponentHealth>,
    #[prost(message, optional, tag = "6")]
    pub effective_config: Option<EffectiveConfig>,
    #[prost(message, optional, tag = "7")]
    pub remote_config_status: Option<RemoteConfigStatus>,
    #[prost(message, optional, tag = "8")]
    pub package_statuses: Option<PackageStatuses>,
    #[prost(message, optional, tag = "9")]
    pub agent_disconnect: Option<AgentDisconnect>,
    #[prost(message, optional, tag = "15")]
    pub connection_settings_status: Option<ConnectionSettingsStatus>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ConnectionSettingsStatus {
    #[prost(bytes = "vec", tag = "1")]
    pub last_connection_settings_hash: Vec<u8>,
    #[prost(enumeration = "ConfigStatus", tag = "2")]
    pub status: i32,
    #[prost(string, tag = "3")]
    pub error_message: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct AgentDisconnect {}

#[derive(Clone, PartialEq, Message)]
pub struct ServerToAgent {
    #[prost(bytes = "vec", tag = "1")]
    pub instance_uid: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub error_response: Option<ServerErrorResponse>,
    #[prost(message, optional, tag = "3")]
    pub remote_config: Option<AgentRemoteConfig>,
    #[prost(message, optional, tag = "4")]
    pub connection_settings: Option<ConnectionSettingsOffers>,
    #[prost(message, optional, tag = "5")]
    pub packages_available: Option<PackagesAvailable>,
    #[prost(uint64, tag = "6")]
    pub flags: u64,
    #[prost(message, optional, tag = "8")]
    pub agent_identification: Option<AgentIdentification>,
    #[prost(message, optional, tag = "9")]
    pub command: Option<ServerToAgentCommand>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ConnectionSettingsOffers {
    #[prost(bytes = "vec", tag = "1")]
    pub hash: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub opamp: Option<OpampConnectionSettings>,
}

#[derive(Clone, PartialEq, Message)]
pub struct OpampConnectionSettings {
    #[prost(string, tag = "1")]
    pub destination_endpoint: String,
    #[prost(message, optional, tag = "2")]
    pub headers: Option<Headers>,
    #[prost(message, optional, tag = "3")]
    pub certificate: Option<TlsCertificate>,
    #[prost(uint64, tag = "4")]
    pub heartbeat_interval_seconds: u64,
    #[prost(message, optional, tag = "5")]
    pub tls: Option<TlsConnectionSettings>,
    #[prost(message, optional, tag = "6")]
    pub proxy: Option<ProxyConnectionSettings>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TlsCertificate {
    #[prost(bytes = "vec", tag = "1")]
    pub cert: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub private_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub ca_cert: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TlsConnectionSettings {
    #[prost(string, tag = "1")]
    pub ca_pem_contents: String,
    #[prost(bool, tag = "3")]
    pub insecure_skip_verify: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct ProxyConnectionSettings {}

#[derive(Clone, PartialEq, Message)]
pub struct ServerErrorResponse {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(string, tag = "2")]
    pub error_message: String,
    #[prost(message, optional, tag = "3")]
    pub retry_info: Option<RetryInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RetryInfo {
    #[prost(uint64, tag = "1")]
    pub retry_after_nanoseconds: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct AgentRemoteConfig {
    #[prost(message, optional, tag = "1")]
    pub config: Option<AgentConfigMap>,
    #[prost(bytes = "vec", tag = "2")]
    pub config_hash: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AgentConfigMap {
    #[prost(btree_map = "string, message", tag = "1")]
    pub config_map: BTreeMap<String, AgentConfigFile>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AgentConfigFile {
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
    #[prost(string, tag = "2")]
    pub content_type: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct PackagesAvailable {
    #[prost(btree_map = "string, message", tag = "1")]
    pub packages: BTreeMap<String, PackageAvailable>,
    #[prost(bytes = "vec", tag = "2")]
    pub all_packages_hash: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PackageAvailable {
    /// 0 is the agent itself, 1 what it is given besides.
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(string, tag = "2")]
    pub version: String,
    #[prost(message, optional, tag = "3")]
    pub file: Option<DownloadableFile>,
    #[prost(bytes = "vec", tag = "4")]
    pub hash: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct DownloadableFile {
    #[prost(string, tag = "1")]
    pub download_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub content_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
    #[prost(message, optional, tag = "4")]
    pub headers: Option<Headers>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Headers {
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<Header>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Header {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct AgentIdentification {
    #[prost(bytes = "vec", tag = "1")]
    pub new_instance_uid: Vec<u8>,
}

/// A command. The one that there is, 0, is to restart.
#[derive(Clone, PartialEq, Message)]
pub struct ServerToAgentCommand {
    #[prost(int32, tag = "1")]
    pub kind: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct AgentDescription {
    #[prost(message, repeated, tag = "1")]
    pub identifying_attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "2")]
    pub non_identifying_attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// A value; flitch sends texts alone.
#[derive(Clone, PartialEq, Message)]
pub struct AnyValue {
    #[prost(string, optional, tag = "1")]
    pub string_value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ComponentHealth {
    #[prost(bool, tag = "1")]
    pub healthy: bool,
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    #[prost(string, tag = "3")]
    pub last_error: String,
    #[prost(string, tag = "4")]
    pub status: String,
    #[prost(fixed64, tag = "5")]
    pub status_time_unix_nano: u64,
    #[prost(btree_map = "string, message", tag = "6")]
    pub component_health_map: BTreeMap<String, ComponentHealth>,
}

#[derive(Clone, PartialEq, Message)]
pub struct EffectiveConfig {
    #[prost(message, optional, tag = "1")]
    pub config_map: Option<AgentConfigMap>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RemoteConfigStatus {
    #[prost(bytes = "vec", tag = "1")]
    pub last_remote_config_hash: Vec<u8>,
    #[prost(enumeration = "ConfigStatus", tag = "2")]
    pub status: i32,
    #[prost(string, tag = "3")]
    pub error_message: String,
}

/// What became of a remote configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum ConfigStatus {
    Unset = 0,
    Applied = 1,
    Applying = 2,
    Failed = 3,
}

#[derive(Clone, PartialEq, Message)]
pub struct PackageStatuses {
    #[prost(btree_map = "string, message", tag = "1")]
    pub packages: BTreeMap<String, PackageStatus>,
    #[prost(bytes = "vec", tag = "2")]
    pub server_provided_all_packages_hash: Vec<u8>,
    #[prost(string, tag = "3")]
    pub error_message: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct PackageStatus {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub agent_has_version: String,
    #[prost(bytes = "vec", tag = "3")]
    pub agent_has_hash: Vec<u8>,
    #[prost(string, tag = "4")]
    pub server_offered_version: String,
    #[prost(bytes = "vec", tag = "5")]
    pub server_offered_hash: Vec<u8>,
    #[prost(enumeration = "PackageState", tag = "6")]
    pub status: i32,
    #[prost(string, tag = "7")]
    pub error_message: String,
}

/// How far a package is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum PackageState {
    Installed = 0,
    Pending = 1,
    Installing = 2,
    Failed = 3,
}

/// A message as WebSocket carries it: behind a header, which is a varint and 0.
pub fn framed(message: &AgentToServer) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + message.encoded_len());
    out.put_u8(0);
    message.encode_raw(&mut out);
    out.freeze()
}

/// Reads a message that came by WebSocket. No message begins with a 0, so those without a header, as old servers send
/// them, are known.
///
/// # Errors
/// It is no message.
pub fn unframed(bytes: &[u8]) -> Result<ServerToAgent, prost::DecodeError> {
    ServerToAgent::decode(bytes.strip_prefix(&[0]).unwrap_or(bytes))
}

/// A text attribute.
pub fn attribute(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { string_value: Some(value.into()) }) }
}

#[cfg(test)]
mod tests;
