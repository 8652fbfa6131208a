//! `POST /api/filters/{name}/record`: what goes through a filter for a while becomes a case below `data_dir`. The answer
//! says where it lies and how much it is, and holds no record: whoever reaches the listener reads none.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes as Body;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use super::filters::{Refusal, decoded, posted};
use super::hosts::Hosts;
use super::{JSON, StatusBoard, respond};
use crate::app::no_filter;
use crate::config::{self, Loaded};
use flitch_core::batch::time;
use flitch_core::clock::Clock;
use flitch_core::private;
use flitch_core::tasks;
use flitch_core::units::{Bytes, Span};
use flitch_filters::record::{Bounds, Ended, Recorded, UnderWay};

/// The folder below `data_dir`.
const FOLDER: &str = "recordings";
/// Recordings that stay there: who asked for one takes it away.
const KEPT: usize = 8;
/// The longest and the largest recording.
const MOST: Bounds = Bounds { time: Duration::from_secs(300), records: 100_000, bytes: 64 << 20 };

/// What is to be recorded.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    filter: String,
    bounds: Bounds,
}

/// What the requests of this listener need to know of the daemon.
#[derive(Clone, Debug)]
pub struct Home {
    /// The configuration file, which says what is secret.
    pub config: PathBuf,
    /// Where recordings are put.
    pub data_dir: PathBuf,
}

/// The recording that a request asks for, or why there will be none; none where it asks for something else.
pub fn asked<B>(request: &Request<B>, hosts: &Hosts) -> Option<Result<Asked, Refusal>> {
    let name = request.uri().path().strip_prefix("/api/filters/")?.strip_suffix("/record")?;
    let bounds = || bounds(request.uri().query().unwrap_or_default());
    Some(posted(request, hosts).and_then(|()| Ok(Asked { filter: decoded(name), bounds: bounds()? })))
}

/// `for=10s&records=1000&bytes=1MiB`
fn bounds(query: &str) -> Result<Bounds, Refusal> {
    let wrong = |text: String| Refusal(StatusCode::BAD_REQUEST, text);
    let mut bounds = Bounds { time: Duration::from_secs(10), records: 1000, bytes: 1 << 20 };
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = decoded(value);
        let told = |error: String| wrong(format!("`{key}`: {error}"));
        match key {
            "for" => bounds.time = value.parse::<Span>().map_err(told)?.0,
            "records" => {
                bounds.records = value.parse().map_err(|_| told(format!("`{value}` is no number")))?
            }
            "bytes" => bounds.bytes = value.parse::<Bytes>().map_err(told)?.0 as usize,
            _ => return Err(wrong(format!("`{key}` is not known: there are `for`, `records` and `bytes`"))),
        }
    }
    let fits = (Duration::from_millis(1)..=MOST.time).contains(&bounds.time)
        && (1..=MOST.records).contains(&bounds.records)
        && (1..=MOST.bytes).contains(&bounds.bytes);
    let most = format!(
        "a recording takes at most {:?}, {} records and {}, and something of each",
        MOST.time,
        MOST.records,
        Bytes(MOST.bytes as u64)
    );
    if fits { Ok(bounds) } else { Err(wrong(most)) }
}

/// Records, and says where the case lies: 200 with its folder, or with none where no record came; 404 where there is no
/// such filter, 409 where another recording is under way, 500 where the case cannot be written.
pub async fn record(asked: Result<Asked, Refusal>, board: &StatusBoard) -> Response<Full<Body>> {
    let Asked { filter, bounds } = match asked {
        Ok(asked) => asked,
        Err(Refusal(status @ StatusCode::BAD_REQUEST, why)) => {
            return respond(status, JSON, json!({"result": "failed", "reason": why}).to_string());
        }
        Err(refusal) => return refusal.respond(),
    };
    let failed = |status: StatusCode, reason: String| {
        respond(status, JSON, json!({"filter": filter, "result": "failed", "reason": reason}).to_string())
    };
    let status = board.read();
    if !status.filters.contains_key(&*filter) {
        let known: Vec<_> = status.filters.keys().collect();
        return failed(StatusCode::NOT_FOUND, no_filter(&filter, &known));
    }
    let Some(home) = board.home() else {
        return failed(StatusCode::SERVICE_UNAVAILABLE, "flitch has not started yet".to_owned());
    };
    let under_way = match UnderWay::begin(&filter, bounds) {
        Ok(under_way) => under_way,
        Err(busy) => return failed(StatusCode::CONFLICT, busy.to_string()),
    };
    tracing::info!(filter, time = ?bounds.time, records = bounds.records, "what goes through the filter is recorded");
    under_way.over().await;
    let recorded = under_way.finish();
    let name = filter.clone();
    let chosen = board.in_force();
    let written = move || {
        let sent = chosen.as_ref().and_then(|chosen| chosen.sent.as_ref());
        write(&home, sent, &name, &recorded).map(|folder| (folder, recorded))
    };
    match tasks::aside(written).await {
        Ok(Ok((folder, recorded))) => {
            respond(StatusCode::OK, JSON, told(&filter, folder, &recorded).to_string())
        }
        Ok(Err(error)) => failed(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
        Err(error) => failed(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn told(filter: &str, folder: Option<PathBuf>, recorded: &Recorded) -> Value {
    let ended = recorded.ended.map(|ended| match ended {
        Ended::Full => "full",
        Ended::Replaced => "replaced",
    });
    json!({
        "filter": filter,
        "plugin": recorded.settings.as_ref().map(|settings| &settings.plugin),
        "sha256": recorded.sha256,
        "folder": folder,
        "seen": recorded.seen,
        "records": recorded.records,
        "left_out": recorded.left_out,
        "ended": ended,
    })
}

/// Writes the case, and answers its folder; none where there is no record. A server may have `sent` what is in force.
fn write(
    home: &Home,
    sent: Option<&Loaded>,
    filter: &str,
    recorded: &Recorded,
) -> anyhow::Result<Option<PathBuf>> {
    let Some(settings) = recorded.settings.as_ref().filter(|_| recorded.records > 0) else { return Ok(None) };
    // What is secret is known by the file alone.
    let own = match sent {
        Some(_) => None,
        None => Some(config::load(&home.config).map_err(|_| {
            anyhow::anyhow!("the configuration cannot be read, so nobody knows which settings are secret")
        })?),
    };
    let hide = |settings| sent.or(own.as_ref()).map(|loaded| loaded.hidden(settings));
    let all = std::path::absolute(&home.data_dir)?.join(FOLDER);
    private::folder(&all)?;
    thin_out(&all)?;
    let now = time::to_text(Clock::system().now()).replace([':', '-'], "");
    let folder = all.join(format!("{filter}-{now}"));
    private::folder(&folder)?;
    let settings = serde_json::to_vec_pretty(&hide(&settings.settings))?;
    let rejected: String = recorded
        .rejected
        .iter()
        .map(|(row, reason)| format!("{}\n", json!({"row": row, "reason": &**reason})))
        .collect();
    file(&folder, "settings.json", &[&settings[..], b"\n"].concat())?;
    file(&folder, "in.ndjson", &recorded.input)?;
    file(&folder, "out.ndjson", &recorded.output)?;
    if !rejected.is_empty() {
        file(&folder, "rejected.ndjson", rejected.as_bytes())?;
    }
    Ok(Some(folder))
}

fn file(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    private::open(options.write(true).create_new(true), &folder.join(name))?.write_all(content)
}

/// Makes room for one more: the oldest go that nobody took away.
fn thin_out(all: &Path) -> io::Result<()> {
    let mut folders: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(all)? {
        let entry = entry?;
        folders.push((entry.metadata()?.modified()?, entry.path()));
    }
    folders.sort();
    let surplus = (folders.len() + 1).saturating_sub(KEPT);
    folders.iter().take(surplus).try_for_each(|(_, folder)| std::fs::remove_dir_all(folder))
}

#[cfg(test)]
mod tests;
