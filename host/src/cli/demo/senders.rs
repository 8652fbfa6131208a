//! Those who send: a web server that writes its log, Docker, and pages that post events.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use rmp::encode;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::cli::dead_letters::connect::TlsArgs;
use crate::cli::dead_letters::post::Post;
use flitch_core::net::forward::write;
use flitch_sources::generator::samples;

/// How often a sender sends.
const TICK: Duration = Duration::from_millis(20);
/// Most records in one message or request.
const MOST: u64 = 1_000;

/// How far a sender is.
#[derive(Default)]
pub struct Progress(AtomicU64);

impl Progress {
    /// Records that it sent, and that were acknowledged where there is such a thing.
    pub fn sent(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, records: u64) {
        self.0.fetch_add(records, Ordering::Relaxed);
    }
}

/// One of those who send.
pub enum Sender {
    /// Appends nginx lines to a file.
    File(PathBuf),
    /// Sends Docker records over the forward protocol, and waits for each acknowledgement.
    Forward(String),
    /// Posts web events as NDJSON, and waits for each answer.
    Http(String),
}

impl Sender {
    /// Sends until it is told to stop, as many records per second as `rate`.
    pub async fn run(
        self,
        seed: u64,
        rate: u64,
        progress: Arc<Progress>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut line = match self {
            Sender::File(path) => {
                Wire::File(std::fs::OpenOptions::new().append(true).open(&path).context("the log")?)
            }
            Sender::Forward(address) => Wire::Forward(connect(&address).await?),
            Sender::Http(address) => {
                Wire::Http(Post::to_url(&format!("http://{address}/web.events"), &TlsArgs::default())?)
            }
        };
        let begin = Instant::now();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut buffer = Vec::new();
        while !stop.is_cancelled() {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => break,
            }
            let due = (begin.elapsed().as_secs_f64() * rate as f64) as u64;
            let from = progress.sent();
            let count = due.saturating_sub(from).min(MOST);
            if count > 0 {
                buffer.clear();
                line.send(seed, from, count, &mut buffer).await?;
                progress.add(count);
            }
        }
        Ok(())
    }
}

async fn connect(address: &str) -> anyhow::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

enum Wire {
    File(std::fs::File),
    Forward(BufReader<TcpStream>),
    Http(Post),
}

impl Wire {
    async fn send(&mut self, seed: u64, from: u64, count: u64, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
        match self {
            Wire::File(file) => {
                for number in from..from + count {
                    samples::nginx(seed, number, buffer);
                    buffer.push(b'\n');
                }
                Ok(file.write_all(buffer)?)
            }
            Wire::Forward(stream) => {
                let chunk = format!("demo-{from}");
                forward_message(seed, from, count, &chunk, buffer)?;
                stream.get_mut().write_all(buffer).await?;
                acknowledged(stream, &chunk).await
            }
            Wire::Http(post) => {
                for number in from..from + count {
                    web_event(seed, number, buffer)?;
                }
                Ok(post.send(Bytes::copy_from_slice(buffer)).await?)
            }
        }
    }
}

fn forward_message(seed: u64, from: u64, count: u64, chunk: &str, out: &mut Vec<u8>) -> anyhow::Result<()> {
    write::begin("docker.demo", u32::try_from(count)?, out);
    for number in from..from + count {
        let record = samples::docker(seed, number);
        write::begin_entry(samples::time(number), out);
        encode::write_map_len(out, 5)?;
        for (key, value) in [
            ("container_id", record.container_id.as_str()),
            ("container_name", record.container_name),
            ("source", record.source),
            ("log", record.log.as_str()),
        ] {
            encode::write_str(out, key)?;
            encode::write_str(out, value)?;
        }
        encode::write_str(out, "seq")?;
        encode::write_uint(out, number)?;
    }
    write::end(chunk, out);
    Ok(())
}

/// Waits for the answer to a chunk.
async fn acknowledged(stream: &mut BufReader<TcpStream>, chunk: &str) -> anyhow::Result<()> {
    let wanted = write::ack(chunk);
    let mut answer = vec![0; wanted.len()];
    stream.read_exact(&mut answer).await.context("the forward source closed the connection")?;
    if answer != wanted {
        bail!("the forward source acknowledged something else than {chunk}");
    }
    Ok(())
}

fn web_event(seed: u64, number: u64, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let (fields, is_mobile) = samples::web_event(seed, number);
    out.push(b'{');
    for (name, value) in fields {
        write!(out, "{}:{},", serde_json::Value::from(name), serde_json::Value::from(value))?;
    }
    writeln!(out, "\"device_is_mobile\":{is_mobile},\"seq\":{number}}}")?;
    Ok(())
}
