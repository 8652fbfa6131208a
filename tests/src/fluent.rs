//! Forward clients: `@fluent-org/logger` of npm, which speaks TLS and the handshake, and one that sends as Docker does.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
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

/// A client that has one record in flight: it sends the next when it has the answer to the last, as Docker does with
/// `fluentd-request-ack` and without `fluentd-async`.
#[derive(Debug)]
pub struct OneByOne {
    stream: TcpStream,
    sent: u32,
}

impl OneByOne {
    /// A connection to a port on loopback.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(port: u16) -> Result<OneByOne> {
        OneByOne::connect_from(port, 0)
    }

    /// The same, where so many chunks were sent before by other connections: no id is used twice.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect_from(port: u16, sent: u32) -> Result<OneByOne> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(OneByOne { stream, sent })
    }

    /// Another connection; records are numbered on.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn reconnect(&mut self, port: u16) -> Result<()> {
        self.stream = OneByOne::connect(port)?.stream;
        Ok(())
    }

    /// Sends one record, `{"log": text}`, with the tag `docker`; gives the time until its answer was there.
    ///
    /// # Errors
    /// The answer does not come, or is to another record.
    pub fn send(&mut self, text: &str) -> Result<Duration> {
        self.sent += 1;
        let chunk = format!("{:08}", self.sent);
        // The length of a short text is in its first byte: up to 31 in `fixstr`, up to 255 in `str 8`.
        let mut message =
            [b"\x94\xa6docker\xce\x65\x53\xf1\x00\x81\xa3log\xd9".as_slice(), &[text.len() as u8]].concat();
        ensure!(text.len() < 256, "the text is longer than 255 bytes");
        message.extend_from_slice(text.as_bytes());
        message.extend_from_slice(b"\x81\xa5chunk\xa8");
        message.extend_from_slice(chunk.as_bytes());
        let begin = Instant::now();
        self.stream.write_all(&message)?;
        let wanted = [b"\x81\xa3ack\xa8".as_slice(), chunk.as_bytes()].concat();
        let mut answer = vec![0; wanted.len()];
        self.stream.read_exact(&mut answer)?;
        let time = begin.elapsed();
        ensure!(answer == wanted, "the answer is {answer:02x?}, not {wanted:02x?}");
        Ok(time)
    }
}
