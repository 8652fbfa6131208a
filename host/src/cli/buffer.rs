//! `flitch buffer`: what waits on disk for outputs, while no flitch runs.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde::Serialize;

use super::{ConfigFile, Failure};
use crate::config::Config;
use crate::config::de::suggest;
use flitch_core::buffers::offline::{self, Broken, Drain, Out, Summary};
use flitch_core::buffers::{self, FOLDER};
use flitch_core::dead_letter::{self, Cause, DeadLetters};
use flitch_core::telemetry::escape::Escaped;

mod drain;

/// Of `flitch buffer`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Tell what waits in each buffer on disk.
    List(Which),
    /// Tell about the segments of a buffer.
    Inspect(One),
    /// Read all frames of a buffer, and tell which are not as they were written. Fails where there are any.
    Verify(One),
    /// Put aside what cannot be read, as the next start would.
    ///
    /// A frame that was not written to its end is cut off. The bytes of one that is broken are kept in the folder
    /// (`*.parked`), and its records are dead letters where they can be read all the same.
    Repair(One),
    /// Take out what waits, and write it to an output of the configuration or to a file.
    Drain {
        #[command(flatten)]
        one: One,
        /// The name of an output in the configuration, or a file, to which lines of NDJSON are appended; `-` is standard
        /// output.
        #[arg(long, value_name = "OUTPUT|FILE")]
        to: String,
    },
}

/// Where buffers are looked for.
#[derive(Debug, clap::Args)]
pub struct Which {
    #[command(flatten)]
    config: ConfigFile,
    /// The data folder, in place of the one in the configuration, which is not read then.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// How to write it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// One buffer.
#[derive(Debug, clap::Args)]
pub struct One {
    /// The name of its output, or its folder.
    buffer: String,
    #[command(flatten)]
    which: Which,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON value.
    Json,
}

impl Format {
    fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let text = match self {
            Format::Text => text(),
            Format::Json => serde_json::to_string(value).map_err(anyhow::Error::from)? + "\n",
        };
        Ok(io::stdout().write_all(text.as_bytes())?)
    }
}

impl Which {
    /// The configuration, and the data folder.
    fn read(&self) -> Result<(Option<Config>, PathBuf), Failure> {
        if let Some(folder) = &self.data_dir {
            return Ok((None, folder.clone()));
        }
        let config = crate::config::load(&self.config.path)?.config;
        let data_dir = config.data_dir.clone();
        Ok((Some(config), data_dir))
    }

    /// The folders of all buffers, those of no output included.
    fn folders(&self) -> Result<Vec<PathBuf>, Failure> {
        let (config, data_dir) = self.read()?;
        let below = data_dir.join(FOLDER);
        let mut folders = buffers::folders(&below);
        for (name, output) in config.iter().flat_map(|config| &config.outputs) {
            let own = output.buffer.folder(name, &below).filter(|folder| folder.is_dir());
            folders.extend(own);
        }
        folders.sort();
        folders.dedup();
        Ok(folders)
    }
}

impl One {
    /// The folder, which no process has.
    fn folder(&self) -> Result<PathBuf, Failure> {
        let folder = self.find()?;
        if offline::is_in_use(&folder).with_context(|| folder.display().to_string())? {
            return Err(in_use(&folder).into());
        }
        Ok(folder)
    }

    fn find(&self) -> Result<PathBuf, Failure> {
        if self.buffer.contains('/') {
            let folder = PathBuf::from(&self.buffer);
            let is_one = folder.is_dir();
            return if is_one { Ok(folder) } else { Err(none(&self.buffer, "it is no folder".to_owned())) };
        }
        let (config, data_dir) = self.which.read()?;
        let below = data_dir.join(FOLDER);
        let output = config.as_ref().and_then(|config| config.outputs.get(&self.buffer));
        let own = output.and_then(|output| output.buffer.folder(&self.buffer, &below));
        let folder = own.unwrap_or_else(|| below.join(&self.buffer));
        if folder.is_dir() {
            return Ok(folder);
        }
        let names: Vec<String> = buffers::folders(&below)
            .iter()
            .filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let help = suggest(&self.buffer, &names, "buffers").unwrap_or_default();
        Err(none(&self.buffer, format!("there is none in {}; {help}", below.display())))
    }
}

fn none(name: &str, why: String) -> Failure {
    Failure::Usage(format!("no buffer `{}`: {}", Escaped(name), why.trim_end_matches("; ")))
}

fn in_use(folder: &Path) -> anyhow::Error {
    anyhow!("a flitch that runs has the buffer {}: stop it first", folder.display())
}

/// An error of a folder.
fn of(folder: &Path) -> impl FnOnce(io::Error) -> Failure {
    let folder = folder.to_owned();
    move |error| match error.kind() {
        io::ErrorKind::WouldBlock => in_use(&folder).into(),
        _ => anyhow::Error::from(error).context(folder.display().to_string()).into(),
    }
}

/// Does what is asked for.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List(which) => list(which),
        Command::Inspect(one) => inspect(one),
        Command::Verify(one) => verify(one),
        Command::Repair(one) => repair(one),
        Command::Drain { one, to } => drain::run(one, to),
    }
}

fn list(which: &Which) -> Result<(), Failure> {
    let folders = which.folders()?;
    let all: Result<Vec<Summary>, Failure> =
        folders.iter().map(|folder| offline::summary(folder).map_err(of(folder))).collect();
    let all = all?;
    which.format.print(&all, || {
        let mut text = String::new();
        for one in &all {
            let oldest = one.oldest.map_or(String::new(), |time| time.strftime(", the oldest of %F %T").to_string());
            let parked = if one.parked > 0 { format!(", {} parked", one.parked) } else { String::new() };
            let in_use = if one.in_use { ", in use" } else { "" };
            let Summary { folder, segments, file_bytes, records, .. } = one;
            let folder = folder.display();
            let _ = writeln!(
                text,
                "{records:>12} records wait in {folder}: {segments} segments, {file_bytes} bytes{oldest}{parked}{in_use}"
            );
        }
        text + &format!("{:>12} buffers on disk\n", all.len())
    })
}

fn inspect(one: &One) -> Result<(), Failure> {
    let folder = one.folder()?;
    let segments = offline::segments(&folder).map_err(of(&folder))?;
    one.which.format.print(&segments, || {
        let mut text = String::new();
        for segment in &segments {
            let time = |time: Option<jiff::Timestamp>| {
                time.map_or("-".to_owned(), |time| time.strftime("%F %T").to_string())
            };
            let (oldest, newest) = (time(segment.oldest), time(segment.newest));
            let _ = writeln!(
                text,
                "{}  {:>10} bytes, frames {} to {}, {} of {} wait with {} records, {oldest} .. {newest}",
                segment.name,
                segment.bytes,
                segment.first,
                segment.last,
                segment.waiting,
                segment.frames,
                segment.records,
            );
        }
        text
    })
}

fn verify(one: &One) -> Result<(), Failure> {
    let folder = one.folder()?;
    let verified = offline::verify(&folder).map_err(of(&folder))?;
    one.which.format.print(&verified, || {
        let mut text = format!(
            "{} frames with {} records are as they were written\n",
            verified.frames, verified.records
        );
        if verified.torn > 0 {
            let _ = writeln!(
                text,
                "{} bytes at the end are a frame that was not written to its end: no source was told that it is stored",
                verified.torn
            );
        }
        for Broken { segment, at, bytes, sequence, why } in &verified.broken {
            let frame = sequence.map_or(String::new(), |sequence| format!(", frame {sequence}"));
            let _ = writeln!(text, "{segment}: {bytes} bytes at {at}{frame}: {}", Escaped(why));
        }
        text
    })?;
    if verified.broken.is_empty() {
        return Ok(());
    }
    let count = verified.broken.len();
    let places = if count == 1 { "1 place is".to_owned() } else { format!("{count} places are") };
    let name = Escaped(&one.buffer);
    Err(anyhow!("{places} broken: `flitch buffer repair {name}` puts aside what cannot be read").into())
}

/// What a repair did.
#[derive(Debug, Default, Serialize)]
struct Repaired {
    /// Places that were put aside.
    parked: u64,
    /// Records of them that are dead letters.
    dead_lettered: u64,
    /// Bytes that were cut off.
    torn: u64,
    /// Frames that are as they were written.
    frames: u64,
}

fn repair(one: &One) -> Result<(), Failure> {
    let folder = one.folder()?;
    let (_, data_dir) = one.which.read()?;
    let letters = DeadLetters::open(&data_dir.join(dead_letter::FOLDER)).context("the dead letters")?;
    let mut drain = Drain::open(&folder).map_err(of(&folder))?;
    let mut repaired = Repaired { torn: drain.torn, ..Repaired::default() };
    while let Some(out) = drain.take().map_err(of(&folder))? {
        match out {
            Out::Frame { .. } => repaired.frames += 1,
            Out::Parked { why, records } => {
                repaired.parked += 1;
                let Some((records, _)) = records else { continue };
                bury(&letters, &folder, &records, &why)?;
                repaired.dead_lettered += records.rows() as u64;
            }
        }
    }
    drain.close().map_err(of(&folder))?;
    let Repaired { parked, dead_lettered, torn, frames } = repaired;
    one.which.format.print(&repaired, || {
        format!(
            "{parked} places put aside, {dead_lettered} records of them among the dead letters, {torn} bytes cut off, \
             {frames} frames left\n"
        )
    })
}

/// Puts the records of a broken frame among the dead letters.
fn bury(
    letters: &DeadLetters,
    folder: &Path,
    records: &flitch_core::batch::Records,
    why: &str,
) -> anyhow::Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let reason: std::sync::Arc<str> = format!("its frame in the buffer is broken: {why}").into();
    let cause = |row| Cause { row, reason: reason.clone() };
    let causes: Vec<Cause> = (0..records.rows() as u32).map(cause).collect();
    letters.records("output", &name, records, &causes).context("the dead letters")
}
