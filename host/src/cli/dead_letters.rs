//! `flitch dead-letters`: what no stage could take further, and sending it again.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use super::{ConfigFile, Failure};
use crate::config::de::suggest;
use flitch_core::dead_letter::FOLDER;
use flitch_core::dead_letter::read::{self, Filter};
use flitch_core::dead_letter::replay;
use flitch_core::telemetry::escape::{self, Escaped};
use flitch_core::units::Span;
use flitch_sources::SourceSettings;

pub mod connect;
mod forward;
pub mod post;

use connect::TlsArgs;
use forward::Forward;
use post::{Post, Waiting};

/// A source that takes records again.
enum To {
    Http(Post),
    Forward(Forward),
}

/// Of `flitch dead-letters`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Count the dead letters by stage, component and reason.
    List(Which),
    /// Print dead letters as NDJSON, oldest first.
    Show {
        #[command(flatten)]
        which: Which,
        /// Print no more than so many.
        #[arg(short = 'n', long)]
        limit: Option<u64>,
    },
    /// Send the records of dead letters again, oldest first.
    ///
    /// They are written to stdout as they came, one a line, or sent to an HTTP or a forward source, which must have
    /// acknowledged them. One that is named in the configuration is reached with its TLS and its credentials. Letters that
    /// were sent are filed away under `replayed`. When sending fails or is cut off, the letters of that file stay, and some
    /// of them may be sent a second time. Those that an HTTP source refuses stay while the others of their file are sent,
    /// and so do those that the forward protocol cannot carry: what never was a record, and numbers that neither 64 bits
    /// nor float64 hold.
    Replay {
        #[command(flatten)]
        which: Which,
        /// The name of an HTTP or a forward source in the configuration, or the URL of an HTTP source such as
        /// `http://127.0.0.1:8080/tag` or `https://user:password@host/`.
        #[arg(long, value_name = "SOURCE")]
        to: Option<String>,
        #[command(flatten)]
        tls: TlsArgs,
    },
}

/// Which letters are meant.
#[derive(Debug, clap::Args)]
pub struct Which {
    #[command(flatten)]
    config: ConfigFile,
    /// The data folder, in place of the one in the configuration.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Of this stage: source, filter or output.
    #[arg(long)]
    stage: Option<String>,
    /// Of the component with this name.
    #[arg(long)]
    component: Option<String>,
    /// With this text in the reason.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Written since: a time (`2026-11-20T13:55:36Z`), or how long ago (`2h`).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Written before: a time, or how long ago.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Which {
    fn folder(&self) -> Result<PathBuf, Failure> {
        let data_dir = match &self.data_dir {
            Some(folder) => folder.clone(),
            None => crate::config::load(&self.config.path)?.config.data_dir,
        };
        let folder = data_dir.join(FOLDER);
        // That it cannot be looked for says so by itself.
        if !folder.try_exists().unwrap_or(true) {
            let folder = folder.display();
            return Err(anyhow!("there is no {folder}: no flitch has run with this `data_dir`").into());
        }
        Ok(folder)
    }

    /// Where `--to` sends records.
    fn sink(&self, to: &str, tls: &TlsArgs) -> Result<To, Failure> {
        let wrong =
            |error: anyhow::Error| Failure::Usage(format!("--to {}: {error:#}", without_password(to)));
        if to.contains("://") {
            return Post::to_url(to, tls).map(To::Http).map_err(wrong);
        }
        let sources = crate::config::load(&self.config.path)?.config.sources;
        let names: Vec<&str> = sources.keys().map(String::as_str).collect();
        match sources.get(to) {
            Some(SourceSettings::Http(settings)) => {
                Post::to_source(settings, tls).map(To::Http).map_err(wrong)
            }
            Some(SourceSettings::Forward(settings)) => {
                Forward::to_source(settings, tls).map(To::Forward).map_err(wrong)
            }
            Some(_) => Err(wrong(anyhow!(
                "records are sent to sources of `type: http` and `type: forward` alone; another way is stdout"
            ))),
            None => {
                let help = suggest(to, &names, "sources").unwrap_or_default();
                Err(wrong(anyhow!(
                    "it is neither a URL nor the name of a source in {}; {help}",
                    self.config.path.display()
                )))
            }
        }
    }

    fn filter(&self) -> Result<Filter, Failure> {
        let time =
            |text: &Option<String>| text.as_deref().map(|text| time(text, Timestamp::now())).transpose();
        Ok(Filter {
            stage: self.stage.clone(),
            component: self.component.clone(),
            reason: self.reason.clone(),
            since: time(&self.since)?,
            until: time(&self.until)?,
        })
    }
}

/// A URL for messages.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(begin), Some(end)) if begin + 3 < end => format!("{}***{}", &url[..begin + 3], &url[end..]),
        _ => url.to_owned(),
    }
}

/// Standard output, as it is unless a terminal would act on it.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, records: &[u8]) -> io::Result<usize> {
        let mut stdout = io::stdout();
        match stdout.is_terminal() {
            true => stdout.write_all(escape::json(records).as_bytes())?,
            false => stdout.write_all(records)?,
        }
        Ok(records.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// A time, or how long before `now`.
fn time(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let ago = text.parse::<Span>().ok().and_then(|ago| now.checked_sub(ago.0).ok());
    ago.ok_or_else(|| {
        Failure::Usage(format!(
            "`{text}` is no time: write 2026-11-20T13:55:36Z, or how long ago, such as 2h"
        ))
    })
}

/// Does what is asked for.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List(which) => list(&which.folder()?, &which.filter()?),
        Command::Show { which, limit } => show(&which.folder()?, &which.filter()?, *limit),
        Command::Replay { which, to, tls } => {
            let to = to.as_deref().map(|to| which.sink(to, tls)).transpose()?;
            again(&which.folder()?, &which.filter()?, to)
        }
    }
}

fn list(folder: &Path, filter: &Filter) -> Result<(), Failure> {
    let summary = read::list(folder, filter).with_context(|| folder.display().to_string())?;
    let mut text = String::new();
    for group in &summary.groups {
        let (oldest, newest) = (group.oldest.strftime("%F %T"), group.newest.strftime("%F %T"));
        // What is in a letter came from outside.
        let component = Escaped(format_args!("{} {}", group.stage, group.component)).to_string();
        let reason = Escaped(&group.reason);
        text += &format!("{:>9}  {component:<24} {oldest} .. {newest}  {reason}\n", group.count);
    }
    text += &format!("{:>9}  in all, {} bytes in {}\n", summary.letters, summary.bytes, folder.display());
    if summary.broken > 0 {
        text += &format!("{:>9}  lines are no letters\n", summary.broken);
    }
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn show(folder: &Path, filter: &Filter, limit: Option<u64>) -> Result<(), Failure> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut shown = 0;
    if limit == Some(0) {
        return Ok(());
    }
    read::letters(folder, filter, |letter| {
        let letter = serde_json::to_vec(&letter)?;
        stdout.write_all(escape::json(&letter).as_bytes())?;
        stdout.write_all(b"\n")?;
        shown += 1;
        Ok(limit.is_none_or(|limit| shown < limit))
    })?;
    Ok(stdout.flush()?)
}

fn again(folder: &Path, filter: &Filter, to: Option<To>) -> Result<(), Failure> {
    let (mut unfit, mut refusal) = (0, None);
    let done = match to {
        None => replay::replay(folder, filter, &mut Stdout),
        Some(To::Http(post)) => {
            let mut waiting = Waiting::new(post)?;
            let done = replay::replay(folder, filter, &mut waiting);
            refusal = waiting.refusal();
            done
        }
        Some(To::Forward(mut forward)) => {
            let done = replay::send(folder, filter, &mut forward);
            unfit = forward.unfit();
            done
        }
    };
    let done = done.with_context(|| format!("{}: some letters were not sent, and stay", folder.display()))?;
    let mut text = format!("{} sent, {} not meant and kept", done.sent, done.kept - unfit);
    if unfit > 0 {
        text += &format!(", {unfit} kept that the forward protocol cannot carry");
    }
    if done.refused > 0 {
        text += &format!(", {} kept that were refused", done.refused);
        if let Some(refusal) = refusal {
            text += &format!(" (the last: {refusal})");
        }
    }
    if done.broken > 0 {
        text += &format!(", {} lines that are no letters passed over", done.broken);
    }
    Ok(writeln!(io::stderr(), "{text}")?)
}

#[cfg(test)]
mod tests;
