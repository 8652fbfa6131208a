//! Forward clients: `@fluent-org/logger` of npm, which speaks TLS and the handshake, and one that sends as Docker does; and
//! the server of that package.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::process::{Process, Signal, run};
use crate::{cache, wait};

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

/// Writes each event as a line of JSON, with its tag and its time in seconds since 1970.
const SERVER: &str = r"
const fs = require('fs');
const { FluentServer } = require('@fluent-org/logger');
const { port, tls, security } = JSON.parse(process.argv[1]);
for (const file of ['cert', 'key']) if (tls) tls[file] = fs.readFileSync(tls[file]);
const server = new FluentServer({ listenOptions: { port, host: '127.0.0.1' }, tlsOptions: tls, security });
server.on('entry', (tag, time, record) => {
  const seconds = typeof time === 'number' ? time : time.epoch + time.nano / 1e9;
  process.stdout.write(JSON.stringify({ tag, seconds, record }) + '\n');
});
server.listen().then(() => process.stdout.write('\n'));
";

/// The server of `@fluent-org/logger`, which acknowledges chunks. It ends when it is dropped.
pub struct FluentServer(Process);

impl FluentServer {
    /// Listens on a port on loopback: over TLS with this certificate and key, where there are any, and for clients that know
    /// `shared_key` and are the user of this name and password. What it says goes to a file in `folder`.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(
        port: u16,
        folder: &Path,
        tls: Option<(&Path, &Path)>,
        security: Option<(&str, &str, &str)>,
    ) -> Result<FluentServer> {
        let tls = tls.map(|(cert, key)| json!({"cert": cert, "key": key}));
        let security = security.map(|(key, user, password)| {
            json!({"serverHostname": "server.test", "sharedKey": key, "authorize": true, "userDict": {user: password}})
        });
        let task = json!({"port": port, "tls": tls, "security": security}).to_string();
        let mut node = Command::new("node");
        node.arg("-e").arg(SERVER).arg(task).current_dir(cache().join("fluent-js"));
        let process = Process::start("fluent-js", &node, &folder.join("fluent-js.log"), Signal::Kill)?;
        let started = wait::poll(Duration::from_secs(30), || process.output().starts_with('\n'));
        ensure!(started.is_some(), "the server does not start:\n{}", process.tail());
        Ok(FluentServer(process))
    }

    /// What has come: `{tag, seconds, record}` each.
    pub fn events(&self) -> Vec<Value> {
        self.0.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
