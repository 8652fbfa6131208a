//! `flitch adx`: what an output to Azure Data Explorer needs there.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use serde_json::{Map, Value};

use super::Failure;
use flitch_outputs::adx::mapping::{Form, Sample};

/// Longest line of a sample.
const LONGEST: u64 = 16 << 20;

/// Of `flitch adx`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write the commands that make a table and its ingestion mapping for records like those of a sample.
    ///
    /// The sample is NDJSON, on standard input or in a file: what `flitch plugin run` prints, or a file output has
    /// written. Run the commands in the query editor of the cluster.
    Mapping(Mapping),
}

/// Of `flitch adx mapping`.
#[derive(Debug, clap::Args)]
pub struct Mapping {
    /// The table.
    #[arg(long)]
    table: String,
    /// The mapping; not set, the table's name with `_mapping` behind it.
    #[arg(long, value_name = "MAPPING")]
    name: Option<String>,
    /// The form in which the output writes, `encoding.format`.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The sample; not set, standard input.
    sample: Option<PathBuf>,
}

/// Forms that have such a mapping.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    #[default]
    Ndjson,
    Parquet,
}

/// Runs a command of `flitch adx`.
pub fn run(command: &Command) -> Result<(), Failure> {
    let Command::Mapping(args) = command;
    let from: Box<dyn Read> = match &args.sample {
        Some(path) => Box::new(std::fs::File::open(path).with_context(|| path.display().to_string())?),
        None => Box::new(io::stdin()),
    };
    let form = match args.format {
        Format::Ndjson => Form::Json,
        Format::Parquet => Form::Parquet,
    };
    let sample = read(BufReader::new(from), form)?;
    let name = args.name.clone().unwrap_or_else(|| format!("{}_mapping", args.table));
    io::stdout().write_all(sample.commands(&args.table, &name).as_bytes())?;
    Ok(())
}

fn read(mut from: impl BufRead, form: Form) -> anyhow::Result<Sample> {
    let (mut sample, mut number, mut records) = (Sample::new(form), 0, 0);
    loop {
        number += 1;
        let mut line = Vec::new();
        if from.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let record: Map<String, Value> = serde_json::from_slice(&line)
            .map_err(|error| anyhow!("line {number} of the sample is no record: {error}"))?;
        sample.add(&record);
        records += 1;
    }
    anyhow::ensure!(records > 0, "there is no record in the sample: give it on standard input, or a file");
    Ok(sample)
}
