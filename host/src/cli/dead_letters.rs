//! `flitch dead-letters`: what no stage could take further, and sending it again.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;

use super::{ConfigFile, Failure};
use crate::config::units::Span;
use crate::dead_letter::FOLDER;
use crate::dead_letter::read::{self, Filter};
use crate::dead_letter::replay::{self, Sink};

/// How long `replay --to` waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

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
    /// They are written to stdout as they came, one a line, or posted to an HTTP source. Letters that were sent are
    /// filed away under `replayed`. When sending fails or is cut off, the letters of that file stay, and some of them may
    /// be sent a second time.
    Replay {
        #[command(flatten)]
        which: Which,
        /// An HTTP source: `http://127.0.0.1:8080/` or `http://127.0.0.1:8080/tag`.
        #[arg(long, value_name = "URL")]
        to: Option<String>,
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
        Ok(data_dir.join(FOLDER))
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
        Command::Replay { which, to } => again(&which.folder()?, &which.filter()?, to.as_deref()),
    }
}

fn list(folder: &Path, filter: &Filter) -> Result<(), Failure> {
    let summary = read::list(folder, filter).with_context(|| folder.display().to_string())?;
    let mut text = String::new();
    for group in &summary.groups {
        let (oldest, newest) = (group.oldest.strftime("%F %T"), group.newest.strftime("%F %T"));
        let component = format!("{} {}", group.stage, group.component);
        text += &format!("{:>9}  {component:<24} {oldest} .. {newest}  {}\n", group.count, group.reason);
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
        serde_json::to_writer(&mut stdout, &letter)?;
        stdout.write_all(b"\n")?;
        shown += 1;
        Ok(limit.is_none_or(|limit| shown < limit))
    })?;
    Ok(stdout.flush()?)
}

fn again(folder: &Path, filter: &Filter, to: Option<&str>) -> Result<(), Failure> {
    let done = match to {
        None => replay::replay(folder, filter, &mut io::stdout()),
        Some(url) => {
            let mut post = Post::to(url).map_err(|error| Failure::Usage(format!("--to {url}: {error:#}")))?;
            replay::replay(folder, filter, &mut post)
        }
    };
    let done = done.with_context(|| format!("{}: some letters were not sent, and stay", folder.display()))?;
    let mut text = format!("{} sent, {} not meant and kept", done.sent, done.kept);
    if done.broken > 0 {
        text += &format!(", {} lines that are no letters passed over", done.broken);
    }
    Ok(writeln!(io::stderr(), "{text}")?)
}

/// Posts NDJSON to an HTTP source.
struct Post {
    host: String,
    path: String,
}

impl Post {
    fn to(url: &str) -> anyhow::Result<Post> {
        let Some(rest) = url.strip_prefix("http://") else {
            bail!("only http:// can be posted to; for other ways take what goes to stdout")
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        Ok(Post { host, path: if path.is_empty() { "/".to_owned() } else { path.to_owned() } })
    }

    fn post(&self, records: &[u8]) -> io::Result<()> {
        let mut stream = TcpStream::connect(&self.host)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.path,
            self.host,
            records.len()
        )?;
        stream.write_all(records)?;
        let mut answer = BufReader::new(stream);
        let mut status = String::new();
        answer.read_line(&mut status)?;
        if status.split(' ').nth(1).is_some_and(|code| code.starts_with('2')) {
            return Ok(());
        }
        let mut rest = String::new();
        // What the source says about it is worth a word, but its absence is not.
        let _ = answer.read_to_string(&mut rest);
        let body = rest.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let why = format!("{} answered {}: {}", self.host, status.trim(), body.trim());
        Err(io::Error::other(why))
    }
}

impl Sink for Post {
    fn send(&mut self, records: &[u8]) -> io::Result<()> {
        self.post(records)
    }
}
