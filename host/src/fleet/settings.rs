//! What the configuration says of the server that manages this flitch, and of what it may not touch.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use flitch_opamp::OpampSettings;

/// Who manages this flitch.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManageSettings {
    /// A server of OpAMP. What it sends takes the place of all but `manage`, `data_dir`, `admin` and whatever else belongs
    /// to this machine. Read at the start only.
    pub opamp: Option<OpampSettings>,
    /// What a configuration of the server may reach. Nothing that the server sends can change this.
    pub allow: AllowSettings,
}

/// What a configuration that a server sent may reach on and from this machine. What is not named is refused.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ManageAllow")]
pub struct AllowSettings {
    /// Folders below which files may be read: by sources, tables, TLS, `${file:}`, and as plugins and for them.
    pub read: Vec<PathBuf>,
    /// Folders below which files may be written: by outputs, buffers and unix sockets.
    pub write: Vec<PathBuf>,
    /// Hosts that may be connected to: `kafka.example.com`, `*.example.com`, with or without a port; `*` for all.
    pub hosts: Vec<String>,
    /// Names of environment variables that `${NAME}` and the `allow` of filters may have; `NAME*` for all that begin so.
    pub env: Vec<String>,
    /// Types of sources; not set: all.
    pub sources: Option<Vec<String>>,
    /// Types of outputs; not set: all.
    pub outputs: Option<Vec<String>>,
}
