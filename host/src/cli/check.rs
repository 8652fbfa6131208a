//! `flitch check`: all that can be found out about a configuration without starting it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::{Found, context};
use super::{ConfigFile, Failure};
use crate::app::AppError;
use crate::config::{self, ConfigError, Loaded, Problem, report};
use flitch_core::clock::Clock;
use flitch_core::tasks;
use flitch_core::telemetry::escape::Escaped;
use flitch_filters::{Alone, Component, FilterSettings};
use flitch_outputs::Ledgers;
use flitch_sources::Probing;

/// How long `--probe` waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What to do about what keeps a part from starting and is not in the configuration.
const PASSES: &str = "nothing is wrong with the configuration itself: flitch may start when this has passed";

/// Of `flitch check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Also ask every output whether it could write, sources whether there is what they read from, and registries for plugins and
    /// their signatures: name resolution, connection, credentials, existence.
    #[arg(long)]
    probe: bool,
}

/// Checks a configuration, and tells about each of its parts.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let loaded = config::load(&args.config.path)?;
    let mut stdout = std::io::stdout();
    let of_disk = loaded.unwritable().into_iter().chain(loaded.left_records());
    let warnings: Vec<Problem> = loaded.warnings.iter().cloned().chain(of_disk).collect();
    stdout.write_all(report::render(&warnings, super::has_colors(&stdout)).as_bytes())?;
    let runtime = tasks::runtime(Some(1))?;
    let inside = runtime.enter();
    let lines = examine(&loaded, &args.config.path)?;
    stdout.write_all(lines.concat().as_bytes())?;
    if args.probe {
        let data_dir = &loaded.config.data_dir;
        let sources = loaded.config.sources.iter();
        let mut asked: Vec<(String, Probing)> =
            sources.filter_map(|(name, source)| Some((name.clone(), source.probe(name)?))).collect();
        for (name, output) in &loaded.config.outputs {
            let output = output.open(name, data_dir, &Clock::system(), &Arc::default(), &Ledgers::apart())?;
            asked.push((name.clone(), Box::pin(async move { Ok(output.probe().await?) })));
        }
        asked.extend(of_registries(&loaded, &args.config.path)?);
        let answer = runtime.block_on(probe(asked));
        // Who still waits for an answer is not waited for.
        drop(inside);
        runtime.shutdown_background();
        answer?;
    }
    writeln!(stdout, "{}: all right", args.config.path.display())?;
    Ok(())
}

/// Why a part of the configuration that was read from `path` could not be put to work: the configuration is wrong where its check
/// finds that too. Whatever else keeps a part from starting is of this machine or of the network, and may pass: an address that
/// is not up yet or taken, a name that is not resolved, a full disk, a server that is away.
pub(super) fn failure(loaded: &Loaded, path: &Path, part: &AppError) -> Failure {
    let problem = loaded.error(&part.path, &part.error);
    // Sources, outputs and addresses have been checked before anything was started.
    let is_looked_into =
        ["filters", "tables", "plugins"].contains(&part.path.split('.').next().unwrap_or(""));
    if is_looked_into && !config::lacks(&part.error) && sound(loaded, path).is_err() {
        return Failure::Config(problem.into());
    }
    Failure::Away(problem.help(PASSES.to_owned()).into())
}

/// Whether nothing is found wrong with the configuration that was read from `path`. What is of this machine and may pass is
/// nothing wrong.
///
/// # Errors
/// All that is wrong.
pub(crate) fn sound(loaded: &Loaded, path: &Path) -> Result<(), ConfigError> {
    let quiet = tracing::subscriber::NoSubscriber::new();
    match tracing::subscriber::with_default(quiet, || examine(loaded, path)) {
        Err(Failure::Config(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Looks at all parts of a configuration, and answers a line about each. Nothing is connected to.
fn examine(loaded: &Loaded, path: &Path) -> Result<Vec<String>, Failure> {
    let mut check = Check { loaded, lines: Vec::new(), problems: Vec::new(), lacking: Vec::new() };
    if let Err(wrong) = loaded.check_parts() {
        check.problems = wrong.problems;
    }
    for (name, source) in &loaded.config.sources {
        check.line("source", name, source.type_name().to_owned());
    }
    check.filters(path)?;
    for (name, output) in &loaded.config.outputs {
        check.line("output", name, output.kind.type_name().to_owned());
    }
    for (name, pipeline) in &loaded.config.pipelines {
        let to: Vec<&str> = pipeline.to.iter().map(|to| to.output.as_str()).collect();
        let mut way = vec![pipeline.from.join(", ")];
        way.extend(pipeline.filters.iter().cloned());
        way.push(to.join(", "));
        let workers = pipeline.workers();
        check.line("pipeline", name, format!("{} ({workers} workers)", way.join(" -> ")));
    }
    let Check { lines, mut problems, lacking, .. } = check;
    if problems.is_empty() && !lacking.is_empty() {
        return Err(Failure::Away(ConfigError { problems: lacking }));
    }
    problems.extend(lacking);
    problems.sort_by_key(|problem| problem.location);
    // What is wrong with a table or the registries is found where it is checked and where it is used.
    problems.dedup_by(|a, b| a.location == b.location && a.message == b.message);
    if problems.is_empty() { Ok(lines) } else { Err(ConfigError { problems }.into()) }
}

/// Asks for the plugins of registries and layouts that filters name, each of them once, under the place that names it.
fn of_registries(loaded: &Loaded, path: &Path) -> anyhow::Result<Vec<(String, Probing)>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let registries = super::registries(loaded, folder, true)?;
    let mut known = BTreeSet::new();
    let named = super::plugin::references(loaded, folder).into_iter();
    let named = named.filter(|(_, reference)| known.insert(reference.to_string()));
    let probing = named.map(|(place, reference)| -> (String, Probing) {
        let registries = registries.clone();
        let ask = move || registries.probe(&reference);
        (place, Box::pin(async move { Ok(tasks::blocking(ask).await??) }))
    });
    Ok(probing.collect())
}

struct Check<'a> {
    loaded: &'a Loaded,
    lines: Vec<String>,
    problems: Vec<Problem>,
    /// What could not be looked at, for what the machine lacks.
    lacking: Vec<Problem>,
}

impl Check<'_> {
    fn line(&mut self, what: &str, name: &str, text: String) {
        self.lines.push(format!("{what:<9} {name:<16} {text}\n"));
    }

    /// Loads, configures and tries the plugin of every filter.
    fn filters(&mut self, path: &Path) -> anyhow::Result<()> {
        let Found { cx, problems, has_registries } = context(self.loaded, path)?;
        self.problems.extend(problems);
        // Of those whose settings are wrong that is told already; and what `plugins` says is wrong of a registry's is said of
        // that.
        let is_looked_at = |settings: &FilterSettings| {
            settings.check().is_ok() && (has_registries || settings.references().next().is_none())
        };
        // Code goes with the last filter that has it, and the next one may have the same.
        let mut plugins: Vec<Component> = Vec::new();
        for (name, settings) in self.loaded.config.filters.iter().filter(|(_, one)| is_looked_at(one)) {
            match Alone::load(name, settings, &cx) {
                Ok(alone) => {
                    plugins.push(alone.filter().plugin().clone());
                    self.line("filter", name, describe(alone.filter().plugin(), &settings.plugin));
                    if let Some((shadow, settings)) =
                        alone.filter().shadow.as_ref().zip(settings.shadow.as_ref())
                    {
                        self.line("shadow", name, describe(shadow.plugin(), &settings.plugin));
                    }
                }
                Err(error) if is_not_here(&error) => {
                    let is_closed = cx.registries.is_closed();
                    let told = match settings.plugin.starts_with("package:") {
                        _ if is_closed => "another user's to look at, so only its name was looked at",
                        true => "not sent to this machine yet, so only its name was looked at",
                        false => "not pulled to this machine, so only its name was looked at",
                    };
                    self.line("filter", name, format!("{} ({told})", settings.plugin));
                }
                Err(error) if config::lacks(&error) => {
                    self.lacking.push(self.loaded.filter_error(name, &error).help(PASSES.to_owned()));
                }
                Err(error) => {
                    self.problems.push(self.loaded.filter_error(name, &error));
                }
            }
        }
        Ok(())
    }
}

/// Whether a filter cannot be looked at since a plugin of a registry was never pulled to this machine.
fn is_not_here(error: &anyhow::Error) -> bool {
    matches!(config::of_registry(error), Some(flitch_registry::Error::NotHere(_)))
}

fn describe(plugin: &Component, name: &str) -> String {
    let origin = plugin.origin();
    let sha256 = &plugin.sha256()[..12];
    format!("{name} ({origin}, {} KiB, sha256 {sha256})", plugin.size() / 1024)
}

/// Asks all parts at once, and tells what each said.
async fn probe(parts: Vec<(String, Probing)>) -> anyhow::Result<()> {
    let asked = parts.into_iter().map(|(name, answer)| {
        tasks::joined(async move {
            let start = Instant::now();
            let answer = match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(())) => Ok(start.elapsed()),
                Ok(Err(error)) => Err(format!("{error:#}")),
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            (name, answer)
        })
    });
    let mut failed = Vec::new();
    for task in asked.collect::<Vec<_>>() {
        let (name, answer) = task.await?;
        let text = match answer {
            Ok(time) => format!("probe     {name:<16} ready, after {time:.0?}\n"),
            Err(why) => {
                failed.push(name.clone());
                format!("probe     {name:<16} NOT READY: {}\n", Escaped(why))
            }
        };
        std::io::stdout().write_all(text.as_bytes())?;
    }
    anyhow::ensure!(failed.is_empty(), "not ready: {}", failed.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests;
