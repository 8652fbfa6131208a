//! `flitch plugin`: one filter by itself.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use serde_json::{Map, Value};

use super::Failure;
use crate::STOCK;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Cut, TAG, decode};
use flitch_core::telemetry::escape::{self, Escaped};
use flitch_filters::{
    Allow, Alone, Component, Engine, FilterContext, FilterSettings, Rejected, TableSettings, Tables, Wanted,
};

mod guide;

/// Of `flitch plugin`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run NDJSON from stdin through a filter to stdout.
    ///
    /// Records that it rejects, and lines that are no JSON objects, go to stderr with the reason, and the command
    /// then exits with 1.
    Run(RunArgs),
    /// Show what a plugin is: where it comes from, what it imports, which fields it reads; of a stock plugin also what it
    /// does, and its settings.
    Inspect(PluginArgs),
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    plugin: PluginArgs,
    /// The tag of the records.
    #[arg(long)]
    tag: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct PluginArgs {
    /// The name of a stock plugin (`dissect`), or the path of a component (`./mine.wasm`).
    plugin: String,
    /// A file with the plugin's settings, a JSON object.
    #[arg(short, long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// One setting: `field=message`. The value is JSON, or else text; dots go down into objects.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A table that the plugin may look things up in, as under `tables`: `hosts=hosts.csv`, a CSV or NDJSON file
    /// whose keys are in `key`, or `hosts=hosts.csv,key=ip`.
    #[arg(long = "table", value_name = "NAME=FILE[,key=COLUMN]")]
    tables: Vec<String>,
    /// A folder that the plugin may read.
    #[arg(long, value_name = "FOLDER")]
    allow_read: Vec<PathBuf>,
    /// An environment variable that the plugin may see.
    #[arg(long, value_name = "NAME")]
    allow_env: Vec<String>,
}

/// Does what is asked for.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => pipe(args),
        Command::Inspect(args) => inspect(args),
    }
}

impl PluginArgs {
    fn settings(&self) -> Result<FilterSettings, Failure> {
        let usage = |text: String| Failure::Usage(text);
        let mut value = Map::new();
        if let Some(path) = &self.settings {
            let text =
                std::fs::read_to_string(path).map_err(|e| usage(format!("{}: {e}", path.display())))?;
            value = serde_json::from_str(&text)
                .map_err(|e| usage(format!("{} holds no JSON object: {e}", path.display())))?;
        }
        for text in &self.set {
            set(&mut value, text).map_err(|e| usage(format!("--set {text}: {e}")))?;
        }
        let mut settings = FilterSettings::of(&self.plugin);
        settings.settings = Value::Object(value);
        settings.allow = Allow { read: self.allow_read.clone(), env: self.allow_env.clone() };
        Ok(settings)
    }

    fn tables(&self) -> anyhow::Result<Tables> {
        let table = |text: &String| table(text).with_context(|| format!("--table {text}"));
        Tables::load(&self.tables.iter().map(table).collect::<anyhow::Result<_>>()?, Path::new("."))
    }

    fn load(&self, engine: Engine) -> Result<anyhow::Result<Alone>, Failure> {
        let settings = self.settings()?;
        let cx = FilterContext {
            engine,
            stock: STOCK,
            tables: Arc::new(self.tables().map_err(wrong)?),
            dead_letters: None,
            folder: PathBuf::from("."),
        };
        let name =
            Path::new(&self.plugin).file_stem().map_or_else(|| "filter".into(), |n| n.to_string_lossy());
        Ok(Alone::load(&name, &settings, &cx))
    }
}

fn wrong(error: anyhow::Error) -> Failure {
    Failure::Usage(format!("{error:#}"))
}

/// The table that `hosts=hosts.csv,key=ip` names.
fn table(text: &str) -> anyhow::Result<(String, TableSettings)> {
    let (name, file) = text.split_once('=').context("write NAME=FILE")?;
    let (path, key) = file.rsplit_once(",key=").unwrap_or((file, "key"));
    Ok((name.to_owned(), TableSettings { path: path.into(), key: key.to_owned(), format: None }))
}

/// Puts `a.b=1` into an object.
fn set(object: &mut Map<String, Value>, text: &str) -> anyhow::Result<()> {
    let (path, value) = text.split_once('=').context("write KEY=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    let (folders, key) = match path.rsplit_once('.') {
        Some((folders, key)) => (folders.split('.').collect(), key),
        None => (Vec::new(), path),
    };
    let mut inner = object;
    for folder in folders {
        let entry = inner.entry(folder).or_insert_with(|| Value::Object(Map::new()));
        inner = entry.as_object_mut().ok_or_else(|| anyhow!("`{folder}` is no object"))?;
    }
    inner.insert(key.to_owned(), value);
    Ok(())
}

fn pipe(args: &RunArgs) -> Result<(), Failure> {
    let mut pipe = Pipe {
        filter: args.plugin.load(super::engine()?)?.map_err(wrong)?,
        builder: Builder::new(),
        constants: match &args.tag {
            Some(tag) => Constants::new().text(TAG, tag),
            None => Constants::new(),
        },
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
    refused: u64,
}

impl Pipe {
    fn line(&mut self, number: u64, line: &[u8]) -> anyhow::Result<()> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        if let Err(error) = decode::decode_line(&mut self.builder, line) {
            self.flush()?;
            self.refused += 1;
            refuse(&format!("line {number}: {error}"), &String::from_utf8_lossy(line).into())?;
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
        let records = self.builder.finish(InvalidUtf8::Replace, &self.constants).records;
        let (records, rejected) = self.filter.run(Arc::new(records));
        let mut stdout = std::io::stdout().lock();
        let text = &records.ndjson().text;
        match stdout.is_terminal() {
            true => stdout.write_all(escape::json(text).as_bytes())?,
            false => stdout.write_all(text)?,
        }
        stdout.flush()?;
        self.refused += rejected.len() as u64;
        for Rejected { reason, record, .. } in &rejected {
            let text = String::from_utf8_lossy(record);
            refuse(reason, &serde_json::from_str(&text).unwrap_or_else(|_| text.trim_end().into()))?;
        }
        Ok(())
    }
}

/// Tells about one record on stderr.
fn refuse(reason: &str, record: &Value) -> std::io::Result<()> {
    let line = serde_json::json!({ "reason": reason, "record": record }).to_string();
    writeln!(std::io::stderr(), "{}", escape::json(line.as_bytes()))
}

fn inspect(args: &PluginArgs) -> Result<(), Failure> {
    let engine = super::engine()?;
    let start = Instant::now();
    let origin = STOCK.origin(&args.plugin, Path::new(".")).map_err(wrong)?;
    let component = Component::load(&engine, origin).map_err(wrong)?;
    let loading = start.elapsed();
    // What a component says of itself may be anything.
    let shown = |name: String| Escaped(name).to_string();
    let list = |names: Vec<String>| match names.is_empty() {
        true => "nothing".to_owned(),
        false => names.into_iter().map(shown).collect::<Vec<_>>().join("\n            "),
    };
    let mut text = format!(
        "name        {}\nfrom        {}\nsize        {} bytes\nsha256      {}\nexports     {}\nimports     {}\nloaded in   {loading:.1?}\n",
        component.name(),
        component.origin(),
        component.size(),
        component.sha256(),
        list(component.exports()),
        list(component.imports()),
    );
    match args.load(engine)? {
        Ok(alone) => {
            let reads = match alone.wanted() {
                Some(Wanted::All) => "every field".to_owned(),
                Some(Wanted::Only(names)) if names.is_empty() => "no field".to_owned(),
                Some(Wanted::Only(names)) => {
                    let mut names: Vec<String> = names.into_iter().map(shown).collect();
                    names.sort();
                    names.join(", ")
                }
                None => "unknown".to_owned(),
            };
            text += &format!("memory      {} KiB when idle\nreads       {reads}\n", alone.memory() / 1024);
        }
        Err(error) => {
            text +=
                &format!("reads       unknown with these settings: {}\n", Escaped(format_args!("{error:#}")))
        }
    }
    if let Some(readme) = STOCK.readme(&args.plugin) {
        text += &format!("\n{}", guide::of(readme));
    }
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
