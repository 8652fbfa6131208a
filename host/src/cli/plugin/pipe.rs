//! `flitch plugin run`: records from stdin through one filter to stdout.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;

use anyhow::anyhow;
use serde::de::IgnoredAny;

use super::super::Failure;
use super::args::PluginArgs;
use super::wrong;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Cut, Records, TAG, TIMESTAMP, decode, json};
use flitch_core::clock::Clock;
use flitch_core::telemetry::escape;
use flitch_filters::{Alone, Rejected};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    plugin: PluginArgs,
    /// The tag of the records.
    #[arg(long)]
    tag: Option<String>,
    /// Take each line for a text, which the record has in `message`, and not for a JSON object.
    #[arg(long)]
    lines: bool,
}

/// Runs it until the input ends.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut pipe = Pipe {
        filter: args.plugin.load(&args.plugin.context(super::super::engine()?)?)?.map_err(wrong)?,
        builder: Builder::new(),
        constants: match &args.tag {
            Some(tag) => Constants::new().text(TAG, tag),
            None => Constants::new(),
        },
        are_texts: args.lines,
        refused: 0,
    };
    let mut input = std::io::stdin().lock();
    let mut part = Vec::new();
    let mut line = 0u64;
    loop {
        // What is there is one batch, so that a terminal or a slow pipe sees its answers at once.
        let there = input.fill_buf()?;
        if there.is_empty() {
            break;
        }
        let length = there.len();
        let mut rest = there;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            line += 1;
            part.extend_from_slice(&rest[..end]);
            pipe.line(line, &part)?;
            part.clear();
            rest = &rest[end + 1..];
        }
        part.extend_from_slice(rest);
        input.consume(length);
        pipe.flush()?;
    }
    if !part.is_empty() {
        pipe.line(line + 1, &part)?;
        pipe.flush()?;
    }
    match pipe.refused {
        0 => Ok(()),
        1 => Err(anyhow!("1 record was rejected").into()),
        many => Err(anyhow!("{many} records were rejected").into()),
    }
}

struct Pipe {
    filter: Alone,
    builder: Builder,
    constants: Constants,
    are_texts: bool,
    refused: u64,
}

impl Pipe {
    fn line(&mut self, number: u64, line: &[u8]) -> anyhow::Result<()> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        if self.are_texts {
            self.builder.begin_record();
            self.builder.key(b"message").text(line.strip_suffix(b"\r").unwrap_or(line));
            self.builder.end_record();
        } else if let Err(error) = decode::decode_line(&mut self.builder, line) {
            self.flush()?;
            self.refused += 1;
            refuse(&format!("line {number}: {error}"), &json::quoted(&String::from_utf8_lossy(line)))?;
        }
        if self.builder.full(&Cut::default()) {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.builder.rows() == 0 {
            return Ok(());
        }
        // As from a source: filters count on a time of arrival, as to find the year of a time that has none.
        let constants = self.constants.clone().timestamp(TIMESTAMP, Clock::system().now());
        let records = self.builder.finish(InvalidUtf8::Replace, &constants).records;
        let (records, rejected) = self.filter.run(Arc::new(records));
        let mut stdout = std::io::stdout().lock();
        let text = &without_arrival(&records).ndjson().text;
        match stdout.is_terminal() {
            true => stdout.write_all(escape::json(text).as_bytes())?,
            false => stdout.write_all(text)?,
        }
        stdout.flush()?;
        self.refused += rejected.len() as u64;
        for Rejected { reason, record, .. } in &rejected {
            let text = String::from_utf8_lossy(record);
            let text = text.trim_end();
            // As it is written: a number may have more digits than a float holds.
            let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
            refuse(reason, &if is_json { text.to_owned() } else { json::quoted(text) })?;
        }
        Ok(())
    }
}

/// The same records without the time of arrival, which nobody gave them, where the filter left it as it was.
fn without_arrival(records: &Records) -> Records {
    let constants = records.constants();
    let kept: Vec<usize> = (0..constants.num_columns())
        .filter(|place| constants.schema_ref().field(*place).name() != TIMESTAMP)
        .collect();
    let constants = constants.project(&kept).expect("its own columns");
    Records::new(records.columns().clone(), constants)
}

/// Tells about one record, a JSON text, on stderr.
fn refuse(reason: &str, record: &str) -> std::io::Result<()> {
    let line = format!("{{\"reason\":{},\"record\":{record}}}", json::quoted(reason));
    writeln!(std::io::stderr(), "{}", escape::json(line.as_bytes()))
}
