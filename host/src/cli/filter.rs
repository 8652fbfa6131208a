//! `flitch filter`: the filters of a daemon that runs, through its admin listener.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use super::Failure;
use crate::admin::{AdminSettings, LOOPBACK};
use crate::config::ADMIN_LISTEN;
use flitch_core::net::address::Address;
use flitch_core::net::http_client::{self, Settings};
use flitch_core::tasks;
use flitch_core::telemetry::escape::Escaped;

mod diff;

/// Longest time for an answer: a swap compiles, and waits for a reload that is under way.
const PATIENCE: Duration = Duration::from_secs(600);
/// So many digits of a SHA-256 are shown in tables.
const SHOWN: usize = 12;

/// Of `flitch filter`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the filters that run: the code that each has, since when, and in which pipelines.
    List(Daemon),
    /// Put what a filter's file holds now into force, and say what came of it.
    ///
    /// Exits with 1 where it cannot be used: then the old code goes on.
    Swap(Named),
    /// Put the generation before of a filter back into force, with what it was made of, and run again through it what the
    /// later one rejected while it was on probation.
    ///
    /// Exits with 1 where there is none. What is put back stays until its file or its settings change again.
    Rollback(Named),
    /// Show which code filters ran, since when, and who changed it.
    History(History),
    /// Show how a filter and its `shadow` agree: fields, differences, faults and cost side by side.
    Diff(diff::Args),
}

#[derive(Debug, clap::Args)]
pub struct Daemon {
    /// The admin listener of the daemon; not set, where `FLITCH_ADMIN_LISTEN` has daemons listen, or http://127.0.0.1:9598.
    #[arg(long, value_name = "URL", env = "FLITCH_ADMIN")]
    admin: Option<String>,
    /// Write JSON, as the listener answers it.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Named {
    /// The filter's name in the configuration.
    name: String,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Debug, clap::Args)]
pub struct History {
    /// The filter's name in the configuration; all of them without it.
    name: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

/// Does what is asked for.
pub fn run(command: &Command) -> Result<(), Failure> {
    let mut out = String::new();
    match command {
        Command::List(daemon) => {
            let (_, status) = daemon.ask(Method::GET, &["api", "status"], None)?;
            let filters = &status["filters"];
            if daemon.json {
                out = format!("{filters}\n");
            } else {
                let rows = filters.as_object().into_iter().flatten().map(|(name, filter)| {
                    let pipelines = filter["pipelines"].as_array().into_iter().flatten().map(text);
                    let pipelines = pipelines.collect::<Vec<_>>().join(", ");
                    [
                        name.clone(),
                        text(&filter["plugin"]),
                        short(&filter["sha256"]),
                        text(&filter["since"]),
                        pipelines,
                        under_way(filter),
                    ]
                });
                let titles = ["filter", "plugin", "sha256", "since", "pipelines", "under way"];
                table(titles, rows.collect(), &mut out);
            }
        }
        Command::Swap(Named { name, daemon }) => {
            out = daemon.change(name, "swap", |result| match result {
                "swapped" => "new code is in force",
                _ => "its file holds what runs already",
            })?;
        }
        Command::Rollback(Named { name, daemon }) => {
            out = daemon.change(name, "rollback", |_| "what was before is in force again")?;
        }
        Command::Diff(args) => out = diff::run(args)?,
        Command::History(History { name, daemon }) => {
            let (_, entries) = daemon.ask(Method::GET, &["api", "filters", "history"], name.as_deref())?;
            if daemon.json {
                out = format!("{entries}\n");
            } else {
                let rows = entries.as_array().into_iter().flatten().map(|entry| {
                    let field = |name: &str| text(&entry[name]);
                    [
                        field("time"),
                        field("filter"),
                        field("by"),
                        field("result"),
                        short(&entry["from"]),
                        short(&entry["to"]),
                        field("reason"),
                    ]
                });
                table(["time", "filter", "by", "result", "from", "to", "reason"], rows.collect(), &mut out);
            }
        }
    }
    Ok(std::io::stdout().write_all(out.as_bytes())?)
}

impl Daemon {
    /// Has a filter changed. Answers what to say about it, as `done` has it for the result.
    fn change(&self, name: &str, how: &str, done: fn(&str) -> &'static str) -> Result<String, Failure> {
        let (status, told) = self.ask(Method::POST, &["api", "filters", name, how], None)?;
        if status == StatusCode::NOT_FOUND {
            return Err(Failure::Usage(text(&told["reason"])));
        }
        if self.json {
            writeln!(std::io::stdout(), "{told}")?;
        }
        if !status.is_success() {
            return Err(anyhow!("{}; what ran before goes on", text(&told["reason"])).into());
        }
        let said = told["result"].as_str().map_or("", done);
        Ok(if self.json { String::new() } else { format!("{name}: {said}\n") })
    }

    /// Where the listener is.
    fn admin(&self) -> Result<String, Failure> {
        let variable = std::env::var(ADMIN_LISTEN).ok().filter(|text| !text.is_empty());
        let listen = match (&self.admin, variable) {
            (Some(admin), _) => return Ok(admin.clone()),
            (None, Some(listen)) => {
                let wrong = |why| Failure::Usage(format!("the variable `{ADMIN_LISTEN}`: {why}"));
                listen.parse().map_err(wrong)?
            }
            (None, None) => AdminSettings::default().listen,
        };
        Ok(url_of(&listen))
    }

    /// Asks the listener. Answers the status, and what it says as JSON.
    fn ask(
        &self,
        method: Method,
        path: &[&str],
        filter: Option<&str>,
    ) -> Result<(StatusCode, Value), Failure> {
        let query: Vec<(&str, &str)> = filter.map(|filter| ("filter", filter)).into_iter().collect();
        self.ask_with(method, path, &query)
    }

    /// The same with a query.
    pub fn ask_with(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<(StatusCode, Value), Failure> {
        let admin = self.admin()?;
        let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("--admin {admin}: {why}"));
        let mut url: Url = admin.parse().map_err(|error| wrong(&error))?;
        url.path_segments_mut().map_err(|()| wrong(&"write http://host:port"))?.clear().extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let settings = Settings {
            tls: None,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            timeout: PATIENCE,
            keep: false,
        };
        let ask = async {
            let client = http_client::client(settings)?;
            let answer = client.request(method, url).send().await;
            let answer = answer.with_context(|| {
                format!("no flitch answers at {admin} (`--admin` says where its `admin.listen` is)")
            })?;
            let status = answer.status();
            let body = answer.text().await?;
            let told = serde_json::from_str(&body);
            told.map(|told| (status, told))
                .map_err(|_| anyhow!("{admin} answers {status}: {}", body.trim_end()))
        };
        let runtime = tasks::runtime_here()?;
        Ok(runtime.block_on(ask)?)
    }
}

/// Where who listens there is asked from this machine.
fn url_of(listen: &Address) -> String {
    let host = match listen.host().map(|host| (host, host.parse::<IpAddr>())) {
        Some((host, Err(_))) => host.to_owned(),
        Some((_, Ok(IpAddr::V6(ip)))) if !ip.is_unspecified() => format!("[{ip}]"),
        Some((_, Ok(ip))) if !ip.is_unspecified() => ip.to_string(),
        Some(_) | None => LOOPBACK.to_string(),
    };
    format!("http://{host}:{}", listen.port())
}

fn text(value: &Value) -> String {
    value.as_str().map(|text| Escaped(text).to_string()).unwrap_or_default()
}

/// What goes on with a filter besides its work: a probation, a shadow, a state that is kept.
fn under_way(filter: &Value) -> String {
    let of = |what: &str| filter[what].as_object().into_iter().flatten().map(|(_, one)| one);
    let mut parts = Vec::new();
    if let Some(left) = of("probation").filter_map(|one| one["seconds_left"].as_u64()).max() {
        let before = of("probation").next().map_or_else(String::new, |one| short(&one["before"]));
        parts.push(format!("on probation for {left} s more, or {before} comes back"));
    }
    if filter["shadow"].is_string() {
        parts.push(format!("shadow {}", text(&filter["shadow"])));
    }
    if let Some(saved) = of("state").map(|one| text(&one["saved"])).filter(|saved| !saved.is_empty()).max() {
        parts.push(format!("state saved {saved}"));
    }
    parts.join("; ")
}

fn short(value: &Value) -> String {
    text(value).chars().take(SHOWN).collect()
}

/// Columns as wide as what is in them.
fn table<const N: usize>(titles: [&str; N], rows: Vec<[String; N]>, out: &mut String) {
    let rows: Vec<[String; N]> = std::iter::once(titles.map(str::to_owned)).chain(rows).collect();
    let widths: Vec<usize> =
        (0..N).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        *out += cells.collect::<Vec<_>>().join("  ").trim_end();
        out.push('\n');
    }
}

#[cfg(test)]
mod tests;
