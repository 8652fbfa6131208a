//! A forward client that others have written: `@fluent-org/logger` of npm, which speaks TLS and the handshake.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use crate::cache;
use crate::process::run;

/// Emits records `{"id": n, "text": "n=0000007"}` and ends well when every one is acknowledged. The first error of
/// the socket, or its end, is the end of the client: it would connect again for ever.
const SCRIPT: &str = r"
const fs = require('fs');
const { FluentClient } = require('@fluent-org/logger');
const { options, from, to } = JSON.parse(process.argv[1]);
const { tls } = options.socket;
for (const file of ['ca', 'cert', 'key']) if (tls && tls[file]) tls[file] = fs.readFileSync(tls[file]);
const client = new FluentClient('js', { ...options, flushInterval: 5, ack: { ackTimeout: 30000 }, disableAutoconnect: true });
const fail = why => { console.error(why instanceof Error ? why.message : why); process.exit(1); };
client.socketOn('error', fail);
client.socketOn('close', () => fail('the server closed the connection'));
client.connect().then(() => {
  const sent = [];
  for (let n = from; n < to; n++) sent.push(client.emit('secure', { id: n, text: 'n=' + String(n).padStart(7, '0') }));
  return Promise.all(sent);
}).then(() => process.exit(0), fail);
";

/// The client, with its options.
#[derive(Clone, Debug)]
pub struct FluentClient {
    options: Value,
}

impl FluentClient {
    /// A client of a port on loopback, in the mode PackedForward with acks.
    pub fn new(port: u16) -> FluentClient {
        let socket = json!({"host": "localhost", "port": port, "disableReconnect": true});
        FluentClient { options: json!({"eventMode": "PackedForward", "socket": socket}) }
    }

    /// Speaks TLS, and trusts servers that this authority vouches for.
    pub fn trusting(mut self, authority: &Path) -> FluentClient {
        self.options["socket"]["tls"]["ca"] = json!(authority);
        self
    }

    /// Shows this certificate to the server.
    pub fn showing(mut self, certificate: &Path, key: &Path) -> FluentClient {
        self.options["socket"]["tls"]["cert"] = json!(certificate);
        self.options["socket"]["tls"]["key"] = json!(key);
        self
    }

    /// Proves that it knows a key, and is this user.
    pub fn knowing(mut self, shared_key: &str, user: &str, password: &str) -> FluentClient {
        self.options["security"] = json!({
            "clientHostname": "client.test", "sharedKey": shared_key, "username": user, "password": password
        });
        self
    }

    /// Sends records numbered `from` to `to` (not included) and waits for their acks.
    ///
    /// # Errors
    /// The server was not reached, refused the client or closed the connection; the text holds what the client said.
    pub fn send(&self, numbers: std::ops::Range<usize>) -> Result<()> {
        let task = json!({"options": self.options, "from": numbers.start, "to": numbers.end}).to_string();
        run(Command::new("node").arg("-e").arg(SCRIPT).arg(task).current_dir(cache().join("fluent-js")))?;
        Ok(())
    }
}
