//! Takes out what waits.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{One, bury, of};
use crate::app::claim;
use crate::cli::Failure;
use crate::config::de::suggest;
use crate::config::{Config, OutputConfig};
use flitch_core::batch::encode::ndjson_lossless;
use flitch_core::buffers::offline::{Drain, Out};
use flitch_core::buffers::{Buffer, BufferContext, BufferKind, BufferSettings, FOLDER, Shelf};
use flitch_core::clock::Clock;
use flitch_core::dead_letter::{self, DeadLetters};
use flitch_core::private;
use flitch_core::receipt::Ledger;
use flitch_core::tasks;
use flitch_core::telemetry::{Health, Tally};
use flitch_outputs::Ledgers;

/// What became of what waited.
#[derive(Debug, Default, Serialize)]
struct Drained {
    delivered: u64,
    dead_lettered: u64,
    /// What waits still.
    left: u64,
}

/// `flitch buffer drain`.
pub fn run(one: &One, to: &str) -> Result<(), Failure> {
    let folder = one.folder()?;
    let (config, data_dir) = one.which.read()?;
    let outputs = config.as_ref().map(|config| &config.outputs);
    let drained = match outputs.and_then(|outputs| outputs.get(to)) {
        Some(output) => to_output(&folder, to, output, config.as_ref())?,
        None if to.contains(['/', '.']) || to == "-" => to_file(&folder, Path::new(to), &data_dir)?,
        None => {
            let names: Vec<&str> = outputs.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let help = suggest(to, &names, "outputs").unwrap_or_default();
            return Err(Failure::Usage(format!(
                "--to {to}: it is no output of the configuration, and a file is named with its folder (`./{to}`); {help}"
            )));
        }
    };
    let Drained { delivered, dead_lettered, left } = drained;
    let text = || {
        format!("{delivered} records drained, {dead_lettered} among the dead letters, {left} wait still\n")
    };
    // Standard output may have the records.
    if to == "-" {
        io::stderr().write_all(text().as_bytes())?;
    } else {
        one.which.format.print(&drained, text)?;
    }
    if left > 0 { Err(anyhow!("{left} records wait still").into()) } else { Ok(()) }
}

/// Delivers as a running flitch would, until nothing waits.
fn to_output(
    folder: &Path,
    name: &str,
    output: &OutputConfig,
    config: Option<&Config>,
) -> Result<Drained, Failure> {
    let config = config.context("there is no configuration")?;
    let data_dir = &config.data_dir;
    // The output and the dead letters have files there.
    let _claim = claim::claim(data_dir)?;
    let letters = data_dir.join(dead_letter::FOLDER);
    let letters =
        DeadLetters::open_with(&letters, &config.dead_letter, Clock::system()).context("the dead letters")?;
    let (health, ledger) = (Arc::<Health>::default(), Arc::new(Ledger::of("buffer")));
    let accounts = ledger.clone();
    let cx = BufferContext {
        folder: data_dir.join(FOLDER),
        shelf: Shelf::default(),
        ledgers: Arc::new(move |_| accounts.clone()),
        dead_letters: Some(letters.clone()),
        health: health.clone(),
        clock: Clock::system(),
    };
    let settings =
        BufferSettings { kind: BufferKind::Disk, path: Some(folder.to_owned()), ..BufferSettings::default() };
    let runtime = tasks::runtime(Some(2))?;
    let _inside = runtime.enter();
    // What is told of the buffer names it, and not the output that it is taken to.
    let own = folder.file_name().unwrap_or_default().to_string_lossy();
    let buffer = Buffer::open(&own, &settings, false, Tally::noop(), &cx)?;
    let opened = output.open(name, data_dir, &Clock::system(), &health, &Ledgers(cx.ledgers.clone()))?;
    buffer.close();
    let left = runtime.block_on(async {
        let stop = CancellationToken::new();
        flitch_outputs::deliver(
            name.into(),
            opened,
            buffer.clone(),
            output.retry.clone(),
            letters,
            flitch_core::telemetry::health::Ailment::unheard(),
            stop,
        )
        .await;
        let left = buffer.stats().records;
        buffer.leave();
        buffer.ended().await;
        left
    });
    let accounts = ledger.read();
    Ok(Drained { delivered: accounts.delivered, dead_lettered: accounts.dead_lettered, left })
}

/// Appends what waits to a file, and settles what is synced.
fn to_file(folder: &Path, path: &Path, data_dir: &Path) -> Result<Drained, Failure> {
    let shown = path.display().to_string();
    let file = match path.as_os_str() == "-" {
        true => None,
        false => Some(
            private::open(OpenOptions::new().append(true).create(true), path)
                .with_context(|| shown.clone())?,
        ),
    };
    let mut drain = Drain::open(folder).map_err(of(folder))?;
    let mut drained = Drained::default();
    while let Some(out) = drain.take().map_err(of(folder))? {
        match out {
            Out::Frame { sequence, records, .. } => {
                let text = ndjson_lossless(&records).text;
                match &file {
                    Some(file) => {
                        let mut file: &std::fs::File = file;
                        file.write_all(&text)
                            .and_then(|()| file.sync_data())
                            .with_context(|| shown.clone())?;
                    }
                    None => io::stdout().write_all(&text).and_then(|()| io::stdout().flush())?,
                }
                drain.settle(sequence).map_err(of(folder))?;
                drained.delivered += records.rows() as u64;
            }
            Out::Parked { why, records } => {
                let Some((records, _)) = records else { continue };
                let letters = DeadLetters::open(&data_dir.join(dead_letter::FOLDER));
                bury(&letters.context("the dead letters")?, folder, &records, &why)?;
                drained.dead_lettered += records.rows() as u64;
            }
        }
    }
    drain.close().map_err(of(folder))?;
    Ok(drained)
}
