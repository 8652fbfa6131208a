//! `flitch test`: the pipelines of a configuration, held to the tests that stand in it.

use std::path::{Path, PathBuf};

use serde_json::{Map, json};

use super::context::{Found, context};
use super::verdict::{self, Format, Verdict};
use super::{ConfigFile, Failure, again, written};
use crate::config::cases::TestSettings;
use crate::config::{self, ConfigError, Loaded};
use flitch_filters::FilterContext;
use given::Given;
use through::{Outcome, Rig};

mod bless;
mod compare;
mod given;
mod through;

/// Of `flitch test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Only the tests whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Where the batches are cut: a number that an earlier run has told. By chance without it.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Write what comes out into the configuration as what should.
    ///
    /// Comments, order and layout stay. A test whose result depends on how its batches are cut is not written, nor what stands
    /// at an anchor or comes from a placeholder.
    #[arg(long)]
    bless: bool,
    /// Go on, and test again whenever the configuration, or a plugin or table of it, changes.
    #[arg(long, conflicts_with = "bless")]
    watch: bool,
    /// How the results are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the tests, and fails where one does not hold.
pub fn run(args: &Args) -> Result<(), Failure> {
    if !args.watch {
        return once(args);
    }
    let path = &args.config.path;
    let what = format!("{}, or a plugin or table of it,", path.display());
    let mut known = Vec::new();
    let files = || -> Vec<PathBuf> {
        // While it is wrong the files that it had may be what is to be mended.
        if let Ok(loaded) = config::load(path) {
            known = files(&loaded, path);
        }
        std::iter::once(path.clone()).chain(known.iter().cloned()).collect()
    };
    again::at_each_change(&what, files, || once(args))
}

/// The files that a configuration is made of, beside its own.
fn files(loaded: &Loaded, path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let plugins = loaded.config.filters.values().map(|filter| &filter.plugin);
    let plugins = plugins.filter(|plugin| !flitch_registry::Reference::is_one(plugin));
    let origins = plugins.filter_map(|plugin| crate::STOCK.origin(plugin, folder).ok());
    let tables = loaded.config.tables.values().filter_map(|table| table.path.as_ref());
    let placed = loaded.file.placed();
    origins
        .filter_map(|origin| origin.file().map(Path::to_owned))
        .chain(tables.map(|path| folder.join(path)))
        .chain(placed.iter().map(|path| folder.join(path)))
        .collect()
}

fn once(args: &Args) -> Result<(), Failure> {
    let path = &args.config.path;
    let mut loaded = config::load(path)?;
    let before = loaded.file.text().to_owned();
    let only = args.only.as_deref().unwrap_or("");
    let names: Vec<String> = loaded.config.tests.keys().filter(|name| name.contains(only)).cloned().collect();
    if names.is_empty() {
        let what = if only.is_empty() { "has no `tests`" } else { "has no test of such a name" };
        return Err(Failure::Usage(format!("{} {what}", path.display())));
    }
    let Found { cx, problems, .. } = context(&loaded, path)?;
    if !problems.is_empty() {
        return Err(ConfigError { problems }.into());
    }
    // Short enough to be typed again.
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut verdicts = Vec::with_capacity(names.len());
    for name in &names {
        let done = hold(&loaded, &loaded.config.tests[name], &cx, seed)?;
        let blessed = match &done {
            Ok(held) if args.bless && !held.differs.is_empty() => {
                Some(bless::blessed(&loaded, path, name, &held.given, &held.found))
            }
            _ => None,
        };
        verdicts.push(match (done, blessed) {
            (Err(wrong), _) => Verdict::of(name, Err(wrong)),
            (Ok(held), Some(Err(why))) => {
                Verdict::of(name, Err(format!("{}\n{why}", held.differs.join("\n"))))
            }
            (Ok(_), Some(Ok(new))) => {
                loaded = new;
                Verdict::of(name, Ok("blessed"))
            }
            (Ok(held), None) if held.differs.is_empty() => Verdict::of(name, Ok("ok")),
            (Ok(held), None) => Verdict::of(name, Err(held.differs.join("\n"))),
        });
    }
    if loaded.file.text() != before {
        if std::fs::read_to_string(path)? != before {
            return Err(anyhow::anyhow!("{} has changed meanwhile: try again", path.display()).into());
        }
        written::replace(path, loaded.file.text().as_bytes())?;
    }
    verdict::tell(args.format, "tests", &verdicts, Map::from_iter([("seed".to_owned(), json!(seed))]))
}

/// What came of a test.
struct Held {
    given: Given,
    /// What became of its records.
    found: Outcome,
    /// What is otherwise than the test says.
    differs: Vec<String>,
}

/// Runs one test. The inner error is what is wrong with it, or with the pipeline, whatever it expects.
fn hold(
    loaded: &Loaded,
    test: &TestSettings,
    cx: &FilterContext,
    seed: u64,
) -> Result<Result<Held, String>, Failure> {
    let config = &loaded.config;
    let (name, pipeline) = test.pipeline_of(&config.pipelines).expect("it was checked");
    let source = test.source_of(pipeline).expect("it was checked");
    let given = match given::read(test, source, &config.sources[source]) {
        Ok(given) => given,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let filters: Vec<_> =
        pipeline.filters.iter().map(|name| (name.as_str(), &config.filters[name])).collect();
    let rig = Rig::new(name, pipeline, &filters, cx).map_err(|error| {
        let filter = error.filter.clone();
        ConfigError::from(loaded.filter_error(&filter, &error.into()))
    })?;
    let together = match rig.run(&given.batches) {
        Ok(outcomes) => through::joined(outcomes),
        Err(wrong) => return Ok(Err(wrong)),
    };
    let mut varies = Vec::new();
    for manner in through::Manner::all(seed) {
        let cut = rig.run(&manner.cut(&given.batches)).map(through::joined);
        match cut {
            Ok(cut) => varies.extend(compare::same(&together, &cut, &manner)),
            Err(why) => varies.push(format!("{manner}: {why}")),
        }
    }
    let mut found = together;
    found.dead.extend(given.bad.iter().cloned());
    let differs = compare::expected(test, &given, &found);
    if varies.is_empty() {
        return Ok(Ok(Held { given, found, differs }));
    }
    Ok(Err([differs, varies].concat().join("\n")))
}
