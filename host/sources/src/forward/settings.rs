//! The settings of the forward source.

use std::time::Duration;

use anyhow::anyhow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::multiline::JoinSettings;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::net::address::Endpoints;
use flitch_core::net::forward::handshake::SecuritySettings;
use flitch_core::net::tls::TlsSettings;
use flitch_core::setting::wrong;
use flitch_core::units::{Bytes, Span};

/// Takes in records by the Fluent forward protocol: from Docker's `fluentd` log driver, Fluentd, Fluent Bit, and the
/// fluent-logger libraries.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardSettings {
    /// Where to listen: `host:port`, a port, which is on every address of the machine then, or `unix:///path` for a
    /// unix socket; one or a list.
    pub listen: Endpoints,
    /// The tag of every record, in place of the tag that the client gives.
    pub tag: Option<String>,
    /// Stands before every tag.
    pub tag_prefix: Option<String>,
    /// TLS on the TCP addresses; plain TCP where it is not set.
    pub tls: Option<TlsSettings>,
    /// The handshake by which clients prove that they know a key; none where it is not set. Docker's log driver knows
    /// no handshake.
    pub security: Option<SecuritySettings>,
    /// Whether the pieces into which Docker cuts lines longer than 16 KiB are joined again.
    pub join_partial: bool,
    /// How long a joined line waits for its next piece before it counts as complete.
    pub partial_wait: Span,
    /// Most bytes of a joined line. A longer one is several records, all but the last marked `@truncated`.
    pub partial_max: Bytes,
    /// Joins records that are lines of one, such as those of a stack trace, tag by tag. (The pieces of Docker's long lines
    /// are joined before.)
    pub multiline: Option<JoinSettings>,
    /// The field, at the top of a record, for the metadata that a client gives an event beside its time, as Fluent Bit
    /// does: `[[time, metadata], record]`, or among the options of a message of one event. It is there where the metadata is not empty; `null` leaves metadata away.
    /// What Fluent Bit gives a whole group of records, as it does for OpenTelemetry, stands in each record of the
    /// group by its own names: `resource` and `scope`. Where the record has a field of the same name, that one stays.
    pub metadata_field: Option<String>,
    /// What becomes of text that is not UTF-8.
    pub invalid_utf8: InvalidUtf8,
    /// Most bytes of a message as it comes; a client that sends more is cut off.
    pub max_message: Bytes,
    /// Most bytes to which the entries of a compressed message may expand, and each of them to half of `max_buffered`;
    /// what lies behind them goes to the dead letters.
    pub max_expanded: Bytes,
    /// Most connections at once. Where there are so many, one that has sent nothing yet gives way to a further client;
    /// where there is none, further clients wait.
    #[schemars(range(min = 1))]
    pub max_connections: usize,
    /// Most bytes of records that one connection may have on their way; then it is read no further.
    pub max_in_flight: Bytes,
    /// Most bytes of records that all connections together may have on their way, and as many again of what is not
    /// that far: messages of which only a part has come, entries that are being expanded, lines of which pieces are
    /// to come, batches that are gathered. Where there is no room, connections are read no further until there is, and
    /// open lines go on as what they are, marked `@truncated`. (Each connection has 64 KiB beside, and one of them may
    /// go on with its message in any case.)
    pub max_buffered: Bytes,
    /// How many chunk ids are remembered whose answer was lost with a connection, so that a chunk which its client sends
    /// again is not taken again; 0 for none.
    pub chunk_memory: usize,
    /// How long a client may take for the TLS and the shared-key handshake together.
    pub handshake_timeout: Span,
    /// Whether heartbeats over UDP are answered, on the ports of the TCP addresses.
    pub udp_heartbeat: bool,
    /// Permissions of a unix socket, in octal as `chmod` takes them.
    pub unix_mode: String,
}

impl Default for ForwardSettings {
    fn default() -> Self {
        ForwardSettings {
            listen: "24224".parse().expect("it is a port"),
            tag: None,
            tag_prefix: None,
            tls: None,
            security: None,
            join_partial: true,
            partial_wait: Span(Duration::from_secs(5)),
            partial_max: Bytes(1 << 20),
            multiline: None,
            metadata_field: Some("metadata".to_owned()),
            invalid_utf8: InvalidUtf8::Replace,
            max_message: Bytes(64 << 20),
            max_expanded: Bytes(256 << 20),
            max_connections: 1024,
            max_in_flight: Bytes(16 << 20),
            max_buffered: Bytes(32 << 20),
            chunk_memory: 8192,
            handshake_timeout: Span(Duration::from_secs(10)),
            udp_heartbeat: true,
            unix_mode: "0660".to_owned(),
        }
    }
}

impl ForwardSettings {
    /// The permissions of a unix socket.
    ///
    /// # Errors
    /// `unix_mode` is none.
    pub(super) fn mode(&self) -> anyhow::Result<u32> {
        let mode = u32::from_str_radix(&self.unix_mode, 8).ok().filter(|mode| *mode <= 0o777);
        mode.ok_or_else(|| {
            let text = &self.unix_mode;
            anyhow!(wrong!("unix_mode", ": `{text}` is no mode: write three octal digits such as \"0660\""))
        })
    }

    /// Most bytes to which the entries of a message, and each of them, may expand.
    pub(super) fn expansion(&self) -> (usize, usize) {
        (self.max_expanded.0 as usize, (self.max_buffered.0 / 2) as usize)
    }
}
