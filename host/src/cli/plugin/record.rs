//! `flitch plugin record`: what goes through a filter of a running daemon, as a case.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use flitch_core::batch::time;
use flitch_core::clock::Clock;
use flitch_core::private;
use flitch_core::telemetry::escape::Escaped;
use flitch_core::units::{Bytes, Span};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::super::Failure;
use super::super::filter::Daemon;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The filter's name in the configuration of the daemon.
    #[arg(long, value_name = "FILTER")]
    from: String,
    /// How long; five minutes at most.
    #[arg(long = "for", value_name = "TIME", default_value = "10s")]
    time: Span,
    /// Most records. They are chosen from all batches, over the whole time.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    records: u32,
    /// Most bytes of the records and of what became of them, as JSON.
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    bytes: Bytes,
    /// The folder of the case, which is made. By default `cases/FILTER-TIME`.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    daemon: Daemon,
}

/// Has the daemon record, and takes the case from its data folder.
pub fn run(args: &Args) -> Result<(), Failure> {
    let now = time::to_text(Clock::system().now()).replace([':', '-'], "");
    let name = || Path::new("cases").join(format!("{}-{}", args.from, now.split('.').next().unwrap_or(&now)));
    let out = args.out.clone().unwrap_or_else(name);
    if out.exists() {
        return Err(Failure::Usage(format!("{} exists already: name another folder", out.display())));
    }
    let (time, bytes) = (args.time.to_string(), args.bytes.to_string());
    let bounds = [("for", time.as_str()), ("records", &args.records.to_string()), ("bytes", &bytes)];
    let path = ["api", "filters", &args.from, "record"];
    let (status, told) = args.daemon.ask_with(Method::POST, &path, &bounds)?;
    let text = |key: &str| Escaped(told[key].as_str().unwrap_or_default()).to_string();
    if matches!(status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST) {
        return Err(Failure::Usage(text("reason")));
    }
    if !status.is_success() {
        return Err(anyhow!("{}", text("reason")).into());
    }
    let Some(folder) = told["folder"].as_str() else {
        return Err(anyhow!("no record came to the filter `{}` in {time}", args.from).into());
    };
    fetch(Path::new(folder), &out)?;
    let mut said = told.clone();
    said["folder"] = out.to_string_lossy().into();
    let line = if args.daemon.json { format!("{said}\n") } else { shown(args, &said, &out)? };
    Ok(std::io::stdout().write_all(line.as_bytes())?)
}

/// Copies the files of a case to where only their owner reads them, and takes them away where they were.
fn fetch(folder: &Path, out: &Path) -> anyhow::Result<()> {
    let unreadable = || {
        format!(
            "the case lies in {} on the machine of the daemon, for its user alone: copy it as that user, or run this command \
             there",
            folder.display()
        )
    };
    let entries = std::fs::read_dir(folder).with_context(unreadable)?;
    let files: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(unreadable)?;
    let contents: Vec<(PathBuf, Vec<u8>)> = files
        .into_iter()
        .map(|file| std::fs::read(&file).map(|content| (file, content)))
        .collect::<Result<_, _>>()
        .with_context(unreadable)?;
    private::folder(out).with_context(|| format!("cannot make {}", out.display()))?;
    for (file, content) in &contents {
        let place = out.join(file.file_name().unwrap_or_default());
        let mut options = std::fs::OpenOptions::new();
        let written = private::open(options.write(true).create_new(true), &place)
            .and_then(|mut file| file.write_all(content));
        written.with_context(|| format!("cannot write {}", place.display()))?;
    }
    if let Err(error) = std::fs::remove_dir_all(folder) {
        tracing::warn!(folder = %folder.display(), %error, "the case is taken, and stays there too");
    }
    Ok(())
}

fn shown(args: &Args, told: &Value, out: &Path) -> anyhow::Result<String> {
    let number = |key: &str| told[key].as_u64().unwrap_or_default();
    let plugin = Escaped(told["plugin"].as_str().unwrap_or_default()).to_string();
    let mut text = format!(
        "{}: {} of {} records that came to {}\n",
        out.display(),
        number("records"),
        number("seen"),
        args.from
    );
    if number("left_out") > 0 {
        text += &format!("{} more were chosen, and did not fit or were not judged\n", number("left_out"));
    }
    match told["ended"].as_str() {
        Some("full") => text += "it ended early, having all that it may have\n",
        Some("replaced") => text += "it ended early, for the filter was replaced\n",
        _ => {}
    }
    if std::fs::read_to_string(out.join("settings.json"))?.contains("***") {
        text += "settings.json has *** in place of secrets: write what the filter should have in tests\n";
    }
    let cases = out.parent().filter(|cases| !cases.as_os_str().is_empty()).unwrap_or(Path::new("."));
    text += &format!("try it: flitch plugin test {plugin} --cases {}\n", cases.display());
    Ok(text)
}
