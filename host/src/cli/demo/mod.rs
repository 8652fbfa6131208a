//! `flitch demo`: all seven stages in one process, with nothing but the binary.
//!
//! Senders write what nginx, Docker and web pages would; the daemon runs the configuration beside this file against
//! librdkafka's mock broker, and a consumer reads it all back, so that the sums can be shown to hold.

use std::io::{IsTerminal, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::admin::Exporter;
use crate::admin::StatusBoard;
use crate::app::App;
use crate::config::interpolate::Outside;
use crate::config::{self, ConfigError, Loaded};
use flitch_core::receipt::Accounts;
use flitch_core::tasks;

mod reader;
mod senders;
mod table;

use reader::Reader;
use senders::{Progress, Sender};
use table::Table;

/// The configuration that runs, and is printed for the reader to copy.
const CONFIG: &str = include_str!("flitch.yaml");
/// Partitions of each topic. The mock broker keeps the last 5 MB of each, and the consumer must not fall behind.
const PARTITIONS: i32 = 8;
/// How long the daemon may take for what is on its way once the senders have stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of `flitch demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long records are sent.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Records of the same seed are the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Records per second, of all three sources together.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Print the configuration of the demo and do nothing else.
    #[arg(short = 'c', long, num_args = 0..=1, value_name = "NOTHING")]
    config: Option<Option<PathBuf>>,
}

/// A source of the demo: who feeds it, what changes it, and where it is read back.
pub struct Line {
    /// The source's name.
    pub source: &'static str,
    /// The source's type.
    pub kind: &'static str,
    /// The filters.
    pub filters: &'static str,
    /// The Kafka topic.
    pub topic: &'static str,
    /// The fields that together tell one record from another.
    pub identity: &'static [&'static str],
    /// Percent of all records.
    share: u64,
}

/// The three ways of the configuration.
pub const LINES: [Line; 3] = [
    Line {
        source: "nginx",
        kind: "file",
        filters: "dissect, match, timestamp",
        topic: "clicks",
        identity: &["remote", "path", "size"],
        share: 60,
    },
    Line {
        source: "docker",
        kind: "forward",
        filters: "dissect",
        topic: "containers",
        identity: &["seq"],
        share: 20,
    },
    Line { source: "web", kind: "http", filters: "set", topic: "events", identity: &["seq"], share: 20 },
];

/// Runs the demo.
pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.config {
        None => {}
        Some(None) => return Ok(std::io::stdout().write_all(CONFIG.as_bytes())?),
        Some(Some(file)) => {
            let file = file.display();
            return Err(Failure::Usage(format!(
                "the demo runs a configuration of its own, with seeded records and a mock Kafka, and reads no file.\n  \
                 To run yours: `flitch run -c {file}`; to see the demo's: `flitch demo --config`"
            )));
        }
    }
    let stage = Stage::set()?;
    let runtime = tasks::runtime(None)?;
    let result = runtime.block_on(stage.play(args));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// All that the demo needs around the daemon.
struct Stage {
    folder: Folder,
    brokers: MockCluster<'static, DefaultProducerContext>,
    addresses: [String; 3],
}

/// A folder that goes away with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Ports that are free now: bound all at once, so that they differ, and let go.
fn free_addresses() -> std::io::Result<[String; 3]> {
    let bound = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut addresses = [const { String::new() }; 3];
    for (address, listener) in addresses.iter_mut().zip(bound) {
        *address = listener?.local_addr()?.to_string();
    }
    Ok(addresses)
}

impl Stage {
    fn set() -> anyhow::Result<Stage> {
        let folder = std::env::temp_dir().join(format!("flitch-demo-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let folder = Folder(folder);
        std::fs::write(folder.0.join("access.log"), "")?;
        let brokers = MockCluster::new(1).context("the mock broker does not start")?;
        for line in &LINES {
            brokers.create_topic(line.topic, PARTITIONS, 1)?;
        }
        Ok(Stage { folder, brokers, addresses: free_addresses()? })
    }

    fn config(&self) -> Result<Loaded, ConfigError> {
        let [forward, http, admin] = &self.addresses;
        let variable = |name: &str| {
            let value = match name {
                "DATA" => self.folder.0.join("data").display().to_string(),
                "NGINX_LOG" => self.folder.0.join("access.log").display().to_string(),
                "FORWARD" => forward.clone(),
                "HTTP" => http.clone(),
                "ADMIN" => admin.clone(),
                "BROKERS" => self.brokers.bootstrap_servers(),
                _ => return None,
            };
            Some(value.into())
        };
        config::parse("flitch.yaml", CONFIG, &Outside { variable: &variable, folder: Path::new(".") })
    }

    async fn play(&self, args: &Args) -> Result<(), Failure> {
        let loaded = self.config()?;
        let app = App::start(loaded.config.clone(), Path::new("."), Arc::new(StatusBoard::default())).await;
        let app = app.map_err(|part| Failure::Away(loaded.error(&part.path, &part.error).into()))?;
        let reader = Reader::start(&self.brokers.bootstrap_servers(), PARTITIONS)?;
        let stop = CancellationToken::new();
        let progress = [(); 3].map(|()| Arc::new(Progress::default()));
        let [forward, http, _] = self.addresses.clone();
        let senders =
            [Sender::File(self.folder.0.join("access.log")), Sender::Forward(forward), Sender::Http(http)];
        let mut sending = Vec::new();
        for ((sender, line), progress) in senders.into_iter().zip(&LINES).zip(&progress) {
            let rate = (args.rate * line.share / 100).max(1);
            sending.push(tasks::joined(sender.run(args.seed, rate, progress.clone(), stop.clone())));
        }
        let mut table = {
            let stdout = std::io::stdout();
            Table::new(stdout.is_terminal(), super::has_colors(&stdout), args.seconds)
        };
        let begin = Instant::now();
        self.watch(args, &mut table, &progress, &reader).await?;
        stop.cancel();
        for task in sending {
            task.await.context("a sender panicked")??;
        }
        let sent: Vec<u64> = progress.iter().map(|p| p.sent()).collect();
        self.settle(&sent, &mut table, &progress, &reader).await?;
        if !app.drain(PATIENCE).await {
            return Err(anyhow::anyhow!("not everything arrived within {} s", PATIENCE.as_secs()).into());
        }
        let accounts = LINES.each_ref().map(|line| Exporter::get().ledger(line.source).read());
        let wanted = [0, 1, 2].map(|i| sent[i] - accounts[i].dropped - accounts[i].dead_lettered);
        let read = reader.finish(&wanted);
        let text = table.sums(&sent, &accounts, &read, begin.elapsed());
        let mut stdout = std::io::stdout();
        stdout.write_all(text.as_bytes())?;
        verdict(&sent, &accounts, &read)?;
        writeln!(stdout, "\n{}", verdict_line(&sent, &accounts))?;
        write!(
            stdout,
            "\nThis is the configuration that ran. Copy it into flitch.yaml, and `flitch run`:\n\n{CONFIG}"
        )?;
        Ok(())
    }

    /// Shows the table while records are sent.
    async fn watch(
        &self,
        args: &Args,
        table: &mut Table,
        progress: &[Arc<Progress>; 3],
        reader: &Reader,
    ) -> Result<(), Failure> {
        let end = tokio::time::Instant::now() + Duration::from_secs(args.seconds);
        let mut ticks = tokio::time::interval(table.period());
        loop {
            tokio::select! {
                _ = tokio::time::sleep_until(end) => return Ok(()),
                _ = tokio::signal::ctrl_c() => return Ok(()),
                _ = ticks.tick() => table.show(progress, reader)?,
            }
        }
    }

    /// Waits until the daemon has taken in all that was sent: the file's last lines are read behind its writer.
    async fn settle(
        &self,
        sent: &[u64],
        table: &mut Table,
        progress: &[Arc<Progress>; 3],
        reader: &Reader,
    ) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let behind = || {
            LINES.iter().zip(sent).any(|(l, sent)| Exporter::get().ledger(l.source).read().received < *sent)
        };
        while behind() && tokio::time::Instant::now() < deadline {
            ticks.tick().await;
        }
        Ok(table.show_all(progress, reader)?)
    }
}

/// An error that says which sum does not hold.
fn verdict(sent: &[u64], accounts: &[Accounts; 3], read: &[reader::Seen; 3]) -> anyhow::Result<()> {
    for (i, line) in LINES.iter().enumerate() {
        let accounts = &accounts[i];
        let name = line.source;
        let out = accounts.delivered + accounts.dropped + accounts.dead_lettered;
        let taken = accounts.received - accounts.returned;
        anyhow::ensure!(taken == sent[i], "{name}: {} records were sent, and {taken} were taken in", sent[i]);
        anyhow::ensure!(out == taken, "{name}: {taken} records were taken in, and {out} are accounted for");
        anyhow::ensure!(
            read[i].distinct == accounts.delivered,
            "{name}: {} records were delivered, and {} were read back",
            accounts.delivered,
            read[i].distinct
        );
    }
    Ok(())
}

fn verdict_line(sent: &[u64], accounts: &[Accounts; 3]) -> String {
    let sum = |value: fn(&Accounts) -> u64| table::number(accounts.iter().map(value).sum());
    let (sent, delivered) = (table::number(sent.iter().sum()), sum(|a| a.delivered));
    let dropped = match accounts.iter().map(|a| a.dropped).sum::<u64>() {
        0 => String::new(),
        some => format!(" + {} dropped on purpose", table::number(some)),
    };
    let dead = match accounts.iter().map(|a| a.dead_lettered).sum::<u64>() {
        0 => String::new(),
        some => format!(" + {} dead letters", table::number(some)),
    };
    format!("OK: {sent} in = {delivered} out{dropped}{dead}, 0 lost")
}
